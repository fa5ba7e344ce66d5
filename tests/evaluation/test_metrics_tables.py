"""Files of candidates and references: common layouts, and sixty broken ones that give no score."""

from __future__ import annotations

import gzip
import json
import math

import pytest

from wsac.evaluation.pairing import digest, read_pairs
from wsac.types import CorpusError

GOOD = "file,caption\na.wav,A dog barks\nb.wav,Rain falls\n"
REFERENCES = "file_name,caption_1,caption_2\na.wav,A dog is barking,Barking\nb.wav,It rains,Rain\n"
COCO = {
    "images": [{"id": 1, "file_name": "a.wav"}, {"id": 2, "file_name": "b.wav"}],
    "annotations": [
        {"id": 10, "image_id": 1, "caption": "A dog is barking"},
        {"id": 11, "image_id": 2, "caption": "It rains"},
        {"id": 12, "image_id": 1, "caption": "Barking"},
        {"id": 13, "image_id": 2, "caption": "Rain"},
    ],
}
RESULTS = [{"image_id": 1, "caption": "A dog barks"}, {"image_id": 2, "caption": "Rain falls"}]


def third(caption):
    """COCO's results with a third row."""
    return [*RESULTS, {"image_id": 3, "caption": caption}]


@pytest.fixture
def write(tmp_path):
    """Write text, bytes or a JSON value; returns the path."""

    def call(name, content):
        path = tmp_path / name
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        path.write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        )
        return path

    return call


def plain(pairs):
    return {item.id.rpartition("/")[2]: (item.candidate, item.references) for item in pairs.items}


EXPECTED = {
    "a.wav": ("A dog barks", ("A dog is barking", "Barking")),
    "b.wav": ("Rain falls", ("It rains", "Rain")),
}

CANDIDATE_LAYOUTS = {
    "csv": GOOD,
    "bom": "\ufeff" + GOOD,
    "crlf": GOOD.replace("\n", "\r\n"),
    "semicolons": GOOD.replace(",", ";"),
    "tabs": GOOD.replace(",", "\t"),
    "index column": ",file,caption\n0,a.wav,A dog barks\n1,b.wav,Rain falls\n",
    "other columns": "file,caption,logp,notes\na.wav,A dog barks,-1.5,\nb.wav,Rain falls,-2,\n\n",
    "capitals": GOOD.replace("file,caption", "File_Name, Caption"),
    "quoted": 'file,caption\n"a.wav","A dog barks"\nb.wav,Rain falls\n',
    "gzip": gzip.compress(GOOD.encode()),
    "utf-16": GOOD.encode("utf-16"),
    "jsonl": (
        '{"file": "a.wav", "caption": "A dog barks"}\n\n'
        '{"file": "b.wav", "caption": "Rain falls"}\n'
    ),
    "wsac caption --json": [
        {
            "file": "sounds/a.wav",
            "caption": "A dog barks",
            "logprob": -1.0,
            "start": 0.0,
            "end": 5.0,
            "notes": [],
        },
        {
            "file": "sounds/b.wav",
            "caption": "Rain falls",
            "logprob": -1.0,
            "start": 0.0,
            "end": 5.0,
            "notes": [],
        },
    ],
    "wsac caption --jsonl": (
        '{"file": "sounds/a.wav", "caption": "A dog barks", "logprob": -1.0, "error": ""}\n'
        '{"file": "sounds/b.wav", "caption": "Rain falls", "logprob": -1.0, "error": ""}\n'
    ),
    "ids to captions": {"a.wav": "A dog barks", "b.wav": "Rain falls"},
    "data": {
        "data": [
            {"id": "a.wav", "caption": "A dog barks"},
            {"id": "b.wav", "caption": "Rain falls"},
        ]
    },
    "prediction": "fname,prediction,references\na.wav,A dog barks,x\nb.wav,Rain falls,y\n",
}
REFERENCE_LAYOUTS = {
    "clotho": REFERENCES,
    "long": "file,caption\na.wav,A dog is barking\nb.wav,It rains\na.wav,Barking\nb.wav,Rain\n",
    "list in a cell": (
        'file,references\na.wav,"[""A dog is barking"", ""Barking""]"\n'
        'b.wav,"[""It rains"", ""Rain""]"\n'
    ),
    "list in json": [
        {"id": "a.wav", "references": ["A dog is barking", "Barking"]},
        {"id": "b.wav", "references": ["It rains", "Rain"]},
    ],
    "ids to lists": {"a.wav": ["A dog is barking", "Barking"], "b.wav": ["It rains", "Rain"]},
    "coco": COCO,
    "jsonl": "\n".join(
        json.dumps({"clip": c, "ref_1": a, "ref_2": b}) for c, (_, (a, b)) in EXPECTED.items()
    ),
}


