// The Describe tab: a sound, its caption, its timeline, and what else is known of it.
import { startRecorder } from "./record.js";
import { $, clock, complain, download, element, form, get, percent, request, say, word } from "./server.js";
import { fileOf } from "./subtitles.js";

const EXAMPLES = ["dog_and_rain", "footsteps_then_knocking", "siren", "church_bell", "birds"];
let file = null; // what was chosen
let answer = null; // of /v1/audio/spans, with the caption
let turn = 0; // so that a late answer of another file is not shown

const chosen = () => ({ model: $("model").value, bridge: $("bridge").value });

export function sureness(confidence) {
  if (confidence === null) return word("no_confidence");
  const level = [0.8, 0.6, 0.4, 0].findIndex((least) => confidence >= least);
  return `${word(["very_likely", "likely", "perhaps", "guess"][level])} (${percent(confidence)})`;
}

export async function describe(one) {
  file = one;
  const mine = ++turn;
  $("result").hidden = true;
  say(`${word("listening")} ${file.name} …`);
  try {
    const more = { alternatives: "4", nearest: "5" };
    const caption = await get("v1/audio/captions", form(file, { ...chosen(), ...more }));
    if (mine !== turn) return;
    answer = { ...caption, spans: [], cues: [] };
    load();
    const [spans, picture] = await Promise.all([
      get("v1/audio/spans", form(file, { ...chosen(), style: $("style").value })),
      request("v1/audio/pictures", form(file, {})).then((response) => response.blob()),
    ]);
    if (mine !== turn) return;
    answer = { ...caption, spans: spans.spans, cues: spans.cues };
    draw(picture);
    show();
    say(word("done"));
    $("result").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (mine === turn) complain(error);
  }
}

function load() {
  const player = $("player");
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  $("tags").replaceChildren();
  show();
}

function draw(picture) {
  const image = $("picture");
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(picture);
  image.hidden = false;
}

function show() {
  if (!answer) return;
  const unsure = !answer.caption;
  $("name").textContent = `${answer.file}, ${clock(answer.end)}`;
  $("caption").textContent = unsure ? `${word("unsure")} ${answer.guess}` : answer.caption;
  $("sure").textContent = answer.caption === "Silence" ? "" : sureness(answer.confidence);
  $("notes").replaceChildren(...answer.notes.map((note) => element("li", note)));
  $("bars").replaceChildren(...answer.spans.map(bar));
  const rows = answer.spans.map(row);
  if (!rows.length) rows.push(element("li", word("nothing")));
  $("spans").replaceChildren(...rows);
  const others = [...answer.alternatives].sort((a, b) => (b.confidence ?? 0) - (a.confidence ?? 0));
  $("alternatives").replaceChildren(...others.map(({ caption, confidence }) =>
    pair(caption, confidence === null ? "" : percent(confidence))));
  $("nearest").replaceChildren(...answer.nearest.map(({ caption, score }) => pair(caption, score.toFixed(2))));
  for (const id of ["alternatives", "nearest"]) $(id).parentElement.hidden = !$(id).children.length;
  $("result").hidden = false;
}

function pair(text, figure) {
  const item = element("li");
  item.append(element("span", text), element("span", figure, "share"));
  return item;
}

function play(from) {
  $("player").currentTime = from;
  $("player").play().catch(() => {});  // a pause may come first
}

function bar(span) {
  const made = element("button", "", span.background ? "background" : "event");
  const whole = Math.max(answer.end, 0.1);
  made.type = "button";
  made.tabIndex = -1; // the list below has the same, for the keyboard
  made.style.left = `${(100 * span.start) / whole}%`;
  made.style.width = `${(100 * (span.end - span.start)) / whole}%`;
  made.title = span.caption;
  made.addEventListener("click", () => play(span.start));
  return made;
}

function row(span) {
  const button = element("button");
  button.type = "button";
  button.append(element("span", `${clock(span.start)}–${clock(span.end)}`, "time"));
  const text = element("span", span.caption);
  if (span.confidence !== null) text.append(element("span", ` · ${sureness(span.confidence)}`, "quiet"));
  button.append(text);
  button.addEventListener("click", () => play(span.start));
  const item = element("li");
  item.append(button);
  return item;
}

async function compare() {
  try {
    const fields = { model: $("model").value, labels: $("labels").value, top: "20" };
    const result = await get("v1/audio/tags", form(file, fields));
    const rows = result.tags.map((tag) => [tag.label, tag.probability]);
    if (result.none !== null) rows.push([word("none"), result.none]);
    rows.sort((a, b) => b[1] - a[1]);
    $("tags").replaceChildren(...rows.map(([label, share]) => {
      const item = element("li");
      const meter = element("meter");
      meter.value = share;
      meter.setAttribute("aria-label", label);
      item.append(element("span", label), meter, element("span", percent(share), "share"));
      return item;
    }));
    say(word("done"));
  } catch (error) {
    complain(error);
  }
}

async function example(name) {
  try {
    const sound = await (await request(`examples/${name}.wav`)).blob();
    await describe(new File([sound], `${name}.wav`, { type: "audio/wav" }));
  } catch (error) {
    complain(error);
  }
}

function startDropping() {
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    if (event.dataTransfer.files.length && !$("describe").hidden) describe(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length && !$("describe").hidden) describe(event.clipboardData.files[0]);
  });
}

export function startDescribe() {
  $("file").addEventListener("change", () => {
    if ($("file").files.length) describe($("file").files[0]);
    $("file").value = ""; // so that the same file can be chosen again
  });
  startDropping();
  startRecorder(describe);
  for (const name of EXAMPLES) {
    const button = element("button", word(`example_${name}`));
    button.type = "button";
    button.dataset.word = `example_${name}`;
    button.dataset.example = name;
    button.addEventListener("click", () => example(name));
    $("examples").append(button);
  }
  for (const id of ["model", "bridge", "style"]) $(id).addEventListener("change", () => file && describe(file));
  $("downloads").addEventListener("click", (event) => {
    const format = event.target.dataset.format;
    if (format) download(`${file.name.replace(/\.[^.]*$/, "")}.${format}`, fileOf(answer, format));
  });
  $("tagging").addEventListener("submit", (event) => {
    event.preventDefault();
    compare();
  });
  $("player").addEventListener("timeupdate", () => {
    $("head").style.left = `${(100 * $("player").currentTime) / Math.max(answer?.end ?? 1, 0.1)}%`;
  });
  document.addEventListener("spoken", show);
}
