"""Every public CLAP architecture, filled with deterministic weights, gives the embeddings of the
original code.

tests/clap/parity/ holds the reference numbers (tests/clap/parity/shrink.py tells of what); the
weights are made here by the rule they were made by there, wrapped as the public files are, and
loaded through ``load_clap``.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from wsac.clap import load_clap
from wsac.clap.public.catalog import FAMILIES
from wsac.clap.public.public_encoder import clean_caption

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "parity"
NAMES = sorted(path.name.removesuffix(".json.gz") for path in HERE.glob("*.json.gz"))
FAMILY = {
    "wavcaps-cnn14-bert": "wavcaps-cnn14",
    "wavcaps-htsat-bert": "wavcaps-htsat",
    "msclap-2022": "msclap-2022",
    "msclap-2023": "msclap-2023",
    "laion-tiny-unfused": "laion",
    "laion-base-unfused": "laion",
    "laion-tiny-fused": "laion-fused",
    "laion-base-fused": "laion-fused",
    "hf-clap-tiny-unfused": "transformers",
    "hf-clap-base-unfused": "transformers",
    "hf-clap-tiny-fused": "transformers-fused",
}
# cases that our crop policy never makes: several crops at once, or a clip longer than the tower's
ELSEWHERE = ("w30_fused", "w30_fused_aa", "w1_forced_longer", "w1_as_extractor", "w30_over1024")


def facts(name):
    return json.loads(gzip.decompress((HERE / f"{name}.json.gz").read_bytes()))


def filled(name, shape, dtype, fill):
    """A tensor by the fill rule of the reference values."""
    kind = getattr(torch, dtype)
    if fill == "keep":
        return None
    r = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if fill == "var":
        return 1 + 0.1 * r.abs()
    if fill == "gain":
        return 1 + 0.1 * r
    if fill == "shift":
        return 0.02 * r
    r = r - r.mean(dim=tuple(range(1, r.ndim)), keepdim=True)
    return (r * math.sqrt(2.0 / r[0].numel())).to(kind)


def kept(name, shape):
    """The tensors that keep their initial values: scales, and buffers that a loader may ignore or
    must compute.
    """
    if name.endswith("temp"):
        return torch.tensor(0.07)
    if "logit_scale" in name:
        return torch.tensor(math.log(1 / 0.07))
    return None


def checkpoint(name, folder):
    """Write the public container of a model; returns its path."""
    model = facts(name)
    state = {}
    for key, shape, dtype, fill, total in model["tensors"]:
        tensor = filled(key, shape, dtype, fill) if fill != "keep" else kept(key, shape)
        if tensor is None:
            continue
        if fill != "keep":
            assert float(tensor.double().sum()) == pytest.approx(total, rel=1e-5, abs=1e-3), key
        state[key] = tensor
    if name.startswith("hf-"):
        base = "base" in name
        audio = model["audio_config"] or {}
        if model["fused"]:
            audio |= {"enable_fusion": True, "fusion_type": "aff_2d"}
        assert base == (audio.get("hidden_size") == 1024)
        card = {
            "model_type": "clap",
            "projection_dim": 512,
            "audio_config": audio,
            "text_config": {},
        }
        (folder / "config.json").write_text(json.dumps(card))
        save_file(state, folder / "model.safetensors")
        return folder
    for extra in model["extra"]:
        key = extra["pattern"].replace("\\d+", "0").replace("\\", "")
        state[key] = torch.zeros(
            extra["shape"] or [], dtype=torch.int64 if "int" in extra["dtype"] else torch.float32
        )
    state = {model["prefix"] + key: value for key, value in state.items()}
    optimizer = {
        "param_groups": [{"lr": np.float64(1e-5)}]
    }  # as two of the training codes leave it
    container = {model["container"][0]: state, "optimizer": optimizer, "epoch": 15}
    path = folder / f"{name}.pt"
    torch.save(container, path)
    return path


@pytest.fixture(scope="module", params=NAMES)
def public(request, tmp_path_factory):
    name = request.param
    path = checkpoint(name, tmp_path_factory.mktemp("checkpoint"))
    model = load_clap(path)
    (path / "model.safetensors" if path.is_dir() else path).unlink()
    return name, model, facts(name), load_file(HERE / f"{name}.safetensors")


def wave(seed, rate, seconds):
    n = round(rate * seconds)
    t = np.arange(n) / rate
    f = 220.0 * 2 ** (seed / 3)
    tones = 0.20 * np.sin(2 * np.pi * f * t) + 0.05 * np.sin(2 * np.pi * 3.01 * f * t + 0.5) * (
        1 + np.sin(4 * np.pi * t)
    )
    f1 = 200.0 + 1500.0 * seed
    chirp = 0.15 * np.sin(2 * np.pi * (f1 * t + 0.5 * (6000.0 - f1) / seconds * t * t))
    u = 2 * np.random.default_rng(seed).random(n) - 1
    gate = ((1.5 + seed) * t) % 1.0 < 0.5
    return torch.from_numpy((tones + chirp + u * np.where(gate, 0.1, 0.002)).astype(np.float32))


def sound(case, model):
    """The samples of a case, as a user would give them; a case of the reference may pad or cut them
    first.
    """
    rate, window = model.sample_rate, model.window_seconds
    clip = 10.0 if model.family.name.startswith("wavcaps") else window
    size = round(clip * rate)
    tag, _, rest = case.partition("_")
    made = {
        "w1": lambda: wave(1, rate, 1.0),
        "wN": lambda: wave(2, rate, clip),
        "w30": lambda: wave(3, rate, 30.0),
        "w3": lambda: wave(4, rate, 3.3),
        "w10p005": lambda: wave(5, rate, 10.005),
        "zero": lambda: torch.zeros(size),
    }[tag]()
    if rest == "pad10":
        return torch.nn.functional.pad(made, (0, size - len(made)))
    return made if rest == "full" else made[:size]


def test_all_architectures_are_here():
    assert set(NAMES) == set(FAMILY)


def test_log_mel_is_the_reference(public):
    _, model, known, values = public
    found = model.log_mel(wave(1, model.sample_rate, 1.0)[None])[0]
    assert found.shape == values["logmel_w1_raw"].shape
    assert (
        float((found - values["logmel_w1_raw"]).abs().max()) <= known["tolerance"]["logmel_atol_db"]
    )


def test_audio_embeddings_are_the_references(public):
    name, model, known, values = public
    assert model.family.name == FAMILY[name]
    compared = 0
    for row, case in enumerate(known["cases"]):
        if case in ELSEWHERE or (case == "w30" and model.family.fused):
            continue
        if (
            case == "w10p005" and model.family.fused
        ):  # the fused models take what gives no more frames as a whole
            with torch.inference_mode():
                found = model.encode_audio(wave(5, model.sample_rate, 10.005)[None])[0]
        else:
            found = model.embed_audio([sound(case, model)])[0]
        assert (
            float((found - values["audio_embed"][row]).abs().max())
            <= known["tolerance"]["audio_embed_atol"]
        ), case
        compared += 1
    assert compared >= 4


def test_text_embeddings_are_the_references(public):
    _, model, known, values = public
    with torch.inference_mode():
        found = model.encode_ids(known["ids"])
        alone = torch.cat([model.encode_ids([row]) for row in known["ids"]])
    tolerance = known["tolerance"]["text_embed_atol"]
    assert float((found - values["text_embed"]).abs().max()) <= tolerance
    assert float((found - alone).abs().max()) <= tolerance


def test_an_embedding_does_not_depend_on_its_company(public):
    _, model, _, _ = public
    sounds = [sound(case, model) for case in ("w1", "wN", "w3")]
    alone = torch.cat([model.embed_audio([one]) for one in sounds])
    together = model.embed_audio(sounds[::-1]).flip(0)
    assert float((alone - together).abs().max()) <= 1e-5
    assert torch.equal(model.embed_audio(sounds[:1]), alone[:1])
    assert float((alone.norm(dim=-1) - 1).abs().max()) < 1e-5


def test_long_audio_is_the_mean_of_its_windows(public):
    _, model, _, _ = public
    size = round(model.window_seconds * model.sample_rate)
    whole = torch.cat(
        (wave(2, model.sample_rate, model.window_seconds)[:size], wave(1, model.sample_rate, 4.0))
    )
    parts = model.embed_audio([whole[:size], whole[size:]])
    mean = parts[0] * size + parts[1] * (len(whole) - size)
    assert float((model.embed_audio([whole])[0] - mean / mean.norm()).abs().max()) <= 1e-5


def test_cleaning_is_that_of_wavcaps():
    fed = facts("wavcaps-cnn14-bert")["fed"]
    assert [clean_caption(raw) for raw, _ in fed] == [after for _, after in fed]


def test_families_are_told_apart_by_what_changes_an_embedding():
    assert len(
        {
            (
                f.sample_rate,
                f.hop,
                f.shorter,
                f.mel,
                f.mel_rate,
                f.text,
                f.projection,
                f.int16,
                f.fused,
                f.window_seconds,
                f.text_epsilon,
            )
            for f in FAMILIES.values()
        }
    ) == len(FAMILIES)