@pytest.mark.parametrize("name", CANDIDATE_LAYOUTS)
def test_candidates_are_read_in_many_layouts(write, name):
    pairs = read_pairs(write("c", CANDIDATE_LAYOUTS[name]), write("r.csv", REFERENCES))
    assert plain(pairs) == EXPECTED
    assert pairs.skipped == {}


@pytest.mark.parametrize("name", REFERENCE_LAYOUTS)
def test_references_are_read_in_many_layouts(write, name):
    assert plain(read_pairs(write("c.csv", GOOD), write("r", REFERENCE_LAYOUTS[name]))) == EXPECTED


def test_coco_results_and_annotations_share_ids(write):
    pairs = read_pairs(write("c.json", RESULTS), write("r.json", COCO))
    assert [item.id for item in pairs.items] == ["1", "2"]
    assert [item.references for item in pairs.items] == [one[1] for one in EXPECTED.values()]
    assert pairs.notes == ()


def test_names_are_matched_without_folders_only_where_none_is_equal(write):
    pairs = read_pairs(
        write("c.csv", GOOD.replace("a.wav", "x/a.wav").replace("b.wav", "y\\b.wav")),
        write("r.csv", REFERENCES),
    )
    assert [item.id for item in pairs.items] == ["a.wav", "b.wav"]
    assert pairs.notes == ("sounds matched by file name without folder",)
    spaced = read_pairs(
        write("c.csv", GOOD),
        write("r.csv", REFERENCES.replace("a.wav", " a.wav").replace("b.wav", "z/b.wav")),
    )
    assert len(spaced.items) == 2
    with pytest.raises(CorpusError, match=r"no caption for: 'b.wav'.*no references for: 'x/b.wav'"):
        read_pairs(write("c.csv", GOOD.replace("b.wav", "x/b.wav")), write("r.csv", REFERENCES))
    with pytest.raises(CorpusError, match="no references for"):  # x/a.wav and y/a.wav would be one
        read_pairs(
            write("c.csv", "file,caption\nx/a.wav,A dog\ny/a.wav,Rain\n"),
            write("r.csv", REFERENCES),
        )


