import { $, element, percent, say, startLanguage, word } from "./server.js";

const MOST_EVENTS = 100; // lines on the page
const WAITING = 1 << 20; // bytes on their way to the server: it is too slow beyond them
let session = null; // what is to be closed in the end

function clock(seconds) {
  const rest = String(Math.floor(seconds) % 60).padStart(2, "0");
  return `${Math.floor(seconds / 60)}:${rest}`;
}

async function start(mine) {
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    throw new Error(word("no_microphone_here"));
  }
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  mine.microphone = await navigator.mediaDevices.getUserMedia({ audio: plain });
  if (session !== mine) return release(mine); // stopped while the browser asked
  const context = (mine.context = new AudioContext());
  await context.audioWorklet.addModule("listen-worklet.js");
  if (session !== mine) return;
  const source = context.createMediaStreamSource(mine.microphone);
  const collector = new AudioWorkletNode(context, "collector", { numberOfOutputs: 0 });
  const analyser = new AnalyserNode(context, { fftSize: 1024, smoothingTimeConstant: 0 });
  source.connect(collector);
  source.connect(analyser);

  const address = new URL("v1/listen", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = (mine.socket = new WebSocket(address));
  socket.onopen = () => {
    const labels = $("labels").value.split(",").map((word) => word.trim()).filter(Boolean);
    const threshold = Number($("threshold").value) / 100;
    const first = { rate: context.sampleRate, labels, threshold, key: $("key").value.trim() };
    socket.send(JSON.stringify(first));
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "event") showEvent(mine, message); // the last ones come after the stop
    if (session !== mine) return;
    if (message.type === "ready") say(word("listening_now"));
    if (message.type === "now") showNow(message);
    if (message.type === "error") {
      if (message.error.includes("API key")) $("settings").open = true;
      stop(message.error, true);
    }
  };
  socket.onclose = () => {
    if (session === mine) stop(word("silent_server"), true);
  };
  collector.port.onmessage = ({ data }) => {
    if (session !== mine || socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount < WAITING) socket.send(data.buffer);
    else say(word("too_slow"), true);
  };
  draw(mine, analyser);
}

function release({ microphone, context, socket }) {
  for (const track of microphone?.getTracks() ?? []) track.stop();
  if (context && context.state !== "closed") context.close();
  if (socket?.readyState === WebSocket.OPEN) socket.send('{"type": "end"}');
  else socket?.close();
}

function stop(text, wrong = false) {
  const ended = session;
  session = null;
  if (ended) release(ended);
  $("toggle").textContent = word("listen");
  for (const line of document.querySelectorAll("#events .open")) line.classList.remove("open");
  say(text, wrong);
}

function draw(mine, analyser) {
  const canvas = $("spectrogram");
  const context = canvas.getContext("2d");
  const levels = new Uint8Array(analyser.frequencyBinCount);
  const column = context.createImageData(1, canvas.height);
  const octaves = Math.log2(levels.length);
  let last = 0;
  function step(now) {
    if (session !== mine) return;
    requestAnimationFrame(step);
    if (now - last < 40) return; // 25 columns a second, whatever the screen
    last = now;
    analyser.getByteFrequencyData(levels);
    for (let y = 0; y < canvas.height; y++) {
      const place = 2 ** ((octaves * (canvas.height - y)) / canvas.height); // low tones at the foot
      const level = levels[Math.min(levels.length - 1, Math.floor(place))];
      column.data.set([level, level * 0.9, 90 + level * 0.4, 255], 4 * y);
    }
    context.drawImage(canvas, -1, 0);
    context.putImageData(column, canvas.width - 1, 0);
  }
  requestAnimationFrame(step);
}

function showNow({ tags, loudness }) {
  const rows = tags.map(({ label, probability }) => {
    const row = element("li");
    const meter = element("meter");
    meter.value = probability;
    meter.setAttribute("aria-label", label);
    row.append(element("span", label), meter, element("span", percent(probability)));
    return row;
  });
  if (!rows.length) rows.push(element("li", `${word("quiet")} (${Math.round(loudness)} dBFS)`));
  $("now").replaceChildren(...rows);
}

function showEvent({ lines }, { state, number, label, start, end, confidence, caption }) {
  if (state === "lasts") return;
  $("none").hidden = true;
  const line = (lines[number] ??= element("li"));
  if (!line.parentElement) $("events").prepend(line);
  while ($("events").children.length > MOST_EVENTS) $("events").lastChild.remove();
  const until = end === null ? "" : `–${clock(end)}`;
  const words = caption ? `: ${caption}` : "";
  line.textContent = `${clock(start)}${until} ${label} (${percent(confidence)})${words}`;
  line.classList.toggle("open", state === "begins");
  if (state === "ended") delete lines[number];
}

$("threshold").addEventListener("input", () => {
  $("percent").textContent = `${$("threshold").value} %`;
});
$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (session) return stop(word("stopped"));
  const mine = (session = { lines: {} }); // of events under way, by number
  say(word("waiting"));
  $("toggle").textContent = word("stop");
  try {
    await start(mine);
  } catch (error) {
    if (session !== mine) return; // stopped before
    const denied = error.name === "NotAllowedError" || error.name === "NotFoundError";
    stop(denied ? word("no_microphone") : error.message, true);
  }
});

startLanguage();
