// The mixtures, one of which is seen at a time: all its sounds and pictures share one player.

const mixtures = [...document.querySelectorAll("article.mixture")].map((article) => {
  const { corpus, name, why, seconds } = article.dataset;
  const tracks = [...article.querySelectorAll(".track")].map((figure) => ({
    figure,
    radio: figure.querySelector("input"),
    picture: figure.querySelector(".picture"),
    cursor: figure.querySelector(".cursor"),
    audio: figure.querySelector("audio"),
    system: figure.dataset.system,
    source: Number(figure.dataset.source),
    level: Number(figure.dataset.level),
  }));
  return { article, corpus, name, why, tracks, seconds: Number(seconds) };
});
let shown = null; // the mixture that is seen

function listenTo({ article, tracks, seconds }) {
  let refresh = () => {};
  const player = new Player(tracks.map(({ audio }) => audio), seconds, () => {
    refresh();
    const left = `${(100 * player.position) / seconds}%`;
    for (const { cursor } of tracks) {
      cursor.style.left = left;
      cursor.style.visibility = player.playing || player.position ? "visible" : "hidden";
    }
  });
  refresh = attach(player, article);
  tracks.forEach(({ radio, picture, audio }, number) => {
    audio.controls = false;
    radio.onchange = () => player.choose(number);
    picture.onclick = (event) => {
      const box = picture.getBoundingClientRect();
      radio.checked = true;
      player.choose(number);
      player.seek((seconds * (event.clientX - box.left)) / box.width);
    };
  });
  return player;
}

function show(number) {
  shown?.player.stop();
  shown = mixtures[number];
  shown.player ??= listenTo(shown);
  for (const { article } of mixtures) article.hidden = article !== shown.article;
  for (const { audio } of shown.tracks) audio.preload = "auto";
}

if (mixtures.length) {
  const choice = find("mixture");
  mixtures.forEach(({ corpus, name, why }, number) => {
    choice.add(new Option(`${corpus}: ${why || name}`, number));
  });
  choice.onchange = () => show(Number(choice.value));
  show(0);
  addEventListener("keydown", (event) => {
    if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("button, select, summary, a, input:not([type=radio], [type=range])")) return;
    const player = playing ?? (find("trial").hidden ? shown.player : trial.player);
    event.preventDefault();
    player.toggle();
  });
}
