// The answer as a file: SRT, VTT, JSON or CSV.
function stamp(seconds, mark) {
  const all = Math.round(seconds * 1000);
  const parts = [Math.floor(all / 3600000), Math.floor(all / 60000) % 60, Math.floor(all / 1000) % 60];
  const time = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return `${time}${mark}${String(all % 1000).padStart(3, "0")}`;
}

function cell(value) {
  const text = value === null ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && typeof value === "string" ? `'${text}` : text; // no formulas
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function table(spans) {
  const names = ["start", "end", "caption", "confidence", "kind", "background", "loudness"];
  const rows = spans.map((span) => names.map((name) => cell(span[name])).join(","));
  return `${[names.join(","), ...rows].join("\r\n")}\r\n`;
}

export function fileOf(answer, format) {
  if (format === "json") return `${JSON.stringify(answer, null, 2)}\n`;
  if (format === "csv") return table(answer.spans);
  const mark = format === "srt" ? "," : ".";
  const escaped = (text) =>
    format === "srt" ? text : text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const cues = answer.cues.map((cue, i) => {
    const times = `${stamp(cue.start, mark)} --> ${stamp(cue.end, mark)}`;
    return `${i + 1}\n${times}\n${escaped(cue.text)}\n`;
  });
  return (format === "vtt" ? "WEBVTT\n\n" : "") + cues.join("\n");
}
