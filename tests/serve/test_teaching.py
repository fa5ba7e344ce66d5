"""``/v1/teach``: one training at a time in a process of its own, which leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import suppress

import pytest
from test_endpoints import error_of, got

from wsac.inference.captioner import Captioner

# Stands in for the training: it is told its captions and where to write, and copies a captioner.
TRAINER = """
import json, pathlib, shutil, sys, time
captions = pathlib.Path(sys.argv[sys.argv.index("--captions") + 1])
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
text = captions.read_text(encoding="utf-8")
say = lambda line: print(line, file=sys.stderr, flush=True)
say(f"reading {captions}")
if "fail" in text:
    say(f"error: {captions}: no captions; look into it")
    sys.exit(1)
if "die" in text:
    sys.exit(9)
for done in range(3):
    row = {"title": "train", "done": done, "total": 2, "note": f"loss {3 - done:.3f}"}
    say(json.dumps(row))
while "wait" in text:
    time.sleep(0.05)
shutil.copytree(sys.argv[1], out)
row = {"step": 2, "validation_loss": 1.5}
(out / "metrics.jsonl").write_text(json.dumps(row) + chr(10))
(out / "checkpoint.safetensors").write_bytes(b"large")
say("done")
print(json.dumps({"grade": "good", "text": ["verdict: it tells sounds apart"]}, indent=2))
"""


@pytest.fixture
def trainer(captioner, tmp_path, monkeypatch):
    """The command of a quick trainer; temporary files go to the folder of the test."""
    captioner.with_options(bridge="ad", beam_size=1).save(tmp_path / "model")
    (tmp_path / "trainer.py").write_text(TRAINER, encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return sys.executable, str(tmp_path / "trainer.py"), str(tmp_path / "model")


async def begin(client, captions="a dog barks\nrain falls", **fields):
    return await client.post("/v1/teach", json={"captions": captions, **fields})


async def ended(client):
    """The state once no training runs."""
    while (state := (await client.get("/v1/teach")).json())["state"] == "training":
        await asyncio.sleep(0.02)
    return state


async def until_running(client):
    while not (await client.get("/v1/teach")).json()["losses"]:
        await asyncio.sleep(0.02)


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "tmp").rglob("*"))


def test_a_training_becomes_a_model(asked, trainer, wav, tmp_path):
    async def talk(client):
        first = (await client.get("/v1/teach")).json()
        assert (await client.get("/v1/teach/bundle")).status_code == 404
        assert (await begin(client, name="mine")).json()["state"] == "training"
        state = await ended(client)
        models = [row["id"] for row in (await client.get("/v1/models")).json()["data"]]
        files = {"file": ("a.wav", wav(6))}
        posts = [
            await client.post("/v1/audio/captions", files=files, data={"model": model})
            for model in models
        ]
        about = (await client.get("/v1/about")).json()
        bundle = await client.get("/v1/teach/bundle")
        return first, state, models, posts, about, bundle

    first, state, models, posts, about, bundle = asked(talk, teach=trainer)
    assert (first["state"], state["state"], state["error"]) == ("idle", "done", "")
    assert [(row["step"], row["loss"]) for row in state["losses"]] == [(0, 3), (1, 2), (2, 1)]
    assert (state["step"], state["done"], state["total"]) == ("train", 2, 2)
    assert state["held_out"] == [{"step": 2, "loss": 1.5}]
    assert (state["grade"], state["verdict"]) == ("good", ["verdict: it tells sounds apart"])
    assert state["log"] == ["reading captions.txt", "done"]  # without places on the disk
    assert models == ["pocket", "mine"]
    assert posts[0].json()["logprob"] != posts[1].json()["logprob"]
    assert about["teach"]
    assert bundle.headers["content-disposition"] == 'attachment; filename="mine.zip"'
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as opened:
        assert not [name for name in opened.namelist() if "checkpoint" in name]
        opened.extractall(tmp_path)
    (tmp_path / "a.wav").write_bytes(wav(6))
    assert Captioner.load(tmp_path / "mine").caption(tmp_path / "a.wav").text
    assert left(tmp_path) == []


def test_one_at_a_time_and_an_end_at_any_time(asked, trainer, tmp_path):
    async def talk(client):
        assert (await client.delete("/v1/teach")).json()["state"] == "idle"
        assert (await begin(client, "wait")).status_code == 200
        await until_running(client)
        second = await begin(client)
        state = (await client.delete("/v1/teach")).json()
        assert (await client.get("/v1/models")).json()["data"][1:] == []
        assert len(left(tmp_path)) == 1  # the folder of all trainings
        assert (await begin(client)).status_code == 200
        return second, state, await ended(client)

    second, state, last = asked(talk, teach=trainer)
    assert (second.status_code, "a training is running" in error_of(second)) == (409, True)
    assert (state["state"], last["state"]) == ("cancelled", "done")
    assert left(tmp_path) == []


def test_a_server_that_stops_ends_its_training(asked, trainer, tmp_path):
    async def talk(client):
        await begin(client, "wait")
        await until_running(client)

    began = time.monotonic()
    asked(talk, teach=trainer)
    assert time.monotonic() - began < 30
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("fail", {}, "captions.txt: no captions; look into it"),
        ("die", {}, "reading captions.txt"),
        ("wait", {"teach_seconds": 1}, "not done within 1 s; send fewer captions or epochs"),
    ],
)
def test_a_training_that_fails(asked, trainer, tmp_path, text, options, error):
    async def talk(client):
        await begin(client, text)
        return await ended(client), left(tmp_path)

    state, files = asked(talk, teach=trainer, **options)
    assert (state["state"], state["error"].startswith(error)) == ("failed", True)
    assert len(files) == 1


def test_names_and_how_many(asked, trainer, wav):
    async def talk(client):
        wrong = [await begin(client, name=name) for name in ("pocket", "../x", "", "a" * 41)]
        for name in ("a", "b", "c", "d", "a"):
            assert (await begin(client, name=name)).status_code == 200
            assert (await ended(client))["state"] == "done"
            files = {"file": ("a.wav", wav(6))}
            data = {"model": name}
            post = await client.post("/v1/audio/captions", files=files, data=data)
            assert post.status_code == 200
        wrong.append(await begin(client, name="e"))
        return [answer.status_code for answer in wrong]

    assert asked(talk, teach=trainer) == [409, 400, 400, 400, 409]


def test_what_is_no_order(asked, trainer):
    bodies = [
        {"captions": ""},
        {"captions": []},
        {"captions": ["a"], "epochs": 51},
        {"captions": "a\n" * 20_001},
        {"captions": ["a"], "out": "/tmp"},
    ]

    async def talk(client):
        return [(await client.post("/v1/teach", json=body)).status_code for body in bodies]

    assert asked(talk, teach=trainer) == [400] * len(bodies)


def test_lists_and_tables(asked, trainer, tmp_path):
    """What the training gets to read."""
    echo = tmp_path / "echo.py"
    echo.write_text(
        "import sys; at = sys.argv.index('--captions') + 1; text = open(sys.argv[at]).read()\n"
        "print('error: ' + repr((sys.argv[at][-5:], text)), file=sys.stderr); sys.exit(1)\n"
    )

    async def talk(client):
        await begin(client, ["a dog\nbarks", "rain"])
        first = (await ended(client))["error"]
        await begin(client, "caption\na dog", format="csv")
        return first, (await ended(client))["error"]

    first, second = asked(talk, teach=(sys.executable, str(echo)))
    rows = ['{"caption": "a dog\\nbarks"}', '{"caption": "rain"}']
    assert first == repr(("jsonl", "\n".join(rows)))
    assert second == repr(("s.csv", "caption\na dog"))


def test_without_teaching_there_is_no_address(asked):
    assert asked(got("/v1/teach")).status_code == 404
    assert not asked(got("/v1/about")).json()["teach"]
    assert "/v1/teach" not in asked(got("/openapi.json")).text


def test_who_may_teach(run):
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    code, _, err = run("serve", "--teach", "--host", "0.0.0.0", "--port", "0")
    assert (code, "--teach: without API keys, everyone could train" in err) == (1, True)
    from wsac.cli.serve import _teaches

    assert [_teaches(None, alone, ()) for alone in (True, False)] == [True, False]
    assert _teaches(True, False, ("key",))
    assert not _teaches(False, True, ())


def test_progress_is_told_to_a_program():
    from wsac.io.console import follow_progress, progress

    told = []
    follow_progress(lambda *row: told.append(row))
    try:
        with progress("train", 3, unit="steps", done=1) as tick:
            tick(1, "loss 2.000")
            tick()
    finally:
        follow_progress(None)
    rows = [("train", 1, 3, ""), ("train", 2, 3, "loss 2.000"), ("train", 3, 3, "")]
    assert told == rows


@pytest.mark.slow
def test_the_process_trains_and_ends_with_its_server(captions, clap_folder, tmp_path):
    """As the server starts it: it tells its progress, and dies when nobody listens any more."""
    (tmp_path / "captions.txt").write_text("\n".join(captions), encoding="utf-8")
    command = [sys.executable, "-m", "wsac.cli.teach_process", "--clap", str(clap_folder)]
    command += ["--start", "none", "--captions", str(tmp_path / "captions.txt"), "--json"]
    sizes = [f"decoder.{name}" for name in ("width=16", "layers=1", "heads=2")]
    command += [word for size in sizes for word in ("--set", size)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)

    def start(out, *more):
        words = [*command, "--out", str(tmp_path / out), *more]
        return subprocess.Popen(words, text=True, **pipes)

    with start("one", "--epochs", "2") as process:
        lines = process.stderr.read().splitlines()
        verdict = json.loads(process.stdout.read())
        assert process.wait(60) == 0, lines
    rows = [json.loads(line) for line in lines if line.startswith('{"title"')]
    last = [row for row in rows if row["title"] == "train"][-1]
    assert last["done"] == last["total"]
    assert last["note"].startswith("loss ")
    assert verdict["text"][-1].startswith("verdict: ")

    with start("two", "--epochs", "5000", "--no-verdict") as process:
        for line in process.stderr:
            if '"train"' in line:
                break
        if sys.platform == "linux":
            assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
        process.stdin.close()
        try:
            assert process.wait(60) == 1
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
