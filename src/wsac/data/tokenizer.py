"""Byte-level BPE, trained on the captions: no download, any language, no unknown words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from wsac.io.files import atomic_path
from wsac.types import ModelError

PAD, BOS, EOS = 0, 1, 2
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>")


def vocabulary_size(captions: Iterable[str]) -> int:
    """The size of a BPE for these captions: a token per 40 words, in steps of 64, 512 to 4,096.

    A rare token is learned badly, and costs as much as any other at every step. Clotho alone
    (217,000 words) reaches the largest size.
    """
    words = sum(len(caption.split()) for caption in captions)
    return min(4096, max(512, words // 40 // 64 * 64))


class Tokenizer:
    """Captions ↔ token ids. Ids 0, 1 and 2 are padding, beginning and end."""

    def __init__(self, backend) -> None:
        self._backend = backend
        backend.encode_special_tokens = True  # "<eos>" inside a caption is text
        if [backend.token_to_id(token) for token in SPECIAL_TOKENS] != [PAD, BOS, EOS]:
            what = "the first three tokens are not <pad>, <bos>, <eos>; train it with wsac"
            raise ModelError(f"tokenizer.json: {what}")

    @classmethod
    def train(
        cls, captions: Sequence[str], vocab_size: int = 4096, *, lowercase: bool = False
    ) -> Tokenizer:
        """Learn the merges from the captions. Equal captions give equal vocabularies.

        vocab_size: 0 chooses it from the captions, see ``vocabulary_size``.
        """
        from tokenizers import Tokenizer as Backend
        from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

        backend = Backend(models.BPE())
        steps: list = [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
        backend.normalizer = normalizers.Sequence(steps)
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size or vocabulary_size(captions),
            min_frequency=2,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(captions, trainer)
        return cls(backend)

    def lost(self, captions: Sequence[str]) -> int:
        """How many captions have characters without a token: none, as any text is bytes."""
        return 0

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read ``tokenizer.json``. Raises ModelError when it is missing or broken."""
        from tokenizers import Tokenizer as Backend

        if not Path(path).is_file():
            raise ModelError(f"{path}: no such file; the model folder is incomplete")
        try:
            return cls(Backend.from_file(str(path)))
        except ModelError:
            raise
        except Exception as error:  # the Rust side raises bare Exception
            raise ModelError(f"{path}: not a tokenizer ({error})") from error

    def save(self, path: str | Path) -> None:
        """Write ``tokenizer.json``."""
        with atomic_path(path) as temporary:
            temporary.write_text(self._backend.to_str(), encoding="utf-8")

    @property
    def vocab_size(self) -> int:
        return self._backend.get_vocab_size()

    def encode(self, captions: Sequence[str]) -> list[list[int]]:
        """Ids of each caption, without special tokens."""
        encodings = self._backend.encode_batch(list(captions), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """Text of each row of ids; special tokens and the leading space are left out."""
        rows = [list(row) for row in rows]
        texts = self._backend.decode_batch(rows, skip_special_tokens=True)
        return [text.strip() for text in texts]
