"""ONNX: the graphs say what torch says, alone and in the example.

What cannot be exported leaves nothing behind.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from miniatures.unit_embeddings import unit
from wsac.bridges import BridgeContext, inference_bridge
from wsac.bridges.gap import fit_gap
from wsac.bridges.memory import SupportMemory
from wsac.data.soundworld import demo_scenes, render_scene
from wsac.decoder.generation import GenerationOptions, generate
from wsac.decoder.onnx_decoder import OnnxDecoder
from wsac.inference.captioner import Captioner
from wsac.inference.onnx import graphs as export_graphs
from wsac.inference.onnx.exporter import export_onnx
from wsac.inference.onnx.graphs import BridgeGraph, write_bridge
from wsac.inference.prompts import Prompter
from wsac.io.files import atomic_folder, read_json, write_json
from wsac.runtime.onnx_session import Session
from wsac.types import ModelError, WsacError

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_caption.py"
needs_onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))),
    reason="needs onnx, onnxscript and onnxruntime: pip install 'wsac[export]'",
)

# runs the example with a guard over its imports; writes tokens and captions of the files
GUARDED = """
import json, runpy, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "wsac", "tokenizers", "transformers", "onnx"):
            raise ImportError(f"the example imports {name}")

sys.meta_path.insert(0, Guard())
example, folder, *files = sys.argv[1:]
sys.argv = [example, folder, *files]
parts = runpy.run_path(example)
tokens = []
for file in files:
    sound = parts["soundfile"].read(file, dtype="float32", always_2d=True)[0].mean(axis=1)
    tokens.append(parts["write"](parts["embed"](sound)))
print(json.dumps(tokens))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The bundled captioner as ONNX, by the command in a process of its own: (folder, its JSON, its
    stderr).

    It takes half a minute, so the workers of a parallel run share one.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "onnx"
    folder, told = shared / "parent" / "pocket", shared / "told.json"
    try:
        shared.mkdir()
    except FileExistsError:
        for _ in range(600):
            if told.is_file():
                break
            time.sleep(1)
    else:
        command = [
            sys.executable,
            "-W",
            "error",
            "-m",
            "wsac",
            "export",
            "--onnx",
            str(folder),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        write_json(told, [done.returncode, done.stdout, done.stderr])
    code, out, err = read_json(told)
    assert code == 0, err
    return folder, json.loads(out), err


@pytest.fixture(scope="module")
def pocket() -> Captioner:
    return Captioner.load("pocket", device="cpu").with_options(beam_size=1)


@pytest.fixture
def sounds(tmp_path) -> list[Path]:
    """Scenes of 5 s, of half a window and two, two windows and a scrap, a blip, in stereo,
    and silence; 16 kHz.
    """
    scenes = [scene for _, scene in demo_scenes()]
    paths = []
    for i, seconds in enumerate((5.0, 5.0, 25.0, 20.5, 0.2, 3.0)):
        sound = render_scene(scenes[i], np.random.default_rng(i), seconds, 16_000)
        if i == 5:
            sound = np.stack((sound, 0.3 * sound), axis=1)
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], sound, 16_000, subtype="FLOAT")
    paths.append(tmp_path / "silent.wav")
    soundfile.write(
        paths[-1], 5e-4 * np.random.default_rng(0).uniform(-1, 1, 16_000), 16_000, subtype="FLOAT"
    )
    return paths


def copies(exported, monkeypatch) -> None:
    """Exporting copies graphs that are there already, which takes no time."""

    def again(*arguments):
        for path in arguments:
            if isinstance(path, Path):
                shutil.copy(exported[0] / path.name, path)

    for name in ("write_audio", "write_bridge", "write_decoder"):
        monkeypatch.setattr(export_graphs, name, again)


@needs_onnx
def test_what_is_written_and_told(exported, pocket):
    folder, told, stderr = exported
    names = [
        "audio.onnx",
        "bridge.onnx",
        "config.json",
        "prefill.onnx",
        "step.onnx",
        "tokenizer.json",
    ]
    assert stderr == "checked: onnxruntime writes the same tokens as torch for 14 captions\n"
    assert [path.name for path in folder.parent.iterdir()] == ["pocket"]
    assert told["files"] == {name: (folder / name).stat().st_size for name in names}
    assert told["bytes"] == sum(told["files"].values())
    assert told["checked"]["captions"] == 14
    assert 0 <= told["checked"]["audio_difference"] <= 1e-5
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["checked"] == told["checked"]
    assert {key: config[key] for key in ("window", "hop", "shortest_tail")} == {
        "window": 160_000,
        "hop": 160_000,
        "shortest_tail": 16_000,
    }
    assert config["max_tokens"] == pocket.decoder.max_tokens
    assert config["clap"] == pocket.clap.fingerprint


