// How the page talks to the server, and small helpers of all tabs.
export const $ = (id) => document.getElementById(id);

export class Refused extends Error {}

export async function request(path, options = {}) {
  const key = $("key").value.trim();
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(word("no_answer"));
  }
  if (response.status === 401) {
    choose("describe");
    $("settings").open = true;
  }
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new Refused(body?.error?.message ?? `${word("status")} ${response.status}`);
  }
  return response;
}

export const get = async (path, options) => (await request(path, options)).json();

export function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return get(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export function form(file, fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append("file", file);
  return { method: "POST", body };
}

export function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

export const complain = (error) => say(error instanceof Refused ? error.message : String(error), true);

export function element(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

export function download(name, content, type = "text/plain") {
  const link = element("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const percent = (share) => `${Math.round(100 * share)} %`;

export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
}

// Words of the interface, in files of their own.
let words = {};

export const word = (name) => words[name] ?? name;

export async function speak(language) {
  words = await (await fetch(`words/${language}.json`)).json();
  document.documentElement.lang = language;
  document.title = `wsac: ${word($("tabs") ? "question" : "live_title")}`;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
}

export function remembered(value) {
  try {
    if (value !== undefined) localStorage.setItem("wsac-language", value);
    return localStorage.getItem("wsac-language");
  } catch {
    return null; // the browser stores nothing here
  }
}

export async function startLanguage() {
  const known = ["en", "de", "ja"];
  const asked = [remembered(), ...navigator.languages].map((name) => (name ?? "").slice(0, 2));
  const language = asked.find((name) => known.includes(name)) ?? "en";
  await speak(language);
  return language;
}

// Tabs: arrow keys move between those that are there.
export function choose(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (location.hash.slice(1) !== name) history.replaceState(null, "", `#${name}`);
}

export function startTabs() {
  const shown = () => [...document.querySelectorAll("[role=tab]:not([hidden])")];
  $("tabs").addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab) return;
    say(""); // of another tab
    choose(tab.id.slice(4));
  });
  $("tabs").addEventListener("keydown", (event) => {
    const tabs = shown();
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    choose(next.id.slice(4));
    next.focus();
  });
}
