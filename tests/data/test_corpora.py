"""Corpora: merged, tidied, restyled, counted; random captions survive every format."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import asdict
from pathlib import Path

import pytest

from wsac.data.captions.corpus import STYLES, merge, read_captions, restyle, write_jsonl
from wsac.data.captions.corpus_statistics import stats_rows
from wsac.types import CorpusError, Example, WsacError


def captions(path: Path, format: str = "auto") -> list[str]:
    return [example.caption for example in read_captions(path, format=format)]


def test_merge_tidies_and_drops_empty_and_duplicate_rows(put):
    first = put("A  dog\tbarks \nA dog barks\n\u00a0\n\nRain.\n", "first.txt")
    second = put(
        '[" Rain. ", "rain.", "Cafe\u0301", "Caf\u00e9", "a\\n\u200b\\u00a0b"]',
        "second.json",
    )
    corpus = merge([first, second])
    assert [example.caption for example in corpus.examples] == [
        "A dog barks",
        "Rain.",
        "rain.",
        "Caf\u00e9",
        "a b",
    ]
    stats = corpus.stats
    assert (stats.read, stats.kept, stats.empty, stats.duplicates) == (10, 5, 2, 3)
    assert [(s.path, s.format, s.read, s.kept, s.empty, s.duplicates) for s in stats.sources] == [
        (str(first), "text", 5, 2, 2, 1),
        (str(second), "json", 5, 3, 0, 2),
    ]


def test_merge_drops_what_is_equal_after_the_style_and_keeps_the_first_clip(put):
    path = put("file_name,caption\na,A dog barks.\nb,a dog barks\nc,...\nd,.\n")
    corpus = merge(path, style="lower")
    assert corpus.examples == [Example("a dog barks", "a"), Example("...", "c")]
    assert (corpus.stats.duplicates, corpus.stats.empty) == (1, 1)
    assert len(merge([path, path], style="keep").examples) == 4


def test_merge_counts_add_up_and_are_json(put):
    path = put("A dog's bark\nRain\nrain falls on a tin-roof\n\nRain\n")
    stats = merge([path, path]).stats
    assert stats.read == stats.kept + stats.empty + stats.duplicates == 10
    assert (stats.words, stats.vocabulary) == (
        3 + 1 + 5,
        len({"a", "dog's", "bark", "rain", "falls", "on", "tin-roof"}),
    )
    assert list(stats.length_quantiles.values()) == sorted(stats.length_quantiles.values())
    assert (
        stats.length_quantiles["min"],
        stats.length_quantiles["50%"],
        stats.length_quantiles["max"],
    ) == (1, 3, 5)
    assert json.loads(json.dumps(asdict(stats)))["sources"][0]["kept"] == 3
    rows = dict(stats_rows(stats))
    assert rows["dropped, duplicate"] == "5"
    assert rows[str(path)].startswith("text: 5 read")


def test_merge_refuses_nothing_to_read_nothing_kept_and_unknown_styles(put):
    path = put('{"caption": " "}\n{"caption": null}\n')
    for call, words in [
        (lambda: merge([]), "name at least one"),
        (lambda: merge([path]), "all 2 rows are empty"),
        (lambda: merge([path], style="title"), "choose one of keep, sentence, lower"),
        (lambda: restyle("A dog", "title"), "choose one of keep, sentence, lower"),
    ]:
        with pytest.raises(CorpusError, match=words):
            call()


@pytest.mark.parametrize(
    ("caption", "sentence", "lower"),
    [
        ("a dog barks.", "A dog barks", "a dog barks"),
        ("A Dog barks .", "A Dog barks", "a dog barks"),
        ("rain...", "Rain...", "rain..."),
        ("rain\u2026", "Rain\u2026", "rain\u2026"),
        ("stop!", "Stop!", "stop!"),
        ('"help", says a man', '"Help", says a man', '"help", says a man'),
        ("2 dogs", "2 dogs", "2 dogs"),
        ("élan.", "Élan", "élan"),
        (".", "", ""),
        ("", "", ""),
        ("\U0001f415.", "\U0001f415", "\U0001f415"),
    ],
)
def test_styles(caption, sentence, lower):
    assert restyle(caption, "keep") == caption
    assert restyle(caption, "sentence") == sentence
    assert restyle(caption, "lower") == lower


PIECES = [
    *"ab .,;:'\"\\{}[]#\t",
    "\n",
    "\r\n",
    '""',
    "é",
    "e\u0301",
    "\u00a0",
    "\u2028",
    "\U0001f415",
    "\u5927",
    "caption",
    "dog",
]


def random_captions(seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(PIECES, k=rng.randrange(12))) for _ in range(60)]


@pytest.mark.parametrize("seed", range(5))
def test_styles_twice_are_styles_once(seed):
    for style in STYLES:
        for caption in random_captions(seed):
            once = restyle(caption, style)
            assert restyle(once, style) == once


def as_csv(captions: list[str], delimiter: str = ",") -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows(
        [["file_name", "caption"], *([f"{i}.wav", caption] for i, caption in enumerate(captions))]
    )
    return file.getvalue()


def as_clotho(captions: list[str]) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["file_name", *(f"caption_{i}" for i in range(1, 6))])
    writer.writerows([f"{i}.wav", *captions[i : i + 5]] for i in range(0, len(captions), 5))
    return file.getvalue()


WRITERS = {
    "csv": as_csv,
    "tsv": lambda captions: as_csv(captions, "\t"),
    "clotho": as_clotho,
    "json": json.dumps,
    "wavcaps": lambda captions: json.dumps(
        {"data": [{"id": "x", "caption": c} for c in captions]}, indent=1
    ),
    "jsonl": lambda captions: "".join(
        json.dumps({"caption": c}, ensure_ascii=False) + "\n" for c in captions
    ),
    "jsonl of strings": lambda captions: "".join(json.dumps(c) + "\n" for c in ["x", *captions])[
        4:
    ],
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("format", WRITERS)
def test_random_captions_survive_every_format_that_can_hold_them(put, format, seed):
    expected = random_captions(seed)
    assert captions(put(WRITERS[format](expected))) == expected


@pytest.mark.parametrize("seed", range(5))
def test_random_lines_survive_as_text(put, seed):
    expected = [caption.replace("\n", "").replace("\r", "") for caption in random_captions(seed)]
    assert captions(put("\n".join(expected) + "\n"), "text") == expected
    assert captions(put("\n".join(["A dog barks", *expected]) + "\n")) == ["A dog barks", *expected]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_write_jsonl_round_trip(tmp_path, name):
    examples = [
        Example(caption, f"clip {i}" if i % 2 else None)
        for i, caption in enumerate(random_captions(0))
    ]
    path = tmp_path / "new folder" / name
    write_jsonl(iter(examples), path)
    assert read_captions(path) == examples
    first = path.read_bytes()
    assert first.startswith(b"\x1f\x8b") == name.endswith(".gz")
    write_jsonl(examples, path)
    assert path.read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_write_jsonl_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "out.jsonl"
    write_jsonl([Example("A dog", "a")], path)
    assert path.read_text(encoding="utf-8") == '{"caption": "A dog", "clip": "a"}\n'

    def broken():
        yield Example("Rain")
        raise KeyError("broken")

    with pytest.raises(KeyError):
        write_jsonl(broken(), path)
    assert [example.caption for example in read_captions(path)] == ["A dog"]
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(WsacError, match="cannot write"):
        write_jsonl([Example("A dog")], tmp_path)
