"""``wsac download captions``: what it writes, and every failure on the way in one line."""

from __future__ import annotations

import json
import os
import re

import pytest

from miniatures.file_server import key_of, official_files, official_sites, wavcaps_files
from miniatures.hub_server import hub_in_process
from wsac.cli import main
from wsac.data.captions.caption_sets import CAPTION_SETS
from wsac.data.captions.corpus import read_captions
from wsac.types import CorpusError

CLOTHO, AUDIOCAPS, WAVCAPS = CAPTION_SETS.values()
FIRST = key_of(CLOTHO.files[0]["urls"][0])
SECOND = key_of(CLOTHO.files[0]["urls"][1])
MODEL = "datasets/cvssp/WavCaps/"


@pytest.fixture
def server(monkeypatch):
    with official_sites(monkeypatch) as made:
        yield made


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with hub_in_process(monkeypatch, tmp_path / "hub") as made:
        made.files |= wavcaps_files()
        made.revisions.add(WAVCAPS.revision)
        yield made


@pytest.fixture
def get(capsys, monkeypatch, tmp_path):
    """Run ``wsac download captions`` into ./captions; the exit code, stdout and the errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words, accept=True):
        code = main(["download", "captions", *words, *(["--accept-licences"] * accept)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, [line for line in err.splitlines() if line.startswith("error")]

    return run


def files_in(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_the_files_are_sorted_by_their_use(server, get, tmp_path):
    code, out, _ = get("clotho", "audiocaps", "--json")
    assert code == 0
    assert {row["file"]: row["captions"] for row in json.loads(out)} == {
        "train/clotho.csv": 20,
        "validation/clotho.csv": 20,
        "test/clotho.csv": 20,
        "train/audiocaps.csv": 12,
        "validation/audiocaps.csv": 12,
        "test/audiocaps.csv": 12,
    }
    folder = tmp_path / "captions"
    assert files_in(folder) == sorted([*official_files(), "sources.json"])
    for name, content in official_files().items():
        assert (folder / name).read_bytes() == content
    record = json.loads((folder / "sources.json").read_text())
    assert record["clotho"]["licence"] == CLOTHO.licence
    assert {row["source"] for row in record["audiocaps"]["files"]} == {
        file["urls"][0] for file in AUDIOCAPS.files
    }
    asked = len(server.requests)
    assert get("clotho", "audiocaps", accept=False)[0] == 0  # no question, nothing to be had again
    assert len(server.requests) == asked


def test_only_training_parts_are_named_for_training():
    assert {each.train.partition("/")[0] for each in CAPTION_SETS.values()} == {"train"}
    for each in (CLOTHO, AUDIOCAPS):
        parts = {file["path"].partition("/")[0]: file["urls"][:2] for file in each.files}
        assert all("development" in url or "train" in url for url in parts["train"])
        assert all("evaluation" in url or "test" in url for url in parts["test"])
        assert all(url.startswith("https://") for urls in parts.values() for url in urls)


def test_wavcaps_comes_without_the_clips_of_test_sets(hub, get, tmp_path):
    code, out, _ = get("wavcaps", "--json")
    assert code == 0
    [row] = json.loads(out)
    assert (row["captions"], row["left_out"]) == (37, 3)
    examples = read_captions(tmp_path / "captions" / "train" / "wavcaps.jsonl")
    clips = [example.clip for example in examples]
    assert "Y0000000003.wav" not in clips
    assert clips.count("104") == 2  # of BBC and SoundBible, which the blacklists do not name
    assert clips.count("107") == 2
    asked = len(hub.requests)
    assert get("wavcaps", "--json", accept=False)[1] == out
    assert len(hub.requests) == asked


def test_rows_of_wavcaps_at_fault_are_named(hub, get, tmp_path, capsys):
    name = f"{MODEL}{(WAVCAPS.sources or {})['BBC']}"
    rows = json.loads(hub.files[name])
    rows["data"][2]["caption"] = 3
    hub.files[name] = json.dumps(rows).encode()
    assert main(["download", "captions", "wavcaps", "--accept-licences", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["captions"] == 36
    assert "left out" in err
    assert "item 3" in err


def test_a_broken_download_is_resumed(server, get, tmp_path):
    server.cut.add(FIRST)
    code, _, errors = get("clotho")
    assert code == 1
    assert len(errors) == 1
    assert "it ended early" in errors[0]
    assert "the same command resumes it" in errors[0]
    assert files_in(tmp_path / "captions") == ["sources.json", "train/clotho.csv.part"]
    assert get("clotho")[0] == 0
    half = len(official_files()["train/clotho.csv"]) // 2
    assert (FIRST, f"bytes={half}-") in server.requests
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("left", [b"of another file", bytes(10_000)])
def test_what_is_left_of_another_file_does_no_harm(server, get, tmp_path, ranges, left):
    server.ranges = ranges
    part = tmp_path / "captions" / "train" / "clotho.csv.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    assert get("clotho")[0] == 0
    content = official_files()["train/clotho.csv"]
    assert (tmp_path / "captions" / "train" / "clotho.csv").read_bytes() == content
    assert not part.exists()


def test_a_server_without_ranges_leaves_nothing(server, get, tmp_path):
    server.ranges = False
    server.cut.add(FIRST)
    code, _, errors = get("clotho")
    assert code == 1
    assert "it ended early" in errors[0]
    assert files_in(tmp_path / "captions") == ["sources.json"]
    assert get("clotho")[0] == 0


def test_the_next_address_is_asked(server, get):
    server.files[SECOND] = server.files.pop(FIRST)
    assert get("clotho")[0] == 0
    assert [key for key, _ in server.requests[:2]] == [FIRST, SECOND]
    server.files[FIRST] = b"<html>we have moved</html>"
    assert get("clotho", "--out", "again")[0] == 0


def not_there(server, folder):
    del server.files[FIRST]


def other_content(server, folder):
    server.files[FIRST] += b"x"


def no_server(server, folder):
    os.environ["WSAC_MIRROR"] = "http://127.0.0.1:9"  # monkeypatch has noted it


def no_address(server, folder):
    os.environ["WSAC_MIRROR"] = "nowhere"


def a_file_in_place(server, folder):
    (folder / "captions").mkdir()
    (folder / "captions" / "train").write_bytes(b"")


def a_file_as_folder(server, folder):
    (folder / "captions").write_bytes(b"")


def another_file(server, folder):
    (folder / "captions" / "train").mkdir(parents=True)
    (folder / "captions" / "train" / "clotho.csv").write_bytes(b"file_name,caption_1")


def a_damaged_record(server, folder):
    (folder / "captions").mkdir()
    (folder / "captions" / "sources.json").write_text("[1]")


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (not_there, "cannot be downloaded; connect.*404"),
        (other_content, "not the published file"),
        (no_server, "clotho.csv: cannot be downloaded; connect, or get it by hand.*refused"),
        (no_address, "unknown url type"),
        (a_file_in_place, "cannot write"),
        (a_file_as_folder, "there is a file here; give --out a folder"),
        (another_file, "its SHA-256 is not the published one; delete it"),
        (a_damaged_record, "sources.json: not the file it should be"),
    ],
)
def test_every_failure_is_one_line(server, get, tmp_path, cause, words):
    cause(server, tmp_path)
    before = files_in(tmp_path)
    code, out, errors = get("clotho")
    assert (code, out, len(errors)) == (1, "", 1)
    assert re.search(words, errors[0]), errors[0]
    left = {*files_in(tmp_path)} - {*before, "captions/sources.json"}
    assert left == set()


def test_a_licence_is_shown_and_asked_for(server, get, monkeypatch, tmp_path, capsys):
    answers = []
    code, _, errors = get("clotho", accept=False)
    assert code == 1
    assert "read it, then give --accept-licences" in errors[0]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answers.append(1) or False)
    code, _, errors = get("clotho", accept=False)
    assert code == 1
    assert "its licence is not accepted; nothing is downloaded" in errors[0]
    assert not (tmp_path / "captions").exists()
    assert server.requests == []
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answers.append(1) or True)
    assert main(["download", "captions", "clotho"]) == 0
    err = capsys.readouterr().err
    assert CLOTHO.licence in err
    assert CLOTHO.terms in err
    assert main(["download", "captions", "clotho"]) == 0
    assert len(answers) == 2  # once declined, once accepted


@pytest.mark.slow
def test_the_hub_is_out_of_reach(hub, get, tmp_path):
    hub.server.shutdown()
    hub.server.server_close()
    code, _, errors = get("wavcaps")
    assert code == 1
    assert "the Hub cannot be reached; connect" in errors[0]
    assert files_in(tmp_path / "captions") == ["sources.json"]


def test_damage_on_the_way_from_the_hub(hub, get, tmp_path):
    hub.damaged.add(f"{MODEL}{WAVCAPS.blacklists[0]}")
    code, _, errors = get("wavcaps")
    assert code == 1
    assert "its checksum is not the published one" in errors[0]
    assert files_in(tmp_path / "captions") == ["sources.json"]
    hub.damaged.clear()
    assert get("wavcaps")[0] == 0


def test_names_that_do_not_exist(get):
    code, _, errors = get("clohto")
    assert code == 1
    assert "did you mean 'clotho'?" in errors[0]


def test_without_a_name_they_are_listed(get):
    code, out, _ = get("--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)] == ["clotho", "audiocaps", "wavcaps"]


@pytest.mark.parametrize("recipe", ["laion", "wavcaps", "msclap"])
def test_a_recipe_says_what_to_download(recipe, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--recipe", recipe, "--out", "run"]) == 1
    err = capsys.readouterr().err.strip()
    command = "wsac download captions clotho audiocaps wavcaps"
    assert err == f"error: captions/train/clotho.csv: not downloaded yet; first give: {command}"
    (tmp_path / "captions" / "train").mkdir(parents=True)
    for name in ("clotho.csv", "audiocaps.csv"):
        (tmp_path / "captions" / "train" / name).write_text("caption\nA dog barks\n")
    assert main(["train", "--recipe", recipe, "--out", "run"]) == 1
    assert capsys.readouterr().err.strip().endswith("first give: wsac download captions wavcaps")
    assert not (tmp_path / "run").exists()


def test_python_says_so_too(monkeypatch, tmp_path):
    from wsac.training.material import read_captions as read
    from wsac.training.recipe import CorpusOptions

    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match="first give: wsac download captions wavcaps --out own"):
        read(CorpusOptions(captions=("own/train/wavcaps.jsonl",)))
    with pytest.raises(CorpusError, match=r"mine\.csv: not found; check the path"):
        read(CorpusOptions(captions=("mine.csv",)))
