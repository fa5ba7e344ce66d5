"""Several writers, killed writers, damaged caches and models: nothing is lost and nothing mixed."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from wsac import Captioner, ModelError, WsacError
from wsac.bridges.bridge import parse
from wsac.bridges.gap import Gap, fit_gap
from wsac.clap import texts as text_cache
from wsac.clap.collections import embed_folder, embed_sounds, read_embeddings
from wsac.clap.texts import embed_texts, load_or_make
from wsac.data.soundworld import write as soundworld
from wsac.data.soundworld import write_captions
from wsac.data.soundworld.write import write_corpus, write_scenes
from wsac.inference.caption_options import CaptionOptions
from wsac.io import locks
from wsac.io.files import (
    atomic_folder,
    atomic_path,
    atomic_update,
    settle,
    write_json,
    write_text,
    write_wav,
)
from wsac.io.json_text import to_json
from wsac.io.locks import alone_in, sweep
from wsac.io.tensors import check, read_tensors, write_tensors
from wsac.training.checkpoint import append_metrics
from wsac.training.decoder import train
from wsac.training.loop import TrainState
from wsac.types import RecipeError

KILLED = """
import os, signal, sys
from pathlib import Path
from wsac.io.files import atomic_path, atomic_folder, atomic_update
from wsac.io.locks import alone_in
folder = Path(sys.argv[1])
with alone_in(folder), atomic_path(folder / "x.json") as path, atomic_folder(folder / "new") as new:
    path.write_text("half")
    (new / "y").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def after_a_restart():
    locks._swept.clear()


@pytest.fixture
def sounds(tmp_path):
    (tmp_path / "sounds").mkdir()
    for number in range(3):
        samples = 0.1 * np.sin(np.arange(8000) / (number + 2))
        write_wav(tmp_path / "sounds" / f"{number}.wav", samples, 16_000)
    return tmp_path / "sounds"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_writers_never_share_a_temporary_name(tmp_path):
    with atomic_path(tmp_path / "a.npy") as one, atomic_path(tmp_path / "a.npy") as two:
        assert one != two
        assert one.suffix == two.suffix == ".npy"
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "a.npy").read_text() == "one"  # the last to end
    assert names(tmp_path) == ["a.npy"]


def test_threads_that_fill_one_cache_get_the_right_rows(clap, captions):
    right, rows = clap.embed_text(captions), {}
    barrier = threading.Barrier(3)

    def work(place):
        barrier.wait()
        rows[place] = embed_texts(clap, captions).clone()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(rows[place], right) for place in range(3))
    assert torch.equal(embed_texts(clap, captions), right)


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path, after_a_restart):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert len(names(tmp_path)) == 3  # the lock too
    with atomic_path(tmp_path / "alive") as alive:
        alive.write_text("")
        locks._swept.clear()
        with alone_in(tmp_path):  # a dead holder holds nothing
            sweep(tmp_path)
        assert names(tmp_path) == [alive.name]
    assert names(tmp_path) == ["alive"]


def test_the_second_in_a_folder_is_told_who_is_first(tmp_path):
    with alone_in(tmp_path / "run"):
        with (
            pytest.raises(
                WsacError, match=rf"in use by .*process {os.getpid()}, \d{{4}}-"
            ) as error,
            alone_in(tmp_path / "run"),
        ):
            pass
        assert "use another folder" in str(error.value)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_without_locks_only_old_leftovers_go(tmp_path, monkeypatch, after_a_restart):
    monkeypatch.setattr(locks, "fcntl", None)
    old, new = (tmp_path / f".x.{'0' * 15}{n}.part.npy" for n in (1, 2))
    for path in (old, new):
        path.write_text("")
    os.utime(old, (1, 1))
    with alone_in(tmp_path), alone_in(tmp_path):
        write_text(tmp_path / "y", "")
    assert names(tmp_path) == [new.name, "y"]


