"""One self-contained HTML page that plays the clips and shows their pictures and captions, without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from wsac.types import AudioError

from .files import write_text
from .plots import mel_png

if TYPE_CHECKING:
    import numpy as np

MP3_RATES = (
    8000,
    11025,
    12000,
    16000,
    22050,
    24000,
    32000,
    44100,
    48000,
)  # Hz; others are kept as WAV


@dataclass(frozen=True)
class ClipCard:
    """One clip of a report.

    name: shown as the file's name. caption: the sentence. samples: [T] mono float within [-1, 1], None where there is
    no sound to play. sample_rate: Hz. facts: names and short values. lines: a label and a sentence each.
    """

    name: str
    caption: str
    samples: np.ndarray | None = None
    sample_rate: int = 16_000
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()


def write_report(
    path: str | Path, clips: Sequence[ClipCard], *, title: str, summary: str = ""
) -> None:
    """Write a page with a card per clip: caption, player, log-mel picture and facts. The file is whole or absent.

    All text is escaped, and the sounds and pictures are in the page: it may be mailed or opened from a disk.
    summary: plain text under the title; each line becomes a paragraph.
    Raises AudioError when a clip has no samples or more than one channel.
    """
    write_page(path, [("", cards_html(clips))], title=title, summary=summary)


def write_page(
    path: str | Path, parts: Sequence[tuple[str, str]], *, title: str, summary: str = ""
) -> None:
    """The same of parts: a heading, perhaps empty, and HTML made by the functions here."""
    head = f"<h1>{escape(title)}</h1>" + "".join(
        f"<p>{escape(line)}</p>" for line in summary.splitlines() if line
    )
    body = "\n".join(f"<section>{_heading(heading)}{html}</section>" for heading, html in parts)
    write_text(path, PAGE.format(title=escape(title), style=STYLE, head=head, body=body))


def cards_html(clips: Sequence[ClipCard]) -> str:
    return f'<div class="cards">{NEWLINE.join(map(_card, clips)) or "<p>No clips.</p>"}</div>'


def table_html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; a head that ends with ">" is of numbers, as in ``console.table``."""
    kinds = [' class="number"' if head.endswith(">") else "" for head in heads]
    top = "".join(
        f"<th{kind}>{escape(head.rstrip('>'))}</th>"
        for kind, head in zip(kinds, heads, strict=True)
    )
    cells = [
        "".join(f"<td{kind}>{escape(value)}</td>" for kind, value in zip(kinds, row, strict=True))
        for row in rows
    ]
    body = NEWLINE.join(f"<tr>{row}</tr>" for row in cells)
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def pictures_html(pictures: Sequence[tuple[str, bytes]]) -> str:
    """PNG pictures side by side, each with what it shows in words."""
    images = [
        f'<img src="{_data("image/png", png)}" alt="{escape(alt)}" decoding="async">'
        for alt, png in pictures
    ]
    return f'<div class="pictures">{NEWLINE.join(images)}</div>'


def _heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>" if text else ""


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
    sound, facts = "", clip.facts
    if clip.samples is not None:
        if clip.samples.ndim != 1 or not len(clip.samples):
            raise AudioError(
                f"{clip.name}: a report needs one channel [T] with at least one sample"
            )
        length = len(clip.samples) / clip.sample_rate
        alt = f"Log-mel spectrogram of {clip.name}: {length:.1f} seconds, up to {clip.sample_rate / 2000:g} kHz"
        facts = (("clip", f"{length:.1f} s"), *facts)
        sound = SOUND.format(
            name=escape(clip.name),
            alt=escape(alt),
            image=_data("image/png", mel_png(clip.samples, clip.sample_rate)),
            sound=_data(*encode_audio(clip.samples, clip.sample_rate)),
        )
    return CARD.format(
        name=escape(clip.name),
        caption=escape(clip.caption),
        sound=sound,
        facts="".join(
            f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in facts
        ),
        lines="".join(
            f'<p class="line"><b>{escape(label)}</b> {escape(text)}</p>'
            for label, text in clip.lines
        ),
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


NEWLINE = "\n"
CARD = """<article>
<p class="name">{name}</p>
<h3>{caption}</h3>
{sound}{lines}<dl>{facts}</dl>
</article>"""
SOUND = """<audio controls preload="metadata" src="{sound}" aria-label="Play {name}"></audio>
<img src="{image}" alt="{alt}" decoding="async">
"""

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
h2 { font-size: 1.25rem; margin: 2rem 0 .8rem; }
h3 { font-size: 1.35rem; line-height: 1.3; font-weight: 650; text-wrap: balance; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .95rem; }
th, td { text-align: left; padding: .3rem 1.4rem .3rem 0; border-bottom: 1px solid var(--edge); }
th { color: var(--soft); font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.pictures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
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
{body}
</main>
</body>
</html>
"""
