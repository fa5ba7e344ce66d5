"""The pocket CLAP by onnxruntime: two graphs, and the weights of its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsac.arrays import Tensor
from wsac.clap.encoder import GRAPHS
from wsac.runtime.onnx_session import NO_GRAPHS, Session
from wsac.types import ModelError

from .melspec import LogMel
from .pocket_encoder import PocketEncoder, PocketFolder, misfits


class OnnxClap(PocketEncoder):
    """A PocketEncoder that needs no torch. All sounds of a batch have one length."""

    def __init__(self, read: PocketFolder, audio: Session, text: Session) -> None:
        self.describe(read.config, read.tokenizer)
        config, self.state_dict = read.config, lambda: dict(read.state)
        self.log_mel = LogMel(config.sample_rate, config.n_fft, config.hop, config.n_mels)
        self.audio = lambda log_mel, frames=None: audio(log_mel)[0]
        self.text = lambda tokens: text(tokens)[0]
        self.log_temperature = read.state["log_temperature"]
        self.tagging, self.fingerprint = read.tagging, read.fingerprint

    def embed_audio(
        self, waveforms: Sequence[Tensor], *, batch_size: int = 32, slack: float = 1.0
    ) -> Tensor:
        """See PocketEncoder. slack: of no use here. Batches of 8 stay in the processor's caches."""
        return super().embed_audio(waveforms, batch_size=min(batch_size, 8))

    @classmethod
    def load(cls, folder: str | Path) -> OnnxClap:
        """Read what ``save`` wrote. Raises ModelError when it is incomplete or does not fit."""
        folder = Path(folder)
        if not (folder / GRAPHS[0]).is_file():
            raise ModelError(f"{folder}: {NO_GRAPHS}")
        with misfits(folder):
            read = PocketFolder.read(folder)
            audio, text = (Session(folder / name, read.state) for name in GRAPHS)
        return cls(read, audio, text)
