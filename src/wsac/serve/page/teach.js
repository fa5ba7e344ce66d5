// The Teach tab: captions go to the server, which trains; losses and the verdict come back.
import { $, choose, complain, download, element, get, post, request, say, word } from "./server.js";

const EVERY = 1500; // milliseconds between two looks at the training
const SVG = "http://www.w3.org/2000/svg";
let offer = null; // asks the server what it offers
let format = "txt"; // of the captions in the box
let timer = 0;
let last = null;

function count() {
  const lines = $("captions").value.split("\n").filter((line) => line.trim()).length;
  $("count").textContent = lines ? `${lines.toLocaleString(document.documentElement.lang)} ${word("lines")}` : "";
}

async function readFile() {
  const file = $("captions-file").files[0];
  if (!file) return;
  $("captions").value = await file.text();
  const suffix = file.name.split(".").at(-1).toLowerCase();
  format = ["csv", "json", "jsonl"].includes(suffix) ? suffix : "txt";
  $("captions-file").value = "";
  count();
}

async function begin() {
  const wanted = { captions: $("captions").value, format, name: $("taught-name").value };
  try {
    say("");
    show(await post("v1/teach", { ...wanted, epochs: Number($("epochs").value) }));
    follow();
    $("training").scrollIntoView({ block: "nearest" });
  } catch (error) {
    complain(error);
  }
}

async function follow() {
  clearTimeout(timer);
  try {
    const before = last?.state;
    const state = await get("v1/teach");
    show(state);
    if (state.state === "training") timer = setTimeout(follow, EVERY);
    else if (before === "training") await finish(state);
  } catch (error) {
    complain(error);
    timer = setTimeout(follow, 4 * EVERY); // the server may be back soon
  }
}

async function finish(state) {
  if (state.state === "done") await offer(); // the new captioner is one of its models
  say(state.state === "failed" ? state.error : word(state.state === "done" ? "taught" : "cancelled"), state.state === "failed");
}

function show(state) {
  last = state;
  const runs = state.state === "training";
  $("training").hidden = state.state === "idle";
  $("begin").disabled = runs;
  $("cancel").hidden = !runs;
  $("training-title").textContent = `${state.model}: ${word(`state_${state.state}`)}`;
  $("progress").hidden = !runs;
  if (state.total) $("progress").value = state.done / state.total;
  else $("progress").removeAttribute("value");
  const parts = state.total ? `: ${state.done.toLocaleString(document.documentElement.lang)} / ${state.total.toLocaleString(document.documentElement.lang)}` : "";
  $("step").textContent = `${word(runs ? (state.step ? "training_step" : "preparing") : "took")}${runs && state.step ? parts : ""} · ${Math.round(state.seconds)} s`;
  $("curve").hidden = state.losses.length + state.held_out.length < 2;
  if (!$("curve").hidden) curve(state);
  const lines = state.verdict.map((line) => line.replace(/^verdict: /, ""));
  const own = state.grade && document.documentElement.lang !== "en"; // the server says more, in English
  $("verdict").textContent = state.error || (own ? word(`grade_${state.grade}`) : (lines.at(-1) ?? ""));
  const shown = lines.filter((line) => line.startsWith("  ")); // a sound, and what was written of it
  $("judged").replaceChildren(...shown.map((line) => element("li", line.trim())));
  $("figures").textContent = lines.slice(shown.length, own ? undefined : -1).join(". ");
  $("after").hidden = state.state !== "done";
  $("log").textContent = state.log.join("\n");
  $("log-box").hidden = !state.log.length;
}

function curve({ losses, held_out: held, total }) {
  const all = [...losses, ...held];
  const most = Math.max(...all.map((row) => row.step), total ? Math.min(total, 2 * all.at(-1).step) : 1, 1);
  const top = Math.max(...all.map((row) => row.loss), 0.1) * 1.05;
  const [left, low] = [60, 172];
  const x = (step) => left + ((590 - left) * step) / most;
  const y = (loss) => low - ((low - 10) * loss) / top;
  const points = (rows) => rows.map((row) => `${x(row.step).toFixed(1)},${y(row.loss).toFixed(1)}`).join(" ");
  $("loss").setAttribute("points", points(losses));
  $("held").setAttribute("points", points(held));
  const parts = [];
  const add = (tag, values, text = "") => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(values)) node.setAttribute(name, value);
    node.textContent = text;
    parts.push(node);
  };
  for (const share of [0, 0.5, 1]) {
    const loss = (top / 1.05) * share;
    add("line", { x1: left, x2: 590, y1: y(loss), y2: y(loss) });
    add("text", { x: left - 8, y: y(loss) + 6, "text-anchor": "end" }, loss.toFixed(loss < 10 ? 2 : 0));
  }
  for (const row of held) add("circle", { cx: x(row.step), cy: y(row.loss), r: 5 });
  add("text", { x: 590, y: 194, "text-anchor": "end" }, `${Math.round(most).toLocaleString(document.documentElement.lang)} ${word("steps")}`);
  $("grid").replaceChildren(...parts);
  const figures = [losses.length && `${word("loss")} ${losses.at(-1).loss.toFixed(2)}`];
  if (held.length) figures.push(`${word("held_out")} ${held.at(-1).loss.toFixed(2)}`);
  $("curve-text").textContent = figures.filter(Boolean).join(" · ");
}

export function startTeach(ask) {
  offer = ask;
  $("captions").addEventListener("input", count);
  $("captions").addEventListener("paste", () => {
    if (!$("captions").value.trim()) format = "txt";
  });
  $("captions-file").addEventListener("change", () => readFile().catch(complain));
  $("teaching").addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  $("cancel").addEventListener("click", () =>
    request("v1/teach", { method: "DELETE" }).then(follow).catch(complain));
  $("try").addEventListener("click", () => {
    $("model").value = last.model;
    choose("describe");
    $("model").dispatchEvent(new Event("change"));
    say(`${word("captioner_is")} ${last.model}`);
  });
  $("bundle").addEventListener("click", async () => {
    try {
      download(`${last.model}.zip`, await (await request("v1/teach/bundle")).blob());
    } catch (error) {
      complain(error);
    }
  });
  $("tab-teach").addEventListener("click", follow); // a training that was begun before
  document.addEventListener("spoken", () => last && show(last));
}
