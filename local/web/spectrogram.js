import { LOWEST_DB, STEP_DB } from "./track.js";

const RANGE_DB = 70; // that the colours cover
// Of the colour map "inferno" of matplotlib, evenly spaced.
const COLOURS =
  "000004 210c4a 57106e 8a226a bc3754 e45a31 f98e09 f9cb35 fcffa4".split(" ");
const MARGIN = { left: 42, top: 6, right: 8, bottom: 8, numbers: 16 }; // of the axes, CSS pixels

/** Red, green and blue of 256 values from quiet to loud. */
const MAP = Uint8ClampedArray.from({ length: 3 * 256 }, (_, i) => {
  const place = (Math.floor(i / 3) / 255) * (COLOURS.length - 1);
  const below = Math.min(Math.floor(place), COLOURS.length - 2);
  const [a, b] = [below, below + 1].map((k) => parseInt(COLOURS[k].substr(2 * (i % 3), 2), 16));
  return a + (b - a) * (place - below);
});

/** The limits of the colours that tracks have in common: {low, high} in dB of full scale. */
export function limitsOf(tracks) {
  const loudest = LOWEST_DB + STEP_DB * Math.max(...tracks.map((track) => track.loudest));
  const high = Math.max(-60, Math.ceil(loudest / 5) * 5);
  return { low: high - RANGE_DB, high };
}

/**
 * The part of a spectrogram between two seconds as an image of at most `most` pixels' width; each
 * pixel shows the loudest of its columns. It grows with the track.
 */
class Picture {
  constructor(track, { from, to }, { low }, most) {
    const { hop, rate, bins } = track;
    Object.assign(this, { track, low });
    this.first = (from * rate) / hop; // column
    this.each = Math.max(1, ((to - from) * rate) / hop / most); // columns of a pixel
    const width = Math.max(1, Math.round(((to - from) * rate) / hop / this.each));
    this.image = new ImageData(width, bins);
    this.done = 0; // pixels from the left that change no more
  }

  /** Paints what has come since; says whether there was anything. */
  grow() {
    const { bins, columns } = this.track;
    const before = this.done;
    for (; this.done < this.image.width; this.done++) {
      const begin = Math.floor(this.first + this.done * this.each);
      const end = Math.max(begin + 1, Math.floor(this.first + (this.done + 1) * this.each));
      if (end > columns.length / bins) break;
      this.#paint(columns.buffer.subarray(begin * bins, end * bins));
    }
    return this.done > before;
  }

  #paint(columns) {
    const { bins } = this.track;
    const loudest = columns.slice(0, bins);
    for (let i = bins; i < columns.length; i++) {
      loudest[i % bins] = Math.max(loudest[i % bins], columns[i]);
    }
    loudest.forEach((byte, bin) => {
      paint(this.image, this.done, bins - 1 - bin, LOWEST_DB + STEP_DB * byte - this.low);
    });
  }
}

/** Gives a pixel the colour of what is `above` the quietest colour, dB. */
function paint(image, x, y, above) {
  const colour = 3 * Math.max(0, Math.min(255, Math.round((255 * above) / RANGE_DB)));
  const at = 4 * (y * image.width + x);
  for (let k = 0; k < 3; k++) image.data[at + k] = MAP[colour + k];
  image.data[at + 3] = 255;
}

/** Draws a spectrogram with its axes into a canvas. */
export class Spectrogram {
  /** @param last whether it is the lowest one, with the seconds below it. */
  constructor(canvas, last) {
    this.canvas = canvas;
    this.last = last;
    this.store = document.createElement("canvas"); // the picture, without axes
    this.made = []; // what the picture is made of
  }

  /** Seconds at a place of the page. */
  secondsAt(x) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (x - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    return this.view.from + Math.max(0, Math.min(1, inside)) * (this.view.to - this.view.from);
  }

  /**
   * @param track to be shown.
   * @param view {from, to} in seconds.
   * @param limits of the colours.
   * @param position seconds that are heard now, or null.
   */
  draw(track, view, limits, position) {
    this.view = view;
    const { canvas, store } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    const box = { x: MARGIN.left, y: MARGIN.top };
    box.width = Math.max(1, width - MARGIN.left - MARGIN.right);
    box.height = height - MARGIN.top - MARGIN.bottom - (this.last ? MARGIN.numbers : 0);
    this.#fill(track, view, limits, Math.ceil(box.width * devicePixelRatio));
    const context = canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    context.fillStyle = `rgb(${MAP.slice(0, 3)})`;
    context.fillRect(box.x, box.y, box.width, box.height);
    context.drawImage(store, box.x, box.y, box.width, box.height);
    const style = getComputedStyle(canvas);
    context.fillStyle = style.color;
    context.font = `11px ${style.fontFamily}`;
    drawFrequencies(context, box, track.rate / 2000);
    drawSeconds(context, box, view, this.last);
    if (position !== null) drawPosition(context, box, view, position);
  }

  /** Brings the picture up to date. */
  #fill(track, view, limits, most) {
    const wanted = [track, view.from, view.to, limits.low, most];
    if (wanted.some((value, i) => value !== this.made[i])) {
      this.made = wanted;
      this.picture = new Picture(track, view, limits, most);
      this.store.width = this.picture.image.width;
      this.store.height = this.picture.image.height;
    }
    if (this.picture.grow()) this.store.getContext("2d").putImageData(this.picture.image, 0, 0);
  }
}

/** A step of 1, 2 or 5 times a power of ten that is at least `least`. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least * 0.999);
}

function drawFrequencies(context, box, kilohertz) {
  context.textBaseline = "middle";
  context.textAlign = "right";
  const step = niceStep(kilohertz / Math.max(2, box.height / 28));
  for (let k = 0; k * step <= kilohertz; k++) {
    const y = box.y + box.height * (1 - (k * step) / kilohertz);
    context.fillRect(box.x - 4, Math.round(y), 4, 1);
    const unit = (k + 1) * step > kilohertz ? " kHz" : "";
    context.fillText(`${+(k * step).toFixed(2)}${unit}`, box.x - 7, y);
  }
}

function drawSeconds(context, box, { from, to }, numbers) {
  context.textBaseline = "top";
  context.textAlign = "center";
  const [below, right] = [box.y + box.height, box.x + box.width];
  const step = niceStep(((to - from) * 56) / box.width);
  for (let k = Math.ceil(from / step); k * step <= to; k++) {
    const x = box.x + (box.width * (k * step - from)) / (to - from);
    context.fillRect(Math.round(x), below, 1, 4);
    if (numbers && x < right - 14) context.fillText(`${+(k * step).toFixed(2)}`, x, below + 7);
  }
  context.textAlign = "right";
  if (numbers) context.fillText("s", right, below + 7);
}

function drawPosition(context, box, { from, to }, position) {
  const x = box.x + (box.width * (position - from)) / (to - from);
  if (x < box.x || x > box.x + box.width) return;
  context.fillStyle = "#fff";
  context.fillRect(x - 1, box.y, 2, box.height);
}

/** Draws the colours from quiet to loud into a canvas of one pixel's height. */
export function drawScale(canvas) {
  const image = new ImageData(canvas.width, 1);
  for (let x = 0; x < canvas.width; x++) {
    const colour = Math.round((255 * x) / (canvas.width - 1));
    image.data.set([...MAP.subarray(3 * colour, 3 * colour + 3), 255], 4 * x);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
