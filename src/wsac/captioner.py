"""The captioner: a CLAP, a bridge and a decoder; sound in, sentences out; one folder on disk."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .audio import SILENCE_PEAK, AudioStream, Window, cut_windows
from .bridges import inference_bridge
from .clap import ClapEncoder, load_clap
from .clap.base import BUNDLED, WindowPool
from .decoder import CaptionDecoder, TransformerDecoder
from .device import pick_device
from .files import read_json, write_json, write_tensors
from .generate import GenerationOptions, generate
from .memory import SupportMemory
from .tokenizer import Tokenizer
from .types import AudioError, Caption, ModelError

Audio: TypeAlias = "str | Path | np.ndarray | Tensor"
BUNDLED_CAPTIONER = BUNDLED.parent / "captioner"
SILENCE = "Silence"
WINDOWS_AT_ONCE = 16  # windows of a long recording embedded together


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as the CLAP hears it. embedding: [D] unit norm; notes: what is wrong with the file, if anything.

    silent: nothing above -80 dBFS in it; its caption is SILENCE, as a CLAP hears noise in silence.
    """

    embedding: Tensor
    seconds: float
    notes: tuple[str, ...] = ()
    silent: bool = False


@dataclass(frozen=True, slots=True)
class CaptionOptions:
    """How embeddings become sentences. bridge: ad, nnd or pd; temperature: of pd; the rest as in GenerationOptions."""

    bridge: str = "pd"
    temperature: float = 0.01
    beam_size: int = 4
    length_penalty: float = 1.0


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
    ) -> None:
        self.clap, self.tokenizer, self.memory, self.options = clap, tokenizer, memory, options
        self.decoder = decoder.eval()
        self.bridge = inference_bridge(options.bridge, memory, temperature=options.temperature)

    def with_options(self, **changes: Any) -> Captioner:
        """The same captioner with other CaptionOptions; weights are shared. Raises RecipeError for bad values."""
        other = copy.copy(self)
        other.options = replace(self.options, **changes)
        other.bridge = inference_bridge(other.options.bridge, self.memory, temperature=other.options.temperature)
        other._generation()
        return other

    # -- sound to sentences -----------------------------------------------------------------------------------------
    def caption(self, audio: Audio) -> Caption:
        """One caption for the whole sound. Raises AudioError when a file cannot be decoded."""
        return self.caption_batch([audio])[0]

    def caption_batch(self, audio: Sequence[Audio]) -> list[Caption]:
        """One caption a sound, in order. Raises AudioError for the first file that cannot be decoded."""
        return self.describe([self.listen(one) for one in audio])

    def caption_windows(
        self, audio: Audio | AudioStream, *, window_seconds: float = 10.0, hop_seconds: float | None = None
    ) -> Iterator[Caption]:
        """Captions of successive windows with their times, as the file is read; the tail is included,
        as a window of its own when it is at least a tenth of one, else as a longer end of the last.

        audio may be an open AudioStream too, whose notes say at the end what is wrong with the file.
        hop_seconds: from one window to the next, the window's length when None. Raises AudioError, RecipeError.
        """
        if isinstance(audio, (str, Path)):
            with AudioStream(audio, self.clap.sample_rate) as stream:
                yield from self.caption_windows(stream, window_seconds=window_seconds, hop_seconds=hop_seconds)
            return
        blocks = audio if isinstance(audio, AudioStream) else [_samples(audio).numpy()]
        found = cut_windows(blocks, self.clap.sample_rate, window_seconds, hop_seconds)
        found = _without_scrap(found, min(window_seconds, hop_seconds or window_seconds) / 10)
        for windows in _batches(found, WINDOWS_AT_ONCE):
            embeddings = self.clap.embed_audio([torch.from_numpy(window.samples) for window in windows])
            heard = [
                Heard(embedding, window.end, silent=_is_silent(window.samples))
                for embedding, window in zip(embeddings, windows, strict=True)
            ]
            for caption, window in zip(self.describe(heard), windows, strict=True):
                yield replace(caption, start=window.start, end=window.end)

    def listen(self, audio: Audio) -> Heard:
        """Embed a sound by the CLAP's crop policy; a file is streamed, so its length does not matter for memory."""
        rate = self.clap.sample_rate
        if not isinstance(audio, (str, Path)):
            samples = _samples(audio)
            embedding, silent = self.clap.embed_audio([samples])[0], _is_silent(samples.numpy())
            return _finite(Heard(embedding, len(samples) / rate, silent=silent), "the samples")
        pool = WindowPool(self.clap)
        with AudioStream(audio, rate) as stream:
            for windows in _batches(stream.windows(self.clap.window_seconds), WINDOWS_AT_ONCE):
                pool.add([torch.from_numpy(window.samples) for window in windows])
            return _finite(Heard(pool.embedding(), stream.seconds, stream.notes, stream.silent), str(audio))

    def describe(self, heard: Sequence[Heard]) -> list[Caption]:
        """Write captions for embeddings; a silent sound is SILENCE, with certainty."""
        if not heard:
            return []
        embedding = self.bridge(torch.stack([one.embedding for one in heard]))
        device = next(self.decoder.parameters()).device
        rows = generate(self.decoder, embedding.to(device), self._generation())
        texts = self.tokenizer.decode(row.tokens for row in rows)
        return [
            Caption(SILENCE if one.silent else text, 0.0 if one.silent else row.logprob, 0.0, one.seconds)
            for text, row, one in zip(texts, rows, heard, strict=True)
        ]

    def _generation(self) -> GenerationOptions:
        return GenerationOptions(
            self.options.beam_size, self.decoder.max_tokens, length_penalty=self.options.length_penalty
        )

    # -- disk -------------------------------------------------------------------------------------------------------
    def save(
        self,
        folder: str | Path,
        *,
        half: bool = False,
        memory_precision: str = "float16",
        notes: dict[str, Any] | None = None,
    ) -> None:
        """Write the bundle: captioner.json, decoder.safetensors, tokenizer.json, memory.safetensors.

        half: weights in float16; memory_precision: float32, float16 or int8; notes: more for captioner.json.
        A CLAP that is not built in is saved along in ``clap/``, so that the folder can be moved and shared.
        """
        folder = Path(folder)
        state = {name: (value.half() if half else value).detach() for name, value in self.decoder.state_dict().items()}
        write_tensors(folder / "decoder.safetensors", state)
        self.tokenizer.save(folder / "tokenizer.json")
        if self.memory is not None:
            self.memory.save(folder / "memory.safetensors", memory_precision)
        built_in = self.clap.fingerprint == _bundled_fingerprint()
        if not built_in:
            self.clap.save(folder / "clap")
        card = {
            "version": 1,
            "clap": "pocket" if built_in else "clap",
            "clap_fingerprint": self.clap.fingerprint,
            "decoder": {"kind": "transformer", **self.decoder.config},
            "options": asdict(self.options),
            "memory_entries": 0 if self.memory is None else len(self.memory),
            **(notes or {}),
        }
        write_json(folder / "captioner.json", card)

    @classmethod
    def load(cls, path_or_name: str | Path = "pocket", *, device: str = "auto") -> Captioner:
        """Load the bundled captioner ("pocket") or a folder written by training or ``save``.

        device: "auto" takes a GPU when there is one. Raises ModelError when the folder is missing, incomplete or made
        with another CLAP.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = BUNDLED_CAPTIONER if str(path_or_name) == "pocket" else Path(path_or_name)
        if not (folder / "captioner.json").is_file():
            if (folder / "recipe.toml").is_file():
                raise ModelError(f"{path_or_name}: an unfinished run; give its wsac train command again")
            raise ModelError(
                f"{path_or_name}: no captioner here; give a folder of wsac train, or pocket, the bundled one"
            )
        device = pick_device(device)
        card = read_json(folder / "captioner.json")
        try:
            clap = load_clap("pocket" if card["clap"] == "pocket" else folder / "clap", device=device)
            if clap.fingerprint != card["clap_fingerprint"]:
                raise ModelError(f"{folder}: trained with CLAP {card['clap_fingerprint']}, but the one here is "
                                 f"{clap.fingerprint}; train it again")  # fmt: skip
            config = dict(card["decoder"])
            config.pop("kind")
            decoder = TransformerDecoder(**config)
            state = load_file(folder / "decoder.safetensors")
            decoder.load_state_dict({name: value.float() for name, value in state.items()})
            memory_file = folder / "memory.safetensors"
            memory = SupportMemory.load(memory_file) if card["memory_entries"] else None
            tokenizer, options = Tokenizer.load(folder / "tokenizer.json"), CaptionOptions(**card["options"])
        except (KeyError, TypeError, ValueError, AttributeError, OSError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{folder}: not a captioner of this version ({str(error).splitlines()[0]})") from error
        return cls(clap, decoder.to(device), tokenizer, memory, options)


def _samples(audio: np.ndarray | Tensor) -> Tensor:
    samples = torch.as_tensor(audio, dtype=torch.float32)
    if samples.ndim != 1 or not len(samples):
        raise AudioError(f"samples of shape {tuple(samples.shape)}: give mono samples [T] with T > 0")
    return samples


def _is_silent(samples: np.ndarray) -> bool:
    return float(np.abs(samples).max()) < SILENCE_PEAK


def _without_scrap(windows: Iterable[Window], shortest: float) -> Iterator[Window]:
    """Windows without a last one that adds less than ``shortest`` seconds; the one before then ends where it ended."""
    held: Window | None = None
    for window in windows:
        if held is not None and window.end - held.end < shortest:
            held = replace(held, end=window.end)
            continue
        if held is not None:
            yield held
        held = window
    if held is not None:
        yield held


def _finite(heard: Heard, name: str) -> Heard:
    if not heard.embedding.isfinite().all():
        raise AudioError(f"{name}: cannot be embedded; are the samples floats within [-1, 1]?")
    return heard


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


@lru_cache(maxsize=1)
def _bundled_fingerprint() -> str:
    try:
        return load_clap("pocket").fingerprint
    except ModelError:  # while the bundled model itself is being made
        return ""
