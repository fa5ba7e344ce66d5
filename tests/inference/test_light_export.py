"""Graphs without weights: what onnxruntime gives with them is what torch gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import torch

from miniatures.public_checkpoints import FILES, write_file
from wsac.clap.loading import load_clap
from wsac.clap.pocket.pocket_config import BUNDLED
from wsac.decoder import TransformerDecoder
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.types import ModelError

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))),
    reason="needs onnx, onnxscript and onnxruntime: pip install 'wsac[export]'",
)
NEAR = {"atol": 1e-5, "rtol": 0}
TEXTS = ["a dog barks!", "rain, on a roof", "wind"]


def test_graphs_without_weights_give_what_torch_gives(clap, clap_folder, tmp_path):
    from wsac.clap.pocket.onnx_clap import OnnxClap
    from wsac.inference.onnx.skeletons import write_towers
    from wsac.io.checked_json import add_files

    folder = tmp_path / "clap"
    shutil.copytree(clap_folder, folder)
    with pytest.raises(ModelError, match="no graphs"):
        OnnxClap.load(folder)
    add_files(folder / "clap.json", lambda part: write_towers(clap, part))
    assert (folder / "audio.onnx").stat().st_size < 100_000
    light = OnnxClap.load(folder)
    texts = ["a dog barks", "rain falls on a roof"]
    torch.testing.assert_close(light.embed_text(texts), clap.embed_text(texts), atol=1e-5, rtol=0)
    sounds = [0.1 * torch.sin(torch.arange(n) / 20) for n in (9_000, 16_000, 30_000)]
    torch.testing.assert_close(
        light.embed_audio(sounds), clap.embed_audio(sounds), atol=1e-5, rtol=0
    )


@pytest.mark.slow
def test_graphs_without_weights_depend_on_sizes_alone(tmp_path):
    """So that a captioner with the sizes of the built-in one takes its graphs when it is saved."""
    from wsac.inference.onnx.skeletons import write_steps, write_towers

    built_in = Captioner.load(device="cpu")
    torch.manual_seed(0)
    for model in (built_in.decoder, built_in.clap):
        for value in model.parameters():
            torch.nn.init.normal_(value)
    write_steps(built_in.decoder, tmp_path)
    write_towers(built_in.clap, tmp_path)
    built_in.save(tmp_path / "run")
    for name in ("prefill.onnx", "step.onnx"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    for name in ("audio.onnx", "text.onnx"):
        assert (tmp_path / name).read_bytes() == (BUNDLED / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("family", FILES)
def test_a_public_clap_without_torch(family, tmp_path):
    from wsac.clap.public.onnx_public_clap import OnnxPublicClap
    from wsac.inference.onnx.skeletons import write_public_towers
    from wsac.io.checked_json import add_files

    clap, folder = load_clap(str(write_file(family, tmp_path))), tmp_path / "light"
    clap.save(folder, fingerprint=clap.fingerprint)
    with pytest.raises(ModelError, match="no graphs"):
        OnnxPublicClap.load(folder)
    add_files(folder / "clap.json", lambda part: write_public_towers(clap, part))
    light = OnnxPublicClap.load(folder)
    assert light.fingerprint == clap.fingerprint == load_clap(folder).fingerprint
    assert light.temperature == clap.temperature
    torch.testing.assert_close(light.embed_text(TEXTS), clap.embed_text(TEXTS), **NEAR)
    random = torch.Generator().manual_seed(0)
    sounds = [0.1 * torch.randn(n, generator=random) for n in (9_000, 160_000, 700_000)]
    torch.testing.assert_close(light.embed_audio(sounds), clap.embed_audio(sounds), **NEAR)
    light.save(tmp_path / "copy")
    assert OnnxPublicClap.load(tmp_path / "copy").fingerprint == clap.fingerprint


@pytest.mark.slow
def test_a_captioner_with_a_public_clap_without_torch(tokenizer, tmp_path, monkeypatch):
    from wsac.inference.onnx.exporter import export_light

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    clap = load_clap(str(write_file("wavcaps-cnn14", tmp_path)))
    sizes = {"vocab_size": tokenizer.vocab_size, "width": 16, "layers": 1, "heads": 2}
    decoder = TransformerDecoder(
        embed_dim=clap.embed_dim, prefix_length=2, max_tokens=12, **sizes
    ).eval()
    Captioner(clap, decoder, tokenizer, options=CaptionOptions.make(bridge="ad")).save("run")
    export_light(Captioner.load("run"), tmp_path / "run")
    for path in tmp_path.glob("*.pt"):
        path.unlink()  # only the folder goes to the other machine
    soundfile.write("a.wav", 0.1 * np.random.default_rng(0).standard_normal(50_000), 32_000)

    def caption(**variables) -> list[dict]:
        command = [sys.executable, "-m", "wsac", "caption", "a.wav", "--model", "run", "--json"]
        done = subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    (light,) = caption(WSAC_ARRAYS="numpy")
    (full,) = Captioner.load("run", clap=tmp_path / "run" / "clap").caption_batch(["a.wav"])
    assert light["caption"] == full.text
    assert light["logprob"] == pytest.approx(full.logprob, abs=1e-4)
