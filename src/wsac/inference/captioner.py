"""The captioner: a CLAP, a bridge and a decoder; sound in, sentences out; one folder on disk."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsac.bridges import Bridge, BridgeContext, inference_bridge
from wsac.bridges.gap import Gap
from wsac.bridges.memory import SupportMemory
from wsac.clap import ClapEncoder, load_clap
from wsac.clap.loading import BUNDLED
from wsac.clap.sounds import (
    WINDOWS_AT_ONCE,
    Audio,
    AudioEmbedding,
    batches,
    embed_sound,
    embed_windows_of,
)
from wsac.clap.texts import embed_texts
from wsac.data.audio.stream import AudioStream
from wsac.data.tokenizer import Tokenizer
from wsac.decoder import CaptionDecoder, build
from wsac.decoder.generation import (
    GenerationOptions,
    check_kinds,
    check_precision,
    generate_best,
    generate_samples,
    prepare,
)
from wsac.io.console import say
from wsac.io.files import read_json, write_json, write_tensors
from wsac.runtime.device import pick_device
from wsac.types import AudioError, Caption, ModelError, RecipeError, did_you_mean

from .confidence import Calibration, features
from .prompts import Prompter
from .rerank import check_way, choose
from .sources import embed_each

BUNDLED_CAPTIONER = BUNDLED.parent / "captioner"
SILENCE = "Silence"
SOUNDS_AT_ONCE = 32
EMBEDDINGS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class CaptionOptions:
    """How embeddings become sentences.

    bridge: such as ``pd`` or ``shift+pd:temperature=0.02``; ``wsac bridges`` lists them. choose: mbr or clap, among
    the best ``candidates`` of the beam (see ``wsac.inference.rerank``), or, if not 0, so many ``samples`` that are drawn; ""
    takes the likeliest. precision: of the decoder's matrices while it writes: float32, bfloat16, or auto, which is
    bfloat16 where the processor computes in it. The rest as in GenerationOptions.
    """

    bridge: str = "pd"
    beam_size: int = 4
    length_penalty: float = 0.5
    choose: str = ""
    candidates: int = 4
    samples: int = 0
    early_stopping: bool = False
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    groups: int = 1
    diversity_penalty: float = 0.5
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9
    seed: int = 0
    precision: str = "float32"


def check_options(options: CaptionOptions) -> GenerationOptions:
    """Those of the search. Raises RecipeError for what cannot be, whatever the captioner."""
    check_kinds(options)
    check_way(options.choose)
    check_precision(options.precision)
    if options.candidates < 1:
        raise RecipeError(f"{options.candidates} candidates: give 1 or more")
    if options.samples < 0:
        raise RecipeError(f"{options.samples} samples: give 1 or more, or 0 for a beam")
    if options.samples > 1 and not options.choose:
        raise RecipeError(
            f"{options.samples} samples and no way to choose one: choose by mbr or clap"
        )
    shared = {field.name for field in fields(GenerationOptions)} & {
        field.name for field in fields(CaptionOptions)
    }
    return GenerationOptions(**{name: getattr(options, name) for name in shared})


class Captioner:
    """Describes sounds.

    >>> captioner = Captioner.load()                       # the bundled captioner
    >>> captioner.caption("dog.wav")                       # Caption(text=..., logprob=..., start=0.0, end=5.0)

    Audio is a path, or mono float samples [T] at the rate of the CLAP (``captioner.clap.sample_rate``).
    """

    def __init__(
        self,
        clap: ClapEncoder,
        decoder: CaptionDecoder,
        tokenizer: Tokenizer,
        memory: SupportMemory | None = None,
        options: CaptionOptions = CaptionOptions(),
        calibration: Calibration | None = None,
        gap: Gap | None = None,
        trained: str = "",
        prompter: Prompter | None = None,
    ) -> None:
        """gap: for bridges that need it. trained: the training bridge, whose heads captioning applies too.
        prompter: what the decoder reads before it writes."""
        self.clap, self.tokenizer, self.memory, self.options = clap, tokenizer, memory, options
        self.calibration, self.gap, self.trained, self.prompter = (
            calibration,
            gap,
            trained,
            prompter,
        )
        self.decoder = decoder.eval()
        self._prepared: tuple[Any, CaptionDecoder] | None = None
        self.bridge = self._bridge()

    def with_options(self, **changes: Any) -> Captioner:
        """The same captioner with other CaptionOptions; weights are shared. Raises RecipeError for bad values."""
        names = [field.name for field in fields(CaptionOptions)]
        for name in set(changes).difference(names):
            hint = did_you_mean(name, names).rstrip() or f"known: {', '.join(names)}"
            raise RecipeError(f"unknown caption option '{name}'; {hint}")
        other = copy.copy(self)
        other.options = replace(self.options, **changes)
        other._generation()
        other.bridge = other._bridge()
        other._writer()
        return other

    def with_gap(self, gap: Gap | str | Path) -> Captioner:
        """The same captioner with another gap, such as one measured on the sounds at hand. Raises ModelError."""
        other = copy.copy(self)
        other.gap = (
            gap if isinstance(gap, Gap) else Gap.load(gap, fingerprint=self.clap.fingerprint)
        )
        other.bridge = other._bridge()
        return other

    def with_memory(self, captions: Sequence[str]) -> Captioner:
        """The same captioner with these captions as its support memory; it no longer knows how sure it is."""
        other = copy.copy(self)
        other.memory, other.calibration = SupportMemory(embed_texts(self.clap, captions)), None
        if self.prompter is not None and not self.prompter.labels:
            size: dict[str, Any] = {"count": self.prompter.count, "tokens": self.prompter.tokens}
            other.prompter = Prompter.make(captions, other.memory, self.tokenizer, **size)
        other.bridge = other._bridge()
        return other

    def _writer(self) -> CaptionDecoder:
        """The decoder in the precision of the options; the decoder itself for float32. Made once.

        Raises RecipeError where the precision does not work.
        """
        wanted = self.decoder, self.options.precision
        if self._prepared is None or self._prepared[0] != wanted:
            self._prepared = wanted, prepare(*wanted)
        return self._prepared[1]

    def _bridge(self) -> Bridge:
        given = BridgeContext(self.memory, self.gap, self.clap.temperature)
        return inference_bridge(self.options.bridge, given, self.trained)

    # -- sound to sentences -----------------------------------------------------------------------------------------
    def caption(self, audio: Audio) -> Caption:
        """One caption for the whole sound. Raises AudioError when a file cannot be decoded."""
        return self.caption_batch([audio])[0]

    def caption_batch(self, audio: Sequence[Audio]) -> list[Caption]:
        """One caption a sound, in order. Raises AudioError for the first file that cannot be decoded."""
        captions = []
        for result in self.caption_many(audio):
            if isinstance(result, AudioError):
                raise result
            captions.append(result)
        return captions

    def caption_many(
        self,
        sounds: Iterable[Audio],
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
    ) -> Iterator[Caption | AudioError]:
        """Captions of many sounds, streaming and in order; an error takes the place of a sound that cannot be decoded.

        window_seconds: caption successive windows instead of whole sounds, as ``caption_windows`` does.
        hop_seconds: from one window to the next, the window's length when None.
        """
        results = embed_each(self.clap, sounds, window_seconds, hop_seconds)
        for batch in batches(results, SOUNDS_AT_ONCE):
            captions = iter(self.describe([x for x in batch if isinstance(x, AudioEmbedding)]))
            for result in batch:
                yield next(captions) if isinstance(result, AudioEmbedding) else result

    def caption_windows(
        self,
        audio: Audio | AudioStream,
        *,
        window_seconds: float = 10.0,
        hop_seconds: float | None = None,
    ) -> Iterator[Caption]:
        """Captions of successive windows with their times, as the file is read; the tail is included,
        as a window of its own when it is at least a tenth of one, else as a longer end of the last.

        audio may be an open AudioStream too, whose notes say at the end what is wrong with the file.
        hop_seconds: from one window to the next, the window's length when None. Raises AudioError, RecipeError.
        """
        windows = embed_windows_of(self.clap, audio, window_seconds, hop_seconds)
        for batch in batches(windows, WINDOWS_AT_ONCE):
            yield from self.describe(batch)

    def embed(self, audio: Audio) -> AudioEmbedding:
        """Embed a sound by the CLAP's crop policy; a file is streamed, so its length does not matter for memory."""
        return embed_sound(self.clap, audio)

    def describe(self, sounds: Sequence[AudioEmbedding]) -> list[Caption]:
        """Captions of sounds that are embedded already. A silent sound is "Silence", with a confidence of 0."""
        if not sounds:
            return []
        written = self.caption_embeddings(torch.stack([sound.embedding for sound in sounds]))
        captions = []
        for sound, caption in zip(sounds, written, strict=True):
            if sound.silent:
                caption = Caption(SILENCE, 0.0, confidence=0.0 if self.calibration else None)
            about: Any = {name: getattr(sound, name) for name in ("start", "end", "file", "notes")}
            captions.append(replace(caption, **about))
        return captions

    def caption_embeddings(self, embeddings: Tensor) -> list[Caption]:
        """Captions of audio embeddings [N, D], unit norm; without times."""
        captions: list[Caption] = []
        for audio in embeddings.split(EMBEDDINGS_AT_ONCE) if len(embeddings) else ():
            batch = [Caption(*written) for written in zip(*self._write(audio), strict=True)]
            if self.calibration is not None:
                confidence = self.calibration(self.features(audio, batch)).tolist()
                batch = [replace(c, confidence=p) for c, p in zip(batch, confidence, strict=True)]
            captions += batch
        return captions

    @torch.inference_mode()
    def _write(self, audio: Tensor) -> tuple[list[str], list[float]]:
        """Captions and their log-probabilities for audio embeddings [B, D]."""
        device = next(self.decoder.parameters()).device
        prompt = (
            None
            if self.prompter is None
            else self.prompter.write(self.prompter.nearest(audio)).to(device)
        )
        embedding, options, decoder = (
            self.bridge(audio).to(device),
            self._generation(),
            self._writer(),
        )
        if self.options.samples:
            found = generate_samples(decoder, embedding, options, self.options.samples, prompt)
        else:
            count = self.options.candidates if self.options.choose else 1
            found = generate_best(decoder, embedding, options, count, prompt)
        flat = iter(self.tokenizer.decode(one.tokens for row in found for one in row))
        texts = [[next(flat) for _ in row] for row in found]
        logprobs = [[one.logprob for one in row] for row in found]
        chosen = choose(self.clap, audio, texts, logprobs, self.options.choose)
        return [row[i] for row, i in zip(texts, chosen, strict=True)], [
            row[i] for row, i in zip(logprobs, chosen, strict=True)
        ]

    def features(self, embeddings: Tensor, captions: Sequence[Caption]) -> Tensor:
        """[B, F] from audio embeddings [B, D] and their captions; see ``wsac.inference.confidence``."""
        logprobs = torch.tensor([caption.logprob for caption in captions])
        texts = [caption.text for caption in captions]
        return features(self.clap, self.memory, embeddings, texts, logprobs)

    def _generation(self) -> GenerationOptions:
        return replace(check_options(self.options), max_tokens=self.decoder.max_tokens)

    # -- disk -------------------------------------------------------------------------------------------------------
    def save(
        self,
        folder: str | Path,
        *,
        half: bool = False,
        memory_precision: str = "float16",
        notes: dict[str, Any] | None = None,
    ) -> None:
        """Write the bundle: captioner.json, decoder.safetensors, tokenizer.json, memory.safetensors, gap.safetensors.

        half: weights in float16; memory_precision: float32, float16 or int8; notes: more for captioner.json.
        A CLAP that is not built in is saved along in ``clap/``, so that the folder can be moved and shared; a public
        one, of hundreds of megabytes, is named instead, and loaded again from where it came.
        """
        folder = Path(folder)
        state = {
            name: (value.half() if half and value.is_floating_point() else value).detach()
            for name, value in self.decoder.state_dict().items()
        }
        write_tensors(folder / "decoder.safetensors", state)
        self.tokenizer.save(folder / "tokenizer.json")
        if self.memory is not None:
            self.memory.save(folder / "memory.safetensors", memory_precision)
        if self.gap is not None:
            self.gap.save(folder / "gap.safetensors")
        built_in = self.clap.fingerprint == _bundled_fingerprint()
        if not built_in and not self.clap.source:
            self.clap.save(folder / "clap")
        card = {
            "version": 1,
            "clap": "pocket" if built_in else self.clap.source or "clap",
            "clap_fingerprint": self.clap.fingerprint,
            "decoder": {"kind": self.decoder.kind, **self.decoder.config},
            "options": asdict(self.options),
            "memory_entries": 0 if self.memory is None else len(self.memory),
            "trained": self.trained,
            **({"prompt": self.prompter.to_dict()} if self.prompter else {}),
            **({"confidence": self.calibration.to_dict()} if self.calibration else {}),
            **(notes or {}),
        }
        write_json(folder / "captioner.json", card)

    @classmethod
    def load(
        cls,
        path_or_name: str | Path = "pocket",
        *,
        clap: str | Path | None = None,
        device: str = "auto",
    ) -> Captioner:
        """Load the bundled captioner ("pocket") or a folder written by training or ``save``.

        clap: its CLAP, where that lies elsewhere than when the captioner was trained. device: "auto" takes a GPU when
        there is one. Raises ModelError when the folder is missing, incomplete or made with another CLAP.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = BUNDLED_CAPTIONER if str(path_or_name) == "pocket" else Path(path_or_name)
        if not (folder / "captioner.json").is_file():
            if (folder / "recipe.toml").is_file():
                raise ModelError(
                    f"{path_or_name}: an unfinished run; give its wsac train command again"
                )
            raise ModelError(
                f"{path_or_name}: no captioner here; give a folder of wsac train, or pocket, the bundled one"
            )
        device = pick_device(device)
        card = read_json(folder / "captioner.json")
        try:
            encoder = _its_clap(folder, card["clap"], clap, device)
            if encoder.fingerprint != card["clap_fingerprint"]:
                raise ModelError(
                    f"{folder}: trained with CLAP {card['clap_fingerprint']}, but the one here is "
                    f"{encoder.fingerprint}; give that one as --clap, or train it again"
                )
            config = dict(card["decoder"])
            decoder = build(config.pop("kind"), config)
            decoder.load_state_dict(load_file(folder / "decoder.safetensors"))
            memory_file = folder / "memory.safetensors"
            memory = SupportMemory.load(memory_file) if card["memory_entries"] else None
            tokenizer = decoder.read_tokenizer(folder / "tokenizer.json")
            options = CaptionOptions(**current_options(card["options"]))
            calibration = (
                Calibration.from_dict(card["confidence"]) if "confidence" in card else None
            )
            gap_file = folder / "gap.safetensors"
            gap = (
                Gap.load(gap_file, fingerprint=encoder.fingerprint) if gap_file.is_file() else None
            )
            trained = card["trained"]
            prompter = (
                _its_prompter(card["prompt"], encoder, memory, tokenizer)
                if "prompt" in card
                else None
            )
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            OSError,
            RuntimeError,
            SafetensorError,
        ) as error:
            raise ModelError(
                f"{folder}: not a captioner of this version ({str(error).splitlines()[0]})"
            ) from error
        return cls(
            encoder,
            decoder.to(device),
            tokenizer,
            memory,
            options,
            calibration,
            gap,
            trained,
            prompter,
        )


def current_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options of an older captioner.json: compiled steps and int8 products are gone."""
    options = {name: value for name, value in options.items() if name != "compiled"}
    if options.get("precision") == "int8":
        say("note: precision int8 is gone; this captioner now writes in float32")
        options["precision"] = "float32"
    return options


def _its_prompter(
    card: dict[str, Any], clap: ClapEncoder, memory: SupportMemory | None, tokenizer: Tokenizer
) -> Prompter:
    """Captions lie in the memory, row by row; labels are few and embedded again."""
    phrases = card.pop("phrases")
    if card["labels"]:
        return Prompter.make(phrases, SupportMemory(clap.embed_text(phrases)), tokenizer, **card)
    if memory is None:
        raise ValueError("prompts of captions, and no support memory")
    return Prompter.make(phrases, memory, tokenizer, **card)


def _its_clap(folder: Path, name: str, elsewhere: str | Path | None, device: str) -> ClapEncoder:
    if elsewhere is None and name in ("clap", "pocket"):
        return load_clap(folder / "clap" if name == "clap" else name, device=device)
    if elsewhere is not None:
        return load_clap(elsewhere, device=device)
    try:
        return load_clap(name, device=device)
    except ModelError as error:
        raise ModelError(
            f"{error}; {folder} was trained with {name}: where it lies elsewhere, give --clap"
        ) from error


@lru_cache(maxsize=1)
def _bundled_fingerprint() -> str:
    try:
        return load_clap("pocket").fingerprint
    except ModelError:  # while the bundled model itself is being made
        return ""