def test_an_update_that_was_killed_after_it_counted_is_ended(tmp_path):
    with atomic_update(tmp_path) as part:
        write_text(part / "a", "old")
    (tmp_path / ".commit").mkdir()
    write_text(tmp_path / ".commit" / "a", "new")
    settle(tmp_path)
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_a_decoder_with_the_memory_of_another_is_refused(captioner, tmp_path):
    captioner.save(tmp_path / "one")
    torch.manual_seed(9)
    for parameter in captioner.decoder.parameters():
        parameter.data += torch.randn_like(parameter)
    captioner.save(tmp_path / "two")
    (tmp_path / "two" / "decoder.safetensors").replace(tmp_path / "one" / "decoder.safetensors")
    with pytest.raises(ModelError, match="not the file that was saved with the others"):
        Captioner.load(tmp_path / "one")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("width", 1_000_000, r"width 1e\+06 does not fit|in the weights"),
        ("width", 32, "in the weights and"),
        ("layers", 10**9, "layers 1e\\+09 does not fit"),
        ("vocab_size", 10**12, "vocab_size 1e\\+12 does not fit"),
    ],
)
def test_sizes_are_compared_with_the_weights_before_memory_is_taken(
    captioner, tmp_path, key, value, words
):
    captioner.save(tmp_path)
    card = json.loads((tmp_path / "captioner.json").read_text())
    card["decoder"][key] = value
    (tmp_path / "captioner.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=words):
        Captioner.load(tmp_path)


def test_a_flipped_option_is_noticed(captioner, tmp_path):
    captioner.save(tmp_path)
    card = json.loads((tmp_path / "captioner.json").read_text())
    card["options"]["beam_size"] = 3
    (tmp_path / "captioner.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"damaged or changed by hand; .* delete"):
        Captioner.load(tmp_path)
    del card["checksums"], card["checksum"]
    (tmp_path / "captioner.json").write_text(json.dumps(card))
    assert Captioner.load(tmp_path).options.generation.beam_size == 3


def test_a_damaged_gap_is_refused(clap, captions, embeddings, tmp_path):
    text = clap.embed_text(captions[:20])
    fit_gap(text, text.flip(1)).save(tmp_path / "gap.safetensors")
    data = bytearray((tmp_path / "gap.safetensors").read_bytes())
    data[-5] ^= 1
    (tmp_path / "gap.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"gap\.safetensors: damaged .* get or make it again"):
        Gap.load(tmp_path / "gap.safetensors")


def test_tensors_of_every_kind_come_back_with_their_checksum(tmp_path):
    kinds = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.int8, torch.bool)
    tensors = {str(kind): torch.arange(6).view(2, 3).to(kind).T for kind in kinds}
    tensors |= {"one": torch.tensor(3.5), "none": torch.empty(0, 4)}
    write_tensors(tmp_path / "x.safetensors", tensors, {"a": '"b"'})
    again, meta = read_tensors(tmp_path / "x.safetensors")
    assert meta["a"] == '"b"'
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)
    assert len(check(tmp_path / "x.safetensors")) == 64


@pytest.mark.parametrize("harm", ["flip", "cut", "shape", "dtype", "another"])
def test_a_damaged_text_cache_is_made_again(clap, captions, tmp_path, harm):
    right = embed_texts(clap, captions)
    [path] = text_cache.cache_folder().glob("*.npy")
    data = bytearray(path.read_bytes())
    if harm == "flip":
        data[len(data) // 2] ^= 4
    elif harm == "cut":
        data = data[:-9]
    elif harm == "another":
        embed_texts(clap, captions[::-1])
        [other] = set(text_cache.cache_folder().glob("*.npy")) - {path}
        data = other.read_bytes()
    else:
        wrong = np.zeros((3, 16), "f4") if harm == "shape" else right.numpy().astype("f8")
        np.save(tmp_path / "wrong.npy", wrong)
        data = (tmp_path / "wrong.npy").read_bytes()
    path.unlink()  # it is mapped
    path.write_bytes(data)
    assert torch.equal(embed_texts(clap, captions), clap.embed_text(captions))


def test_a_damaged_sound_cache_heals(clap, sounds, tmp_path):
    paths = [str(path) for path in sorted(sounds.glob("*.wav"))]
    right = embed_sounds(paths, clap)
    [folder] = (text_cache.cache_folder() / "sounds").iterdir()
    for name, data in (
        ("index.json", b"{"),
        ("index.json", b"[]"),
        ("embeddings-00000.json", b"nothing"),
        ("embeddings-00000.npy", b"\x93NUMPY"),
    ):
        (folder / name).write_bytes(data)
        assert torch.equal(embed_sounds(paths, clap), right)


def test_a_damaged_collection_is_not_read(clap, sounds, tmp_path):
    embed_folder(clap, [str(sounds)], tmp_path / "emb")
    path = tmp_path / "emb" / "embeddings-00000.npy"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"damaged.*give its wsac embed audio command again"):
        read_embeddings(tmp_path / "emb")
    assert embed_folder(clap, [str(sounds)], tmp_path / "emb")["reused"] == 0
    assert len(read_embeddings(tmp_path / "emb")[1]) == 3


@pytest.mark.parametrize("place", ["a file", "no home"])
def test_what_cannot_be_cached_is_computed(clap, sounds, tmp_path, monkeypatch, capsys, place):
    (tmp_path / "file").write_text("")
    if place == "a file":  # as on a read-only disk: no folder can be made
        monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "file" / "cache"))
    else:
        for name in ("WSAC_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(text_cache.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    paths = [str(path) for path in sorted(sounds.glob("*.wav"))]
    assert embed_sounds(paths, clap).shape == (3, 16)
    assert embed_texts(clap, ["a dog"]).shape == (1, 16)
    assert load_or_make("k", ["x"], lambda: torch.ones(1, 2)).tolist() == [[1, 1]]
    assert "continuing without a cache" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("place", ["a file", "no home"])
def test_train_and_gap_work_without_a_cache(run, clap_folder, sounds, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("")
    if place == "a file":
        monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "file" / "cache"))
    else:
        for name in ("WSAC_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(text_cache.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    captions = tmp_path / "captions.txt"
    captions.write_text("\n".join(write_captions(np.random.default_rng(0), 40, events=(1, 2))))
    shared = ["--captions", captions, "--clap", clap_folder]
    code, _, err = run("gap", "--audio", sounds, *shared, "--save", tmp_path / "gap.safetensors")
    assert code == 0, err
    assert "continuing without a cache; set WSAC_CACHE to another folder" in err
    sizes = ["decoder.width=16", "decoder.layers=1", "decoder.heads=2", "decoder.vocab_size=300"]
    words = [word for size in sizes for word in ("--set", size)]
    code, _, err = run("train", *shared, "--epochs", 1, *words, "--out", tmp_path / "run")
    assert code == 0, err
    assert (tmp_path / "run" / "captioner.json").is_file()


@pytest.mark.slow
def test_a_checkpoint_knows_its_recipe(tiny_recipe, tmp_path, stop_at):
    one = tiny_recipe(**{"training.epochs": 1})
    train(one, tmp_path / "run")
    (tmp_path / "run" / "recipe.toml").unlink()  # so that only the checkpoint knows
    with pytest.raises(RecipeError, match="a run of another recipe; give another --out"):
        train(tiny_recipe(**{"training.epochs": 1, "training.seed": 1}), tmp_path / "run")
    (tmp_path / "run" / "recipe.toml").unlink()
    log = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    (tmp_path / "run" / "metrics.jsonl").write_bytes(b'{"step": 1')
    train(one, tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == log
    data = bytearray((tmp_path / "run" / "checkpoint.safetensors").read_bytes())
    data[-99] ^= 1
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors: damaged"):
        train(one, tmp_path / "run")


def test_a_loss_that_is_not_a_number_is_never_best_and_json_stays_json(tmp_path):
    state = TrainState()
    assert not state.improves(float("nan"))
    assert not state.improves(float("inf"))
    assert state.improves(2.0)
    assert state.stale == 0
    append_metrics(tmp_path / "m", {"step": 1, "loss": float("nan")})
    write_json(tmp_path / "j", [float("inf"), {"a": (float("nan"), 1.5)}])
    assert json.loads((tmp_path / "m").read_text()) == {"step": 1, "loss": None}
    assert json.loads((tmp_path / "j").read_text()) == [None, {"a": [None, 1.5]}]
    assert to_json(2.5) == "2.5"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": 10**7, "choose": "mbr"}, "10000000 samples: give 1 or more, at most 4,096"),
        ({"length_penalty": 400.0}, "length penalty 400: give a number, 10 at most"),
        ({"temperature": 1e9}, "temperature 1e\\+09: give more than 0"),
        ({"seed": 2**70}, "seed .*: give 0 or more, below"),
        ({"candidates": 10**6}, "1000000 candidates: give 1 to 256"),
    ],
)
def test_options_without_bounds_are_refused(changes, words):
    with pytest.raises(RecipeError, match=words):
        CaptionOptions.make(**changes)