@needs_onnx
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 7_999), (3, 8_001), (1, 12_345), (2, 99_999), (1, 160_000)]
)
def test_the_audio_tower_takes_any_batch_and_length(exported, pocket, shape):
    waveforms = 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        expected = pocket.clap.encode_audio(waveforms)
    torch.testing.assert_close(
        Session(exported[0] / "audio.onnx")(waveforms)[0], expected, atol=1e-5, rtol=0
    )


@needs_onnx
@pytest.mark.parametrize(("batch", "beams"), [(1, 1), (5, 1), (3, 4)])
def test_tokens_of_any_batch_and_beam(exported, pocket, batch, beams):
    embedding = pocket.clap.embed_text(
        ["A dog barks", "Rain falls", "A man speaks", "A bell", "Wind"][:batch]
    )
    bridged = Session(exported[0] / "bridge.onnx")(embedding)[0]
    torch.testing.assert_close(bridged, pocket.bridge(embedding), atol=1e-5, rtol=0)
    options = GenerationOptions(beams)
    decoder = OnnxDecoder(exported[0], pocket.decoder.config)
    written = [one.tokens for one in generate(decoder, bridged, options)]
    assert written == [one.tokens for one in generate(pocket.decoder, bridged, options)]
    assert all(written)


@needs_onnx
def test_the_example_says_what_the_captioner_says(exported, pocket, sounds, tmp_path):
    guarded = [sys.executable, "-c", GUARDED, EXAMPLE, exported[0], *sounds]
    home = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CACHE_HOME")}
    unset = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(guarded, capture_output=True, text=True, env=unset | home)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()  # onnxruntime keeps there what it reports
    *texts, tokens = done.stdout.splitlines()
    captions = [caption.text for caption in pocket.caption_batch(sounds)]
    assert texts == captions
    assert texts[-1] == "Silence"
    assert len(set(texts)) > 4
    heard = torch.stack([pocket.embed(sound).embedding for sound in sounds])
    written = generate(
        pocket.decoder, pocket.bridge(heard), GenerationOptions(1, pocket.decoder.max_tokens)
    )
    assert json.loads(tokens) == [one.tokens for one in written]


@needs_onnx
@pytest.mark.slow
def test_the_example_goes_on_after_a_bad_sound(exported, sounds, tmp_path):
    odd = tmp_path / os.fsdecode(b"\xe9.wav")  # not UTF-8
    odd.write_bytes(Path(sounds[0]).read_bytes())
    command = [sys.executable, EXAMPLE, exported[0], tmp_path / "missing.wav", odd]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.startswith(f"{tmp_path}/missing.wav: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("library", ["torch", "wsac"])
def test_the_guard_of_that_test(tmp_path, library):
    (tmp_path / "example.py").write_text(f"import {library}")
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, tmp_path / "example.py", "x"],
        capture_output=True,
        text=True,
    )
    assert f"ImportError: the example imports {library}" in done.stderr


def test_the_example_is_short():
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert sum(bool(line) for line in lines) <= 55


@needs_onnx
def test_what_differs_is_an_error_and_leaves_nothing(exported, pocket, tmp_path, monkeypatch):
    copies(exported, monkeypatch)
    other = copy.copy(pocket)
    other.decoder = copy.deepcopy(pocket.decoder)
    with torch.no_grad():
        other.decoder.blocks[0].out.weight.mul_(-1)
    deaf = copy.copy(pocket)
    deaf.clap = copy.deepcopy(pocket.clap)
    with torch.no_grad():
        deaf.clap.audio.narrow.weight.mul_(-1)
    for captioner, words in (
        (other, r"step.onnx: \d+ of 14 captions differ in their tokens"),
        (deaf, "audio.onnx: embeddings of sounds differ"),
        (pocket.with_options(bridge="ad"), "bridge.onnx: bridged embeddings differ"),
    ):
        with pytest.raises(ModelError, match=words):
            export_onnx(captioner, tmp_path / "new" / "onnx")
        assert list((tmp_path / "new").iterdir()) == []


