"""Caption corpora: every format, recognised by content; every wrong input, one line with the remedy."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from dataclasses import asdict
from pathlib import Path

import pytest

from wsac.data.captions.corpus import STYLES, merge, read_captions, restyle, write_jsonl
from wsac.data.captions.corpus_statistics import stats_rows
from wsac.data.captions.formats import FORMATS, detect_format
from wsac.data.captions.text_file import read_text
from wsac.types import CorpusError, Example, WsacError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "captions"

CLOTHO = 'file_name,caption_1,caption_2\nrain.wav,"Rain, then thunder.",Rain falls\ndog.wav,A dog barks,A dog\n'
AUDIOCAPS = "audiocap_id,youtube_id,start_time,caption\n91139,r1nicOVtvkQ,0,A woman talks\n58146,UDGBjjwyaqE,20,Clanging\n"
GENERIC = 'file_name,caption\nrain.wav,"Rain, then\nthunder"\ndog.wav,A dog barks\n'
WAVCAPS = json.dumps(
    {"num": 2, "data": [{"id": "180913", "caption": "Rain"}, {"id": "7", "caption": "A dog barks"}]}
)
JSONL = '{"caption": "Rain, then thunder", "clip": "rain"}\n\n{"captions": ["A dog", "Barks"]}\n"A plain string"\n'
TEXT = "Rain, then thunder\n[music] plays, a man, a dog\n\nA dog barks"

CASES = {
    "clotho": (
        CLOTHO,
        [
            ("Rain, then thunder.", "rain.wav"),
            ("Rain falls", "rain.wav"),
            ("A dog barks", "dog.wav"),
            ("A dog", "dog.wav"),
        ],
    ),
    "audiocaps": (AUDIOCAPS, [("A woman talks", "r1nicOVtvkQ_0"), ("Clanging", "UDGBjjwyaqE_20")]),
    "csv": (GENERIC, [("Rain, then\nthunder", "rain.wav"), ("A dog barks", "dog.wav")]),
    "wavcaps": (WAVCAPS, [("Rain", "180913"), ("A dog barks", "7")]),
    "json": ('[\n "Rain",\n "A dog barks"\n]', [("Rain", None), ("A dog barks", None)]),
    "jsonl": (
        JSONL,
        [
            ("Rain, then thunder", "rain"),
            ("A dog", None),
            ("Barks", None),
            ("A plain string", None),
        ],
    ),
    "text": (
        TEXT,
        [
            ("Rain, then thunder", None),
            ("[music] plays, a man, a dog", None),
            ("", None),
            ("A dog barks", None),
        ],
    ),
}


@pytest.fixture
def put(tmp_path):
    """Write str (as UTF-8) or bytes to a file whose name says nothing about its format."""

    def put(content: str | bytes, name: str = "captions.dat") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def captions(path: Path, format: str = "auto") -> list[str]:
    return [example.caption for example in read_captions(path, format=format)]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("format", CASES)
def test_each_format_is_recognised_and_read(put, format, packed):
    content, expected = CASES[format]
    path = put(gzip.compress(content.encode()) if packed else content)
    expected = [Example(*row) for row in expected]
    assert detect_format(path, read_text(path)) == format
    assert read_captions(path) == expected
    assert read_captions(path, format=format) == expected


@pytest.mark.parametrize("format", CASES)
def test_byte_order_mark_and_crlf_change_nothing(put, format):
    content, expected = CASES[format]
    path = put(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert [caption.replace("\r", "") for caption in captions(path)] == [
        caption for caption, _ in expected
    ]
    assert detect_format(path, read_text(path)) == format


def test_every_format_name_is_tested():
    assert set(FORMATS) == {"auto", *CASES}


@pytest.mark.parametrize(
    ("content", "format", "expected"),
    [
        ("caption\nRain, then thunder\nA dog\n", "csv", ["Rain, then thunder", "A dog"]),
        ("Caption\r\nA dog\r\n", "csv", ["A dog"]),
        ("caption\rA dog\rRain, wind\r", "csv", ["A dog", "Rain, wind"]),
        ("file_name\tcaption\na.wav\tRain, wind\n", "csv", ["Rain, wind"]),
        ("file_name;caption\na.wav;Rain, wind\n", "csv", ["Rain, wind"]),
        ("file_name|caption\na.wav|Rain, wind\n", "csv", ["Rain, wind"]),
        ("name of the audio file, Caption\na.wav, A dog\n", "csv", ["A dog"]),
        (",file_name,caption\n0,a.wav,A dog\n", "csv", ["A dog"]),
        ("Unnamed: 0,text\n0,A dog\n", "csv", ["A dog"]),
        ('"file_name","caption"\n"a.wav","A ""loud"" dog"\n', "csv", ['A "loud" dog']),
        ('file_name, caption\na.wav, "Rain, wind"\n', "csv", ["Rain, wind"]),
        ("\n\nid,sentence,label\n1,A dog,x\n\n2,Rain,y,\n", "csv", ["A dog", "Rain"]),
        ("caption,file_name\nA dog,a.wav\n", "csv", ["A dog"]),
        ("file_name,caption,text\na,A dog,other\n", "csv", ["A dog"]),
        ("file_name,caption_1,caption_2\na.wav,,Rain\n", "clotho", ["", "Rain"]),
        (
            '[{"id": 3, "caption": "A dog"}, {"captions": ["Rain", null]}]',
            "json",
            ["A dog", "Rain", ""],
        ),
        ('{\n "caption": "A dog"\n}', "json", ["A dog"]),
        ('{"caption": "A dog"}', "jsonl", ["A dog"]),
        ('"A dog"\n"Rain"\n', "jsonl", ["A dog", "Rain"]),
        (
            '{"file_name": "a", "caption_1": "A dog", "caption_2": "Rain"}\n',
            "jsonl",
            ["A dog", "Rain"],
        ),
        (
            '"Help," shouts a man\n"No," says a dog\n',
            "text",
            ['"Help," shouts a man', '"No," says a dog'],
        ),
        ("[1] A dog\n[2] Rain\n", "text", ["[1] A dog", "[2] Rain"]),
        ("{laughs} A man\n", "text", ["{laughs} A man"]),
        (
            "text, a man reads a caption\nrain, wind\n",
            "text",
            ["text, a man reads a caption", "rain, wind"],
        ),
        ("rain, wind\ndog, label\n", "text", ["rain, wind", "dog, label"]),
        ("speech,music\nrain,wind\n", "text", ["speech,music", "rain,wind"]),
        (
            "1,000 birds sing\n3, 2, 1, a man counts\n",
            "text",
            ["1,000 birds sing", "3, 2, 1, a man counts"],
        ),
        (
            "A caption\nA dog\u2028barks\x0chere\n",
            "text",
            ["A caption", "A dog\u2028barks\x0chere"],
        ),
    ],
)
def test_format_is_told_from_content(put, content, format, expected):
    path = put(content)
    assert detect_format(path, read_text(path)) == format
    assert captions(path) == expected


def test_the_format_given_overrides_the_one_found(put):
    path = put(GENERIC)
    assert captions(path, "text") == GENERIC.splitlines()
    assert captions(put('"A dog"\n'), "text") == ['"A dog"']
    assert captions(put("caption_1,caption\nA dog,Rain\n"), "clotho") == ["A dog"]
    assert captions(put("a,b,caption?,caption\n1,2,3,A dog\n"), "csv") == ["A dog"]


def test_clip_ids(put):
    def clip(content: str) -> str | None:
        return read_captions(put(content))[0].clip

    assert clip("youtube_id,start_time,caption\nabc,30,A dog\n") == "abc_30"
    assert clip("youtube_id,caption\nabc,A dog\n") == "abc"
    assert clip('{"youtube_id": "abc", "start_time": 0, "caption": "A dog"}') == "abc_0"
    assert clip('{"data": [{"id": 12, "file_name": "x.wav", "caption": "A dog"}]}') == "12"
    assert clip('{"id": null, "caption": "A dog"}') is None
    assert clip("label,caption\nx,A dog\n") is None


LATIN = "A dog\nA café\n".encode("latin-1")
WRONG = {
    "empty": (b"", "auto", None, "is the download complete"),
    "blank": (b" \n\r\n\t", "auto", None, "is the download complete"),
    "header only": ("file_name,caption\n", "auto", None, "is the download complete"),
    "no items": ("[]", "auto", None, "is the download complete"),
    "no data": ('{"data": []}', "auto", None, "is the download complete"),
    "no caption column": (
        "file_name,duration\na.wav,3\n",
        "auto",
        1,
        "name the column of captions caption",
    ),
    "no caption column, plain names": (
        "id,path,label\n1,a.wav,dog\n",
        "auto",
        1,
        "name the column",
    ),
    "labels": (
        "# YTID, start_seconds, positive_labels\n--PJH, 30.0, x\n",
        "auto",
        1,
        "name the column",
    ),
    "prose as csv": ("\n\nA dog barks, then\n", "csv", 3, "add a header line"),
    "one caption as clotho": (GENERIC, "clotho", 1, "name the column of captions caption_1"),
    "text as audiocaps": ("A dog\n", "audiocaps", 1, "name the column of captions caption"),
    "no header": ("a.wav,A dog\nb.wav,Rain\n", "auto", 1, "file_name,caption"),
    "no header, numbers": ("1\tA dog\n2\tRain\n", "auto", 1, "file_name,caption"),
    "list of recordings": ("a b.wav\nc.flac\n", "auto", 1, "file_name,caption"),
    "too few columns": ('file_name,caption\na,"A\ndog"\nb.wav\n', "auto", 4, "complete the row"),
    "too many columns": ("file_name,caption\r\na,Rain\r\nb,Rain, wind\r\n", "auto", 3, '"quotes"'),
    "open quote": ('file_name,caption\na,Rain\nb,"A dog\nc,Rain\n', "auto", 3, "close the quotes"),
    "text after a quote": (
        'file_name,caption\na,"No" says a man\n',
        "auto",
        2,
        "text after a closing quote); close",
    ),
    "not utf-8": (LATIN, "auto", 2, "iconv -f WINDOWS-1252"),
    "utf-16": ("A dog\n".encode("utf-16"), "auto", None, "iconv -f UTF-16"),
    "nul": (b"A dog\n\0\0", "text", None, "as UTF-8 text, CSV or JSON lines"),
    "wav": (
        b"RIFF\x24\0\0\0WAVEfmt ",
        "auto",
        None,
        "looks like a WAV recording; name a file of captions",
    ),
    "flac": (b"fLaC\0\0", "auto", None, "a FLAC recording"),
    "ogg": (b"OggS\0\0", "auto", None, "an Ogg recording"),
    "mp3": (b"ID3\x03\0\0", "auto", None, "an MP3 recording"),
    "m4a": (b"\0\0\0\x20ftypM4A ", "auto", None, "an MP4 or M4A file"),
    "png": (b"\x89PNG\r\n\x1a\n", "auto", None, "an image; name a file of captions"),
    "pdf": (b"%PDF-1.7\n", "auto", None, "a PDF document; save"),
    "zip": (b"PK\x03\x04\x14\0", "auto", None, "unpack it, or save the sheet as CSV"),
    "tar": (b"a.csv".ljust(257, b"\0") + b"ustar\x0000", "auto", None, "a tar archive; unpack it"),
    "zstd": (b"\x28\xb5\x2f\xfd\0", "auto", None, "a compressed archive; unpack it"),
    "parquet": (b"PAR1\x15\x04", "auto", None, "a Parquet table; export the captions"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "auto", None, "a binary table; export the captions"),
    "pickle": (b"\x80\x04\x95\x10", "auto", None, "a Python pickle, which is never loaded; export"),
    "gzip twice": (gzip.compress(gzip.compress(b"A dog")), "auto", None, "gunzip it once"),
    "gzip cut short": (gzip.compress(b"A dog barks" * 99)[:-9], "auto", None, "download it again"),
    "gzip head only": (b"\x1f\x8b", "auto", None, "download it again"),
    "gzip damaged": (
        gzip.compress(b"A dog")[:10] + b"\xff" * 20,
        "auto",
        None,
        "download it again",
    ),
    "gzip of nothing": (gzip.compress(b""), "auto", None, "is the download complete"),
    "git lfs": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "auto",
        None,
        "git lfs pull",
    ),
    "web page": ("\n<!DOCTYPE html>\n<html>", "auto", None, "download the raw file"),
    "broken list": ('["A dog",\n "Rain"', "auto", 2, "is the file complete"),
    "bracket only": ("[\n", "auto", 2, "is the file complete"),
    "brace only": ("{\n", "auto", 1, "correct it"),
    "broken wavcaps": (
        '{"data": [\n{"id": "1", "caption": "A dog"},\n',
        "auto",
        3,
        "is the file complete",
    ),
    "two lists": ('["A dog"]\n["Rain"]\n', "auto", 2, "is the file complete"),
    "broken first line": ('{"caption": "A dog"\n{"caption": "Rain"}\n', "auto", 1, "correct it"),
    "broken third line": ('{"caption": "A dog"}\n\n{"caption": Rain}\n', "auto", 3, "correct it"),
    "text as json": ("A dog\n", "json", 1, "is it JSON"),
    "text as jsonl": ("A dog\n", "jsonl", 1, "give the format text"),
    "nested": ("[" * 100_000, "json", None, "correct it"),
    "jsonl without caption": (
        '{"caption": "A dog"}\n{"clip": "a"}\n',
        "auto",
        2,
        'name the caption "caption"',
    ),
    "item without caption": (
        '[{"caption": "A dog"}, {"id": 1}]',
        "auto",
        None,
        'name the caption "caption"',
    ),
    "number for a caption": (
        '{"caption": "A dog"}\n{"caption": 3}\n',
        "auto",
        2,
        "write it as a string",
    ),
    "list of numbers": ("[1, 2]", "auto", None, "write it as a string"),
    "half a character": ('{"caption": "A \\ud83d"}\n', "auto", 1, "write the character as UTF-8"),
    "object without data": ('{\n"info": 1\n}', "auto", None, 'name the caption "caption"'),
    "list as wavcaps": ('["A dog"]', "wavcaps", None, 'write {"data"'),
    "unknown format": ("A dog\n", "parquet", None, "choose one of auto, clotho"),
    "column names with line breaks": ('"file\nname",x_y\n1,2\n', "csv", 1, "name the column"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_with_the_place_and_the_remedy(put, case):
    content, format, line, remedy = WRONG[case]
    path = put(content)
    with pytest.raises(CorpusError) as caught:
        read_captions(path, format=format)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: " if line is None else f"{path}: line {line}: ")
    assert ("line " in message.partition(": ")[2][:5]) == (line is not None)
    assert remedy in message


def test_missing_file_folder_and_impossible_path(tmp_path):
    for path, remedy in [
        (tmp_path / "absent.csv", "not found; check the path"),
        (tmp_path, "is a folder; name the caption files in it"),
        (tmp_path / ("x" * 300), "check the path and its permissions"),
    ]:
        with pytest.raises(CorpusError) as caught:
            merge([path])
        assert str(caught.value).startswith(f"{path}: ")
        assert remedy in str(caught.value)


def test_a_header_or_a_youtube_id_is_never_a_caption(put):
    for content in (CLOTHO, AUDIOCAPS, GENERIC, GENERIC.replace(",", "\t"), "caption\nA dog\n"):
        path = put(content)
        for format in ("auto", "csv"):
            found = captions(path, format)
            assert not {"caption", "caption_1", "caption_2", "file_name", "youtube_id"} & set(found)
            assert not any("r1nicOVtvkQ" in caption or ".wav" in caption for caption in found)


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


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared caption files in {SHARED}")
@pytest.mark.parametrize(
    ("name", "format", "count"),
    [
        ("Clotho.train.csv", "clotho", 19195),
        ("Clotho.val.csv", "clotho", 5225),
        ("Clotho.test.csv", "clotho", 5225),
        ("AudioCaps.train.csv", "csv", 49274),
        ("AudioCaps.val.csv", "clotho", 2470),
        ("AudioCaps.test.csv", "clotho", 4785),
    ],
)
def test_shared_corpora(name, format, count):
    with (SHARED / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    expected = [Example(caption, row[0]) for row in rows for caption in row[1:]]
    assert len(expected) == count
    assert read_captions(SHARED / name) == expected
    assert merge(SHARED / name).stats.sources[0].format == format
