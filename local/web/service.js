// Keeps the page, so that it works without the server, too. Where the server answers, its files are
// taken, so that another network is seen at once.

const CACHE = "separation";
const FILES = [
  "./", "arrays.js", "colours.css", "icon.svg", "index.html", "input.js", "level.js", "missing.js",
  "model.json", "model.onnx", "ort-wasm-simd-threaded.wasm", "ort.wasm.bundle.min.mjs", "page.js",
  "player.js", "resampler.js", "separator.js", "spectrogram.js", "style.css", "track.js", "wav.js",
  "words.js", "worker.js", "worklet.js",
];
const addresses = new Set(FILES.map((name) => new URL(name, registration.scope).href));

async function take(request) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request.url, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(request.url);
    if (kept) return kept;
    throw error;
  }
}

addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && addresses.has(request.url)) event.respondWith(take(request));
});
