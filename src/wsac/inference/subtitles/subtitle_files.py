"""The subtitles of many files, each beside its sound; what is done is not done again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from wsac import __version__
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.local_files import STDIN, local_file
from wsac.data.audio.stream import AudioStream
from wsac.inference.spans.span import Span
from wsac.io.console import clock, progress
from wsac.io.files import write_bytes
from wsac.types import AudioError, RecipeError, WsacError

from .cues import Cue, Place, check_place, left_out_words
from .relevance import CueOptions
from .result_sources import ResultSources
from .soft_track import PLAIN_TEXT, copy_path
from .speech_file import SpeechFile
from .subtitle_formats import SUFFIXES, check_format
from .subtitles import FRAME_RATE, Subtitles
from .unfinished import LateStream, Unfinished
from .video_facts import video_facts

if TYPE_CHECKING:
    from wsac.inference.captioner import Captioner

MERGED = ".sdh"  # film.mp4 with speech.srt becomes film.sdh.srt
PROBE_RATE = 16_000  # of a sound that is only opened
PAGE, COPY = "page", "copy"  # outputs beside those of SUFFIXES


@dataclass(frozen=True)
class SubtitleJob:
    """What is written for each file, and where.

    formats: of SUFFIXES. speech: a file that is merged with; its format is that of the result.
    place: of sounds during speech, as in CueLayout. only_sounds: write the sounds alone, also with
    speech. embed: a copy of the video with a track.
    page: an HTML page. out: a folder; None for that of each file. overwrite: replace what is there.
    Raises RecipeError for what contradicts itself.
    """

    formats: Sequence[str] = ("srt",)
    options: CueOptions = field(default_factory=CueOptions)
    speech: SpeechFile | None = None
    place: Place = "gaps"
    only_sounds: bool = False
    embed: bool = False
    page: bool = False
    out: Path | None = None
    overwrite: bool = False
    audio_options: AudioOptions = AS_IS

    def __post_init__(self) -> None:
        for name in self.formats:
            check_format(name)
        merges = self.speech is not None and not self.only_sounds
        if merges and self.speech is not None and set(self.formats) - {self.speech.kind}:
            what = f"what is merged with {self.speech.kind} is {self.speech.kind}"
            raise RecipeError(f"{what}; give no other format, or only sounds")
        check_place(self.place)
        if self.place == "line" and not merges:
            remedy = "give --merge, and not --only-sounds"
            raise RecipeError(f"place 'line': for a merged file; {remedy}")

    @property
    def cue_options(self) -> CueOptions:
        """With speech to merge with, or for sounds only, speech gets no cue of its own."""
        if self.speech is None and not self.only_sounds:
            return self.options
        return replace(self.options, skip=(*self.options.skip, "speech"))

    def outputs(self, sound: Path, *, full_name: bool = False) -> dict[str, Path]:
        """Format, PAGE or COPY to path. full_name: keep the suffix of the sound in the names."""
        folder = sound.parent if self.out is None else self.out
        stem = sound.name if full_name else sound.stem
        merged = MERGED if self.speech is not None and not self.only_sounds else ""
        paths = {name: folder / f"{stem}{merged}{SUFFIXES[name]}" for name in self.formats}
        if self.page:
            paths[PAGE] = folder / f"{stem}.html"
        if self.embed:
            paths[COPY] = folder / copy_path(sound).name
            if full_name:
                paths[COPY] = folder / copy_path(sound.with_name(sound.name + sound.suffix)).name
            if self.place == "line" and paths[COPY].suffix.lower() in PLAIN_TEXT:
                what = "a track in this container shows all cues in one place"
                raise WsacError(f"{sound}: {what}; give --place gaps, or a copy as .mkv")
        return paths


@dataclass(frozen=True)
class Subtitled:
    """What became of a file. paths: what was written. notes: what was odd. error: why nothing was.

    cues: how many there are. left_out: how many sounds have none, and why; "" for no sound.
    """

    file: Path
    paths: tuple[Path, ...] = ()
    cues: int = 0
    left_out: str = ""
    notes: tuple[str, ...] = ()
    error: WsacError | None = None


class SubtitleWriter:
    """Works through files. reached: where it is, in words, for who stops it.

    load: makes the captioner when the first file needs it. on_cue: told each cue as soon as it is
    settled.
    """

    def __init__(
        self,
        job: SubtitleJob,
        load: Callable[[], Captioner],
        model: str = "",
        on_cue: Callable[[Cue], object] = lambda cue: None,
    ) -> None:
        self.job, self._load, self._model, self._on_cue = job, load, model, on_cue
        self.reached = ""
        self._taken: dict[Path, Path] = {}  # outputs of this run, and what they are of
        self._sources = ResultSources()

    @cached_property
    def _captioner(self) -> Captioner:
        return self._load()

    def write_all(self, files: Iterable[Path]) -> Iterator[Subtitled]:
        """One result a file. A file that fails takes no other with it."""
        for file in files:
            try:
                yield self.write(file)
            except WsacError as error:
                yield Subtitled(file, error=error)

    def write(self, sound: Path) -> Subtitled:
        """Write what is not there yet. Raises WsacError."""
        if str(sound) == STDIN:
            raise AudioError("-: subtitles lie beside a file; name one")
        local_file(sound)
        paths, notes = self._outputs(sound)
        missing = {k: p for k, p in paths.items() if self.job.overwrite or not p.exists()}
        for path in (path for name, path in paths.items() if name not in missing):
            changed = self._sources.compare(path, sound) == "changed"
            what = "made before the sound changed" if changed else "already there"
            notes.append(f"{path}: {what}; left unchanged, and --overwrite replaces it")
        if not missing:
            return Subtitled(sound, notes=tuple(notes))
        if "_captioner" not in vars(self):  # a file that cannot be read needs no captioner
            AudioStream(sound, PROBE_RATE, self.job.audio_options).close()
        captioner, more = self._captioner, list[str]()
        unfinished = self._unfinished(sound, next(iter(paths.values())))
        try:
            facts = video_facts(sound, self.job.audio_options.track)
            with closing(self._spans(captioner, sound, unfinished, more)) as spans:
                subtitles = Subtitles.of(
                    (_later(span, facts.delay) for span in spans),
                    self.job.cue_options,
                    file=sound,
                    speech=self.job.speech,
                    cuts=facts.cuts,
                    frame_rate=facts.frame_rate or FRAME_RATE,
                    place=self.job.place,
                    audio_options=self.job.audio_options,
                    on_cue=self._on_cue,
                )
            for name, path in missing.items():
                more += self._write(subtitles, name, path)
                self._sources.add([path], sound)
        except BaseException:
            unfinished.close(done=False)
            raise
        unfinished.close(done=True)
        left_out = left_out_words(subtitles.left_out, self.job.options.sensitivity)
        count = len(subtitles.cues)
        return Subtitled(sound, tuple(missing.values()), count, left_out, (*notes, *more))

    def _outputs(self, sound: Path) -> tuple[dict[str, Path], list[str]]:
        """Names that are of no other sound, now or before, and notes about them: film.mp4 and
        film.wav write film.srt and film.wav.srt. Raises RecipeError when those are taken, too."""
        notes = list[str]()
        for full_name in (False, True):
            paths = self.job.outputs(sound, full_name=full_name)
            others = {path: self._other(path, sound) for path in paths.values()}
            taken = next((path for path, other in others.items() if other), None)
            if taken is None:
                break
            notes.append(f"{taken}: of another sound, {others[taken]}")
        else:
            raise RecipeError(f"{sound}: {'; '.join(notes)}; give --out another folder")
        self._taken |= dict.fromkeys(paths.values(), sound)
        if sound in paths.values():
            raise RecipeError(f"{sound}: would be overwritten; give --out a folder")
        return paths, notes

    def _other(self, path: Path, sound: Path) -> str:
        """The other sound that a path is of; "" when there is none."""
        if self._taken.get(path, sound) != sound:
            return str(self._taken[path])
        if path.exists() and self._sources.compare(path, sound) == "other":
            return str((self._sources.source(path) or {}).get("path"))
        return ""

    def _unfinished(self, sound: Path, target: Path) -> Unfinished:
        status, options = sound.stat(), self.job.audio_options
        facts = {"size": status.st_size, "time": status.st_mtime, "model": self._model}
        facts |= {"wsac": __version__, "track": options.track, "channel": options.channel}
        return Unfinished(target, facts)

    def _spans(
        self, captioner: Captioner, sound: Path, unfinished: Unfinished, notes: list[str]
    ) -> Generator[Span, None, None]:
        """All spans; those of a run that was stopped are read back. notes: gets those of the sound.

        The unfinished part is of no use for a sound that cannot be read.
        """
        start, read = unfinished.position, 0.0
        try:
            yield from list(unfinished.spans)
            rate = captioner.clap.sample_rate
            stream = LateStream(sound, rate, self.job.audio_options, start)
            with stream:
                declared = stream.declared_seconds or 0.0
                whole = f" of {clock(int(declared))}" if declared else ""
                total = max(1, round(declared))
                with progress(sound.name, total, unit="s", done=min(round(start), total)) as tick:

                    def advance(seconds: float) -> None:
                        nonlocal read
                        new = max(0, int(seconds) - int(max(read, start)))
                        if new:
                            tick(new * bool(declared), "" if declared else clock(int(seconds)))
                        read = seconds

                    stream.on_seconds = advance
                    for span in captioner.spans(stream, min_confidence=0.0):
                        span = replace(span, start=span.start + start, end=span.end + start)
                        unfinished.add(span)
                        self.reached = f"{sound}: stopped at {clock(int(span.start))}{whole}"
                        yield span
                notes += stream.notes
        except AudioError:
            unfinished.close(done=True)
            raise
        self.reached = ""

    def _write(self, subtitles: Subtitles, name: str, path: Path) -> list[str]:
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == PAGE:
            subtitles.save_page(path)
        elif name == COPY:
            return subtitles.embed(path)
        elif self.job.speech is not None and not self.job.only_sounds:
            write_bytes(path, subtitles.merged())
        else:
            subtitles.write(path, name)
        return []


def _later(span: Span, seconds: float) -> Span:
    return replace(span, start=max(0.0, span.start + seconds), end=max(0.0, span.end + seconds))
