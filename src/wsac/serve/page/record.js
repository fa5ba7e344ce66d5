// The microphone: samples from start to stop, as a WAV.
import { $, say, word } from "./server.js";

const LONGEST = 120; // seconds
let session = null;

function wav(blocks, rate) {
  const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // one channel
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, bytes, true);
  return new Blob([head, ...blocks], { type: "audio/wav" });
}

async function begin(use) {
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) throw new Error(word("no_microphone_here"));
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: plain });
  const context = new AudioContext();
  await context.audioWorklet.addModule("listen-worklet.js");
  const collector = new AudioWorkletNode(context, "collector", { numberOfOutputs: 0 });
  context.createMediaStreamSource(microphone).connect(collector);
  const blocks = [];
  session = { microphone, context, blocks, use };
  collector.port.onmessage = ({ data }) => {
    if (session?.blocks !== blocks) return;
    blocks.push(data.buffer);
    const seconds = blocks.reduce((sum, block) => sum + block.byteLength, 0) / 2 / context.sampleRate;
    $("record").textContent = `${word("stop")} ${seconds.toFixed(0)} s`;
    if (seconds >= LONGEST) end();
  };
  $("record").textContent = word("stop");
  $("record").classList.add("on");
  say(word("recording"));
}

async function end() {
  const { microphone, context, blocks, use } = session;
  session = null;
  for (const track of microphone.getTracks()) track.stop();
  const rate = context.sampleRate;
  await context.close();
  $("record").textContent = word("record");
  $("record").classList.remove("on");
  if (!blocks.length) return say(word("nothing_recorded"), true);
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  use(new File([wav(blocks, rate)], `${word("recording_name")} ${time}.wav`, { type: "audio/wav" }));
}

export function startRecorder(use) {
  $("record").addEventListener("click", async () => {
    if (session) return end();
    $("record").disabled = true;
    try {
      await begin(use);
    } catch (error) {
      const denied = error.name === "NotAllowedError" || error.name === "NotFoundError";
      say(denied ? word("no_microphone") : error.message, true);
    }
    $("record").disabled = false;
  });
}
