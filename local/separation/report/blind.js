// The blind test. Answers are kept in the browser, and leave it as a CSV file only.

const STORE = "separation-blind-test";
const FIELDS = "time,test,corpus,mixture,source,first,second,a,x,answer,right".split(",");
let answers = readAnswers();
let trial = null; // {test, first, second, left, cases, ...} while a test runs

function readAnswers() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE));
    return Array.isArray(kept) ? kept : [];
  } catch {
    return []; // no storage, or not ours
  }
}

function keepAnswers() {
  try {
    localStorage.setItem(STORE, JSON.stringify(answers));
    return "";
  } catch {
    return " This browser keeps nothing: export the answers before you close the page.";
  }
}

/** Sounds that two systems have in common: {mixture, source, sounds of both}. */
function casesOf(first, second) {
  return mixtures.flatMap((mixture) =>
    mixture.tracks
      .filter(({ system, source }) => system === first && (source || second === "mixture"))
      .map((one) => {
        const fits = ({ system, source }) =>
          system === second && (source === one.source || system === "mixture");
        return { mixture, source: one.source, sounds: [one, mixture.tracks.find(fits)] };
      })
      .filter(({ sounds }) => sounds[1]),
  );
}

const random = (n) => Math.floor(Math.random() * n);

/** Audio elements of their own, so that nothing of the page tells which they are; equally loud. */
function blinded(tracks) {
  const quietest = Math.min(...tracks.map(({ level }) => level));
  return tracks.map(({ audio, level }) => {
    const sound = new Audio(audio.src);
    sound.preload = "auto";
    sound.volume = 10 ** ((quietest - level) / 20);
    return sound;
  });
}

function nextTrial() {
  trial.player?.stop();
  const chosen = trial.cases[random(trial.cases.length)];
  const swapped = random(2) === 1;
  const [a, b] = swapped ? [...chosen.sounds].reverse() : chosen.sounds;
  const x = trial.test === "ABX" ? "AB"[random(2)] : "";
  const tracks = x ? [a, b, x === "A" ? a : b] : [a, b];
  Object.assign(trial, { chosen, swapped, x });
  let refresh = () => {};
  trial.player = new Player(blinded(tracks), chosen.mixture.seconds, () => refresh());
  const follow = attach(trial.player, find("trial"));
  refresh = () => {
    follow();
    for (const button of document.querySelectorAll(".hear")) {
      button.setAttribute("aria-pressed", Number(button.dataset.sound) === trial.player.heard);
    }
  };
  refresh();
  const what = x ? "Is X the same as A or as B?" : "Which is better?";
  find("question").textContent = `${trial.done + 1} of ${trial.wanted}: ${what}`;
  find("question").focus();
}

function begin(event) {
  event.preventDefault();
  const [test, first, second] = ["kind-of-test", "first", "second"].map((id) => find(id).value);
  const cases = casesOf(first, second);
  const wanted = Number(find("answers").value);
  if (first === second || !cases.length || !(wanted >= 1)) {
    find("verdict").textContent = "Choose two different systems that kept the same mixture.";
    return;
  }
  trial = { test, first, second, cases, wanted, done: 0 };
  find("setup").hidden = true;
  find("trial").hidden = false;
  find("verdicts").hidden = true; // what is known so far must not guide the answers
  find("verdict").textContent = "";
  for (const button of document.querySelectorAll(".hear")) {
    button.hidden = test === "AB" && button.dataset.sound === "2";
  }
  for (const button of document.querySelectorAll(".answer")) {
    const letter = button.dataset.answer;
    button.textContent = test === "ABX" ? `X is ${letter}` : `${letter} is better`;
  }
  nextTrial();
}

function answer(letter) {
  const { test, first, second, chosen, swapped, x } = trial;
  answers.push({
    time: new Date().toISOString(),
    test,
    corpus: chosen.mixture.corpus,
    mixture: chosen.mixture.name,
    source: chosen.source,
    first,
    second,
    a: swapped ? second : first,
    x,
    answer: letter,
    // Of ABX: whether it is right; of AB: whether it is for the second.
    right: Number(x ? letter === x : (letter === "B") !== swapped),
  });
  trial.done += 1;
  find("verdict").textContent = `Answer ${trial.done} is kept.${keepAnswers()}`;
  if (trial.done === trial.wanted) end();
  else nextTrial();
}

function end() {
  trial.player.stop();
  trial = null;
  find("trial").hidden = true;
  find("setup").hidden = false;
  showVerdicts();
  find("begin").focus();
}

/** The answers of each test and pair of systems, together. */
function totals() {
  const found = new Map();
  for (const { test, first, second, right } of answers) {
    const key = JSON.stringify([test, first, second]);
    const total = found.get(key) ?? { test, first, second, n: 0, right: 0 };
    total.n += 1;
    total.right += right;
    found.set(key, total);
  }
  return [...found.values()];
}

function showVerdicts() {
  const table = find("verdicts");
  table.hidden = !answers.length;
  table.tBodies[0].replaceChildren();
  for (const { test, first, second, n, right } of totals()) {
    const p = test === "ABX" ? guessed(right, n) : preferred(right, n);
    const row = table.tBodies[0].insertRow();
    [test, first, second, n, right, p < 0.0001 ? "< 0.0001" : p.toFixed(4)].forEach((text, k) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (k > 2) cell.className = "number";
    });
  }
}

/** A cell of a CSV file; what a spreadsheet would compute is kept a text. */
function cell(value) {
  const text = String(value).replace(/^[=+@-]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv() {
  const rows = answers.map((one) => FIELDS.map((name) => cell(one[name] ?? "")).join(","));
  return `${[FIELDS.join(","), ...rows].join("\r\n")}\r\n`;
}

function exportAnswers() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "blind_test.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function forgetAnswers() {
  if (!answers.length || !confirm(`Delete ${answers.length} answers?`)) return;
  answers = [];
  keepAnswers();
  find("verdict").textContent = "All answers are deleted.";
  showVerdicts();
}

function hear(number) {
  trial.player.choose(number);
  if (!trial.player.playing) trial.player.play();
}

if (mixtures.length) {
  const systems = new Set(mixtures.flatMap(({ tracks }) => tracks.map(({ system }) => system)));
  systems.delete("mixture"); // it has no sources; as the second one it stands beside each
  for (const system of systems) find("first").add(new Option(system));
  for (const system of [...systems, "mixture"]) find("second").add(new Option(system));
  find("first").selectedIndex = Math.min(1, systems.size - 1); // after the references
  find("second").selectedIndex = systems.size > 2 ? 2 : 0;
  find("setup").onsubmit = begin;
  find("end").onclick = end;
  find("export").onclick = exportAnswers;
  find("forget").onclick = forgetAnswers;
  for (const button of document.querySelectorAll(".answer")) {
    button.onclick = () => answer(button.dataset.answer);
  }
  for (const button of document.querySelectorAll(".hear")) {
    button.onclick = () => hear(Number(button.dataset.sound));
  }
  addEventListener("keydown", (event) => {
    const number = "abx".indexOf(event.key.toLowerCase());
    if (!trial || number < 0 || event.key.length > 1 || event.ctrlKey || event.metaKey) return;
    if (event.target.closest("select, input:not([type=range])")) return;
    if (number < trial.player.sounds.length) hear(number);
  });
  showVerdicts();
}
