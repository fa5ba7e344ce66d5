"""Exports: each is read back by the library that it is for, with the same captions and sounds."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from miniatures.archives import write_archive
from wsac.archive.content import content_id
from wsac.archive.export import folder_formats, packed_formats
from wsac.archive.export.exporting import FORMATS, export_archive
from wsac.archive.export.fingerprints import copies_of
from wsac.data.datasets.id_lists import IdList
from wsac.types import RecipeError, WsacError

DIM = 16
COUNT = 5
NAMES = ("dog one.wav", "rain.WAV", "more/rain.wav", "Ä.flac", "bell.ogg")
CAPTIONS = ["A dog barks", "Rain", 'Rain, "hard", on a roof', "An engine", "A bell\trings"]


class Clap:
    """A text's embedding is a direction of its own."""

    def embed_text(self, captions):
        return np.stack([vector_of(caption) for caption in captions])


def vector_of(text):
    seed = int.from_bytes(text.encode()[:6].ljust(6), "big")
    vector = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
def sounds(tmp_path):
    """Files of several formats, channels and folders."""
    paths = []
    for i, name in enumerate(NAMES):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (4000 + 100 * i, 2) if i == 1 else 4000 + 100 * i
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, shape)
        soundfile.write(path, noise, 44_100 if i == 3 else 16_000)
        paths.append(path)
    return paths


@pytest.fixture
def rows(sounds):
    """What an archive says of them; and of four sounds that no export has."""
    rows = []
    for i, (path, caption) in enumerate(zip(sounds, CAPTIONS, strict=True)):
        row = {"path": str(path), "id": content_id(path), "caption": caption, "guess": ""}
        row |= {"size": path.stat().st_size, "seconds": (4000 + 100 * i) / 16_000}
        row |= {
            "confidence": 0.5 + i / 10,
            "embedding": vector_of(caption).astype(np.float16),
            "loudness": -20.0,
        }
        row |= {"extra": json.dumps({"License": "CC0" if i else "CC BY 4.0", "author": "Ann"})}
        rows.append(row)
    rows.append({"error": "no samples", "path": "/gone.wav"})
    rows.append(rows[0] | {"path": "/silent.wav", "silent": True, "caption": "Silence"})
    rows.append(rows[0] | {"path": "/unsure.wav", "caption": "", "guess": "A cat", "id": "a"})
    rows[-1]["confidence"] = 0.1
    rows.append(rows[0] | {"path": str(sounds[0]) + "x"})
    return rows


@pytest.fixture
def archive(rows, tmp_path):
    return write_archive(tmp_path / "archive", rows, dim=DIM)


@pytest.fixture
def export(archive, tmp_path):
    def call(name, **options):
        out = tmp_path / ("out.csv" if name == "csv" else "out")
        return out, export_archive(archive, name, out, Clap(), **options)

    return call


def samples_of(content, **options):
    return soundfile.read(io.BytesIO(content), **options)[0]


def check(sounds, captions, contents):
    """The captions and samples that were exported are those of the archive."""
    assert captions == CAPTIONS
    for path, samples in zip(sounds, contents, strict=True):
        np.testing.assert_array_equal(samples, soundfile.read(path)[0])


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_left_out_is_counted(name, export):
    out, summary = export(name)
    copied = name not in ("csv", "audacity")  # the others do not need the sounds
    gone = {"unreadable or changed": 1} if copied else {}
    expected = {"not captioned (error)": 1, "silent": 1, "without caption (unsure)": 1, **gone}
    assert summary.left_out == expected
    assert summary.rows == COUNT + (not copied)
    assert summary.licences == {"CC0": 4, "CC BY 4.0": 1 + (not copied)}
    assert bool(summary.error) == copied
    if name != "csv":
        card = json.loads((out / "export.json").read_text())
        assert card["left_out"] == expected
        assert card["captioner"] == "pocket"
        assert card["captioner_fingerprint"] == "m"


