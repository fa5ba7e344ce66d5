"""Building an archive, and building it again after files came, moved, changed or went."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from wsac.archive.archive_folder import Archive
from wsac.archive.build import BuildOptions
from wsac.archive.content import content_id
from wsac.types import RecipeError, WsacError


def rows_of(folder) -> dict[str, dict]:
    """Rows by the name of the file, which occurs once; the manifest has the same files."""
    rows = [row for table in Archive.open(folder).tables() for row in table.to_pylist()]
    by_name = {os.path.basename(row["path"]): row for row in rows}  # noqa: PTH119 (addresses)
    assert len(by_name) == len(rows)
    listed = pq.read_table(folder / "manifest.parquet")["path"].to_pylist()
    assert sorted(listed) == sorted(row["path"] for row in rows)
    return by_name


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "shards").iterdir()}


@pytest.mark.slow
def test_rows_are_what_the_captioner_says(tmp_path, build, make_sounds, captioner):
    sounds = make_sounds(tmp_path / "sounds", 6)
    soundfile.write(sounds / "silence.wav", np.zeros(24_000), 48_000)
    (sounds / "broken.wav").write_bytes(b"RIFF")
    summary = build()
    assert (summary.rows, summary.errors) == (8, 1)
    rows = rows_of(tmp_path / "archive")
    for i in range(6):
        path = sounds / f"{i:03d}.wav"
        row, caption = rows[path.name], captioner.caption(path)
        assert row["caption"] == caption.text
        assert row["logprob"] == pytest.approx(caption.logprob, abs=1e-4)
        assert row["seconds"] == 0.5
        assert row["id"] == content_id(path)
        assert row["size"] == path.stat().st_size
        embedding = captioner.embed(path).embedding.numpy()
        np.testing.assert_allclose(row["embedding"], embedding, atol=1e-3)
        samples = soundfile.read(path, dtype="float32")[0]
        rms, peak = np.sqrt(np.mean(samples**2)), np.abs(samples).max()
        assert row["loudness"] == pytest.approx(20 * np.log10(rms), abs=1e-3)
        assert row["peak"] == pytest.approx(20 * np.log10(peak), abs=1e-3)
    assert rows["silence.wav"]["caption"] == "Silence"
    assert rows["silence.wav"]["silent"]
    assert rows["silence.wav"]["loudness"] == -120
    assert rows["broken.wav"]["caption"] is None
    assert "broken.wav" in rows["broken.wav"]["error"]


def test_a_second_build_does_nothing(tmp_path, build, make_sounds):
    make_sounds(tmp_path / "sounds", 5)
    build()
    before = contents(tmp_path / "archive")
    summary = build()
    assert summary.rows == 0
    assert not any(summary.counts.values())
    assert contents(tmp_path / "archive") == before


def test_new_changed_moved_and_deleted_files(tmp_path, build, make_sounds):
    sounds = make_sounds(tmp_path / "sounds", 9)
    build()
    before = rows_of(tmp_path / "archive")
    make_sounds(sounds, 2, first=9)  # new
    (sounds / "deep").mkdir()
    (sounds / "000.wav").rename(sounds / "deep" / "moved.wav")
    (sounds / "001.wav").unlink()
    shutil.copy(sounds / "003.wav", sounds / "002.wav")  # changed, to the content of another
    os.utime(sounds / "004.wav", (1, 1))  # touched
    shutil.copy(sounds / "005.wav", sounds / "copy.wav")
    summary = build()
    assert summary.counts == {
        "new": 3,
        "changed": 1,
        "tried again": 0,
        "moved": 1,
        "deleted": 1,
        "absent": 0,
    }
    assert summary.rows == 4
    after = rows_of(tmp_path / "archive")
    names = {f"{i:03d}.wav" for i in range(2, 11)} | {"moved.wav", "copy.wav"}
    assert set(after) == names
    results = ("id", "caption", "embedding", "loudness")
    for new, old in (("moved.wav", "000.wav"), ("002.wav", "003.wav"), ("copy.wav", "005.wav")):
        assert [after[new][key] for key in results] == [before[old][key] for key in results]
    assert after["004.wav"]["mtime"].timestamp() == 1
    assert after["004.wav"]["caption"] == before["004.wav"]["caption"]
    assert not any(build().counts.values())


def test_what_is_not_in_this_input_and_still_there_stays(tmp_path, build, make_sounds):
    make_sounds(tmp_path / "a", 3)
    make_sounds(tmp_path / "b", 3, first=3)
    build(tmp_path / "a")
    assert build(tmp_path / "b").counts["absent"] == 3
    assert len(rows_of(tmp_path / "archive")) == 6
    shutil.rmtree(tmp_path / "a")
    assert build(tmp_path / "b").counts["deleted"] == 3
    assert set(rows_of(tmp_path / "archive")) == {"003.wav", "004.wav", "005.wav"}


def test_errors_are_tried_again_when_asked(tmp_path, build, make_sounds):
    sounds = make_sounds(tmp_path / "sounds", 3)
    content = (sounds / "001.wav").read_bytes()
    time = (sounds / "001.wav").stat()
    (sounds / "001.wav").write_bytes(bytes(len(content)))
    os.utime(sounds / "001.wav", ns=(time.st_atime_ns, time.st_mtime_ns))
    assert build().errors == 1
    (sounds / "001.wav").write_bytes(content)
    os.utime(sounds / "001.wav", ns=(time.st_atime_ns, time.st_mtime_ns))
    again = build()
    assert (again.rows, again.errors, again.standing) == (0, 0, 1)
    summary = build(retry_errors=True)
    assert (summary.rows, summary.errors, summary.counts["tried again"]) == (1, 0, 1)
    assert not any(row["error"] for row in rows_of(tmp_path / "archive").values())


def test_errors_of_an_earlier_build_are_told_again(tmp_path, run, make_sounds, model):
    sounds = make_sounds(tmp_path / "sounds", 2)
    (sounds / "000.wav").write_bytes(b"no sound")
    command = ("archive", "build", sounds, "--out", tmp_path / "a", "--model", model)
    for rows in (2, 0):
        code, _, err = run(*command, "--workers", 0)
        assert code == 1
        assert ("1 file captioned" in err) is bool(rows)
        assert (
            f"1 of 2 files could not be captioned; wsac archive stats {tmp_path}/a says why" in err
        )
    _, _, err = run("archive", "stats", tmp_path / "a")
    assert "000.wav: " in err.removeprefix("error: ")


def test_each_of_a_few_errors_is_told(tmp_path, run, make_sounds, model):
    sounds = make_sounds(tmp_path / "sounds", 3)
    for name in ("000.wav", "002.wav"):
        (sounds / name).write_bytes(b"no sound")
    command = ("archive", "build", sounds, "--out", tmp_path / "a", "--model", model)
    code, _, err = run(*command, "--workers", 0)
    assert code == 1
    assert [name in err for name in ("000.wav: ", "001.wav", "002.wav: ")] == [True, False, True]


def test_each_worker_has_memory():
    with pytest.raises(RecipeError, match="4 workers in so little memory"):
        BuildOptions(workers=4, max_memory=1 << 30)
    assert BuildOptions(workers=2, max_memory=1 << 30).count_workers() == 2


def test_a_list_keeps_its_other_columns(tmp_path, build, make_sounds):
    make_sounds(tmp_path / "sounds", 2)
    table = tmp_path / "list.csv"
    table.write_text("licence,file\nCC0,sounds/000.wav\n,sounds/001.wav\nCC0,sounds/000.wav\n")
    build(table)
    rows = rows_of(tmp_path / "archive")
    assert [json.loads(rows["000.wav"]["extra"]), rows["001.wav"]["extra"]] == [
        {"licence": "CC0"},
        "",
    ]
    table.write_text("licence,file\nCC BY,sounds/000.wav\n,sounds/001.wav\n")
    assert build(table).rows == 0
    assert json.loads(rows_of(tmp_path / "archive")["000.wav"]["extra"]) == {"licence": "CC BY"}


def test_addresses(tmp_path, build, make_sounds):
    import fsspec

    sounds = make_sounds(tmp_path / "sounds", 2)
    system = fsspec.filesystem("memory")
    for i, name in enumerate(("deep/a.wav", "b.wav", "notes.txt")):
        system.pipe(f"/store/{name}", (sounds / f"{i % 2:03d}.wav").read_bytes())
    system.pipe("/store/broken.wav", b"RIFF")
    assert build("memory://store").rows == 3
    rows = rows_of(tmp_path / "archive")
    assert rows["a.wav"]["path"] == "memory:///store/deep/a.wav"
    assert rows["a.wav"]["id"] == content_id(sounds / "000.wav")
    assert "memory:///store/broken.wav" in rows["broken.wav"]["error"]
    assert not any(build("memory://store").counts.values())
    system.rm("/store/b.wav")
    assert build("memory://store/**/*.wav").counts["deleted"] == 1


def test_tags_and_spans(tmp_path, build, make_sounds):
    make_sounds(tmp_path / "sounds", 2)
    build(labels=("dog", "rain"), spans=True)
    for row in rows_of(tmp_path / "archive").values():
        assert {tag["label"] for tag in row["tags"]} == {"dog", "rain"}
        assert isinstance(row["spans"], list)
        for span in row["spans"]:
            assert np.linalg.norm(span["embedding"]) == pytest.approx(1, abs=1e-2)


def no_column(build, folder):
    (folder / "list.csv").write_text("a,b\n1,2\n")
    build(folder / "list.csv")


def other_options(build, folder):
    build()
    build(spans=True)


def other_folder(build, folder):
    build(out=folder / "sounds")


def no_address(build, folder):
    build("memory://nothing/here")


def no_workers(build, folder):
    BuildOptions(workers=-1)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (no_column, "list.csv: no column that names sounds; call it one of path, file"),
        (other_options, "built with other options (--spans not given, now given); use the same"),
        (other_folder, "there is something here, and no archive; name a new folder"),
        (no_address, "memory://nothing/here: cannot list this"),
        (no_workers, "-1 workers: give 1 or more"),
    ],
)
def test_errors_say_what_to_do(tmp_path, build, make_sounds, cause, words):
    make_sounds(tmp_path / "sounds", 1)
    with pytest.raises(WsacError) as error:
        cause(build, tmp_path)
    assert words in str(error.value)


def test_a_new_archive_of_nothing_is_refused(tmp_path, build):
    with pytest.raises(WsacError, match="typo: not there; check the path"):
        build(tmp_path / "typo")
    with pytest.raises(WsacError, match=r"1.wav: not there \(nor are 1 others\)"):
        build(tmp_path / "1.wav", tmp_path / "2.wav")
    assert not (tmp_path / "archive").exists()


def test_an_archive_in_its_own_input_is_left_out(tmp_path, run, make_sounds, model):
    sounds = make_sounds(tmp_path / "sounds", 2)
    command = ("archive", "build", sounds, "--out", sounds / "deep" / "a", "--model", model)
    for _ in range(2):
        code, _, err = run(*command, "--workers", 0)
        assert code == 0, err
        assert "2 files" in err
        assert "skipped" not in err
