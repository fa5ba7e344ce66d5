"""Captions are joined with the right references and the right sounds, or with none."""

from __future__ import annotations

import pytest

from wsac.evaluation.pairing import read_pairs
from wsac.evaluation.results import load
from wsac.types import CorpusError, WsacError


@pytest.fixture
def put(tmp_path):
    def call(name, content=""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    return call


def table(*ids, captions="A dog"):
    return "file,caption\n" + "".join(f"{key},{captions}\n" for key in ids)


def sounds_of(put, tmp_path, ids, files, **options):
    for name in files:
        put(f"audio/{name}", "RIFF")
    pairs = read_pairs(put("c.csv", table(*ids)), audio=tmp_path / "audio", **options)
    places = [item.audio and item.audio.partition("audio/")[2] for item in pairs.items]
    return dict(zip((item.id for item in pairs.items), places, strict=True)), pairs


@pytest.mark.parametrize(
    ("ids", "files", "expected"),
    [
        (["a.wav", "b.wav"], ["x/a.wav", "y/z/b.wav"], ["x/a.wav", "y/z/b.wav"]),
        (["x/a.wav", "y/a.wav"], ["x/a.wav", "y/a.wav", "a.wav"], ["x/a.wav", "y/a.wav"]),
        (["set/x/a.wav"], ["x/a.wav", "y/a.wav"], ["x/a.wav"]),
        (["x/a.flac"], ["x/a.wav", "y/a.flac"], ["x/a.wav"]),
        (["a", "b.mp3"], ["a.wav", "s/b.flac"], ["a.wav", "s/b.flac"]),
        (["r1nicOVtvkQ"], ["test/Yr1nicOVtvkQ_130_140.wav"], ["test/Yr1nicOVtvkQ_130_140.wav"]),
        (["Yr1nicOVtvkQ.flac"], ["r1nicOVtvkQ.wav"], ["r1nicOVtvkQ.wav"]),
        (["a.wav", "none.wav"], ["a.wav"], ["a.wav", None]),
    ],
)
def test_each_caption_gets_its_own_sound(put, tmp_path, ids, files, expected):
    places, pairs = sounds_of(put, tmp_path, ids, files)
    assert list(places.values()) == expected
    note = "1 of 2 sounds are not under"
    assert any(note in line for line in pairs.notes) == (None in expected)


@pytest.mark.parametrize(
    ("ids", "files", "words"),
    [
        (["a.wav", "b.wav"], ["x/a.wav", "y/a.wav", "b.wav"], "'a.wav': x/a.wav or y/a.wav?"),
        (["x/a.wav", "y/a.wav", "b.wav"], ["a.wav", "b.wav"], "only a.wav, which fits several"),
        (["a.wav", "x/a.wav", "b.wav"], ["a.wav", "b.wav"], "only a.wav, which fits several"),
    ],
)
def test_no_caption_is_scored_with_another_sound(put, tmp_path, ids, files, words):
    with pytest.raises(CorpusError) as caught:
        sounds_of(put, tmp_path, ids, files)
    assert words in str(caught.value)
    places, pairs = sounds_of(put, tmp_path, ids, files, skip_invalid=True)
    assert places["b.wav"] == "b.wav"
    assert "x/a.wav" not in places
    assert sum(pairs.skipped.values()) >= 1


@pytest.mark.parametrize(
    ("ids", "references", "how"),
    [
        (["a.flac", "b"], ["a.wav", "x/b.wav"], "file name without folder and suffix"),
        (["Yr1nicOVtvkQ.wav"], ["r1nicOVtvkQ"], "YouTube video"),
        (["Yr1nicOVtvkQ_30_40.wav"], ["r1nicOVtvkQ_30"], "YouTube video and start"),
    ],
)
def test_ids_are_matched_by_other_names_and_a_note_says_so(put, ids, references, how):
    pairs = read_pairs(put("c.csv", table(*ids)), put("r.csv", table(*references, captions="Dog")))
    assert len(pairs.items) == len(ids)
    assert [item.references for item in pairs.items] == [("Dog",)] * len(ids)
    assert any(note.startswith(f"sounds matched by {how}") for note in pairs.notes)


def test_rows_may_have_fewer_references(put):
    rows = "file,ref_1,ref_2,ref_3\na.wav,One,Two,Three\nb.wav,One\nc.wav,One,,Three\n"
    pairs = read_pairs(put("c.csv", table("a.wav", "b.wav", "c.wav")), put("r.csv", rows))
    assert [item.references for item in pairs.items] == [
        ("One", "Two", "Three"),
        ("One",),
        ("One", "Three"),
    ]
    assert pairs.skipped == {}


def test_files_of_other_tools_are_scored(put):
    one = put("one.json", '{"cands": ["A dog", "Sea"], "mrefs": [["Dog", "A bark"], ["The sea"]]}')
    rows = put("rows.csv", 'cands,mrefs\nA dog,"[""Dog"", ""A bark""]"\nSea,"[""The sea""]"\n')
    for path in (one, rows):
        pairs = read_pairs(path, path)
        assert [item.candidate for item in pairs.items] == ["A dog", "Sea"]
        assert [item.references for item in pairs.items] == [("Dog", "A bark"), ("The sea",)]
    dcase = put("dcase.csv", "file_name,caption_predicted\na.wav,A dog\n")
    named = put("named.csv", "file_name;Beschreibung\na.wav;A dog\n")
    assert read_pairs(dcase).items[0].candidate == "A dog"
    assert read_pairs(named, column="Beschreibung").items[0].candidate == "A dog"


def test_a_repeated_header_is_no_caption_to_be_scored(put):
    pairs = read_pairs(put("c.csv", table("a.wav") + table("b.wav")))
    assert [item.id for item in pairs.items] == ["a.wav", "b.wav"]
    assert [*pairs.skipped.values()] == [1]


def test_an_evaluation_that_is_not_there(tmp_path):
    for path, words in ((tmp_path / "nope.json", "not found; name a file"), (tmp_path, "folder")):
        with pytest.raises(WsacError, match=words):
            load(path)
