"""Caption files: formats recognised by content; wrong input is one line with the remedy."""

from __future__ import annotations

import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from wsac.data.captions.corpus import merge, read_captions
from wsac.data.captions.faults import Faults
from wsac.data.captions.formats import FORMATS, detect_format
from wsac.data.captions.records import read_records
from wsac.data.captions.text_file import read_text
from wsac.types import CorpusError, Example

SHARED = Path(__file__).resolve().parents[3] / "shared" / "captions"

CLOTHO = """file_name,caption_1,caption_2
rain.wav,"Rain, then thunder.",Rain falls
dog.wav,A dog barks,A dog
"""
AUDIOCAPS = """audiocap_id,youtube_id,start_time,caption
91139,r1nicOVtvkQ,0,A woman talks
58146,UDGBjjwyaqE,20,Clanging
"""
GENERIC = 'file_name,caption\nrain.wav,"Rain, then\nthunder"\ndog.wav,A dog barks\n'
WAVCAPS = json.dumps(
    {"num": 2, "data": [{"id": "180913", "caption": "Rain"}, {"id": "7", "caption": "A dog barks"}]}
)
JSONL = """{"caption": "Rain, then thunder", "clip": "rain"}

{"captions": ["A dog", "Barks"]}
"A plain string"
"""
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
    "yaml": ("- caption: Rain\n  file_name: a.wav\n", [("Rain", "a.wav")]),
    "subtitles": ("1\n00:00:01,000 --> 00:00:02,000\nA dog\nbarks\n", [("A dog barks", None)]),
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
    "utf-16 cut short": ("A dog\n".encode("utf-16")[:-1], "auto", 1, "iconv -f"),
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
    os.mkfifo(tmp_path / "pipe")
    for path, remedy in [
        (tmp_path / "pipe", "is a named pipe, which may never end; name a file"),
        ("/dev/zero", "is a device, which may never end; name a file"),
        (tmp_path / "absent.csv", "not found; check the path"),
        (tmp_path, "is a folder; name the caption files in it"),
        (tmp_path / ("x" * 300), "check the path and its permissions"),
    ]:
        with pytest.raises(CorpusError) as caught:
            merge([path])
        assert str(caught.value).startswith(f"{path}: ")
        assert remedy in str(caught.value)


def test_a_pipe_of_the_shell_is_read(tmp_path):
    read, write = os.pipe()
    os.write(write, b"A dog barks\nRain\n")
    os.close(write)
    assert captions(f"/dev/fd/{read}") == ["A dog barks", "Rain"]
    os.close(read)


def test_a_header_or_a_youtube_id_is_never_a_caption(put):
    for content in (CLOTHO, AUDIOCAPS, GENERIC, GENERIC.replace(",", "\t"), "caption\nA dog\n"):
        path = put(content)
        for format in ("auto", "csv"):
            found = captions(path, format)
            assert not {"caption", "caption_1", "caption_2", "file_name", "youtube_id"} & set(found)
            assert not any("r1nicOVtvkQ" in caption or ".wav" in caption for caption in found)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"a.wav": "A dog", "b.wav": "Rain"}\n\n', [("A dog", "a.wav"), ("Rain", "b.wav")]),
        ('{"a.wav": ["A dog", "Barks"]}', [("A dog", "a.wav"), ("Barks", "a.wav")]),
        ('{"annotations": [{"id": 3, "image_id": 7, "caption": "Rain"}]}', [("Rain", "7")]),
        ("file_name,caption,caption\na,A dog,Rain\n", [("A dog", "a"), ("Rain", "a")]),
        ("file_name,caption\na,nan\n", [("nan", "a")]),
    ],
)
def test_what_the_reader_accepts_for_scoring_it_accepts_for_training(put, content, rows):
    format = "json" if content.startswith("{") else "auto"
    examples = read_captions(put(content), format=format)
    assert examples == [Example(*row) for row in rows]


@pytest.mark.parametrize("row", ["b.wav", "b.wav,Rain, wind"])
def test_a_bad_row_is_collected_in_strict_reading_and_raised_in_lenient(put, row):
    path, faults = put(f"file_name,caption\na.wav,A dog\n{row}\nc.wav,Wind,\n"), Faults()
    rows = list(read_records(path, read_text(path), "csv", faults).rows)
    assert [place for place, _ in rows] == ["line 2", "line 4"]
    what = "a row without the 2 columns of the header"
    assert faults.places == {(str(path), what): ["line 3"]}
    with pytest.raises(CorpusError, match=f"line 3: {what}; "):
        list(read_records(path, read_text(path), "csv").rows)


def test_rows_that_end_early_are_padded_on_demand(put):
    path = put("audio,caption,label\na.wav,A dog\n")
    rows = read_records(path, read_text(path), "csv", pad=True).rows
    assert list(rows) == [("line 2", {"audio": "a.wav", "caption": "A dog", "label": ""})]


@pytest.mark.slow
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
