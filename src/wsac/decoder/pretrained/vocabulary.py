"""Vocabularies of other models in ids of ours: 0 padding, 1 beginning, 2 end, and 3… the pieces that are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wsac.data.tokenizer import EOS, Tokenizer
from wsac.types import ModelError

FIRST = EOS + 1  # of the pieces
# WordPiece writes "dog ' s", "low - pitched", "rain ;" and "( loud )"
NO_SPACES = re.compile(r"(?<=\w) ?(['’-]) ?(?=\w)| (?=[;:)])|(?<=\() ")


class ForeignTokenizer(Tokenizer):
    """The tokenizer of another model, with only the pieces of ``kept``.

    kept: [V] its ids; the first three stand for padding, beginning and end. start: one of them that begins each
    caption, as [CLS] does in the published WSAC. A piece that was not kept is left out of what is encoded: that happens
    only in prompts of texts that were not there in training.
    """

    def __init__(self, backend: Any, kept: Sequence[int], start: int | None = None) -> None:
        self._backend, self._kept = backend, list(kept)
        self._ours = {theirs: FIRST + i for i, theirs in enumerate(self._kept[FIRST:])}
        self._start = [] if start is None else [self._ours[start]]
        self._spaced = '"decoder":{"type":"WordPiece"' in backend.to_str()

    @property
    def vocab_size(self) -> int:
        return len(self._kept)

    def lost(self, captions: Sequence[str]) -> int:
        return sum(not self._ours.keys() >= set(row) for row in super().encode(captions))

    def encode(self, captions: Sequence[str]) -> list[list[int]]:
        rows = super().encode(captions)
        return [
            [*self._start, *(self._ours[piece] for piece in row if piece in self._ours)]
            for row in rows
        ]

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        texts = super().decode(
            [[self._kept[token] for token in row if token >= FIRST] for row in rows]
        )
        return [NO_SPACES.sub(r"\1", text) for text in texts] if self._spaced else texts


def read_backend(path: str | Path) -> Any:
    """A tokenizer.json, a BERT vocab.txt, or the folder of one. Raises ModelError when it is none."""
    from tokenizers import Tokenizer as Backend

    path = Path(path)
    if path.is_dir():
        path = next(
            (path / n for n in ("tokenizer.json", "vocab.txt") if (path / n).is_file()),
            path / "tokenizer.json",
        )
    if not path.is_file():
        raise ModelError(
            f"{path}: no such tokenizer; give a folder with tokenizer.json or vocab.txt, or one of them"
        )
    try:
        backend = _wordpiece(path) if path.suffix == ".txt" else Backend.from_file(str(path))
    except Exception as error:  # the library raises plain Exceptions
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{path}: not a tokenizer ({reason})") from error
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # "[SEP]" inside a caption is text
    return backend


def _wordpiece(path: Path) -> Any:
    """What BERT's uncased vocab.txt means."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    backend = Backend(models.WordPiece.from_file(str(path), unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(
        [
            name
            for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
            if backend.token_to_id(name) is not None
        ]
    )
    return backend


def keep(
    backend: Any,
    texts: Sequence[str],
    *,
    begin: int,
    end: int,
    all_below: int = 0,
    also: Sequence[int] = (),
) -> list[int]:
    """The ids to keep, [V]: those that occur in the texts, or all below ``all_below`` where that is not 0.

    begin, end: what stands for ids 1 and 2. also: ids that are kept in any case.
    """
    found: set[int] = set(also)
    if all_below:
        found.update(range(all_below))
    else:
        for encoding in backend.encode_batch(list(texts), add_special_tokens=False):
            found.update(encoding.ids)
    return [end, begin, end, *sorted(found - {end})]
