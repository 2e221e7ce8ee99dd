// Separates beside the page, so that the page stays smooth.
//
// In:  {begin: id}, then {feed: samples} any number of times, then {end: true}. A new `begin` drops
//      what is left of the stream before it.
// Out: {ready: facts}; {id, mixture, sources, work, behind} in seconds; {id, ended: true};
//      {failed: message}, after which nothing comes.

import { join } from "./arrays.js";
import * as ort from "./ort.wasm.bundle.min.mjs";
import { Separator } from "./separator.js";

const LEAST_SECONDS = 0.1; // of a call: each has hundreds of small operations, however short it is
const MOST_SECONDS = 1; // so that a long recording is seen to go on

ort.env.wasm.numThreads = 1; // more would need special headers of the server
ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };
ort.env.logLevel = "error";

let separator;
let stream = null; // {id, parts, ended}: what is separated, or null
let known; // the stream that the separator is in
let running = false;

const get = async (name) => {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer;
};

async function load() {
  const facts = await (await get("model.json")).json();
  const network = await (await get("model.onnx")).arrayBuffer();
  const session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  separator = new Separator(facts, session, ort.Tensor);
  postMessage({ ready: facts });
}

const count = (parts) => parts.reduce((sum, part) => sum + part.length, 0);

/** Whether there is something to do for a stream. */
const due = ({ parts, ended }) =>
  ended || count(parts) >= LEAST_SECONDS * separator.facts.sample_rate;

/** One call of the network, or the end of the stream. */
async function step(now) {
  const { sample_rate: rate } = separator.facts;
  const waiting = join(...now.parts.splice(0));
  const samples = waiting.subarray(0, MOST_SECONDS * rate);
  if (samples.length < waiting.length) now.parts.push(waiting.subarray(samples.length));
  const last = !samples.length;
  const began = performance.now();
  const found = await (last ? separator.flush() : separator.feed(samples));
  const work = (performance.now() - began) / 1000;
  postMessage({ id: now.id, ...found, work, behind: count(now.parts) / rate });
  if (!last) return;
  postMessage({ id: now.id, ended: true });
  if (stream === now) stream = null;
}

async function run() {
  if (running || !separator) return;
  running = true;
  while (stream && due(stream)) {
    const now = stream;
    if (now !== known) separator.reset();
    known = now;
    await step(now);
    await new Promise((resolve) => setTimeout(resolve)); // lets messages in
  }
  running = false;
}

const fail = (error) => postMessage({ failed: error.message ?? String(error) });

onmessage = ({ data }) => {
  if ("begin" in data) stream = { id: data.begin, parts: [], ended: false };
  else if (data.feed) stream?.parts.push(data.feed);
  else if (stream) stream.ended = true;
  run().catch(fail);
};
load().then(run).catch(fail);
