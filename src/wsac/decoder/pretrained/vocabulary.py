"""Tokenizers of other models in our ids: padding, beginning, end, then the pieces in use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wsac.data.tokenizer import EOS, Tokenizer
from wsac.types import ModelError, first_line

FIRST = EOS + 1  # id of the first piece
# WordPiece writes "dog ' s", "low - pitched", "rain ;" and "( loud )"
NO_SPACES = re.compile(r"(?<=\w) ?(['’-]) ?(?=\w)| (?=[;:)])|(?<=\() ")
BERT_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class ForeignTokenizer(Tokenizer):
    """The tokenizer of another model, cut to some of its pieces.

    pieces: [V] its ids; the first three stand for padding, beginning and end. start: the piece that
    begins each caption, such as [CLS] in the published WSAC. Other pieces are left out of what is
    encoded. That happens only in prompts with texts that training did not have.
    """

    def __init__(self, backend: Any, pieces: Sequence[int], start: int | None = None) -> None:
        self._backend, self._pieces = backend, list(pieces)
        self._ids = {piece: FIRST + i for i, piece in enumerate(self._pieces[FIRST:])}
        self._start = [] if start is None else [self._ids[start]]
        self._spaced = '"decoder":{"type":"WordPiece"' in backend.to_str()

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    def lost(self, captions: Sequence[str]) -> int:
        return sum(not self._ids.keys() >= set(row) for row in super().encode(captions))

    def encode(self, captions: Sequence[str]) -> list[list[int]]:
        rows = []
        for row in super().encode(captions):
            rows.append(self._start + [self._ids[piece] for piece in row if piece in self._ids])
        return rows

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        pieces = [[self._pieces[token] for token in row if token >= FIRST] for row in rows]
        texts = super().decode(pieces)
        return [NO_SPACES.sub(r"\1", text) for text in texts] if self._spaced else texts


def read_backend(path: str | Path) -> Any:
    """A tokenizer.json, a BERT vocab.txt, or the folder of one. Raises ModelError."""
    from tokenizers import Tokenizer as Backend

    path = Path(path)
    if path.is_dir():
        path /= "vocab.txt" if _has_only_vocab(path) else "tokenizer.json"
    if not path.is_file():
        remedy = "give tokenizer.json, vocab.txt, or a folder with one of them"
        raise ModelError(f"{path}: no such tokenizer; {remedy}")
    try:
        backend = _wordpiece(path) if path.suffix == ".txt" else Backend.from_file(str(path))
    except Exception as error:  # the library raises plain Exceptions
        raise ModelError(f"{path}: not a tokenizer ({first_line(error)})") from error
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # "[SEP]" inside a caption is text
    return backend


def keep_pieces(
    backend: Any,
    texts: Sequence[str],
    *,
    begin: int,
    end: int,
    all_below: int = 0,
    also: Sequence[int] = (),
) -> list[int]:
    """The ids of the pieces to use, [V]: those in the texts, or all below ``all_below``.

    begin, end: pieces for ids 1 and 2. also: pieces to use in any case.
    """
    pieces = {*also, *range(all_below)}
    if not all_below:
        for encoding in backend.encode_batch(list(texts), add_special_tokens=False):
            pieces.update(encoding.ids)
    return [end, begin, end, *sorted(pieces - {end})]


def _has_only_vocab(folder: Path) -> bool:
    return (folder / "vocab.txt").is_file() and not (folder / "tokenizer.json").is_file()


def _wordpiece(path: Path) -> Any:
    """The tokenizer that BERT's uncased vocab.txt stands for."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    backend = Backend(models.WordPiece.from_file(str(path), unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    marks = [mark for mark in BERT_MARKS if backend.token_to_id(mark) is not None]
    backend.add_special_tokens(marks)
    return backend
