"""Collections of recordings: embedded once, resumed, never lost to another, or left empty."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from wsac.clap import load_clap
from wsac.clap.collections import embed_folder, read_embeddings
from wsac.clap.sounds import embed_sound
from wsac.cli import main


@pytest.mark.slow
def test_a_collection_is_embedded_once(clap_folder, sounds, tmp_path, capsys):
    out, clap = tmp_path / "emb", load_clap(clap_folder, device="auto")  # as the command takes it
    (sounds / "bad.wav").write_bytes(b"RIFF")
    options = ["--clap", str(clap_folder), "--shard", "2", "--json"]
    command = ["embed", "audio", str(sounds), "-o", str(out), *options]
    assert main([*command, "--dtype", "float32"]) == 1
    done = json.loads(capsys.readouterr().out)
    assert done == {"files": 4, "embedded": 3, "errors": 1, "shards": 2, "reused": 0}
    first = np.concatenate([np.load(path) for path in sorted(out.glob("*.npy"))])
    with (out / "files.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == [0, 1, 2]
    for row, embedding in zip(rows, first, strict=True):
        samples, rate = soundfile.read(row["file"], dtype="float32")
        assert float(row["seconds"]) == pytest.approx(len(samples) / rate, abs=0.01)
        assert_close(
            torch.from_numpy(embedding), embed_sound(clap, row["file"]).embedding, rtol=0, atol=1e-5
        )
    with (out / "errors.csv").open() as file:
        assert "bad.wav" in next(csv.DictReader(file))["file"]

    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*.npy")}
    assert main([*command, "--dtype", "float32"]) == 1
    assert json.loads(capsys.readouterr().out)["reused"] == 2
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.npy")} == stamps
    assert main([*command, "--dtype", "float16"]) == 1
    assert "embeddings of another dtype" in capsys.readouterr().err

    soundfile.write(
        sounds / "short.wav", 0.3 * np.sin(np.arange(4000) / 3), 8000
    )  # changed: its shard is stale
    assert main([*command, "--dtype", "float32"]) == 1
    assert json.loads(capsys.readouterr().out)["reused"] == 1
    second = np.concatenate([np.load(path) for path in sorted(out.glob("*.npy"))])
    assert np.array_equal(first[:2], second[:2])
    assert not np.array_equal(first[2], second[2])


@pytest.mark.slow
def test_a_collection_is_not_lost_to_another(clap_folder, sounds, tmp_path, capsys):
    out = tmp_path / "emb"
    command = ["embed", "audio", "-o", str(out), "--clap", str(clap_folder)]
    assert main([*command, str(sounds)]) == 0
    kept = (out / "files.csv").read_bytes()
    assert main([*command, str(sounds / "short.wav")]) == 1
    assert "also holds 2 recordings that are not named" in capsys.readouterr().err
    assert (out / "files.csv").read_bytes() == kept
    (sounds / "long.wav").unlink()  # what is gone need not be named
    assert main([*command, str(sounds)]) == 0
    assert len(read_embeddings(out)[1]) == 2


def test_nothing_embedded_leaves_nothing(clap_folder, tmp_path, capsys):
    command = ["embed", "audio", str(tmp_path / "none.wav"), "--clap", str(clap_folder), "-o"]
    assert main([*command, str(tmp_path / "emb")]) == 1
    assert "none of the 1 recordings can be embedded" in capsys.readouterr().err
    assert not (tmp_path / "emb").exists()
    (tmp_path / "file").write_text("mine")
    assert main([*command, str(tmp_path / "file")]) == 1
    assert "give --out a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_an_interrupted_collection_goes_on(clap, sounds, tmp_path, monkeypatch):
    embed, calls = type(clap).embed_audio, []

    def stop_at_second(self, waveforms):
        calls.append(len(waveforms))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return embed(self, waveforms)

    with monkeypatch.context() as patch:
        patch.setattr(type(clap), "embed_audio", stop_at_second)
        with pytest.raises(KeyboardInterrupt):
            embed_folder(clap, [str(sounds)], tmp_path / "emb", shard=2)
    done = embed_folder(clap, [str(sounds)], tmp_path / "emb", shard=2)
    assert (done["reused"], done["shards"], done["embedded"]) == (1, 2, 3)
    whole = tmp_path / "whole"
    embed_folder(clap, [str(sounds)], whole, shard=2)
    for path in sorted(whole.glob("*.npy")):
        assert path.read_bytes() == (tmp_path / "emb" / path.name).read_bytes()
