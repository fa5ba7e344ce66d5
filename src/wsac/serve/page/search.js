// The Search tab: sounds of the archive by words.
import { sureness } from "./describe.js";
import { $, clock, complain, element, post, say, word } from "./server.js";

function hit({ file, score, start, end, caption, confidence }) {
  const item = element("li");
  const about = [clock(start) + (end ? `–${clock(end)}` : ""), `${word("score")} ${score.toFixed(2)}`];
  if (confidence !== null) about.push(sureness(confidence));
  item.append(element("p", caption), element("p", file), element("p", about.join(" · "), "quiet"));
  return item;
}

export function startSearch() {
  $("searching").addEventListener("submit", async (event) => {
    event.preventDefault();
    say(word("searching"));
    const minus = $("minus").value.split(",").map((text) => text.trim()).filter(Boolean);
    try {
      const wanted = { query: $("query").value, minus, top: 20, spans: $("moments").checked };
      const { results } = await post("v1/search", wanted);
      $("hits").replaceChildren(...results.map(hit));
      say(results.length ? word("done") : word("no_hits"));
    } catch (error) {
      complain(error);
    }
  });
}
