"""The captioner: a CLAP, a bridge and a decoder turn sounds into captions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsac.arrays import Tensor, torch
from wsac.bridges import BridgeContext, inference_bridge
from wsac.bridges.gap import Gap
from wsac.bridges.memory import SupportMemory
from wsac.clap import ClapEncoder
from wsac.clap.sounds import Audio, AudioEmbedding, embed_sound, map_sounds, raise_errors
from wsac.clap.texts import embed_texts
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.stream import AudioStream
from wsac.data.tokenizer import Tokenizer
from wsac.decoder import DecoderRuntime
from wsac.decoder.generation import Words, generate_best, generate_samples, prepare
from wsac.types import AudioError, Caption

from . import bundle
from .caption_options import CaptionOptions
from .confidence import Calibration, confidence_features
from .pipeline_call import call, parts_of
from .prompts import Prompter
from .rerank import choose
from .sound_results import SILENCE

if TYPE_CHECKING:
    from .moments.find_moments import Moment
    from .spans.span import Span

EMBEDDINGS_AT_ONCE = 64


@dataclass(eq=False, repr=False)
class Captioner:
    """Describes sounds.

    >>> captioner = Captioner.load()          # the built-in captioner
    >>> captioner.caption("dog.wav")          # Caption(text=..., logprob=..., start=0.0, end=5.0)

    Audio is a path, a file object or samples, as ``wsac.data.audio.stream`` lists. calibration: for
    confidences. gap: for bridges that need it. trained: the training bridge, whose heads are
    applied in captioning too. prompter: for a decoder that reads a prompt. words: all that it may
    write; None for anything. Raises RecipeError for a bridge without the memory or gap that it
    needs.
    """

    clap: ClapEncoder
    decoder: DecoderRuntime
    tokenizer: Tokenizer
    memory: SupportMemory | None = None
    options: CaptionOptions = field(default_factory=CaptionOptions)
    calibration: Calibration | None = None
    gap: Gap | None = None
    trained: str = ""
    prompter: Prompter | None = None
    words: Words | None = None

    def __post_init__(self) -> None:
        self.decoder.eval()
        self._prepared: tuple[Any, DecoderRuntime] | None = None
        context = BridgeContext(self.memory, self.gap, self.clap.temperature)
        self.bridge: Any = inference_bridge(self.options.bridge, context, self.trained)

    @staticmethod
    def load(
        path_or_name: str | Path = "pocket", *, clap: str | Path | None = None, device: str = "auto"
    ) -> Captioner:
        """Load the built-in captioner ("pocket"), a folder written by training or ``save``, or
        ``owner/name`` on the Hub, perhaps with ``@revision``.

        clap: where the captioner's CLAP is now, if it has moved since the training. device: "auto"
        takes a GPU if there is one. Raises ModelError when the folder is missing, incomplete or
        made with another CLAP.
        """
        return Captioner(**bundle.load(path_or_name, clap, device))

    @staticmethod
    def from_pretrained(
        name: str | Path,
        *,
        revision: str | None = None,
        clap: str | Path | None = None,
        device: str = "auto",
    ) -> Captioner:
        """Load from the Hub, which is asked anew, or a folder as ``load`` does.

        name: ``owner/name``, or ``hf://owner/name`` where a folder ``owner`` is. revision: a
        commit, tag or branch. Nothing is unpickled or run. Raises ModelError.
        """
        return Captioner.load(bundle.newest(name, revision), clap=clap, device=device)

    def push_to_hub(
        self,
        repo: str,
        *,
        licence: str = "",
        data: str = "",
        scores: Sequence[str | Path] = (),
        private: bool = False,
    ) -> str:
        """Publish on the Hub as ``owner/name``, with a model card; returns the commit's address.

        licence: of these files, such as ``mit``. data: what it was trained on, in a sentence.
        scores: files of ``wsac evaluate -o``. The token is that of ``hf auth login`` or HF_TOKEN.
        Raises ModelError.
        """
        from .publishing import push_captioner

        facts = {"licence": licence, "data": data, "scores": scores, "private": private}
        return push_captioner(self, repo, **facts)

    def save(
        self,
        folder: str | Path,
        *,
        half: bool = False,
        memory_precision: str = "float16",
        notes: dict[str, Any] | None = None,
    ) -> None:
        """Write the bundle: captioner.json, decoder.safetensors, tokenizer.json, words.txt,
        memory.safetensors, gap.safetensors.

        half: weights in float16. memory_precision: float32, float16 or int8. notes: more keys for
        captioner.json. A CLAP of your own is saved along in ``clap/``, so that the folder can be
        moved and shared. A public one, of hundreds of megabytes, is only named.
        """
        bundle.save(self, Path(folder), half, memory_precision, notes or {})

    def with_options(self, options: CaptionOptions | None = None, **changes: Any) -> Captioner:
        """The same captioner with other options, or with changes: ``with_options(beam_size=1)``.

        Weights are shared. Raises RecipeError for unknown names and impossible values.
        """
        return self._copy(options=(options or self.options).change(**changes))

    def with_gap(self, gap: Gap | str | Path) -> Captioner:
        """The same captioner with another gap, such as that of your sounds. Raises ModelError."""
        if not isinstance(gap, Gap):
            gap = Gap.load(gap, fingerprint=self.clap.fingerprint)
        return self._copy(gap=gap)

    def with_memory(self, captions: Sequence[str]) -> Captioner:
        """The same captioner with these captions as its memory, and without its calibration."""
        memory, prompter = SupportMemory(embed_texts(self.clap, captions)), self.prompter
        if prompter is not None and not prompter.settings.labels:
            settings = asdict(prompter.settings) | {"phrases": captions}
            prompter = Prompter.make(embeddings=memory, tokenizer=self.tokenizer, **settings)
        return self._copy(memory=memory, calibration=None, prompter=prompter)

    def with_words(self, captions: Sequence[str]) -> Captioner:
        """The same captioner, writing only words of these captions, as ``Words.of`` takes them."""
        return self._copy(words=Words.of(captions, self.tokenizer))

    def _copy(self, **changes: Any) -> Captioner:
        other = replace(self, **changes)
        other._prepared = self._prepared
        return other

    def _writer(self) -> DecoderRuntime:
        """The decoder in the precision of the options, made once."""
        key = self.decoder, self.options.precision
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = key, prepare(*key)
        return self._prepared[1]

    def __call__(self, sounds: Any, *, sample_rate: int | None = None) -> Any:
        """As pipelines of transformers: {"text", "confidence"} of a sound, a list of them of many.
        Raises AudioError. sounds, sample_rate: as for ``caption``, or an iterable of them."""
        return call(self, sounds, sample_rate)

    def __repr__(self) -> str:
        return f"Captioner({parts_of(self)})"

    def caption(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> Caption:
        """One caption for the whole sound. Raises AudioError when it cannot be decoded.

        sample_rate: of samples in an array; default: the CLAP's. audio_options: track and channel.
        """
        options = audio_options.at(sample_rate)
        return next(raise_errors(self.caption_many([audio], audio_options=options)))

    def caption_batch(
        self,
        audio: Sequence[Audio],
        *,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> list[Caption]:
        """One caption per sound, in order. Raises AudioError for the first sound that fails."""
        options = audio_options.at(sample_rate)
        return list(raise_errors(self.caption_many(audio, audio_options=options)))

    def caption_windows(
        self,
        audio: Audio | AudioStream,
        *,
        window_seconds: float = 10.0,
        hop_seconds: float | None = None,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> Iterator[Caption]:
        """Captions of successive windows with their times, while the file is read.

        A tail of at least a tenth of a window is a window of its own; a shorter one extends the
        last window's ``end``. The last caption has the notes of the file. audio may also be an open
        AudioStream. hop_seconds: from one window to the next; default: the window's length.
        sample_rate, audio_options: as for ``caption``. Raises AudioError, RecipeError.
        """
        options = audio_options.at(sample_rate)
        many = self.caption_many([audio], window_seconds, hop_seconds, audio_options=options)
        return raise_errors(many)

    def caption_many(
        self,
        sounds: Iterable[Audio | AudioStream],
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
        *,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> Iterator[Caption | AudioError]:
        """Captions of many sounds, streaming and in order. An AudioError stands in the place of
        each sound that fails.

        window_seconds: caption successive windows instead of whole sounds. hop_seconds: from one
        window to the next; default: the window's length. sample_rate, audio_options: as for
        ``caption``.
        """
        options = audio_options.at(sample_rate)
        return map_sounds(self.describe, self.clap, sounds, window_seconds, hop_seconds, options)

    def spans(
        self,
        audio: Audio | AudioStream,
        *,
        skip: Collection[str] = (),
        min_confidence: float | None = None,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> Iterator[Span]:
        """Spans of what happens, in the order of their start, while the file is read.

        Silence makes no span. skip: kinds to leave out: sound, speech or music. min_confidence:
        what the captioner is less sure of is left out, too; None for what is hardly more than a
        guess, 0 for nothing. audio may also be an open AudioStream, at the CLAP's sample rate.
        sample_rate, audio_options: as for ``caption``. Raises AudioError, RecipeError.
        """
        from .spans.describe_spans import spans_of_sound

        return spans_of_sound(self, audio, skip, min_confidence, audio_options.at(sample_rate))

    def find(
        self,
        audio: Audio | AudioStream,
        query: str | Sequence[str] = (),
        *,
        like: str | Path | None = None,
        without: Sequence[str] = (),
        top: int = 10,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> list[Moment]:
        """The moments of a sound that fit words best, such as "a dog barking without speech".

        query: one or several; the ``top`` moments of each, best first. like: a sound file to
        resemble. without: what must not be there. The sound is streamed; audio, sample_rate and
        audio_options: as for ``spans``. Raises AudioError, RecipeError.
        """
        from .moments.find_moments import MomentFinder
        from .moments.queries import all_queries

        finder = MomentFinder(self.clap, all_queries(query, like, without), top)
        return finder.find(audio, audio_options.at(sample_rate))

    def embed(self, audio: Audio, audio_options: AudioOptions = AS_IS) -> AudioEmbedding:
        """Embed a whole sound by the CLAP's crop policy. It is streamed. Raises AudioError."""
        return embed_sound(self.clap, audio, audio_options)

    def describe(self, sounds: Sequence[AudioEmbedding]) -> list[Caption]:
        """Captions of embedded sounds. A silent one is "Silence", with a confidence of 0."""
        if not sounds:
            return []
        silence = Caption(SILENCE, 0.0, confidence=0.0 if self.calibration else None)
        audible = [sound.embedding for sound in sounds if not sound.silent]
        written = iter(self.caption_embeddings(torch.stack(audible)) if audible else ())
        captions = []
        for sound in sounds:
            place: Any = {key: getattr(sound, key) for key in ("start", "end", "file", "notes")}
            captions.append(replace(silence if sound.silent else next(written), **place))
        return captions

    def caption_embeddings(self, embeddings: Tensor) -> list[Caption]:
        """Captions of audio embeddings [N, D], unit norm."""
        captions: list[Caption] = []
        for audio in embeddings.split(EMBEDDINGS_AT_ONCE) if len(embeddings) else ():
            batch = [Caption(*written) for written in self._write(audio)]
            captions += self._sure(audio, batch)
        return captions

    def alternatives(self, embedding: Tensor, count: int = 3) -> list[Caption]:
        """Other captions of a sound, likeliest first: up to ``count`` that differ from its caption
        and from one another. embedding: [D], unit norm."""
        from .closer_look import other_captions

        return other_captions(self, embedding, count)

    def _sure(self, audio: Tensor, captions: list[Caption]) -> list[Caption]:
        """The captions of audio embeddings [N, D], with their confidences where there is any."""
        if self.calibration is None or not captions:
            return captions
        confidence = self.calibration(self.features(audio, captions)).tolist()
        return [replace(c, confidence=p) for c, p in zip(captions, confidence, strict=True)]

    def _write(self, audio: Tensor) -> list[tuple[str, float]]:
        """Captions with their log-probabilities, from audio embeddings [B, D]."""
        candidates = self._candidates(audio, self.options.candidates if self.options.choose else 1)
        places = choose(self.clap, audio, candidates, self.options.choose)
        return [row[place] for row, place in zip(candidates, places, strict=True)]

    @torch.inference_mode()
    def _candidates(self, audio: Tensor, count: int) -> list[list[tuple[str, float]]]:
        """Up to ``count`` texts for each, or as many as are sampled."""
        options, decoder, prompt = self.options, self._writer(), None
        device = decoder.device
        if self.prompter is not None:
            prompt = self.prompter.write(self.prompter.nearest(audio)).to(device)
        generation = replace(options.generation, max_tokens=decoder.max_tokens)
        generate = generate_best
        if options.samples:
            generate, count = generate_samples, options.samples
        words = None if self.words is None or not options.only_words else self.words.trie(device)
        rows = generate(decoder, self.bridge(audio).to(device), generation, count, prompt, words)
        texts = iter(self.tokenizer.decode(h.tokens for row in rows for h in row))
        return [[(next(texts), h.logprob) for h in row] for row in rows]

    def features(self, embeddings: Tensor, captions: Sequence[Caption]) -> Tensor:
        """[B, F] of audio embeddings [B, D] and their captions, as in ``confidence``."""
        return confidence_features(self.clap, self.memory, embeddings, captions)
