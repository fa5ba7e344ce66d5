"use strict";

const $ = (id) => document.getElementById(id);
let file = null; // what was chosen
let answer = null; // of /v1/audio/spans, with the caption
let turn = 0; // so that a late answer of another file is not shown

class Refused extends Error {}

async function post(path, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file);
  const key = $("key").value.trim();
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch(path, { method: "POST", body: form, headers });
  } catch {
    throw new Refused("The server does not answer. Is it still running?");
  }
  const body = await response.json().catch(() => null);
  if (response.status === 401) $("settings").open = true;
  if (!response.ok) throw new Refused(body?.error?.message ?? `The server says ${response.status}.`);
  return body;
}

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

function element(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
}

function sureness(confidence) {
  if (confidence === null) return "This model does not say how sure it is.";
  const percent = Math.round(confidence * 100);
  if (confidence >= 0.8) return `Very likely (${percent} %).`;
  if (confidence >= 0.6) return `Likely (${percent} %).`;
  if (confidence >= 0.4) return `Perhaps (${percent} %).`;
  return `A guess (${percent} %).`;
}

async function listen(chosen) {
  file = chosen;
  const mine = ++turn;
  $("result").hidden = true;
  say(`Listening to ${file.name} …`);
  try {
    const caption = await post("v1/audio/captions", {});
    const spans = await post("v1/audio/spans", {});
    if (mine !== turn) return;
    answer = { ...caption, spans: spans.spans, cues: spans.cues };
    show();
    say("Done.");
    $("name").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (mine === turn) say(error instanceof Refused ? error.message : String(error), true);
  }
}

function show() {
  const player = $("player");
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  $("name").textContent = `${answer.file}, ${clock(answer.end)}`;
  const unsure = !answer.caption;
  $("caption").textContent = unsure ? `Perhaps: ${answer.guess}` : answer.caption;
  $("sure").textContent = answer.caption === "Silence" ? "" : sureness(answer.confidence);
  $("notes").replaceChildren(...answer.notes.map((note) => element("li", note)));
  $("tags").replaceChildren();
  $("timeline").replaceChildren(...answer.spans.map(bar));
  const rows = answer.spans.map(row);
  if (!rows.length) rows.push(element("li", "Nothing stands out."));
  $("spans").replaceChildren(...rows);
  $("result").hidden = false;
}

function bar(span) {
  const made = element("span", "", span.background ? "background" : "event");
  const whole = Math.max(answer.end, 0.1);
  made.style.left = `${(100 * span.start) / whole}%`;
  made.style.width = `${(100 * (span.end - span.start)) / whole}%`;
  made.title = span.caption;
  return made;
}

function row(span) {
  const button = element("button");
  button.type = "button";
  button.append(element("span", `${clock(span.start)}–${clock(span.end)}`, "time"));
  const text = element("span", span.caption);
  if (span.confidence !== null) text.textContent += ` · ${sureness(span.confidence)}`;
  button.append(text);
  button.addEventListener("click", () => {
    $("player").currentTime = span.start;
    $("player").play();
  });
  const item = element("li");
  item.append(button);
  return item;
}

function stamp(seconds, mark) {
  const all = Math.round(seconds * 1000);
  const parts = [Math.floor(all / 3600000), Math.floor(all / 60000) % 60, Math.floor(all / 1000) % 60];
  const time = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return `${time}${mark}${String(all % 1000).padStart(3, "0")}`;
}

function subtitles(format) {
  if (format === "json") return `${JSON.stringify(answer, null, 2)}\n`;
  const mark = format === "srt" ? "," : ".";
  const escaped = (text) =>
    format === "srt" ? text : text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const cues = answer.cues.map((cue, i) => {
    const times = `${stamp(cue.start, mark)} --> ${stamp(cue.end, mark)}`;
    return `${i + 1}\n${times}\n${escaped(cue.text)}\n`;
  });
  return (format === "vtt" ? "WEBVTT\n\n" : "") + cues.join("\n");
}

function download(format) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([subtitles(format)], { type: "text/plain" }));
  link.download = `${file.name.replace(/\.[^.]*$/, "")}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function compare() {
  try {
    const labels = $("labels").value;
    const result = await post("v1/audio/tags", { labels, top: "20" });
    const rows = result.tags.map((tag) => [tag.label, tag.probability]);
    if (result.none !== null) rows.push(["(none of these)", result.none]);
    rows.sort((a, b) => b[1] - a[1]);
    $("tags").replaceChildren(...rows.map(([label, share]) => {
      const item = element("li");
      const meter = element("meter");
      meter.value = share;
      meter.setAttribute("aria-label", label);
      item.append(element("span", label), meter, element("span", `${Math.round(100 * share)} %`, "share"));
      return item;
    }));
    say("Done.");
  } catch (error) {
    say(error instanceof Refused ? error.message : String(error), true);
  }
}

$("file").addEventListener("change", () => $("file").files.length && listen($("file").files[0]));
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
  if (event.dataTransfer.files.length) listen(event.dataTransfer.files[0]);
});
$("downloads").addEventListener("click", (event) => {
  const format = event.target.dataset.format;
  if (format) download(format);
});
$("tagging").addEventListener("submit", (event) => {
  event.preventDefault();
  compare();
});
