"""Weights that are NaN or infinite are refused when they are read, not blamed on a sound."""

from __future__ import annotations

import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from miniatures.language_models import write_lm
from miniatures.public_checkpoints import write_file, write_folder
from wsac.bridges.memory import SupportMemory
from wsac.clap import load_clap
from wsac.decoder.pretrained.hf_folder import read_model
from wsac.inference.captioner import Captioner
from wsac.io.tensors import check_finite
from wsac.types import ModelError


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("place", [0, 500, 999])
def test_every_kind_and_place(kind, value, place):
    rows = torch.linspace(-3, 3, 1000).to(kind).reshape(10, 100)
    check_finite({"a": rows, "none": rows[:0], "ids": torch.arange(3)}, "here")
    rows.view(-1)[place] = value
    with pytest.raises(ModelError, match=r"^here: tensor 'a' holds NaN or infinite values; get"):
        check_finite({"a": rows}, "here")
    with pytest.raises(ModelError, match="tensor 'a'"):
        check_finite({"a": rows.T}, "here")


def spoil(path) -> None:
    """One value of a file without checksum becomes NaN."""
    tensors = load_file(path)
    name = max(tensors, key=lambda name: tensors[name].numel())
    tensors[name].view(-1)[7] = float("nan")
    save_file(tensors, path)


def message(act) -> str:
    with pytest.raises(ModelError) as caught:
        act()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_public_clap(tmp_path):
    file = write_file("laion", tmp_path / "file")
    container = torch.load(file, weights_only=True)
    next(iter(container["state_dict"].values())).view(-1)[0] = float("nan")
    torch.save(container, file)
    for place, path in ((file, file), (write_folder(tmp_path / "folder"), tmp_path / "folder")):
        if path.is_dir():
            spoil(path / "model.safetensors")
        assert "holds NaN or infinite values" in message(lambda place=place: load_clap(place))


@pytest.mark.parametrize("name", ["decoder", "memory"])
def test_a_captioner(name, captioner, run, tmp_path):
    """Of a training that failed: the checksum is right."""
    if name == "decoder":
        with torch.no_grad():
            next(captioner.decoder.parameters()).view(-1)[3] = float("nan")
    else:
        rows = captioner.memory.embeddings.clone()
        rows[2, 1] = float("nan")
        captioner.memory = SupportMemory(rows)
    captioner.save(tmp_path / "run")
    soundfile.write(tmp_path / "a.wav", 0.1 * torch.randn(16_000).numpy(), 16_000)
    text = message(lambda: Captioner.load(tmp_path / "run", device="cpu"))
    assert text.startswith(f"{tmp_path / 'run' / name}.safetensors: tensor ")
    code, out, err = run("caption", tmp_path / "a.wav", "--model", tmp_path / "run")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_a_pocket_clap(clap_folder, tmp_path):
    clap = load_clap(clap_folder)
    with torch.no_grad():
        next(clap.parameters()).view(-1)[0] = float("inf")
    clap.save(tmp_path)
    text = message(lambda: load_clap(tmp_path))
    assert text.startswith(f"{tmp_path / 'clap.safetensors'}: tensor ")


def test_a_language_model(captions, tmp_path):
    spoil(write_lm("gpt2", tmp_path, captions) / "model.safetensors")
    text = message(lambda: read_model(tmp_path, torch.float32))
    assert text.startswith(f"{tmp_path}: tensor 'transformer.")