@pytest.mark.parametrize("name", FORMATS)
def test_equal_exports_are_equal(name, archive, tmp_path):
    contents = []
    for out in (tmp_path / "a", tmp_path / "b"):
        export_archive(archive, name, out, Clap())
        files = [out] if out.is_file() else sorted(filter(Path.is_file, out.rglob("*")))
        contents.append([(path.relative_to(out), path.read_bytes()) for path in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_is_whole_or_absent(name, archive, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    out = tmp_path / "new" / "out"
    monkeypatch.setattr(FORMATS[name], "close", fail)
    with pytest.raises(KeyboardInterrupt):
        export_archive(archive, name, out, Clap())
    assert list(out.parent.iterdir()) == []


def test_the_score_is_the_cosine_of_sound_and_caption(export, rows):
    out, _ = export("csv")
    with out.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["clap_score"] for row in table[:COUNT]] == ["1.0"] * COUNT
    assert [row["confidence"] for row in table[:COUNT]] == ["0.5", "0.6", "0.7", "0.8", "0.9"]
    assert [row["caption"] for row in table[:COUNT]] == CAPTIONS
    assert [row["path"] for row in table] == [r["path"] for r in (*rows[:COUNT], rows[-1])]
    assert [row["licence"] for row in table[:2]] == ["CC BY 4.0", "CC0"]
    assert json.loads(table[0]["extra"]) == {"License": "CC BY 4.0", "author": "Ann"}
    assert table[0]["captioner_fingerprint"] == "m"


def test_min_confidence_replaces_the_threshold_of_the_build(export):
    out, summary = export("csv", min_confidence=0.65)
    assert summary.left_out["below --min-confidence 0.65"] == 4
    assert summary.rows == 3
    out, summary = export("csv", min_confidence=0.1)
    assert "A cat" in out.read_text()  # which the build was too unsure of
    with pytest.raises(RecipeError, match="give a number from 0 to 1"):
        export("csv", min_confidence=50)


def test_webdataset_tars(export, sounds, monkeypatch):
    monkeypatch.setattr(packed_formats, "SHARD_BYTES", 10_000)
    out, _ = export("webdataset")
    captions, contents, facts = [], [], []
    assert len(list(out.glob("*.tar"))) > 1
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member).read()
                if member.name.endswith(".txt"):
                    captions.append(content.decode())
                elif member.name.endswith(".json"):
                    facts.append(json.loads(content))
                else:
                    contents.append(samples_of(content))
    check(sounds, captions, contents)
    assert facts[1]["extra"]["author"] == "Ann"
    assert facts[1]["licence"] == "CC0"


@pytest.mark.filterwarnings("ignore")  # of the library
def test_webdataset_reads_its_tars(export, sounds):
    webdataset = pytest.importorskip("webdataset", reason="needs webdataset")
    out, _ = export("webdataset")
    data = webdataset.WebDataset(str(out / "000000.tar"), shardshuffle=False)
    samples = list(data)
    sound = [next(s[x] for x in ("wav", "flac", "ogg") if x in s) for s in samples]
    check(sounds, [s["txt"].decode() for s in samples], map(samples_of, sound))
    assert json.loads(samples[0]["json"])["path"] == str(sounds[0])


def test_parquet_for_hugging_face(export, sounds, monkeypatch):
    monkeypatch.setattr(packed_formats, "GROUP_ROWS", 2)
    monkeypatch.setattr(packed_formats, "SHARD_BYTES", 10_000)
    out, _ = export("huggingface")
    files = sorted((out / "data").iterdir())
    assert files[-1].name == f"train-{len(files) - 1:05d}-of-{len(files):05d}.parquet"
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    contents = [samples_of(row["audio"]["bytes"]) for row in rows]
    check(sounds, [row["caption"] for row in rows], contents)
    assert [row["audio"]["path"] for row in rows] == [path.name for path in sounds]
    assert "CC0 (4)" in (out / "README.md").read_text()


def test_a_sound_that_is_too_large_for_a_cell(export, sounds, monkeypatch):
    sizes = sorted(path.stat().st_size for path in sounds)
    monkeypatch.setattr(packed_formats, "CELL_BYTES", sizes[2])
    _, summary = export("huggingface")
    assert summary.left_out["unreadable or changed"] == 3  # one is not there
    assert summary.rows == 3
    assert "export as webdataset instead" in summary.error


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the library
def test_datasets_reads_it(export, sounds, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs datasets (pip install datasets)")
    out, _ = export("huggingface")
    data = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(data.features["audio"], datasets.Audio)
    rows = list(data.cast_column("audio", datasets.Audio(decode=False)))
    contents = [samples_of(row["audio"]["bytes"]) for row in rows]
    check(sounds, [row["caption"] for row in rows], contents)
    assert [row["licence"] for row in rows] == ["CC BY 4.0", *["CC0"] * 4]


def lines_of(path):
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_manifests_for_lhotse(export, sounds):
    out, _ = export("lhotse")
    recordings = lines_of(out / "recordings.jsonl.gz")
    supervisions = lines_of(out / "supervisions.jsonl.gz")
    assert [s["text"] for s in supervisions] == CAPTIONS
    assert [r["sources"][0]["source"] for r in recordings] == list(map(str, sounds))
    assert [r["num_samples"] for r in recordings] == [4000 + 100 * i for i in range(COUNT)]
    assert recordings[1]["channel_ids"] == supervisions[1]["channel"] == [0, 1]
    assert supervisions[0]["custom"]["extra"]["author"] == "Ann"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lhotse_reads_them(export, sounds):
    lhotse = pytest.importorskip("lhotse", reason="needs lhotse (pip install lhotse)")
    out, _ = export("lhotse")
    recordings = lhotse.load_manifest(out / "recordings.jsonl.gz")
    supervisions = lhotse.load_manifest(out / "supervisions.jsonl.gz")
    lhotse.validate_recordings_and_supervisions(recordings, supervisions)
    cuts = lhotse.CutSet.from_manifests(recordings, supervisions)
    captions = [cut.supervisions[0].text for cut in cuts]
    contents = [np.squeeze(cut.load_audio()).T for cut in cuts]
    assert captions == CAPTIONS
    for path, samples in zip(sounds, contents, strict=True):
        np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32")[0])


def test_label_tracks_for_audacity(rows, tmp_path):
    rows[0]["spans"] = [{"start": 0.1, "end": 0.2, "text": "A bark", "confidence": 0.5}]
    archive = write_archive(tmp_path / "spans", rows, dim=DIM)
    export_archive(archive, "audacity", tmp_path / "out", Clap())
    text = (tmp_path / "out" / "dog one.txt").read_text()
    assert text == "0.000000\t0.250000\tA dog barks\n0.100000\t0.200000\tA bark\n"
    assert (tmp_path / "out" / "bell.txt").read_text().endswith("\tA bell rings\n")
    with (tmp_path / "out" / "labels.csv").open(newline="", encoding="utf-8") as file:
        table = {row["path"]: row["labels"] for row in csv.DictReader(file)}
    assert table[rows[1]["path"]] == "rain.txt"
    assert table[rows[2]["path"]] == "rain-2.txt"


def read_clotho(root):
    """What aac-datasets 0.7.0 does to read a Clotho, in functional/clotho.py and base.py."""
    folder = root / "CLOTHO_v2.1"
    sounds, tables = folder / "clotho_audio_files" / "development", folder / "clotho_csv_files"
    with (tables / "clotho_captions_development.csv").open(encoding="utf-8") as file:
        captions = {row["file_name"]: row for row in csv.DictReader(file)}
    path = tables / "clotho_metadata_development.csv"
    with path.open(encoding="iso-8859-1") as file:
        metadata = {row["file_name"]: row for row in csv.DictReader(file)}
    assert len(list(sounds.iterdir())) == len(captions)  # else it is "not prepared"
    assert list(metadata) == list(captions)
    keys = ("keywords", "sound_id", "sound_link", "start_end_samples", "manufacturer", "license")
    items = []
    for name, row in captions.items():
        content, rate = soundfile.read(sounds / name)
        assert rate == 44_100  # else: Invalid sample rate
        assert content.size
        item = {"audio": content, "captions": [row[f"caption_{i}"] for i in range(1, 6)]}
        items.append(item | {key: metadata[name][key] for key in keys})
    return items


def test_a_clotho_by_the_rules_of_aac_datasets(export, sounds):
    out, _ = export("aac-datasets")
    items = read_clotho(out)
    assert [item["captions"] for item in items] == [[caption] * 5 for caption in CAPTIONS]
    assert [item["license"] for item in items] == ["CC BY 4.0", *["CC0"] * 4]
    assert [item["sound_link"] for item in items][:3] == list(map(str, sounds[:3]))
    for path, item in zip(sounds, items, strict=True):
        content, rate = soundfile.read(path, always_2d=True)
        assert len(item["audio"]) == pytest.approx(len(content) * 44_100 / rate, abs=2)
        if rate == 44_100:  # copied
            np.testing.assert_array_equal(item["audio"], content[:, 0])
        power = np.square(content.mean(axis=1)).mean()
        assert np.square(item["audio"]).mean() == pytest.approx(power, rel=0.1)


@pytest.mark.filterwarnings("ignore")
def test_aac_datasets_reads_them(export):
    module = pytest.importorskip(
        "aac_datasets.datasets.functional.clotho", reason="pip install aac-datasets"
    )
    out, _ = export("aac-datasets")
    data = module.load_clotho_dataset(out, "dev")
    assert [captions[0] for captions in data["captions"]] == CAPTIONS
    assert data["license"] == ["CC BY 4.0", *["CC0"] * 4]


def test_a_sound_that_was_only_touched_stays(export, sounds):
    os.utime(sounds[0], (1, 1))
    assert export("webdataset")[1].rows == COUNT


def test_a_sound_that_has_changed_is_left_out(export, sounds):
    soundfile.write(sounds[0], np.zeros(4000), 16_000)
    _, summary = export("webdataset")
    assert summary.rows == COUNT - 1
    assert "not what was captioned; build the archive again" in summary.error


def test_errors_in_one_line(archive, export, tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'webdataset'"):
        export("webdatset")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(WsacError, match="there is something here already"):
        export("lhotse")
    with pytest.raises(WsacError, match=r"nothing to export \(7 below --min-confidence 1, "):
        export("csv", min_confidence=1.0)
    assert not (tmp_path / "out.csv").exists()


def test_evaluation_sounds_and_their_copies_are_left_out(export, sounds, tmp_path):
    (tmp_path / "ids.txt").write_text("Dog_One.mp3\n")
    ids = IdList(tmp_path / "ids.txt")
    (tmp_path / "held out").mkdir()
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, 40_000)
    soundfile.write(sounds[3], noise, 16_000)
    soundfile.write(tmp_path / "held out" / "test.ogg", 0.3 * noise[9_000:], 16_000)
    soundfile.write(tmp_path / "held out" / "other.wav", np.roll(noise, 5)[::-1], 16_000)
    row = {"path": str(sounds[3]), "id": content_id(sounds[3]), "caption": "An engine"}
    rows = [{"path": str(sounds[0]), "caption": "A dog"}, row]
    rows.append(row | {"path": str(sounds[4]), "id": content_id(sounds[4])})
    archive = write_archive(tmp_path / "other", rows, dim=DIM)
    filters = {
        "by_name": [lambda path: "in ids.txt" if path in ids else ""],
        "by_sound": [copies_of([str(tmp_path / "held out")])],
    }
    summary = export_archive(archive, "csv", tmp_path / "c.csv", Clap(), **filters)
    assert summary.left_out == {"in ids.txt": 1, "like sounds of --exclude-like": 1}
    assert summary.reasons() == "1 in ids.txt, 1 like sounds of --exclude-like"
    assert summary.rows == 1


def test_a_sound_that_is_too_long_for_a_wav_file(export, monkeypatch):
    monkeypatch.setattr(folder_formats, "LONGEST", 0.26)
    _, summary = export("aac-datasets")
    assert summary.rows == 3  # two are short, one is copied
    assert "too long for a WAV file" in summary.error
