"""One self-contained HTML page that plays clips and shows their pictures and captions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsac.types import AudioError

from .files import write_bytes
from .mel_pictures import mel_svg
from .rendering import data_uri, render

if TYPE_CHECKING:
    import numpy as np

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz; others become WAV


@dataclass(frozen=True)
class ClipCard:
    """One clip of a report.

    name: of the file. caption: the sentence. samples: [T] mono float within [-1, 1], None without a
    sound to play. sample_rate: Hz. facts: names and short values. lines: labels and sentences.
    """

    name: str
    caption: str
    samples: np.ndarray | None = None
    sample_rate: int = 16_000
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()

    @property
    def seconds(self) -> float:
        return 0.0 if self.samples is None else len(self.samples) / self.sample_rate

    @property
    def description(self) -> str:
        """What the picture shows, for people who do not see it."""
        top = f"{self.sample_rate / 2000:g} kHz"
        return f"Log-mel spectrogram of {self.name}: {self.seconds:.1f} seconds, up to {top}"


@dataclass(frozen=True)
class PagePart:
    """A section of a page, with any of: cards, a table, SVG pictures side by side, lines of text.

    columns, rows: a table; names that end with ">" are of numbers, as in ``console.table``.
    pictures: (what it shows in words, SVG).
    """

    heading: str = ""
    cards: Sequence[ClipCard] | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Sequence[tuple[str, str]] = ()
    lines: Sequence[str] = ()


def write_page(
    path: str | Path, parts: Sequence[PagePart], *, title: str, summary: str = ""
) -> None:
    """Write a page, whole or not at all. Text is escaped; sounds and pictures are in the page.

    summary: plain text under the title; each line becomes a paragraph.
    Raises AudioError when the sound of a card is empty or has more than one channel.
    """
    from markupsafe import Markup

    number = Markup(' class="number"')
    filters = {
        "sound": lambda clip: data_uri(*encode_audio(clip.samples, clip.sample_rate)),
        "picture": lambda clip: mel_svg(clip.samples, clip.sample_rate),
        "svg": lambda svg: data_uri("image/svg+xml", svg.encode("utf-8")),
        "kind": lambda column: number if column.endswith(">") else "",
    }
    for clip in (clip for part in parts for clip in part.cards or ()):
        if clip.samples is not None and (clip.samples.ndim != 1 or not len(clip.samples)):
            what = "a report needs one channel [T] with at least one sample"
            raise AudioError(f"{clip.name}: {what}")
    text = render("page.html", filters, title=title, summary=summary, parts=parts)
    write_bytes(path, text.encode("utf-8", "backslashreplace"))  # names may hold any bytes


def encode_audio(samples: np.ndarray, sample_rate: int) -> tuple[str, bytes]:
    """Mono samples [T] for a browser: (media type, bytes), MP3 where libsndfile can, else WAV."""
    import numpy as np
    import soundfile

    samples = np.clip(np.nan_to_num(np.asarray(samples, dtype=np.float32)), -1, 1)
    buffer = io.BytesIO()
    if "MP3" in soundfile.available_formats() and sample_rate in MP3_RATES:
        soundfile.write(buffer, samples, sample_rate, format="MP3")
        return "audio/mpeg", buffer.getvalue()
    soundfile.write(buffer, samples, sample_rate, format="WAV", subtype="PCM_16")
    return "audio/wav", buffer.getvalue()