def test_sounds_are_found_by_id_or_in_a_folder(write, tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.wav", "deep/b.wav"):
        (tmp_path / name).touch()
    pairs = read_pairs(write("c.csv", GOOD.replace("b.wav", "deep/b.wav")), audio=tmp_path)
    assert [item.audio for item in pairs.items] == [
        str(tmp_path / "a.wav"),
        str(tmp_path / "deep/b.wav"),
    ]
    pairs = read_pairs(write("c.csv", GOOD.replace("a.wav", str(tmp_path / "a.wav"))))
    assert [item.audio for item in pairs.items] == [str(tmp_path / "a.wav"), None]
    assert [item.references for item in pairs.items] == [(), ()]
    pairs = read_pairs(write("c.csv", GOOD.replace("a.wav", "a" * 5000)))
    assert pairs.items[0].audio is None


# name: (candidates, references, what the error says)
FILE_FAULTS = {
    "empty file": ("", REFERENCES, "c: the file is empty"),
    "header alone": ("file,caption\n", REFERENCES, "c: no rows"),
    "empty list": ([], REFERENCES, "c: no rows"),
    "no header": (
        "a.wav,A dog barks\nb.wav,Rain falls\n",
        REFERENCES,
        "c: .*no column that names the sounds",
    ),
    "no id column": (
        "caption,score\nA dog,1\nRain,2\n",
        REFERENCES,
        "c: .*names the sounds among 'caption', 'score'",
    ),
    "no caption column": (
        "file,score\na.wav,1\nb.wav,2\n",
        REFERENCES,
        "c: no caption among 'file', 'score'",
    ),
    "references for candidates": (
        REFERENCES,
        REFERENCES,
        "c: 2 captions a row, which are references",
    ),
    "no references column": (GOOD, "file,score\na.wav,1\nb.wav,2\n", "r: no references among"),
    "two caption columns": (
        "file,caption,caption\na.wav,A,B\n",
        REFERENCES,
        "c: line 1: .*called 'caption'",
    ),
    "columns equal but for capitals": (
        "file,Caption,caption\na.wav,A,B\n",
        REFERENCES,
        "c: line 1: .*'caption'",
    ),
    "an open quote": (
        'file,caption\na.wav,"A dog barks\nb.wav,Rain falls\n',
        REFERENCES,
        "c: line 2: broken CSV",
    ),
    "a stray quote": (
        'file,caption\na.wav,"A dog" barks\nb.wav,Rain falls\n',
        REFERENCES,
        "c: line 2: broken CSV",
    ),
    "truncated json": (json.dumps(RESULTS)[:-9], REFERENCES, "c: line 1: not valid JSON"),
    "truncated jsonl": (
        '{"id": "a.wav", "caption": "A"}\n{"id": "b.w',
        REFERENCES,
        "c: line 2: not valid JSON",
    ),
    "a key twice": (
        '[{"id": "a.wav", "caption": "A", "caption": "B"}]',
        REFERENCES,
        "c: .*'caption' twice",
    ),
    "a list of sentences": (["A dog barks", "Rain"], REFERENCES, "c: no column that names"),
    "nested too deep": ("[" * 100_000, REFERENCES, "c: not usable JSON"),
    "windows-1252": (
        "file,caption\na.wav,caf\u00e9\n".encode("cp1252"),
        REFERENCES,
        "c: line 2: not UTF-8",
    ),
    "utf-16 cut short": (GOOD.encode("utf-16")[:-1], REFERENCES, "c: line [0-9]+: not UTF-16"),
    "binary": (b"RIFF\0\0\0\0WAVEfmt ", REFERENCES, "c: looks like a WAV"),
    "half a gzip": (gzip.compress(GOOD.encode())[:-9], REFERENCES, "c: the gzip file is cut short"),
    "an evaluation for candidates": (
        {"format": 1, "metrics": {}, "per_item": []},
        REFERENCES,
        "no column that names",
    ),
    "nothing in common": (
        GOOD.replace(".wav", "x.wav"),
        REFERENCES,
        "'a.wav', 'b.wav';.*nothing is left",
    ),
}


@pytest.mark.parametrize("skip_invalid", [False, True])
@pytest.mark.parametrize("name", FILE_FAULTS)
def test_a_broken_file_is_an_error(write, name, skip_invalid):
    candidates, references, what = FILE_FAULTS[name]
    with pytest.raises(CorpusError, match=what) as caught:
        read_pairs(write("c", candidates), write("r", references), skip_invalid=skip_invalid)
    assert "\n" not in str(caught.value)


THREE = "file,caption\na.wav,A dog barks\nb.wav,Rain falls\n"  # and a third row, which is wrong
THIRD = REFERENCES + "c.wav,Wind,It blows\n"
# name: (candidates, references, what the error says, items left without the rows at fault)
ROW_FAULTS = {
    "empty caption": (THREE + "c.wav,\n", THIRD, "c: an empty caption: line 4", 2),
    "blank caption": (THREE + 'c.wav,"  "\n', THIRD, "c: an empty caption: line 4", 2),
    "nan": (THREE + "c.wav,nan\n", THIRD, "c: 'nan' in place of a caption: line 4", 2),
    "None": (THREE + "c.wav,None\n", THIRD, "c: 'None' in place of a caption: line 4", 2),
    "no words": (THREE + "c.wav,...\n", THIRD, "c: a caption without words: line 4", 2),
    "replacement characters": (
        THREE + "c.wav,caf\ufffd\n",
        THIRD,
        "c: a caption with broken characters: line 4",
        2,
    ),
    "UTF-8 twice": (
        THREE + "c.wav,dog\u00e2\u20ac\u2122s\n",
        THIRD,
        "c: a caption with broken characters: line 4",
        2,
    ),
    "control characters": (
        THREE + "c.wav,dog\x01\n",
        THIRD,
        "c: a caption with broken characters: line 4",
        2,
    ),
    "a missing column": (
        THREE + "c.wav\n",
        THIRD,
        "c: a row without the 2 columns of the header: line 4",
        2,
    ),
    "a comma too many": (
        THREE + "c.wav,Wind, and rain\n",
        THIRD,
        "c: a row without the 2 columns.*: line 4",
        2,
    ),
    "rows swallowed by quotes": (
        THREE + 'c.wav,"Wind\nd.wav,Snow"\n',
        THIRD,
        "c: a caption of several lines",
        2,
    ),
    "no id": (THREE + ",Wind\n", REFERENCES, "c: no file: line 4", 2),
    "nan for an id": (THREE + "nan,Wind\n", REFERENCES, "c: no file: line 4", 2),
    "an id twice": (
        THREE + "b.wav,Wind\n",
        REFERENCES,
        r"c: an id .* once: line 3 \(b.wav\), line 4 \(b.wav\)",
        1,
    ),
    "windows of a file": (
        [
            {"file": f, "caption": "A dog", "start": s}
            for f, s in (("a.wav", 0), ("b.wav", 0), ("b.wav", 5))
        ],
        REFERENCES,
        "c: an id that occurs more than once: item 2 .b.wav., item 3 .b.wav.",
        1,
    ),
    "an unknown id": (THREE + "x.wav,Wind\n", REFERENCES, "r: no references for: 'x.wav'", 2),
    "a missing id": (GOOD, THIRD, "c: no caption for: 'c.wav'", 2),
    "a caption that is null": (third(None), COCO, "null in place of a caption: item 3", 2),
    "a caption that is a number": (third(7), COCO, "a number in place .*: item 3", 2),
    "a caption that is NaN": (json.dumps(third(math.nan)), COCO, "a number in place", 2),
    "a caption that is true": (third(True), COCO, "a truth value in place", 2),
    "a caption that is a list": (third(["a"]), COCO, "a list in place", 2),
    "a caption that is an object": (third({"a": 1}), COCO, "an object in place", 2),
    "half a surrogate pair": (json.dumps(third("dog \ud83d")), COCO, "broken characters", 2),
    "no caption key": (
        [*RESULTS, {"image_id": 3}],
        COCO,
        "c: null in place of a caption: item 3",
        2,
    ),
    "an id that is a fraction": (
        [*RESULTS, {"image_id": 3.5, "caption": "A"}],
        COCO,
        "c: no image_id: item 3",
        2,
    ),
    "an id that is true": (
        [*RESULTS, {"image_id": True, "caption": "A"}],
        COCO,
        "c: no image_id: item 3",
        2,
    ),
    "an id that is null": (
        [*RESULTS, {"image_id": None, "caption": "A"}],
        COCO,
        "c: no image_id: item 3",
        2,
    ),
    "no object": ([*RESULTS, "A dog"], COCO, "c: no object with an id and a caption: item 3", 2),
    "an empty reference of a long table": (
        GOOD,
        "file,caption\na.wav,A dog\nb.wav,It rains\nb.wav,\n",
        "r: an empty caption: line 4",
        2,
    ),
    "no reference of a sound": (
        GOOD,
        REFERENCES.replace("It rains,Rain", ","),
        "empty caption: line 3;",
        1,
    ),
    "references of an id twice": (
        GOOD,
        REFERENCES + "b.wav,Wind,Snow\n",
        "r: an id that .* once: line 3",
        1,
    ),
    "a reference that is a number": (
        GOOD,
        {"a.wav": ["A dog"], "b.wav": ["Rain", 3]},
        "r: a number .*: item 2",
        2,
    ),
    "no references in a list": (
        GOOD,
        {"a.wav": ["A dog"], "b.wav": []},
        "r: an empty caption: item 2",
        1,
    ),
    "a list as Python writes it": (
        GOOD,
        'file,references\na.wav,"[""A dog""]"\nb.wav,"[\'Rain\', \'Wet\']"\n',
        "no JSON list .*: line 3",
        1,
    ),
    "an annotation of no image": (
        RESULTS,
        {"annotations": [*COCO["annotations"], {"image_id": 3, "caption": "Wind"}]},
        "no caption for: '3'",
        2,
    ),
    "an image without annotation": (
        [*RESULTS, {"image_id": 4, "caption": "Wind"}],
        COCO,
        "no references for: '4'",
        2,
    ),
}


def test_there_are_enough_of_them():
    assert len(FILE_FAULTS) + len(ROW_FAULTS) >= 50


@pytest.mark.parametrize("name", ROW_FAULTS)
def test_a_broken_row_is_an_error_or_counted(write, name):
    candidates, references, what, left = ROW_FAULTS[name]
    paths = write("c", candidates), write("r", references)
    with pytest.raises(CorpusError, match=what) as caught:
        read_pairs(*paths)
    assert "--skip-invalid" in str(caught.value)
    assert "\n" not in str(caught.value)
    pairs = read_pairs(*paths, skip_invalid=True)
    assert len(pairs.items) == left
    assert sum(pairs.skipped.values()) >= 1
    assert all(item.candidate and all(item.references) for item in pairs.items)


def test_an_error_names_every_place(write):
    rows = "file,caption\n" + "".join(f"{i}.wav,\n" for i in range(40)) + "x.wav,A dog\n"
    with pytest.raises(CorpusError, match="an empty caption: line 2-41;"):
        read_pairs(write("c", rows), write("r", "file,caption\nx.wav,A dog\n"))
    pairs = read_pairs(
        write("c", rows), write("r", "file,caption\nx.wav,A dog\n"), skip_invalid=True
    )
    assert list(pairs.skipped.values()) == [40]


def test_a_reference_at_fault_leaves_the_others(write):
    pairs = read_pairs(
        write("c", GOOD), write("r", REFERENCES.replace("Barking", "nan")), skip_invalid=True
    )
    assert [item.references for item in pairs.items] == [
        ("A dog is barking",),
        ("It rains", "Rain"),
    ]
    whole = read_pairs(write("c", GOOD), write("r", REFERENCES))
    assert digest(pairs.items) != digest(whole.items)


def test_missing_files_are_errors(tmp_path, write):
    with pytest.raises(CorpusError, match="not found"):
        read_pairs(tmp_path / "none.csv")
    with pytest.raises(CorpusError, match="is a folder"):
        read_pairs(write("c", GOOD), tmp_path)
