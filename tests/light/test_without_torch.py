"""What works without torch, what says that it needs it, and what a light start loads."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

SERVED = """
import json, sys, threading, time, urllib.error, urllib.request
import uvicorn
from wsac import Captioner
from wsac.serve.app import create_app
app = create_app(Captioner.load(), teach=("unused",), quiet=True)
server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.05)
home = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
def ask(path, body=None, kind="application/json"):
    request = urllib.request.Request(home + path, body, {"Content-Type": kind} if body else {})
    try:
        return urllib.request.urlopen(request).read()
    except urllib.error.HTTPError as error:
        return error.read()
sound = open(sys.argv[1], "rb").read()
LINE, NAMED = "\\r\\n", 'Content-Disposition: form-data; name='
def form(**fields):
    parts = [f'--x{LINE}{NAMED}"{name}"{LINE * 2}{text}{LINE}' for name, text in fields.items()]
    head = "".join(parts) + f'--x{LINE}{NAMED}"file"; filename="a.wav"{LINE * 2}'
    return head.encode() + sound + f"{LINE}--x--{LINE}".encode()
rows, kind = {}, "multipart/form-data; boundary=x"
tags = {"labels": "beep, rain"}
of_sound = {"captions": {"nearest": 2}, "tags": tags, "spans": {}, "transcriptions": {}}
for name, fields in of_sound.items():
    rows[name] = json.loads(ask(f"/v1/audio/{name}", form(**fields), kind))
