"""The command line as people use it: exit codes, one-line errors, output that programs can read."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import soundfile

from wsac.clap.loading import BUNDLED
from wsac.data.soundworld import KINDS
from wsac.inference.captioner import Captioner
from wsac.inference.captioner_folder import BUNDLED_CAPTIONER


@pytest.fixture
def model(captioner, tmp_path):
    captioner.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def sounds(tmp_path):
    """Three recordings in a folder, one of them nested."""
    folder = tmp_path / "sounds"
    (folder / "deep").mkdir(parents=True)
    for name in ("rain.wav", "siren.flac", "deep/dog.ogg"):
        kind = name.split("/")[-1].split(".")[0]
        soundfile.write(
            folder / name, KINDS[kind].render(np.random.default_rng(0), 2.0, 16_000), 16_000
        )
    return folder


def one_line_error(err):
    lines = err.strip().splitlines()
    assert "Traceback" not in err
    assert lines[-1].startswith("error: ")
    return lines[-1]


@pytest.mark.slow
def test_help_is_quick_and_lists_the_verbs():
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "wsac", "--help"], capture_output=True, text=True, check=True
        )
        spent.append(time.perf_counter() - began)
    for verb in ("corpus", "train", "train-clap", "caption", "tag", "demo"):
        assert verb in done.stdout
    assert min(spent) < 2, "heavy imports have crept into the start"  # generous: machines are noisy


def test_version_and_wrong_usage(run):
    assert run("--version") == (0, "wsac 0.1.0\n", "")
    for words in (["nonsense"], ["caption"], ["train", "--epochs", "many", "--out", "x"]):
        code, _, err = run(*words)
        assert code == 2
        assert "Traceback" not in err


@pytest.mark.slow
def test_caption_as_table_json_and_csv(run, model, sounds):
    code, out, _ = run("caption", sounds, "--model", model)
    assert code == 0
    assert "rain.wav" in out
    code, out, _ = run(
        "caption", sounds, "--model", model, "--json", "--bridge", "nnd", "--beam", "1"
    )
    rows = json.loads(out)
    assert code == 0
    assert [row["file"].rsplit("/", 1)[1] for row in rows] == ["dog.ogg", "rain.wav", "siren.flac"]
    assert all(row["logprob"] < 0 and row["end"] == 2.0 and row["error"] == "" for row in rows)
    code, out, _ = run(
        "caption", sounds / "*.wav", sounds / "siren.flac", "--model", model, "--csv"
    )
    table = list(csv.DictReader(io.StringIO(out)))
    assert [row["file"].rsplit("/", 1)[1] for row in table] == ["rain.wav", "siren.flac"]


@pytest.mark.slow
def test_names_in_a_list_are_no_patterns(run, model, sounds, tmp_path):
    odd = sounds / "odd[1].wav"
    (sounds / "rain.wav").rename(odd)
    (tmp_path / "list").write_text(f"{odd}\n{sounds / '*.wav'}\n{odd}\n")
    code, out, _ = run("caption", "--files-from", tmp_path / "list", "--model", model, "--jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row["file"] for row in rows] == [str(odd), str(sounds / "*.wav")]
    assert rows[0]["logprob"] < 0
    assert "no such file" in rows[1]["error"]
    words = ("embed", "audio", "--files-from", tmp_path / "list", "-o", tmp_path / "out", "--json")
    code, out, err = run(*words)
    assert (code, json.loads(out)["embedded"]) == (1, 1)
    assert err.splitlines()[-1] == "1 of 2 files could not be embedded; see errors.csv"
    words = ("tag", "--files-from", tmp_path / "list", "--labels", "dog, rain", "--json")
    code, out, _ = run(*words, sounds / "siren.flac")
    assert [row["file"][-4:] for row in json.loads(out)] == ["flac", ".wav", ".wav"]


def test_window_captions_have_times(run, model, sounds):
    code, out, _ = run(
        "caption", sounds / "rain.wav", "--model", model, "--json", "--window", "0.5"
    )
    assert code == 0
    assert [(row["start"], row["end"]) for row in json.loads(out)] == [
        (0, 0.5),
        (0.5, 1),
        (1, 1.5),
        (1.5, 2),
    ]


def test_the_table_shows_notes_and_spans(run, model, sounds):
    soundfile.write(sounds / "silent.wav", np.zeros(16_000), 16_000)
    code, out, _ = run(
        "caption", sounds / "silent.wav", sounds / "rain.wav", "--model", model, "--window", "0.5"
    )
    assert code == 0
    assert "(silent: the mono mix" in out
    assert "0.0–0.5" in out
    assert "1.5–2.0" in out


def test_an_unfinished_run_is_called_so(run, tmp_path):
    (tmp_path / "recipe.toml").write_text("")
    code, _, err = run("caption", "x.wav", "--model", tmp_path)
    assert code == 1
    assert "an unfinished run" in one_line_error(err)


@pytest.mark.slow
def test_sigterm_ends_a_training_in_one_line(tmp_path, captions):
    (tmp_path / "captions.txt").write_text("\n".join(captions))
    words = ["train", "-c", tmp_path / "captions.txt", "-o", tmp_path / "run", "--epochs", "1000"]
    words += ["--start", "none"]
    process = subprocess.Popen(
        [sys.executable, "-m", "wsac", *words], stderr=subprocess.PIPE, text=True
    )
    assert "captions to train on" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted before its first checkpoint" in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [(True, "resumes from its last checkpoint"), (False, "before its first checkpoint")],
)
@pytest.mark.parametrize(
    ("verb", "function"),
    [
        ("train", "wsac.training.decoder.train"),
        ("train-clap", "wsac.training.clap.contrastive.train_clap"),
    ],
)
def test_ctrl_c_in_a_training_knows_of_its_checkpoint(
    run, tmp_path, monkeypatch, verb, function, checkpoint, message
):
    def training(_, out, **__):
        out.mkdir()
        if checkpoint:
            (out / "checkpoint.safetensors").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(function, training)
    (tmp_path / "captions.txt").write_text("a dog barks\nrain falls\n")
    captions = ("--captions", tmp_path / "captions.txt") if verb == "train" else ()
    code, out, err = run(verb, *captions, "--out", tmp_path / "run")
    assert (code, out) == (130, "")
    assert len(err.splitlines()) == 1
    assert message in err


def test_ctrl_c_before_a_verb_begins(run, monkeypatch):
    def stopped(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("wsac.cli.app", stopped)
    assert run("bridges") == (130, "", "interrupted\n")


def test_the_list_of_verbs_cuts_no_sentence(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in run("--help")[1].split("Use a captioner:")[1]


def test_help_names_kinds_of_values_in_words(run):
    for words in (("archive", "build"), ("serve",), ("caption",)):
        _, out, _ = run(*words, "-h")
        assert re.findall(r"<(?:list|str|int|float|Path)\b.*", out) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_disk_that_is_full_is_one_line_and_nothing_half_written(tmp_path, captions):
    import resource

    (tmp_path / "captions.txt").write_text("\n".join(captions))

    def error_of(words, most):
        small = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))
        command = [sys.executable, "-m", "wsac", *words.split()]
        done = subprocess.run(
            command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=small
        )
        assert done.returncode == 1
        return one_line_error(done.stderr)

    error = error_of("train -c captions.txt -o run --epochs 30 --start none", 1_000_000)
    assert "cannot write" in error
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.toml"]
    error = error_of("soundworld -o world --scenes 4 --jobs 2", 100_000)
    assert "cannot write (File too large)" in error
    assert not list(tmp_path.glob("world/*"))


def test_one_bad_file_does_not_stop_the_others(run, model, sounds):
    (sounds / "broken.wav").write_text("this is no sound")
    soundfile.write(sounds / "silent.wav", np.zeros(16_000), 16_000)
    code, out, err = run("caption", sounds, sounds / "missing.mp3", "--model", model, "--json")
    rows = {row["file"].rsplit("/", 1)[1]: row for row in json.loads(out)}
    assert code == 1
    assert rows["rain.wav"]["logprob"] < 0
    assert "broken.wav" in rows["broken.wav"]["error"]
    assert "missing.mp3" in rows["missing.mp3"]["error"]
    assert "silent" in rows["silent.wav"]["notes"][0]
    assert rows["silent.wav"]["caption"] == "Silence"
    assert "2 of 6 files could not be captioned" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["caption", "x.wav", "--json", "--csv"], "choose one"),
        (["caption", "x.wav", "--jsonl", "--csv-safe"], "choose one"),
        (["tag", "x.wav", "--json", "--jsonl", "--labels", "a, b"], "choose one"),
        (["caption", "-", "--files-from", "-"], "choose one"),
        (["caption", "x.wav", "-0"], "give both"),
        (["caption", "--files-from", "nowhere.txt"], "nowhere.txt: cannot read this list"),
        (["caption", "x.wav", "--window", "0.1"], "at least 0.5"),
        (["caption", "x.wav", "--model", "nowhere"], "no captioner here"),
        (["caption", "good.txt", "--set", "model=pocket"], "unknown caption option 'model'"),
        (["caption", "good.txt", "--set", "device=cpu"], "unknown caption option 'device'"),
        (["train", "--captions", "nowhere.txt", "--out", "run"], "nowhere.txt"),
        (["train", "--out", "run"], "name at least one"),
        (["train", "--out", "run", "--recipe", "nowhere.toml"], "cannot read the recipe"),
        (["train", "--out", "run", "--set", "training.epoch=3"], "did you mean 'training.epochs'"),
        (["train", "--out", "run", "--epochs", "-1"], "training.epochs = -1"),
        (
            ["train", "--out", "run", "--captions", "good.txt", "--clap", "nowhere"],
            "no CLAP of this name",
        ),
        (
            ["train", "--out", "run", "--captions", "good.txt", "--device", "nonsense"],
            "choose cpu, cuda or auto",
        ),
        (["train", "--out", "good.txt", "--captions", "good.txt"], "cannot make the folder"),
        (["train", "--out", "run", "--captions", "good.txt", "--noise", "inf"], "variance inf"),
        (["caption", ""], "empty file name"),
        (["tune", "--audio", "nowhere.wav", "--audio", "no.wav"], "none of the 2 recordings"),
        (["caption", "good.txt", "--beam", "1000000"], "give a whole number from 1"),
        (["caption", "x.wav", "--device", "nonsense"], "choose cpu, cuda or auto"),
        (["corpus", "good.txt", "-o", "."], "this is a folder"),
        (["train-clap", "--out", "run"], "zero pairs"),
        (["train-clap", "--out", "run", "--pairs", "nowhere.csv"], "nowhere.csv: not found"),
        (["corpus", "nowhere.csv", "-o", "out.jsonl"], "nowhere.csv"),
        (["corpus", "good.txt", "-o", "out.jsonl", "--style", "loud"], "loud"),
        (["corpus", "good.txt", "-o", "good.txt/out.jsonl"], "cannot write"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.txt").write_text("a dog barks\nrain falls\n")
    code, out, err = run(*words)
    assert code == 1
    assert message in one_line_error(err)
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"good.txt"}


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("train my.txt", "--captions my.txt"),
        ("train -o run my.txt --epochs 3", "--captions my.txt"),
        ("train-clap pairs.csv -o run", "--pairs pairs.csv"),
        ("tune recordings/", "--audio recordings/"),
        ("evaluate ours.csv -r theirs.csv", "--candidates ours.csv"),
        ("gap sounds/", "--audio sounds/"),
    ],
)
def test_a_word_without_its_option_is_told_the_option(run, words, option):
    code, out, err = run(*words.split())
    assert (code, out) == (2, "")
    assert f"give it as {option}\n" in err


@pytest.mark.parametrize("words", [("-o", "rows.csv"), ("--out=rows.csv",)])
def test_rows_go_to_stdout(run, words):
    code, _, err = run("tag", "x.wav", *words)
    assert code == 2
    assert "rows go to stdout, as in wsac tag FILE --csv > rows.csv" in err


def test_help_comes_before_words_without_an_option(run):
    code, out, _ = run("train", "my.txt", "--help")
    assert code == 0
    assert "--captions" in out


# mistakes that need no model: (words, what the one line says)
EARLY = (
    ("caption nosuch.wav", "no such file; check the path"),
    ("caption good.txt --model nosuch", "no captioner here; give a folder of wsac train"),
    ("caption good.txt --device tpu", "choose cpu, cuda or auto"),
    ("caption good.txt --track 0", "track 0: give a whole number"),
    ("tag nosuch.wav --labels a,b", "no such file; check the path"),
    ("train -c nosuch.txt -o run", "nosuch.txt: not found; check the path"),
    ("train -o run", "name at least one, as in --captions FILE"),
    ("train -o run --recipe nosuch", "cannot read the recipe"),
    ("train -c good.txt -o run --epochs -1", "training.epochs = -1"),
    ("train -c good.txt -o run --set training.epoch=3", "did you mean 'training.epochs'"),
    ("train -c good.txt -o run --start nosuch", "no captioner here"),
    ("train -c good.txt -o good.txt", "there is a file here; give --out a folder"),
    ("train -c good.txt -o good.txt/run", "there is a file here; give --out a folder"),
    ("train-clap -p nosuch.csv -o run", "nosuch.csv: not found; check the path"),
    ("corpus good.txt -o .", "this is a folder, and a file is to be written"),
    ("embed audio nosuch.wav -o out", "no such file; check the path"),
    ("embed audio good.txt -o good.txt", "there is a file here; give --out a folder"),
    ("evaluate -c nosuch.csv", "nosuch.csv: not found; check the path"),
    ("evaluate -c good.txt -o .", "this is a folder, and a file is to be written"),
    ("calibrate nosuch -p good.txt", "no captioner here"),
    ("calibrate nosuch -p nosuch.csv", "nosuch.csv: not found; check the path"),
    ("tune --audio nosuch.wav", "no such file; check the path"),
    ("tune --audio good.txt --model nosuch", "no captioner here"),
    ("export --onnx out nosuch", "no captioner here"),
)


@pytest.mark.slow
def test_mistakes_that_need_no_model_are_told_before_torch_is_imported(tmp_path):
    (tmp_path / "good.txt").write_text("a dog barks\nrain falls\n")
    code = (
        "import sys\nfrom wsac.cli import main\n"
        f"for words in {[words for words, _ in EARLY]!r}:\n"
        "    code = main(words.split())\n"
        "    print('code', code, 'torch' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    parts = re.split("(code .*)\n", done.stderr)
    assert parts[1::2] == ["code 1 False"] * len(EARLY), done.stderr
    for (words, message), text in zip(EARLY, parts[::2], strict=False):
        assert message in text.splitlines()[0], words
        assert text.startswith("error: "), words
    assert [path.name for path in tmp_path.iterdir()] == ["good.txt"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no_column.csv", b"file_name,duration\na.wav,3\nb.wav,4\n", "caption"),
        ("binary.txt", b"RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00\x00", "wav"),
        ("latin.txt", "A caf\xe9\n".encode("latin-1"), "line 1"),
        ("empty.txt", b"", "empty"),
        ("header_only.csv", b"file_name,caption\n", "header_only.csv"),
    ],
)
def test_wrong_captions_are_one_line(run, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    code, _, err = run("corpus", tmp_path / name, "-o", tmp_path / "out.jsonl")
    assert code == 1
    error = one_line_error(err)
    assert name in error
    assert message in error.lower()
    assert not (tmp_path / "out.jsonl").exists()


def test_corpus_merges_and_prints(run, tmp_path):
    (tmp_path / "a.csv").write_text("file_name,caption\na.wav,A dog barks.\nb.wav,\n")
    (tmp_path / "b.txt").write_text("A  dog barks.\nRain falls\n")
    code, out, _ = run("corpus", tmp_path / "a.csv", tmp_path / "b.txt", "-o", tmp_path / "c.jsonl")
    assert code == 0
    assert "duplicate" in out.lower()
    assert [
        json.loads(line)["caption"] for line in (tmp_path / "c.jsonl").read_text().splitlines()
    ] == [
        "A dog barks.",
        "Rain falls",
    ]
    code, out, _ = run("corpus", tmp_path / "c.jsonl", "-o", tmp_path / "d.jsonl", "--json")
    assert json.loads(out)["kept"] == 2


@pytest.mark.slow
def test_train_then_caption(run, tmp_path, clap_folder, captions, sounds):
    (tmp_path / "captions.txt").write_text("\n".join(captions))
    small = ("decoder.layers=1", "decoder.width=16", "decoder.heads=2", "decoder.vocab_size=400")
    words = [word for change in small for word in ("--set", change)]
    code, _, err = run(
        "train",
        "-c",
        tmp_path / "captions.txt",
        "--clap",
        clap_folder,
        "--epochs",
        "1",
        "-o",
        tmp_path / "r",
        *words,
    )
    assert code == 0
    assert "validation loss" in err
    shutil.move(tmp_path / "r", tmp_path / "moved")
    code, out, _ = run("caption", sounds / "rain.wav", "--model", tmp_path / "moved", "--json")
    assert code == 0
    assert json.loads(out)[0]["end"] == 2.0


@pytest.mark.slow
def test_bundled_captioner_describes_sounds_of_the_world(run, tmp_path):
    """The first thing that people do."""
    captions = {}
    for kind in ("dog", "rain", "siren"):
        samples = KINDS[kind].render(np.random.default_rng(77), 5.0, 16_000)
        soundfile.write(tmp_path / f"{kind}.wav", samples, 16_000)
        code, out, _ = run("caption", tmp_path / f"{kind}.wav", "--json")
        assert code == 0
        captions[kind] = json.loads(out)[0]["caption"].lower()
    words = {"dog": ("dog", "bark"), "rain": ("rain", "water"), "siren": ("siren", "alarm")}
    right = [
        kind for kind, caption in captions.items() if any(word in caption for word in words[kind])
    ]
    assert len(right) >= 2, captions


def test_bundled_models_are_small_described_and_whole():
    files = [path for folder in (BUNDLED, BUNDLED_CAPTIONER) for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) <= 25e6
    assert {path.suffix for path in files} == {".json", ".md", ".onnx", ".safetensors", ".txt"}
    for folder in (BUNDLED, BUNDLED_CAPTIONER):
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert "CC BY-NC 4.0" in card
        assert "ESC-50" in card
    assert len(Captioner.load().memory) > 1000


@pytest.mark.parametrize("option", ["--model", "--clap", "--recipe", "--captions"])
def test_an_empty_option_is_called_so(run, option):
    code, _, err = run("caption", "x.wav", option, "")
    assert code == 2
    assert re.fullmatch(f"error: {option} is empty; (give|name) .*\n", err)
