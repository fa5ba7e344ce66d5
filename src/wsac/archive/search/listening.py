"""Listen to results: on a page, or with a player of this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsac.data.audio.stream import AudioStream
from wsac.io.console import count_of, printable, say
from wsac.io.files import write_wav
from wsac.io.html import ClipCard, PagePart, write_page
from wsac.types import AudioError, WsacError

from .searching import Hit

# players of WAV files, with the arguments that make them play one and end
PLAYERS: dict[str, tuple[str, ...]] = {
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "mpv": ("--no-video", "--really-quiet"),
    "pw-play": (),
    "paplay": (),
    "aplay": ("-q",),
    "afplay": (),
    "play": ("-q",),
}
LONGEST = 30.0  # seconds of a result that is played
PAGE_RATE, PLAYER_RATE = 24_000, 44_100  # Hz


def excerpt(hit: Hit, sample_rate: int) -> np.ndarray:
    """[T] mono float32: the span of a result, or its first 30 seconds. Raises AudioError."""
    first = round(hit.start * sample_rate)
    last = first + round(min(hit.end - hit.start, LONGEST) * sample_rate)
    blocks, position = [np.empty(0, np.float32)], 0
    with AudioStream(hit.file, sample_rate) as stream:
        for block in stream:
            blocks.append(block[max(0, first - position) : max(0, last - position)])
            position += len(block)
            if position >= last:
                break
    if not len(samples := np.concatenate(blocks)):
        raise AudioError(f"{hit.file}: shorter than when the archive was built; build it again")
    return samples


def write_search_page(path: str | Path, hits: Sequence[Hit], *, title: str) -> None:
    """Write a page with a player and a picture for each result, whole or not at all.

    A file that cannot be read any more stands there with the reason.
    """
    cards = []
    for place, hit in enumerate(hits, 1):
        samples, lines = None, []
        try:
            samples = excerpt(hit, PAGE_RATE)
        except AudioError as error:
            lines.append(("cannot be played:", str(error)))
        if samples is not None and hit.end - hit.start > LONGEST:
            lines.append(("shortened:", f"the first {LONGEST:g} of {hit.end - hit.start:.1f} s"))
        facts = [("place", str(place)), ("cosine", f"{hit.score:.3f}")]
        facts.append(("from–to", f"{hit.start:.1f}–{hit.end:.1f} s"))
        if hit.confidence is not None:
            facts.append(("sure", f"{100 * hit.confidence:.0f} %"))
        caption = hit.caption or "(no caption)"
        cards.append(ClipCard(hit.file, caption, samples, PAGE_RATE, tuple(facts), tuple(lines)))
    summary = f"{count_of(len(hits), 'result')}, best first. Cosine: of the sound and the query."
    write_page(path, [PagePart(cards=cards)], title=f"Search: {title}", summary=summary)


def find_player() -> str:
    """The name of a program that plays sounds. Raises WsacError where there is none."""
    for name in PLAYERS:
        if shutil.which(name):
            return name
    what = f"no player here; install one of {', '.join(PLAYERS)}"
    raise WsacError(f"--play: {what}, or give --html PAGE instead")


def play_hits(hits: Sequence[Hit], player: str) -> None:
    """Play the results one after the other; Ctrl-C ends it. An error is shown instead of one
    that cannot be played."""
    with tempfile.TemporaryDirectory(prefix="wsac-play-") as folder:
        wav = Path(folder) / "result.wav"
        for place, hit in enumerate(hits, 1):
            say(f"{place}: {printable(hit.file)}, {hit.start:.1f}–{hit.end:.1f} s")
            try:
                write_wav(wav, np.clip(excerpt(hit, PLAYER_RATE), -1, 1), PLAYER_RATE)
            except AudioError as error:
                say(f"error: {error}")
                continue
            if subprocess.run([player, *PLAYERS[player], str(wav)], check=False).returncode:
                raise WsacError(f"--play: {player} failed; give --html PAGE instead")
