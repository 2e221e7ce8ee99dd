// What is seen and clicked. The network runs in worker.js.

import { decode, Microphone } from "./input.js";
import { anythingMissing, microphoneMissing } from "./missing.js";
import { Player } from "./player.js";
import { drawScale, limitsOf, Spectrogram } from "./spectrogram.js";
import { Track } from "./track.js";
import { wav } from "./wav.js";
import { describe, levelOf, liveName, progress, seconds } from "./words.js";

const MOST_MINUTES = 60; // of a recording, which is kept in memory
const LIVE_SECONDS = 10; // that are seen while the microphone is on
const RECENT_CALLS = 20; // that the real-time factor is of
const QUIETEST = -60; // dB, of the input's level

const find = (id) => document.getElementById(id);

let facts; // of the network: model.json
let worker;
let context; // AudioContext, from the first click on
let rows = []; // {figure, radio, save, spectrogram} of each track
let recording; // {id, name, tracks, duration, live, running, calls}
let microphone = null;
let player = null;
let chosen = 0;
let cursor = 0; // seconds, where playing starts
let waiting = false; // for the next frame of the screen

// --- what is said

const say = (text) => (find("status").textContent = text);

function complain(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

function showLevel(samples) {
  const level = Math.max(QUIETEST, levelOf(samples));
  const meter = find("level");
  meter.firstElementChild.style.width = `${100 * (1 - level / QUIETEST)}%`;
  meter.setAttribute("aria-valuenow", level.toFixed(0));
  find("decibels").textContent = level > QUIETEST ? `${level.toFixed(0)} dB` : "";
}

// --- recordings

function newTracks() {
  return Array.from({ length: facts.n_src + 1 }, () => new Track(facts.sample_rate));
}

function begin(name, duration, live) {
  player?.stop();
  player = null;
  cursor = 0;
  const id = recording.id + 1;
  recording = { id, name, duration, live, tracks: newTracks(), running: true, calls: [] };
  worker.postMessage({ begin: id });
  complain("");
  refresh();
}

async function listen() {
  context ??= new AudioContext();
  await context.resume();
  complain("");
  const gone = (sentence) => {
    stop();
    complain(sentence);
  };
  const opened = await Microphone.open(context, facts.sample_rate, heard, gone);
  begin(liveName(), 0, true);
  microphone = opened;
  say("The microphone is on:");
  refresh();
}

function heard(samples) {
  showLevel(samples);
  if (!microphone) return; // not yet, or not any more
  worker.postMessage({ feed: samples });
  if (recording.tracks[0].seconds < 60 * MOST_MINUTES) return;
  stop();
  complain(`The microphone is off: ${MOST_MINUTES} minutes are kept and no more.`);
}

function stop() {
  microphone?.close();
  microphone = null;
  worker.postMessage({ end: true });
  showLevel([]);
  refresh();
}

async function open(file) {
  if (microphone) stop();
  const { samples, channels } = await decode(file, facts.sample_rate);
  const duration = samples.length / facts.sample_rate;
  if (!samples.length) throw new Error(`${file.name}: no samples in it.`);
  if (duration > 60 * MOST_MINUTES) {
    throw new Error(`${file.name}: more than ${MOST_MINUTES} minutes; local/separate.py takes it.`);
  }
  begin(file.name.replace(/\.[^.]*$/, ""), duration, false);
  say(`Separating ${file.name}:`);
  if (channels > 1) complain(`${file.name}: ${channels} channels; the first one is taken.`);
  worker.postMessage({ feed: samples });
  worker.postMessage({ end: true });
}

function separated({ mixture, sources, work, behind }) {
  [mixture, ...sources].forEach((samples, k) => recording.tracks[k].push(samples));
  recording.calls.push({ work, length: mixture.length / facts.sample_rate });
  recording.calls = recording.calls.slice(-RECENT_CALLS);
  if (!recording.live) showLevel(mixture);
  find("progress").textContent = progress(recording, behind);
  refresh();
}

function finish() {
  recording.running = false;
  recording.duration = recording.tracks[0].seconds;
  if (player) player.growing = false;
  say(`${recording.name} is separated:`);
  find("progress").textContent = progress(recording, 0);
  showLevel([]);
  refresh();
}

function save(number) {
  const { name, tracks } = recording;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(wav(tracks[number].samples.values, facts.sample_rate));
  link.download = `${name}_${number ? `s${number}` : "mix"}.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// --- playing

async function play(from) {
  if (!recording.tracks[0].seconds) return;
  context ??= new AudioContext();
  await context.resume();
  const samples = recording.tracks.map((track) => track.samples);
  player ??= new Player(context, samples, facts.sample_rate, () => {
    cursor = 0;
    refresh();
  });
  player.growing = recording.running;
  player.choose(chosen);
  player.start(microphone ? recording.tracks[0].seconds : from);
  refresh();
}

function pause() {
  cursor = player.position;
  player.stop();
  refresh();
}

function choose(number) {
  if (!rows[number]) return;
  chosen = number;
  rows[number].radio.checked = true;
  player?.choose(number);
  rows.forEach(({ figure }, k) => figure.classList.toggle("chosen", k === number));
}

function seek(target) {
  if (recording.running || !recording.duration) return;
  cursor = target;
  if (player?.playing) player.start(target);
  refresh();
}

// --- what is drawn

function refresh() {
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

function draw() {
  waiting = false;
  const { tracks, duration, live, running } = recording;
  const there = tracks[0].seconds;
  const playing = Boolean(player?.playing);
  const to = live && running ? Math.max(LIVE_SECONDS, there) : duration || LIVE_SECONDS;
  const view = { from: live && running ? to - LIVE_SECONDS : 0, to };
  const position = playing ? player.position : there && !running ? cursor : null;
  const limits = limitsOf(tracks);
  rows.forEach(({ spectrogram }, k) => spectrogram.draw(tracks[k], view, limits, position));
  rows.forEach((row) => (row.save.disabled = running || !there));
  find("play").disabled = !there;
  find("play").textContent = playing ? "Pause" : "Play";
  const heard = position === null ? "" : `${position.toFixed(1)} of ${seconds(there)}`;
  find("position").textContent = heard;
  find("microphone").textContent = microphone ? "Stop" : "Microphone";
  find("microphone").classList.toggle("on", Boolean(microphone));
  find("low").textContent = there ? `${limits.low} dB` : "";
  find("high").textContent = there ? `${limits.high} dB` : "";
  find("scale").hidden = !there;
  if (playing) refresh();
}

function addRow(k) {
  const row = find("track").content.cloneNode(true);
  const [figure, radio, button] = ["figure", "input", ".save"].map((one) => row.querySelector(one));
  const name = k ? `Source ${k}` : "Mixture";
  row.querySelector(".number").textContent = k;
  row.querySelector(".name").textContent = name;
  button.setAttribute("aria-label", `Save wav of ${name.toLowerCase()}`);
  const canvas = row.querySelector("canvas");
  canvas.setAttribute("aria-label", `Spectrogram of ${name.toLowerCase()}`);
  const spectrogram = new Spectrogram(canvas, k === facts.n_src);
  radio.onchange = () => choose(k);
  button.onclick = () => save(k);
  canvas.onclick = (event) => seek(spectrogram.secondsAt(event.clientX));
  find("tracks").append(row);
  return { figure, radio, save: button, spectrogram };
}

// --- beginning

const attempt = (action) => action.catch((error) => complain(error.message));

function addHandlers() {
  find("microphone").onclick = async ({ target }) => {
    if (microphone) return stop();
    target.disabled = true; // while the browser asks for permission
    await attempt(listen());
    target.disabled = false;
    return undefined;
  };
  find("play").onclick = () => (player?.playing ? pause() : attempt(play(cursor)));
  find("file").onchange = ({ target }) => {
    if (target.files.length) attempt(open(target.files[0]));
    target.value = "";
  };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) attempt(open(event.dataTransfer.files[0]));
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (/^\d$/.test(event.key)) choose(Number(event.key));
    if (event.key !== " " || event.target.closest("button, [type=file]")) return;
    event.preventDefault();
    find("play").click();
  });
  addEventListener("resize", refresh);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
}

function ready(described) {
  facts = described;
  recording = { id: 0, tracks: newTracks(), duration: 0, live: false, running: false, calls: [] };
  find("network").textContent = describe(facts);
  rows = recording.tracks.map((_, k) => addRow(k));
  choose(0);
  drawScale(find("scale"));
  addHandlers();
  find("file").disabled = false;
  complain(microphoneMissing());
  find("microphone").disabled = Boolean(microphoneMissing());
  say("Ready.");
  refresh();
}

function received({ data }) {
  if (data.ready) return ready(data.ready);
  if (data.failed) return failed(data.failed);
  if (data.id !== recording.id) return undefined; // of a stream that was dropped
  return data.ended ? finish() : separated(data);
}

function failed(message) {
  microphone?.close();
  microphone = null;
  complain(`The network cannot be run here: ${message}`);
  say("");
  for (const id of ["microphone", "file"]) find(id).disabled = true;
}

function start() {
  const missing = anythingMissing();
  if (missing) {
    say("");
    complain(missing);
    return;
  }
  say("Loading the network ...");
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = received;
  worker.onerror = ({ message }) => failed(message || "its program did not load");
  if (!navigator.serviceWorker) return;
  navigator.serviceWorker.register("service.js").catch(() => {}); // then it needs the server
  navigator.serviceWorker.ready.then(() => {
    find("kept").textContent = "The page is kept, too: it works without the server from now on.";
  });
}

start();
