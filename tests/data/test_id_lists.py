"""Lists of ids: every layout in which evaluation parts are published, and what is on them."""

from __future__ import annotations

import pytest

from wsac.data.datasets.id_lists import IdList
from wsac.types import CorpusError

LISTS = {
    "audiocaps.csv": "audiocap_id,youtube_id,start_time,caption\n1,-0jX_ZvQlXk,30,A dog\n",
    "clotho.csv": 'file_name,caption_1\n"Santa, Motor (x).wav",An engine\n',
    "esc50.csv": "filename,fold,target,category\n5-9032-A-0.wav,5,0,dog\n",
    "urban.csv": "slice_file_name,fsID,start,fold,class\n100032-3-0-0.wav,100032,0.0,5,bark\n",
    "vggsound.csv": '---g-f_I2yQ,1,"people, loud",test\n--0PQM4-hqg,30,water,train\n',
    "eval_segments.csv": "# YTID, start\n--4gqARaEJE, 0.000, 10.000, /m/0\n",
    "blacklist.json": '{"FreeSound": ["9032"], "AudioSet": ["Yb0RFKhbpFJA.wav"]}',
    "ids.txt": "fold5/1.wav\nfold5/100032-3-0-0.wav\n\nmy sound\n",
}


@pytest.mark.parametrize(
    ("name", "on", "off"),
    [
        (
            "audiocaps.csv",
            ["Y-0jX_ZvQlXk.flac", "a/-0jX_ZvQlXk_30.wav", "-0jX_ZvQlXk_0_10.mp3"],
            [],
        ),
        ("clotho.csv", ["x/Santa, Motor (x).flac", "santa_motor_x.wav"], ["Santa.wav"]),
        (
            "esc50.csv",
            ["audio/5-9032-A-0.ogg", "9032__ann__dog.wav"],
            ["9032.wav", "5-9033-A-0.wav"],
        ),
        ("urban.csv", ["fold5/100032-3-0-0.wav", "100032-3-0-9.wav"], ["100032.wav"]),
        (
            "vggsound.csv",
            ["---g-f_I2yQ_000001.wav", "Y---g-f_I2yQ.wav"],
            ["--0PQM4-hqg_000030.wav"],
        ),
        ("eval_segments.csv", ["Y--4gqARaEJE.wav"], ["YTID.wav"]),
        ("blacklist.json", ["9032.flac", "b0RFKhbpFJA_10.wav", "5-9032-A-0.wav"], ["19032.wav"]),
        (
            "ids.txt",
            ["/a/fold5/1.wav", "/a/fold5/1.mp3", "My_Sound.wav"],
            ["/a/fold4/1.wav", "1.wav"],
        ),
        ("ids.txt", ["100032-3-0-0.wav"], ["other/2.wav", "/ids.txt"]),
    ],
)
def test_what_is_on_a_list(name, on, off, tmp_path):
    path = tmp_path / name
    path.write_text(LISTS[name], encoding="utf-8")
    ids = IdList(path)
    assert [sound for sound in on if sound not in ids] == []
    assert [sound for sound in off if sound in ids] == []
    assert ids.skipped == (name == "vggsound.csv")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json"])
def test_an_empty_list_is_an_error(name, tmp_path):
    (tmp_path / name).write_text("[]" if name == "a.json" else "\n")
    with pytest.raises(CorpusError, match=r"no ids in this list|only blank lines"):
        IdList(tmp_path / name)


def test_a_table_of_training_alone_is_taken_whole(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("file_name,split\na.wav,train\nb.wav,train\n")
    assert IdList(path).ids == ["a.wav", "b.wav"]
