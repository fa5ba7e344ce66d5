"""Lists of file names, as find and other programs write them."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace

import pytest

from wsac.io import name_lists
from wsac.io.name_lists import read_names
from wsac.types import WsacError


@pytest.mark.parametrize(
    ("content", "null", "names"),
    [
        (b"a.wav\nb c.wav\n", False, ["a.wav", "b c.wav"]),
        (b"a.wav\r\n\r\n\nb.wav", False, ["a.wav", "b.wav"]),
        (b"\xef\xbb\xbfa.wav\n", False, ["a.wav"]),
        (b"d/\xe9.wav\n", False, [os.fsdecode(b"d/\xe9.wav")]),
        (b" a.wav \n#b.wav\n", False, [" a.wav ", "#b.wav"]),
        (b"a\nb.wav\0c\r\0", True, ["a\nb.wav", "c\r"]),
    ],
)
def test_names_are_taken_as_they_are(tmp_path, monkeypatch, content, null, names):
    (tmp_path / "list").write_bytes(content)
    assert read_names(str(tmp_path / "list"), null=null) == names
    stdin = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read_names("-", null=null) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no names"),
        (b"\n\r\n", "no names"),
        (b"RIFF\0\0\0\0", "add -0"),
        (b"a\n" * 100, "more than 0 MB"),
        (None, "cannot read"),
    ],
)
def test_what_is_no_list_is_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(name_lists, "MOST_BYTES", 100)
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    with pytest.raises(WsacError, match=message):
        read_names(str(tmp_path / "list"))