rows["embeddings"] = json.loads(ask("/v1/embeddings", b'{"input": "rain"}'))
rows["teach"] = json.loads(ask("/v1/teach", b'{"captions": ["a dog barks", "rain"]}'))
rows["example"] = len(ask("/examples/siren.wav"))
server.should_exit = True
thread.join()
print(json.dumps(rows))
"""
NEEDS = "needs torch: pip install 'wsac[train]'"
LIGHT_START = """
import sys
from wsac.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "transformers", "onnx", "pyarrow", "huggingface_hub", "starlette"}
print(*sorted({name for name in heavy if sys.modules.get(name)}), file=sys.stderr)
raise SystemExit(code)
"""
SAME = """
import json, sys
from pathlib import Path
import numpy as np
from wsac import Captioner
captioner = Captioner.load(device="cpu")
sounds = sorted(Path(sys.argv[1]).glob("*.wav"))
captions = captioner.caption_batch(sounds)
embeddings = [captioner.embed(path).embedding.tolist() for path in sounds]
texts = captioner.clap.embed_text(["a dog barks", "rain falls on a roof while thunder rumbles"])
drawn = captioner.with_options(samples=3, choose="mbr").caption_batch(sounds)
values = [(c.text, c.logprob, c.confidence) for c in (*captions, *drawn)]
print(json.dumps([values, embeddings, texts.tolist()]))
"""


def test_a_caption_loads_nothing_heavy(run, sounds):
    done = run("caption", sounds / "noise.wav", "--json", code=LIGHT_START)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["caption"] or row["guess"]
    assert done.stderr.split() == []


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        (("caption", ".", "--bridge", "pd", "--beam", "2"), "beeps.wav"),
        (("caption", "sweep.wav", "--window", "1"), "sweep.wav"),
        (("tag", ".", "--labels", "beep, rain, wind"), "rain"),
        (("find", "a beep", "beeps.wav"), "fits"),
        (("subtitle", "beeps.wav", "--out", "cues.srt"), "cues.srt"),
        (("listen", "--input", "beeps.wav"), ""),
        (("embed", "audio", ".", "--out", "embeddings"), "3 of 3"),
        (("bridges",), "santa"),
        (("doctor",), "disk"),
        (("metrics", "list"), "cider"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_verbs_that_use_a_captioner(run, sounds, tmp_path, words, shows):
    for path in sounds.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert shows in done.stdout + done.stderr


def test_a_captioner_is_saved_and_read_again(run, sounds, tmp_path):
    done = run(
        code="import wsac; wsac.Captioner.load().with_options(beam_size=2).save('mine')",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    done = run("caption", sounds / "beeps.wav", "--model", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_an_archive_without_pyarrow_names_the_extra(run, sounds, tmp_path):
    code = "import sys; sys.modules['pyarrow'] = None\nfrom wsac.cli import main\n"
    for words in (("archive", "build", sounds, "--out", "a"), ("search", "a", "rain")):
        done = run(*words, code=code + "sys.exit(main(sys.argv[1:]))", cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.endswith("needs pyarrow: pip install 'wsac[archive]'\n"), done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow: pip install '.[archive]'")
def test_an_archive_is_built_and_searched(run, sounds, tmp_path):
    built = run("archive", "build", sounds, "--out", tmp_path / "archive")
    assert built.returncode == 0, built.stderr
    done = run("search", tmp_path / "archive", "a beep", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 3


def test_a_server(run, sounds):
    for module in ("starlette", "uvicorn", "python_multipart", "prometheus_client"):
        pytest.importorskip(module, reason="needs wsac[serve]")
    done = run(sounds / "beeps.wav", code=SERVED)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows["captions"]["caption"] or rows["captions"]["guess"]
    assert len(rows["captions"]["nearest"]) == 2
    assert rows["tags"]["tags"][0]["label"] == "beep"
    assert rows["spans"]["end"] == 2.0
    assert "text" in rows["transcriptions"]
    assert len(rows["embeddings"]["data"][0]["embedding"]) > 100
    assert rows["teach"]["error"]["message"] == f"teaching {NEEDS}"
    assert rows["example"] > 10_000


def test_captions_are_scored_by_words(run, tmp_path):
    (tmp_path / "mine.csv").write_text("file_name,caption\na.wav,a dog barks\n", encoding="utf-8")
    text = "file_name,caption\na.wav,a dog is barking\na.wav,the dog barks\n"
    (tmp_path / "people.csv").write_text(text, encoding="utf-8")
    names = ("--candidates", "mine.csv", "--references", "people.csv")
    done = run("evaluate", *names, "--metrics", "bleu_4,rouge_l,cider_d", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--captions", "captions.txt", "--out", "run"),
        ("train-clap", "--pairs", "pairs.csv", "--out", "run"),
        ("demo", "--out", "demo"),
        ("export", "pocket", "--onnx", "graphs"),
        ("evaluate", "-c", "captions.csv", "-r", "captions.csv", "--metrics", "fense"),
        ("benchmark", "paper-table"),
        ("caption", "noise.wav", "--precision", "bfloat16"),
        ("caption", "noise.wav", "--device", "cuda"),
        ("tag", "noise.wav", "--labels", "dog, rain", "--clap", "laion"),
    ],
    ids=lambda words: words[0],
)
def test_what_needs_torch_says_so_in_one_line(run, sounds, tmp_path, words):
    (tmp_path / "captions.txt").write_text("a dog barks\n" * 3, encoding="utf-8")
    (tmp_path / "captions.csv").write_text("file_name,caption\na.wav,rain\n", encoding="utf-8")
    (tmp_path / "pairs.csv").write_text("audio,caption\nnoise.wav,noise\n", encoding="utf-8")
    (tmp_path / "noise.wav").write_bytes((sounds / "noise.wav").read_bytes())
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert (NEEDS.replace("train", "export") if words[0] == "export" else NEEDS) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not find_spec("torch"), reason="compares with torch, which is not installed")
def test_results_are_those_of_torch(run, sounds, capsys, monkeypatch):
    import sys

    import numpy as np

    done = run(sounds, code=SAME)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(sys, "argv", ["", str(sounds)])
    exec(SAME, {})
    light, full = json.loads(done.stdout), json.loads(capsys.readouterr().out)
    for (text, logprob, sure), (same_text, same_logprob, same_sure) in zip(
        light[0], full[0], strict=True
    ):
        assert text == same_text
        assert abs(logprob - same_logprob) < 1e-4
        assert abs(sure - same_sure) < 1e-4
    for ours, theirs in zip(light[1:], full[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