def test_an_exponent_is_no_chain_of_bridges(tiny_recipe, tmp_path):
    [(kind, options)] = parse("noise:variance=1e+2", "training")
    assert (kind.name, options) == ("noise", {"variance": 100.0})
    assert len(parse("noise:variance=1e-3+noise", "training")) == 2
    with pytest.raises(RecipeError, match=r"variance 1e\+16: give 0 or more, at most 1,000,000"):
        train(tiny_recipe(**{"bridge.train": "noise:variance=1e+16"}), tmp_path / "run")


@pytest.mark.parametrize("words", [["--out", ""], ["-o", ""], ["--out="]])
def test_an_empty_out_is_no_folder(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("soundworld", "--scenes", "1", *words)
    assert (code, err) == (2, "error: --out is empty; name a file or folder, or . for this one\n")
    assert names(tmp_path) == []


def test_soundworld_leaves_nothing_of_a_longer_run(tmp_path, capsys):
    write_scenes(tmp_path, 3, 0, events=(1, 1), seconds=2)
    (tmp_path / "00009.wav").write_text("mine")
    write_scenes(tmp_path, 1, 0, events=(1, 1), seconds=2)
    assert "deleted 2 scenes of an earlier run" in capsys.readouterr().err
    assert names(tmp_path) == ["00000.wav", "00009.wav", "captions.csv", "scenes.jsonl"]
    write_corpus(tmp_path, 2, 0)
    assert names(tmp_path) == ["00009.wav", "captions.csv"]
    assert write_captions(np.random.default_rng(0), 2, (1, 4))


def test_a_killed_soundworld_leaves_no_tables_and_its_scenes_go(tmp_path, monkeypatch, capsys):
    write_scenes(tmp_path, 2, 0, events=(1, 1), seconds=2)
    write, written = soundworld.write_wav, []

    def killed(path, *rest):
        if len(written) == 3:
            os._exit(9)
        written.append(path)
        write(path, *rest)

    monkeypatch.setattr(soundworld, "write_wav", killed)
    child = multiprocessing.get_context("fork").Process(
        target=write_scenes, args=(tmp_path, 9, 1), kwargs={"events": (1, 1), "seconds": 2}
    )
    child.start()
    child.join()
    assert child.exitcode == 9
    # the tables of seed 0 do not describe scenes of seed 1
    left = [".lock", ".scenes.jsonl", *(f"0000{i}.wav" for i in range(3))]
    assert names(tmp_path) == left
    monkeypatch.setattr(soundworld, "write_wav", write)
    write_scenes(tmp_path, 1, 0, events=(1, 1), seconds=2)
    assert "deleted 2 scenes" in capsys.readouterr().err
    assert names(tmp_path) == ["00000.wav", "captions.csv", "scenes.jsonl"]


def test_an_interrupted_soundworld_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(path, *rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(soundworld, "write_wav", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path, 2, 1, events=(1, 1), seconds=2)
    assert names(tmp_path) == []


def test_a_new_folder_is_not_made_over_files(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(WsacError, match="there is something here already"), atomic_folder(tmp_path):
        pass


def test_a_folder_that_is_being_written_can_be_updated(tmp_path):
    with atomic_folder(tmp_path / "new") as part, atomic_update(part) as inner:
        (inner / "a.txt").write_text("whole")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_an_update_of_the_whole_leaves_no_other_parts(tmp_path):
    for names_of_parts in (("a", "b"), ("a",)):
        with atomic_update(tmp_path, whole=("a", "b")) as part:
            for name in names_of_parts:
                (part / name).write_text(name)
        assert names(tmp_path) == list(names_of_parts)


def test_a_folder_that_is_locked_by_others_is_no_endless_wait(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "TOLD_AFTER", 0.0)
    monkeypatch.setattr(locks, "LONGEST", 0.2)
    holder = os.open(tmp_path, os.O_RDONLY)  # as by: flock tmp_path wsac …
    locks.fcntl.flock(holder, locks.fcntl.LOCK_EX)
    try:
        with pytest.raises(WsacError, match="locked by another process"), atomic_update(tmp_path):
            pass
    finally:
        os.close(holder)
    assert "waiting for another process" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_a_lock_whose_file_was_just_removed_is_taken_anew(tmp_path, monkeypatch):
    is_at, answers = locks._is_at, iter([False])
    monkeypatch.setattr(locks, "_is_at", lambda *where: next(answers, None) or is_at(*where))
    with locks.alone_in(tmp_path):
        assert names(tmp_path) == [".lock"]
    assert names(tmp_path) == []


def test_what_is_in_the_way_is_named(tmp_path):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.touch()
    folder.mkdir()
    for target, reason in (
        (file / "below", "there is a file in the place of a folder"),
        (file / "deeper" / "below", "there is a file in the place of a folder"),
        (folder, "there is a folder here"),
    ):
        with pytest.raises(WsacError, match=reason):
            write_text(target, "text")
    with pytest.raises(WsacError, match="there is a file in the place of a folder"), alone_in(file):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_full_disk_leaves_no_lock(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with alone_in(tmp_path / "run"):
        assert names(tmp_path / "run") == [".lock"]
    assert names(tmp_path) == []
