"""Subtitles: the cues of a file, to look at, to write and to put into a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.inference.spans.span import Span
from wsac.io.files import write_bytes
from wsac.types import RecipeError

from .cues import Cue, CueLayout, Place
from .relevance import CueOptions, wishes
from .soft_track import CONTAINERS, copy_path, embed
from .speech_file import SpeechFile
from .subtitle_formats import SUFFIXES, to_text

FRAME_RATE = 24.0  # where there is no video


@dataclass(frozen=True)
class Subtitles:
    """The cues of a file, in order. file: its path. left_out: sounds without a cue, by reason.
    speech: the file of speech between whose cues they lie.

    >>> subtitles = Subtitles.of(Captioner.load().spans("film.mp4"), file="film.mp4")
    >>> subtitles.save("film.srt")
    """

    cues: tuple[Cue, ...]
    file: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    speech: SpeechFile | None = None
    audio_options: AudioOptions = AS_IS

    @staticmethod
    def of(
        spans: Iterable[Span],
        options: CueOptions | None = None,
        *,
        file: str | Path = "",
        speech: str | Path | SpeechFile | None = None,
        cuts: Iterable[float] = (),
        frame_rate: float = FRAME_RATE,
        place: Place = "gaps",
        audio_options: AudioOptions = AS_IS,
        on_cue: Callable[[Cue], object] | None = None,
    ) -> Subtitles:
        """Choose, word and place what spans in the order of their start say.

        file: the video or sound, for the page and the player. speech: SRT, VTT or ASS that the cues
        are to be merged into. cuts: seconds of cuts of the video. frame_rate: of the video.
        place: as in CueLayout. audio_options: how the file was read. on_cue: told each cue once it
        is settled, while spans are still coming. Raises WsacError for a speech file that is none.
        """
        if isinstance(speech, (str, Path)):
            speech = SpeechFile(speech)
        layout = CueLayout(speech.busy if speech else (), frame_rate, place)
        options, cues = options or CueOptions(), list[Cue]()
        for cue in layout.place(wishes(spans, options, cuts, layout.left_out)):
            if on_cue is not None:
                on_cue(cue)
            cues.append(cue)
        return Subtitles(tuple(cues), str(file), dict(layout.left_out), speech, audio_options)

    def text(self, name: str = "srt") -> str:
        """The cues of sounds in a format: srt, vtt, ttml, ass, json, csv or audacity."""
        title = Path(self.file).stem
        return to_text(self.cues, name, title=title, left_out=self.left_out)

    def merged(self) -> bytes:
        """The file of speech with the cues of sounds in it. Raises RecipeError without one."""
        if self.speech is None:
            raise RecipeError("no speech to merge with; give speech= a file of subtitles")
        return self.speech.merged(self.cues)

    def save(self, path: str | Path) -> None:
        """Write the cues of sounds in the format of the suffix. Raises RecipeError, WsacError."""
        formats = {suffix: name for name, suffix in SUFFIXES.items()}
        name = formats.get(Path(path).suffix.lower(), "")
        if not name:
            raise RecipeError(f"{path}: end the name in {', '.join(formats)}")
        self.write(path, name)

    def write(self, path: str | Path, name: str) -> None:
        """Write the cues of sounds in a format, whole or not at all."""
        write_bytes(path, self.text(name).encode("utf-8", "backslashreplace"))

    def embed(self, target: str | Path | None = None) -> list[str]:
        """Write a copy of the video with a soft track of the cues, merged with the speech if there
        is one; returns notes. target: default is film.subtitled.mp4 beside film.mp4.
        Raises WsacError."""
        target = copy_path(self.file) if target is None else Path(target)
        name = CONTAINERS[copy_path(self.file).suffix.lower()][1]
        if self.speech is not None:
            return embed(self.file, self.merged(), self.speech.kind, target)
        return embed(self.file, self.text(name).encode(), name, target)

    def save_page(self, path: str | Path) -> None:
        """Write one HTML page with player, picture, cues to edit and download."""
        from .subtitle_page import write_subtitle_page

        write_subtitle_page(path, self.cues, self.file, self.audio_options)

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks, with a player for a minute at most; a table where the
        file is not there."""
        if self.file and Path(self.file).is_file():
            from .subtitle_page import subtitle_page

            page = subtitle_page(self.cues, self.file, self.audio_options)
            style = "width: 100%; height: 640px; border: 0"
            name = escape(Path(self.file).name)
            return f'<iframe title="{name}" style="{style}" srcdoc="{escape(page)}"></iframe>'
        rows = (
            f"<tr><td>{cue.start:.2f}</td><td>{cue.end:.2f}</td><td>{escape(cue.text)}</td></tr>"
            for cue in self.cues
        )
        head = "<tr><th>start</th><th>end</th><th>text</th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"
