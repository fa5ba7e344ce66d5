"""What both forms of the pocket CLAP share: texts and sounds in, embeddings out, and its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from wsac.arrays import WITH_TORCH, F, Tensor, torch
from wsac.clap.encoder import GRAPHS, check_texts, embed_windows
from wsac.clap.tag_calibration import TagCalibration
from wsac.data.tokenizer import BOS, EOS, PAD, Tokenizer
from wsac.io.checked_json import (
    CHECKSUM,
    FILES,
    FREE,
    check_file,
    check_record,
    copy_graphs,
    write_record,
)
from wsac.io.files import atomic_update, read_json, settle
from wsac.io.tensors import check, check_finite, checksum_of, write_tensors
from wsac.runtime.determinism import full_float32
from wsac.types import ModelError

from .pocket_config import AS_RECORDED, BUNDLED, PocketConfig

MOST_GAIN = 31.6  # 30 dB
PARTS = ("clap.safetensors", "tokenizer.json")  # of its folder, beside clap.json


class PocketEncoder:
    """A ClapEncoder small enough to ship in a wheel; torch or onnxruntime computes its towers.

    Crop policy: audio longer than ``window_seconds`` is cut into windows from its start (the tail
    included when it is at least a tenth of a window). The mean of their embeddings, weighted by
    length, is normalised again.
    """

    log_mel: Any  # waveforms [B, T] → [B, n_mels, frames]
    audio: Any  # log-mels, and perhaps the frames of each [B] → [B, D]
    text: Any  # padded token ids [B, L] → [B, D]
    log_temperature: Any  # a tensor
    state_dict: Any

    def describe(self, config: PocketConfig, tokenizer: Tokenizer) -> None:
        """Set what is known of it without its weights."""
        self.tagging: TagCalibration | None = None
        self.config, self.tokenizer = config, tokenizer
        self.embed_dim, self.sample_rate = config.embed_dim, config.sample_rate
        self.window_seconds = config.window_seconds
        self.fingerprint, self.source = "pocket-untrained", ""

    @property
    def device(self) -> torch.device:
        """Where the towers are."""
        device: torch.device = self.log_temperature.device
        return device

    @property
    def temperature(self) -> float:
        """Divides cosines before a softmax; learned in training."""
        return float(self.log_temperature.detach().exp().clamp(0.02, 1))

    def encode_audio(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms ``[B, T]``, padded to half a second at least → unit-norm ``[B, D]``.

        lengths: ``[B]`` samples of each, which zeros follow. The result is that of each alone.
        """
        if self.config.quietest > AS_RECORDED:
            waveforms = self._raise(waveforms, lengths)
        least = self.sample_rate // 2
        waveforms = F.pad(waveforms, (0, max(0, least - waveforms.shape[-1])))
        frames = None if lengths is None else 1 + lengths.clamp(min=least) // self.config.hop
        return F.normalize(self.audio(self.log_mel(waveforms), frames).float(), dim=-1)

    def _raise(self, waveforms: Tensor, lengths: Tensor | None) -> Tensor:
        """Quiet windows as loud as the quietest that the tower knows, but raised by no more than
        MOST_GAIN."""
        power = waveforms.square().mean(dim=-1, keepdim=True)
        if lengths is not None:
            power = power * (waveforms.shape[-1] / lengths[:, None])
        level = power.clamp(min=1e-12).sqrt()
        gain = 10 ** (self.config.quietest / 20) / level
        return waveforms * gain.clamp(1.0, MOST_GAIN)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Padded token ids ``[B, L]`` → unit-norm ``[B, D]``."""
        return F.normalize(self.text(tokens).float(), dim=-1)

    def encode_captions(self, captions: Sequence[str], *, batch_size: int = 0) -> Tensor:
        """Captions → unit-norm ``[B, D]``, differentiable. Similar lengths share a batch to save
        padding.

        batch_size: 0 takes 64 on a CPU and 1,024 on a GPU, where padding costs less than calls.
        """
        batch_size = batch_size or (64 if self.device.type == "cpu" else 1024)
        order = sorted(range(len(captions)), key=lambda i: (len(captions[i]), i))
        parts = []
        for start in range(0, len(order), batch_size):
            batch = [captions[i] for i in order[start : start + batch_size]]
            parts.append(self.encode_text(self.tokenize(batch)))
        back = torch.empty(len(order), dtype=torch.long)
        back[order] = torch.arange(len(order))
        return torch.cat(parts)[back.to(parts[0].device)]

    def tokenize(self, captions: Sequence[str]) -> Tensor:
        """Captions → padded ids ``[B, L]`` on the model's device, cut at ``text_tokens``."""
        limit = self.config.text_tokens - 2
        rows = [[BOS, *ids[:limit], EOS] for ids in self.tokenizer.encode(captions)]
        length = max(map(len, rows))
        return torch.tensor([[*row, *[PAD] * (length - len(row))] for row in rows]).to(self.device)

    @torch.inference_mode()
    def embed_text(self, captions: Sequence[str], *, batch_size: int = 256) -> Tensor:
        """Unit-norm ``[B, D]`` float32 on the CPU, in the order of the captions."""
        if not captions:
            return torch.empty(0, self.embed_dim)
        check_texts(captions)
        with full_float32(self.device):
            return self.encode_captions(captions, batch_size=batch_size).cpu()

    @torch.inference_mode()
    def embed_audio(
        self, waveforms: Sequence[Tensor], *, batch_size: int = 32, slack: float = 1.0
    ) -> Tensor:
        """Unit-norm ``[B, D]`` float32 on the CPU. waveforms: mono at ``sample_rate``.

        slack: windows that are longer than another by this factor share its batch. Above 1, mixed
        lengths take less time, and the last digits may depend on the batch.
        """
        return embed_windows(self, waveforms, batch_size, self.device, slack)

    def save(self, folder: str | Path) -> None:
        """Write ``clap.json``, ``clap.safetensors`` (matrices as float16), ``tokenizer.json``."""
        folder = Path(folder)
        state = self.state_dict()
        for name, value in state.items():
            if value.ndim > 1:  # statistics and biases stay in float32
                state[name] = value.half()
        with atomic_update(folder, whole=GRAPHS) as part:
            write_tensors(part / "clap.safetensors", state)
            self.tokenizer.save(part / "tokenizer.json")
            facts = {"kind": "pocket", **asdict(self.config)}
            copy_graphs(GRAPHS, BUNDLED / "clap.json", "", facts, part)
            written = [name for name in (*PARTS, *GRAPHS) if (part / name).is_file()]
            sums = {name: checksum_of(part / name) for name in written}
            if self.tagging is not None:
                facts["tagging"] = asdict(self.tagging)
            write_record(part / "clap.json", facts, sums)


