"""Clotho, AudioCaps and plain folders in the layouts that people have on disk, in miniature."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from wsac.data.datasets import layouts as datasets
from wsac.data.datasets.folders import Sounds, Tree
from wsac.data.datasets.layouts import CLOTHO_COUNTS, find_dataset
from wsac.types import AudioError, CorpusError

CLOTHO = ["Santa Motor.wav", " Ambience Birds.wav", "FR.CTC.08.CoyuyoS.001.wav"]
VIDEOS = [("vfY_TJq7n_U", "130"), ("-0SdAVK79lg", "30"), ("Y_YyxZU08rk", "0")]


@pytest.fixture(autouse=True)
def small_counts(monkeypatch):
    """Three recordings are a whole split here."""
    monkeypatch.setattr(datasets, "CLOTHO_COUNTS", dict.fromkeys(CLOTHO_COUNTS, 3))
    monkeypatch.setattr(
        datasets, "AUDIOCAPS_COUNTS", dict.fromkeys(("train", "val", "test"), (3, 7))
    )


def sounds(folder: Path, *names: str, content: bytes = b"RIFF") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content)


def table(path: Path, header: list[str], *rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def clotho_table(folder: Path, split: str = "evaluation", names: list[str] = CLOTHO) -> Path:
    header = ["file_name", *(f"caption_{i}" for i in range(1, 6))]
    rows = [[name, *(f"{name}, caption {i}." for i in range(1, 6))] for name in names]
    return table(folder / f"clotho_captions_{split}.csv", header, *rows)


def audiocaps_table(folder: Path, split: str = "test") -> Path:
    rows = [
        [str(i), *VIDEOS[i % 3], f"Caption {i}"] for i in range(15)
    ]  # five a clip, not side by side
    return table(
        folder / f"{split}.csv", ["audiocap_id", "youtube_id", "start_time", "caption"], *rows
    )


@pytest.mark.parametrize(
    ("captions", "audio"),
    [
        (".", "evaluation"),  # as the archives unpack
        (".", "clotho_audio_evaluation/evaluation"),  # each archive in a folder of its name
        ("clotho_csv_files", "clotho_audio_files/evaluation"),  # aac-datasets
        ("CLOTHO_v2.1/clotho_csv_files", "CLOTHO_v2.1/clotho_audio_files/evaluation"),
        (".", "waveforms/test"),
        (".", "."),
    ],
)
def test_clotho_in_every_layout(tmp_path, captions, audio):
    clotho_table(tmp_path / captions)
    sounds(tmp_path / audio, *CLOTHO)
    found = find_dataset("clotho", tmp_path, "test")
    assert [item.id for item in found.items] == CLOTHO
    assert [Path(item.audio) for item in found.items] == [
        tmp_path / audio / name for name in CLOTHO
    ]
    assert found.items[0].references == tuple(f"Santa Motor.wav, caption {i}." for i in range(1, 6))
    assert found.problems == ()
    assert (found.name, found.split, found.listed) == ("clotho", "test", 3)


@pytest.mark.parametrize("split", ["development", "dev", "Train"])
def test_splits_have_the_names_that_papers_give_them(tmp_path, split):
    clotho_table(tmp_path, "development")
    sounds(tmp_path / "development", *CLOTHO)
    assert find_dataset("clotho", tmp_path, split).split == "train"


def test_a_split_takes_no_sound_of_another(tmp_path):
    clotho_table(tmp_path)
    sounds(tmp_path / "development", *CLOTHO)
    with pytest.raises(AudioError, match="none of the 3 recordings of Clotho evaluation is here"):
        find_dataset("clotho", tmp_path, "test")
    sounds(tmp_path / "evaluation", *CLOTHO)
    assert {
        Path(item.audio).parent.name for item in find_dataset("clotho", tmp_path, "test").items
    } == {"evaluation"}


def test_names_that_a_file_system_changed_are_found(tmp_path):
    clotho_table(
        tmp_path,
        names=["raindrops on metal: police background.wav", " Ambience Birds.wav", "Café.wav"],
    )
    sounds(
        tmp_path / "evaluation",
        "raindrops on metal_police background.flac",
        "Ambience Birds.wav",
        "Cafe\u0301.wav",
    )
    found = find_dataset("clotho", tmp_path)
    assert len(found.items) == 3
    assert found.problems == ()


def test_an_incomplete_clotho_says_what_is_missing(tmp_path):
    clotho_table(tmp_path, names=[*CLOTHO, "more.wav"])
    sounds(tmp_path / "evaluation", CLOTHO[0], CLOTHO[2])
    sounds(tmp_path / "evaluation", "more.wav", content=b"")
    found = find_dataset("clotho", tmp_path)
    assert len(found.items) == 2
    missing, empty, count = found.problems
    assert missing.startswith(
        "2 of 4 recordings are missing, such as  Ambience Birds.wav; unpack them again: get clotho"
    )
    assert "1 sound files are empty" in empty
    assert "lists 4 recordings, Clotho evaluation has 3" in count


def test_what_to_do_about_clotho(tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        find_dataset("clotho", tmp_path / "nothing")
    with pytest.raises(
        CorpusError, match=r"no clotho_captions_evaluation\.csv; get it from https://zenodo"
    ):
        find_dataset("clotho", tmp_path)
    clotho_table(tmp_path)
    (tmp_path / "clotho_audio_evaluation.7z").write_bytes(b"7z")
    with pytest.raises(AudioError, match=r"7z x .*clotho_audio_evaluation\.7z"):
        find_dataset("clotho", tmp_path)
    with pytest.raises(CorpusError, match="holdout: no split of clotho; choose train, val, test"):
        find_dataset("clotho", tmp_path, "holdout")
    with pytest.raises(CorpusError, match="choose clotho, audiocaps or folder"):
        find_dataset("macs", tmp_path)


@pytest.mark.parametrize(
    "form",
    [
        "{0}.wav",
        "Y{0}.wav",
        "{0}_{1}.flac",
        "{0}_{1}_{2}.wav",
        "Y{0}_{1}_{2}.mp3",
        "{0}_{1}000_{2}000.wav",
        "{0}_{1}.000.wav",
    ],
)
@pytest.mark.parametrize("audio", ["test", "audio_32000Hz/test", "."])
def test_audiocaps_under_every_name(tmp_path, form, audio):
    audiocaps_table(tmp_path)
    names = [form.format(video, start, int(start) + 10) for video, start in VIDEOS]
    sounds(tmp_path / audio, *names)
    found = find_dataset("audiocaps", tmp_path, "test")
    assert [Path(item.audio) for item in found.items] == [tmp_path / audio / name for name in names]
    assert [item.id for item in found.items] == ["_".join(video) for video in VIDEOS]
    assert found.items[1].references == (
        "Caption 1",
        "Caption 4",
        "Caption 7",
        "Caption 10",
        "Caption 13",
    )
    assert found.problems == ()


def test_another_part_of_a_video_is_another_clip(tmp_path):
    audiocaps_table(tmp_path)
    sounds(
        tmp_path,
        "vfY_TJq7n_U_20.wav",
        "vfY_TJq7n_U_130.wav",
        "-0SdAVK79lg_40.wav",
        "Y_YyxZU08rk.wav",
    )
    found = find_dataset("audiocaps", tmp_path)
    assert [Path(item.audio).name for item in found.items] == [
        "vfY_TJq7n_U_130.wav",
        "Y_YyxZU08rk.wav",
    ]
    assert found.problems == (
        "1 of 3 recordings are missing, such as -0SdAVK79lg_30; videos go away; "
        "figures are of the 2 that are here and compare only with the same",
    )


def test_audiocaps_by_file_name(tmp_path):
    rows = [[f"Y{video}.wav", "One", "Two"] for video, _ in VIDEOS[:2]]
    table(tmp_path / "AudioCaps.test.csv", ["file_name", "caption_1", "caption_2"], *rows)
    sounds(tmp_path / "test", "vfY_TJq7n_U_130.wav", "Y-0SdAVK79lg.wav")
    found = find_dataset("audiocaps", tmp_path)
    assert len(found.items) == 2
    assert found.problems == (
        f"{tmp_path / 'AudioCaps.test.csv'} lists 2 clips, AudioCaps test has 3 or 7",
    )


def test_what_to_do_about_audiocaps(tmp_path):
    with pytest.raises(CorpusError, match=r"no test\.csv; get it from https://github"):
        find_dataset("audiocaps", tmp_path)
    audiocaps_table(tmp_path / "dataset")
    with pytest.raises(
        AudioError, match=r"none of the 3 clips of AudioCaps test is here; name them VIDEO\.wav"
    ):
        find_dataset("audiocaps", tmp_path)
    audiocaps_table(tmp_path / "again")  # the same once more is no question
    sounds(tmp_path, *(f"{video}.wav" for video, _ in VIDEOS))
    assert len(find_dataset("audiocaps", tmp_path).items) == 3
    table(
        tmp_path / "dataset2.0" / "test.csv",
        ["youtube_id", "start_time", "caption"],
        [*VIDEOS[0], "Other"],
    )
    with pytest.raises(CorpusError, match="which one is meant"):
        find_dataset("audiocaps", tmp_path)


def test_a_folder_with_a_caption_file(tmp_path):
    rows = [
        ["a.wav", "A dog"],
        ["sub/b.wav", "Rain"],
        ["a.wav", "A hound"],
        ["c.wav", "Wind"],
        ["no/a.wav", "Nothing"],
    ]
    captions = table(tmp_path / "captions.csv", ["file_name", "caption"], *rows)
    sounds(tmp_path, "a.wav")
    sounds(tmp_path / "sub", "b.wav", "c.wav")
    found = find_dataset("folder", tmp_path)
    assert [(item.id, item.references) for item in found.items] == [
        ("a.wav", ("A dog", "A hound")),
        ("sub/b.wav", ("Rain",)),
        ("c.wav", ("Wind",)),
    ]
    assert found.items[2].audio == str(tmp_path / "sub" / "c.wav")
    assert found.problems == (
        f"1 of 4 recordings are missing, such as no/a.wav; paths count from {tmp_path}",
    )
    assert find_dataset("folder", captions).items == found.items
    table(
        tmp_path / "my_val.csv", ["file_name", "caption"], [str(tmp_path / "a.wav"), "By full path"]
    )
    assert [item.references for item in find_dataset("folder", tmp_path, "val").items] == [
        ("By full path",)
    ]


def test_what_to_do_about_a_folder(tmp_path):
    with pytest.raises(CorpusError, match="no caption file here; name the file itself"):
        find_dataset("folder", tmp_path)
    captions = table(tmp_path / "one.csv", ["file_name", "caption"], ["a.wav", "A dog"])
    with pytest.raises(AudioError, match="none of its 1 recordings is here"):
        find_dataset("folder", tmp_path)
    (tmp_path / "two.txt").write_text("A dog barks\n")
    with pytest.raises(CorpusError, match="add a column file_name"):
        find_dataset("folder", tmp_path / "two.txt")
    table(tmp_path / "two.csv", ["file_name", "caption"], ["a.wav", "A dog"])
    with pytest.raises(CorpusError, match=r"one\.csv, two\.csv: which one\?"):
        find_dataset("folder", tmp_path)
    assert captions.is_file()


def test_a_link_that_leads_nowhere_is_left_to_its_reader(tmp_path):
    sounds(tmp_path, "a.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "gone.wav")
    tree = Tree(tmp_path)
    assert [path.name for path in tree.sounds] == ["a.wav", "b.wav"]
    assert Sounds(tmp_path).find_all(["a", "b"])[0].keys() == {"a", "b"}


def test_links_are_followed_once(tmp_path):
    sounds(tmp_path / "elsewhere", *CLOTHO)
    root = tmp_path / "root"
    clotho_table(root)
    (root / "evaluation").symlink_to(tmp_path / "elsewhere")
    (root / "round").symlink_to(root)
    assert len(find_dataset("clotho", root).items) == 3


@pytest.mark.slow
def test_the_published_counts(shared, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "CLOTHO_COUNTS", CLOTHO_COUNTS)
    for split, count in CLOTHO_COUNTS.items():
        captions = shared / "captions" / f"Clotho.{split}.csv"
        (tmp_path / captions.name).symlink_to(captions)
        with captions.open(newline="", encoding="utf-8") as file:
            sounds(tmp_path / split, *(row["file_name"] for row in csv.DictReader(file)))
        found = find_dataset("clotho", tmp_path, split)
        assert (len(found.items), found.problems) == (count, ())
