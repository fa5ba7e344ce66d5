"""Tables that are told from prose, layouts of published tools, and rows that cannot be used."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wsac.data.captions.corpus import merge, read_captions
from wsac.data.captions.faults import Faults
from wsac.data.captions.formats import detect_format
from wsac.data.captions.labels import read_labels, split_labels
from wsac.data.captions.tables import read_table
from wsac.data.captions.text_file import read_text
from wsac.data.datasets.pairs import read_pairs as read_sound_pairs
from wsac.training.material import read_captions as read_material
from wsac.training.recipe import CorpusOptions
from wsac.types import CorpusError, Example, RecipeError, WsacError

MACS = """files:
- filename: airport-1.wav
  annotations:
  - annotator_id: 7
    sentence: 'People talk: a crowd'
    tags: [adults_talking]
  - annotator_id: 8
    sentence: Footsteps
- filename: park-2.wav
  annotations:
  - {annotator_id: 7, sentence: Birds sing}
"""
SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>A dog\r\nbarks</i>\r\n\r\n2\r\n"
    "00:00:03,000 --> 00:00:04,000\r\nRain\r\n"
)
VTT = (
    "WEBVTT - sounds\n\nNOTE by hand\n\n"
    "00:01.000 --> 00:02.500 align:start\nA dog barks\n\n00:03.000 --> 00:04.000\nRain"
)
COCO = {
    "images": [{"id": 1, "file_name": "a.wav"}],
    "annotations": [{"id": 9, "image_id": 1, "caption": "A dog"}],
}
LAYOUTS = {
    "MACS": (
        MACS,
        "yaml",
        [
            ("People talk: a crowd", "airport-1.wav"),
            ("Footsteps", "airport-1.wav"),
            ("Birds sing", "park-2.wav"),
        ],
    ),
    "srt": (SRT, "subtitles", [("A dog barks", None), ("Rain", None)]),
    "vtt": (VTT, "subtitles", [("A dog barks", None), ("Rain", None)]),
    "SLAM-LLM": (
        '{"key": "1", "source": "a.wav", "target": "A dog"}\n'
        '{"source": "b.wav", "target": "Rain"}\n',
        "jsonl",
        [("A dog", "a.wav"), ("Rain", "b.wav")],
    ),
    "DCASE": ("file_name,caption_predicted\na.wav,A dog\n", "csv", [("A dog", "a.wav")]),
    "map": ('{"a.wav": "A dog", "b.wav": "Rain"}', "json", [("A dog", "a.wav"), ("Rain", "b.wav")]),
    "map of lists": (
        '{"a.wav": ["A dog", "Rain"]}',
        "json",
        [("A dog", "a.wav"), ("Rain", "a.wav")],
    ),
    "COCO": (json.dumps(COCO), "json", [("A dog", "a.wav")]),
    "lists in cells": (
        'fname,captions\na.wav,"[""A dog"", ""A bark""]"\n',
        "clotho",
        [("A dog", "a.wav"), ("A bark", "a.wav")],
    ),
    "cands and mrefs": (
        '{"cands": ["x", "y"], "mrefs": [["A dog", "A bark"], ["Rain"]]}',
        "json",
        [("A dog", "1"), ("A bark", "1"), ("Rain", "2")],
    ),
    "sep=": ("sep=;\nfile_name;caption\na.wav;A dog\n", "csv", [("A dog", "a.wav")]),
    "utf-16": ("A dog\nRain\n".encode("utf-16"), "text", [("A dog", None), ("Rain", None)]),
    "utf-16 table": (
        "file_name\tcaption\na.wav\tCafé\n".encode("utf-16"),
        "csv",
        [("Café", "a.wav")],
    ),
    "ragged": (
        "file_name,caption_1,caption_2\na.wav,A dog\nb.wav,Rain,Wind\n",
        "clotho",
        [("A dog", "a.wav"), ("", "a.wav"), ("Rain", "b.wav"), ("Wind", "b.wav")],
    ),
}
LAYOUTS["lists in cells"] = (LAYOUTS["lists in cells"][0], "csv", LAYOUTS["lists in cells"][2])


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_published_tools_are_read(put, name):
    content, format, rows = LAYOUTS[name]
    path = put(content)
    assert detect_format(path, read_text(path)) == format
    assert read_captions(path) == [Example(*row) for row in rows]


# (content, what the error says); the file's name says nothing
REFUSED = {
    "German": ("Datei;Beschreibung\na.wav;Ein Hund\n", "columns 'Datei', 'Beschreibung'"),
    "German with sep=": ("sep=;\nDatei;Beschreibung\na.wav;Ein Hund\n", "among 'datei'"),
    "prompt": ("audio,prompt\na.wav,A dog\nb.wav,Rain\n", "columns 'audio', 'prompt'"),
    "a title above": (
        "Captions of Clotho\nfile_name,caption\na.wav,A dog\n",
        "header is not the first line but line 2",
    ),
    "a title and an unknown header": (
        "Our sounds\nDatei;Beschreibung\na.wav;Ein Hund\nb.wav;Regen\n",
        "columns 'Datei', 'Beschreibung'",
    ),
    "videos": ("vid,txt\nrqnicOVt-Q4,A dog\n-0SdAVK79lg,Rain\n", "--column NAME"),
    "tabs": ("Klang\tText dazu\nHund\tEin Hund\n", "--column NAME"),
    "label track": ("0.5\t1.25\tdog\n2.0\t3.0\train\n", "label track.*cut -f 3"),
    "GenAU's list": ("a.wav: A dog barks\nb 2.wav: Rain: a lot\n", "lines of file: caption.*tabs"),
    "GenAU's table": (
        "audio_path,generated_caption\na.wav,A dog\nb.wav,Rain\n",
        "'generated_caption'.*--column NAME",
    ),
    "rich text": (r"{\rtf1\ansi A dog\par Rain\par}", "rich text; save"),
    "Python lists": ("file_name,captions\na.wav,\"['A dog', 'Rain']\"\n", "line 2: a Python list"),
    "broken YAML": ("files:\n- a: [b\n- c\n", "line . not valid YAML|not valid YAML"),
    "aliases": ("files:\n- &a {caption: A dog}\n- *a\n", "alias"),
    "deep YAML": ("files:\n- " + "[" * 2000 + "]" * 2000 + "\n", "nest"),
    "deep JSON": ("[" * 2000 + "]" * 2000, "nested too deep|where a caption belongs"),
    "5,000 digits": ('{"id": ' + "1" * 5000 + ', "caption": "A dog"}', "not usable JSON"),
    "images that are no list": (
        '{"annotations": [{"caption": "A dog"}], "images": 5}',
        "a number where the list of images or audios belongs",
    ),
    "missing values only": ("file_name,caption\na.wav,nan\nb.wav,#N/A\n", "no captions left"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_and_documents_are_not_read_as_prose(put, name):
    content, words = REFUSED[name]
    with pytest.raises(CorpusError, match=words) as caught:
        merge([put(content)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "Rain, wind\nA dog, a man\n",
        "One; two\nthree\n",
        "A man: hello\n",
        "Music - loud\nRain - wet\n",
    ],
)
def test_prose_stays_prose(put, content):
    assert [row.caption for row in read_captions(put(content))] == content.splitlines()


def test_a_csv_by_name_is_a_table(put):
    assert read_captions(put("Klang,Beschreibung\nHund,Bellen\n"))[1].caption == "Hund,Bellen"
    with pytest.raises(CorpusError, match="columns 'Klang', 'Beschreibung'"):
        read_captions(put("Klang,Beschreibung\nHund,Bellen\n", "c.csv"))


@pytest.mark.parametrize("content", [REFUSED["German"][0], REFUSED["German with sep="][0]])
def test_the_column_of_captions_can_be_named(put, content):
    assert read_captions(put(content), column="Beschreibung")[0].caption == "Ein Hund"
    assert merge(put(content), column="beschreibung").examples[0].caption == "Ein Hund"
    with pytest.raises(CorpusError, match=r"no Text column among 'datei|columns 'Datei'"):
        read_captions(put(content), column="Text")
    assert read_captions(put('{"a": "b", "prompt": "Rain"}'), column="prompt")[0].caption == "Rain"


def test_words_for_missing_values_and_repeated_headers_are_counted(put):
    words = ["nan", "N/A", "#N/A", "NULL", "None", "-", "NaN"]
    rows = "".join(f"{i}.wav,{word}\n" for i, word in enumerate(words))
    path = put(f"file_name,caption\na.wav,A dog\nfile_name,caption\n{rows}b.wav,Rain\n")
    corpus = merge(path)
    assert [row.caption for row in corpus.examples] == ["A dog", "Rain"]
    stats = corpus.stats
    assert (stats.read, stats.kept, stats.missing, stats.headers, stats.bad) == (9, 2, 7, 1, 0)
    assert (stats.empty, stats.duplicates) == (0, 0)


BAD_ROWS = (
    "file_name,caption\na.wav,A dog\nb.wav\nc.wav,Rain, wind\n" + "x.wav\n" * 30 + "d.wav,Sea\n"
)


def test_every_bad_row_is_named_or_left_out(put):
    path = put(BAD_ROWS)
    with pytest.raises(CorpusError) as caught:
        merge(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line 3: a row without the 2 columns")
    assert "32 bad rows in all: line 3: " in message
    assert "line 22: " in message
    assert "line 23: " not in message
    assert "and line 23-34; or leave out" in message
    assert "--skip-invalid" in message
    corpus = merge(path, skip_invalid=True)
    assert [row.caption for row in corpus.examples] == ["A dog", "Sea"]
    assert len(corpus.stats.bad_rows) == corpus.stats.bad == 32
    assert corpus.stats.bad_rows[0].startswith(f"{path}: line 3: a row without")
    assert [row.caption for row in read_captions(path, skip_invalid=True)] == ["A dog", "Sea"]


def test_every_bad_row_of_several_files_is_named(put):
    lines = [["a.wav,A dog\n", "b.wav\n"][number not in (30, 50)] for number in range(2, 61)]
    tables = [put("file_name,caption\n" + "".join(lines), f"{name}.csv") for name in "ab"]
    with pytest.raises(CorpusError) as caught:
        merge(tables)
    message = str(caught.value)
    assert "114 bad rows in all" in message
    places = [
        f"{tables[0]}: line 22-29",
        *(f"{tables[0]}: line {span}" for span in ("31-49", "51-60")),
    ]
    places += [f"{tables[1]}: line {span}" for span in ("2-29", "31-49", "51-60")]
    assert f"and {', '.join(places)}; or leave out" in message
    assert "\n" not in message


def test_a_stray_quote_and_a_broken_line_are_one_row(put):
    table = put('file_name,caption\na.wav,"No" says a man\nb.wav,Rain\n')
    lines = put('{"caption": "A dog"}\n{"caption": \n{"clip": 1}\n{"caption": 3}\n"Sea"\n', "l")
    assert [row.caption for row in merge(table, skip_invalid=True).examples] == ["Rain"]
    corpus = merge(lines, skip_invalid=True)
    assert [row.caption for row in corpus.examples] == ["A dog", "Sea"]
    assert [row.split(": ")[1] for row in corpus.stats.bad_rows] == ["line 2", "line 3", "line 4"]


def test_recipes_name_the_column_and_leave_out_bad_rows(put, capsys):
    table = put("file_name;Beschreibung\na.wav;A dog\nb.wav\nc.wav;nan\n")
    corpus = CorpusOptions(captions=(str(table),), column="Beschreibung")
    with pytest.raises(CorpusError, match=r"line 3: .*corpus.skip_invalid = true"):
        read_material(corpus)
    captions, _ = read_material(corpus.model_copy(update={"skip_invalid": True}))
    assert captions == ["A dog"]
    words = capsys.readouterr().err
    assert "left out: rows that cannot be used (1)" in words
    assert "left out: words for a missing value, such as nan (1)" in words


def test_pairs_of_sounds_have_other_names_too(put):
    clips = read_sound_pairs([put("File_Name;Caption\na.wav;A dog\nfile_name;caption\n")])
    assert [(clip.path, clip.captions) for clip in clips] == [("a.wav", ("A dog",))]
    with pytest.raises(CorpusError, match="line 2: 'nan' in place of a caption"):
        read_sound_pairs([put("audio,caption\na.wav,nan\n")])


def test_a_small_gzip_file_does_not_fill_the_memory(put):
    path = put(gzip.compress(bytes(100 << 20), 1)[:-4])
    with pytest.raises(CorpusError, match="unpacks to more than 64 MiB; unpack it yourself"):
        read_text(path)


def test_labels_with_commas_and_of_tables(put):
    assert split_labels('"Vehicle horn, car horn", rain ,dog') == [
        "Vehicle horn, car horn",
        "rain",
        "dog",
    ]
    with pytest.raises(RecipeError, match="quotes that are not closed"):
        split_labels('"rain, dog')
    audioset = 'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/5z,"Male speech, man speaking"\n'
    assert read_labels(put(audioset)) == ["Speech", "Male speech, man speaking"]
    lines = '# mine\n"Male speech, man speaking"\nInside, small room\n\n'
    assert read_labels(put(lines)) == ["Male speech, man speaking", "Inside, small room"]
    with pytest.raises(RecipeError, match=r"among 'file_name', 'caption'; call it label"):
        read_labels(put("file_name,caption\na.wav,A dog\n"))


PIECES = st.sampled_from(
    [
        *(
            "caption",
            "file_name",
            "a.wav",
            ",",
            ";",
            "\t",
            "\n",
            "\r",
            '"',
            "[",
            "]",
            "{",
            "}",
            ":",
        ),
        *("data", "files", "annotations", "\n- ", "---\n", "WEBVTT", "-->", "00:01.000", "nan"),
        *("\r", "sep=;", "null", "1", "\ud800", "\0", "\ufeff", "*a", "&a", "  ", "'", "é"),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)
CONTENT = st.one_of(
    st.binary(max_size=200),
    st.lists(PIECES, max_size=30).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    ),
    st.lists(PIECES, max_size=30).map(
        lambda parts: "".join(parts).encode("utf-16", "surrogatepass")
    ),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(CONTENT, st.booleans())
@example(b"files:\n- !!python/name:os.system", False)
@example(b"\x1f\x8b\x08", True)
def test_any_file_is_captions_or_one_line_about_it(put, content, skip_invalid):
    path = put(content)
    for read in (merge, read_captions):
        with suppress(WsacError):
            read(path, skip_invalid=skip_invalid)
    with suppress(WsacError):
        read_labels(path)
    for role in ("candidates", "references"):
        with suppress(WsacError):
            read_table(path, role, Faults())
