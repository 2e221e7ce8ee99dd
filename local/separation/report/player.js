// Several sounds of the same length, one of which is heard; another one goes on where it was.

let playing = null; // the one Player that plays, or null

class Player {
  /**
   * @param sounds audio elements.
   * @param seconds their length, known before they are loaded.
   * @param changed is called when position, sound or state have changed.
   */
  constructor(sounds, seconds, changed) {
    Object.assign(this, { sounds, seconds, changed });
    this.heard = 0;
    this.place = 0; // seconds, while nothing plays
    this.turn = 0; // counts the changes, so that one that comes late is dropped
    for (const sound of sounds) {
      sound.preservesPitch = true;
      sound.addEventListener("ended", () => {
        if (sound === this.sound && playing === this) this.stop(0);
      });
    }
  }

  get sound() {
    return this.sounds[this.heard];
  }

  get playing() {
    return playing === this;
  }

  get position() {
    return this.playing ? this.sound.currentTime : this.place;
  }

  play() {
    if (!this.playing) playing?.stop();
    playing = this;
    this.#go(this.place);
    this.#follow();
  }

  /** Stops; the next play begins at `place`, or where it was. */
  stop(place = this.position) {
    this.turn += 1;
    this.place = place;
    if (this.playing) playing = null;
    this.sounds.forEach((sound) => sound.pause());
    this.changed();
  }

  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }

  choose(number) {
    const place = this.position;
    this.heard = number;
    if (this.playing) this.#go(place);
    this.changed();
  }

  seek(place) {
    this.place = Math.max(0, Math.min(place, this.seconds));
    if (this.playing) this.#go(this.place);
    this.changed();
  }

  async #go(place) {
    const turn = (this.turn += 1);
    const { sound } = this;
    this.sounds.forEach((other) => other !== sound && other.pause());
    this.place = place;
    sound.currentTime = place;
    try {
      await sound.play();
    } catch (error) {
      if (turn === this.turn) this.stop(place); // else it was interrupted by a later choice
      if (error.name !== "AbortError") throw error;
    }
    if (turn === this.turn) this.changed();
  }

  #follow() {
    if (!this.playing) return;
    this.changed();
    requestAnimationFrame(() => this.#follow());
  }
}

/** Lets a button, a slider and a text follow a player, and it them. */
function attach(player, box) {
  const [play, seek, position] = [".play", ".seek", ".position"].map((one) =>
    box.querySelector(one),
  );
  play.onclick = () => player.toggle();
  seek.oninput = () => player.seek(Number(seek.value));
  seek.max = player.seconds;
  return () => {
    const text = player.playing ? "Pause" : "Play";
    if (play.textContent !== text) play.textContent = text;
    seek.value = player.position;
    position.textContent = `${player.position.toFixed(1)} of ${player.seconds.toFixed(1)} s`;
  };
}
