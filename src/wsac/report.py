"""One self-contained HTML page that plays the clips and shows their pictures and captions, without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from .files import write_text
from .pictures import mel_png
from .types import AudioError

if TYPE_CHECKING:
    import numpy as np

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz; others are kept as WAV


@dataclass(frozen=True)
class ClipCard:
    """One clip of a report.

    name: shown as the file's name. samples: [T] mono float within [-1, 1]. sample_rate: Hz. caption: the sentence.
    logprob: mean per token, nats. seconds: time spent to caption it. note, reference: optional lines of text.
    """

    name: str
    samples: np.ndarray
    sample_rate: int
    caption: str
    logprob: float
    seconds: float
    note: str = ""
    reference: str = ""


def write_report(path: str | Path, clips: Sequence[ClipCard], *, title: str, summary: str = "") -> None:
    """Write a page with a card per clip: caption, player, log-mel picture and facts. The file is whole or absent.

    All text is escaped, and the sounds and pictures are in the page: it may be mailed or opened from a disk.
    summary: plain text under the title; each line becomes a paragraph.
    Raises AudioError when a clip has no samples or more than one channel.
    """
    head = f"<h1>{escape(title)}</h1>" + "".join(f"<p>{escape(line)}</p>" for line in summary.splitlines() if line)
    cards = "\n".join(_card(clip) for clip in clips) or "<p>No clips.</p>"
    page = PAGE.format(title=escape(title), style=STYLE, head=head, cards=cards)
    write_text(path, page)


def encode_audio(samples: np.ndarray, sample_rate: int) -> tuple[str, bytes]:
    """Encode mono samples [T] for a browser: (media type, bytes), MP3 where libsndfile writes it, else 16-bit WAV."""
    import numpy as np
    import soundfile

    samples = np.clip(np.nan_to_num(np.asarray(samples, dtype=np.float32)), -1, 1)
    buffer = io.BytesIO()
    if "MP3" in soundfile.available_formats() and sample_rate in MP3_RATES:
        soundfile.write(buffer, samples, sample_rate, format="MP3")
        return "audio/mpeg", buffer.getvalue()
    soundfile.write(buffer, samples, sample_rate, format="WAV", subtype="PCM_16")
    return "audio/wav", buffer.getvalue()


def _card(clip: ClipCard) -> str:
    if getattr(clip.samples, "ndim", 1) != 1 or not len(clip.samples):
        raise AudioError(f"{clip.name}: a report needs one channel [T] with at least one sample")
    kind, sound = encode_audio(clip.samples, clip.sample_rate)
    length = len(clip.samples) / clip.sample_rate
    alt = f"Log-mel spectrogram of {clip.name}: {length:.1f} seconds, up to {clip.sample_rate / 2000:g} kHz"
    facts = [
        ("length", f"{length:.1f} s"),
        ("log-probability", f"{clip.logprob:.2f} per token".replace("-", "\N{MINUS SIGN}")),
        ("captioned in", f"{clip.seconds:.2f} s"),
    ]
    lines = [("Reference", clip.reference), ("Note", clip.note)]
    return CARD.format(
        name=escape(clip.name),
        caption=escape(clip.caption),
        alt=escape(alt),
        image=_data("image/png", mel_png(clip.samples, clip.sample_rate)),
        sound=_data(kind, sound),
        facts="".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in facts),
        lines="".join(f'<p class="line"><b>{label}</b> {escape(text)}</p>' for label, text in lines if text),
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


CARD = """<article>
<p class="name">{name}</p>
<h2>{caption}</h2>
<audio controls preload="metadata" src="{sound}" aria-label="Play {name}"></audio>
<img src="{image}" alt="{alt}" loading="lazy">
{lines}<dl>{facts}</dl>
</article>"""

STYLE = """
:root { color-scheme: light dark; --page: #f5f6f7; --card: #fff; --ink: #16191d; --soft: #5b636c; --edge: #dfe3e7; }
@media (prefers-color-scheme: dark) {
  :root { --page: #121417; --card: #1b1f24; --ink: #eceff2; --soft: #9aa4af; --edge: #2d333a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
header { margin-bottom: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
header p { margin: .2rem 0; color: var(--soft); max-width: 60rem; }
.cards { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
article { background: var(--card); border: 1px solid var(--edge); border-radius: 12px; padding: 1rem 1.1rem;
  display: flex; flex-direction: column; gap: .6rem; min-width: 0; overflow-wrap: anywhere; }
article > * { margin: 0; }
.name { font: .8rem/1.3 ui-monospace, monospace; color: var(--soft); }
h2 { font-size: 1.35rem; line-height: 1.3; font-weight: 650; text-wrap: balance; }
audio { width: 100%; height: 2.5rem; }
img { width: 100%; height: auto; display: block; }
.line { font-size: .92rem; color: var(--soft); }
.line b { font-weight: 600; color: var(--ink); }
dl { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; font-size: .85rem; margin-top: auto; }
dt { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header>{head}</header>
<section class="cards">
{cards}
</section>
</main>
</body>
</html>
"""