@needs_onnx
def test_what_cannot_be_exported(exported, captioner, captions, tokenizer, tmp_path, monkeypatch):
    copies(exported, monkeypatch)

    def refused(words, change, **options):
        other = copy.copy(captioner)
        change(other)
        with pytest.raises(ModelError, match=words) as caught:
            export_onnx(other, tmp_path / "onnx", **options)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    prompter = Prompter.make(captions[:50], captioner.memory, tokenizer, count=1, tokens=8)
    refused("reads a prompt", lambda c: setattr(c, "prompter", prompter))
    refused("a Other cannot be exported", lambda c: setattr(c, "decoder", type("Other", (), {})()))
    foreign = SimpleNamespace(source="laion/clap-htsat-unfused", fingerprint="f")
    refused(
        "laion/clap-htsat-unfused cannot .* --decoder-only", lambda c: setattr(c, "clap", foreign)
    )
    monkeypatch.undo()
    refused(
        "bridge Own cannot",
        lambda c: setattr(c, "bridge", type("Own", (), {"memory": captioner.memory})()),
    )


@needs_onnx
def test_the_decoder_alone(exported, pocket, tmp_path, monkeypatch):
    """Of a captioner with another CLAP; here its texts are those of the pocket one."""
    copies(exported, monkeypatch)
    other, clap = copy.copy(pocket), pocket.clap
    other.clap = SimpleNamespace(
        embed_text=clap.embed_text,
        embed_dim=256,
        sample_rate=48_000,
        window_seconds=7.0,
        temperature=0.07,
        fingerprint="f",
        source="s",
    )
    told = export_onnx(other, tmp_path / "onnx", decoder_only=True)
    assert not (tmp_path / "onnx" / "audio.onnx").exists()
    assert sorted(told["checked"]) == ["bridge_difference", "captions"]
    assert (
        json.loads((tmp_path / "onnx" / "config.json").read_text(encoding="utf-8"))["sample_rate"]
        == 48_000
    )


@pytest.mark.parametrize(
    ("spec", "trained"),
    [
        ("ad", ""),
        ("pd", ""),
        ("pd:temperature=0", "shift"),
        ("nnd", ""),
        ("topk:k=3", ""),
        ("santa:k=4", ""),
        ("santa:k=1000", "noise"),
        ("shift+nnd", "centre"),
    ],
)
def test_bridges_written_out_are_the_bridges(spec, trained):
    given = BridgeContext(SupportMemory(unit(50, 1)), fit_gap(unit(60, 2), unit(60, 3)), 0.05)
    bridge, embedding = inference_bridge(spec, given, trained), unit(7, 4)
    torch.testing.assert_close(BridgeGraph(bridge)(embedding), bridge(embedding))


@needs_onnx
def test_a_chain_of_bridges_in_onnx(tmp_path):
    given = BridgeContext(SupportMemory(unit(50, 1)), fit_gap(unit(60, 2), unit(60, 3)), 0.05)
    bridge = inference_bridge("shift+nnd", given, "centre")
    write_bridge(bridge, 16, tmp_path / "bridge.onnx")
    for rows in (1, 300):  # 300: more than the bridges themselves take at once
        embedding = unit(rows, 4)
        torch.testing.assert_close(
            Session(tmp_path / "bridge.onnx")(embedding)[0], bridge(embedding)
        )


def test_without_the_extra(run, tmp_path, monkeypatch):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, err = run("export", "--onnx", tmp_path / "onnx")
    assert code == 1
    missing = "onnx and onnxscript and onnxruntime"
    assert err == f"error: wsac export needs {missing}: pip install 'wsac[export]'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_whole_or_absent(tmp_path):
    def fill(target, fails=False):
        with atomic_folder(target) as folder:
            (folder / "a").write_text("new")
            if fails:
                raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        fill(tmp_path / "x", fails=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty")
    assert (tmp_path / "empty" / "a").read_text() == "new"
    (tmp_path / "file").write_text("old")
    for taken in ("empty", "file"):
        with pytest.raises(WsacError, match="something here already"):
            fill(tmp_path / taken)
    with pytest.raises(WsacError, match="cannot write"):
        fill(tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]
