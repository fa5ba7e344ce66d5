"""The tokenizer of a public CLAP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsac.types import ModelError, first_line

from .catalog import Family


def read_tokenizer(path: Path, family: Family | None = None) -> Any:
    """A ``tokenizers.Tokenizer`` without truncation and padding. Raises ModelError.

    MS-CLAP 2023 pads with "!": a special token from then on, which never merges ("storm!!!").
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exceptions
        raise ModelError(f"{path}: not a tokenizer.json ({first_line(error)})") from error
    if family is not None and family.text == "gpt2":
        tokenizer.add_special_tokens(["!"])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
