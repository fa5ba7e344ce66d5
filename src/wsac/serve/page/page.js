// The page: what the server offers, the language, and the tabs.
import { startDescribe } from "./describe.js";
import { startSearch } from "./search.js";
import { $, choose, complain, element, get, remembered, speak, startLanguage, startTabs } from "./server.js";
import { startTeach } from "./teach.js";

let about = null; // what the server offers

function fill(select, names) {
  const before = select.value;
  select.replaceChildren(...names.map((name) => {
    const option = element("option", name);
    option.value = name;
    return option;
  }));
  if (names.includes(before)) select.value = before;
}

function fillBridges() {
  const model = about.models.find((one) => one.id === $("model").value) ?? about.models[0];
  fill($("bridge"), model.bridges);
}

export async function offer() {
  about = await get("v1/about");
  fill($("model"), about.models.map((model) => model.id));
  fill($("style"), about.styles);
  fillBridges();
  $("tab-search").hidden = !about.search;
  $("tab-teach").hidden = !about.teach;
  return about;
}

async function start() {
  $("language").value = await startLanguage();
  startTabs();
  startSearch();
  startTeach(offer);
  $("model").addEventListener("change", fillBridges);
  startDescribe();
  $("language").addEventListener("change", async () => {
    remembered($("language").value);
    await speak($("language").value);
    document.dispatchEvent(new Event("spoken"));
  });
  $("choices").addEventListener("submit", (event) => event.preventDefault());
  $("key").addEventListener("change", () => offer().catch(complain));
  try {
    await offer();
  } catch (error) {
    complain(error);
  }
  const wanted = location.hash.slice(1);
  if ($(`tab-${wanted}`)?.hidden === false) choose(wanted);
  document.body.dataset.ready = "";
}

start();