@dataclass(frozen=True, slots=True)
class PocketFolder:
    """What ``PocketEncoder.save`` wrote. sizes: the config as numbers."""

    config: PocketConfig
    sizes: dict[str, Any]
    tokenizer: Tokenizer
    state: dict[str, Tensor]
    tagging: TagCalibration | None
    fingerprint: str

    @classmethod
    def read(cls, folder: Path) -> PocketFolder:
        """Raises ModelError for a damaged file, and what ``misfits`` turns into one."""
        settle(folder)
        raw = read_json(folder / "clap.json")
        check_record(folder / "clap.json", raw)
        check_file(folder / "tokenizer.json", raw)
        for name in set(GRAPHS) & raw.get(FILES, {}).keys():
            check_file(folder / name, raw)
        tokenizer = Tokenizer.load(folder / "tokenizer.json")
        others = {"kind", "tagging", FILES, CHECKSUM, FREE}
        sizes = {key: raw[key] for key in raw.keys() - others}
        config = PocketConfig(**{**sizes, "channels": tuple(sizes["channels"])})
        weights = (folder / "clap.safetensors").read_bytes()
        load = import_module(f"safetensors.{'torch' if WITH_TORCH else 'numpy'}").load
        state = {name: torch.as_tensor(value) for name, value in load(weights).items()}
        check(folder / "clap.safetensors", raw.get(FILES, {}).get("clap.safetensors"))
        check_finite(state, folder / "clap.safetensors")
        floats = {name: x.float() for name, x in state.items() if x.is_floating_point()}
        tagging = TagCalibration(**raw["tagging"]) if "tagging" in raw else None
        digest = hashlib.sha256(weights)
        digest.update((folder / "tokenizer.json").read_bytes())
        way = f"w{config.window_seconds:g}"
        if config.quietest > AS_RECORDED:
            way += f"-q{config.quietest:g}"
        fingerprint = f"pocket-{digest.hexdigest()[:16]}-{way}-float32"
        return cls(config, sizes, tokenizer, state | floats, tagging, fingerprint)


@contextmanager
def misfits(folder: Path) -> Iterator[None]:
    """Turns what goes wrong with a folder into a ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except OSError as error:
        what = f"{PARTS[0]} cannot be read or is missing ({error.strerror})"
        raise ModelError(f"{folder}: {what}; the folder is incomplete") from error
    except (
        *(LookupError, TypeError, ValueError, RuntimeError),
        *(AssertionError, SafetensorError),
    ) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{folder}: not a pocket CLAP of this version ({reason})") from error
