"""A captioner's folder: the same captions after loading, defaults, and broken folders."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from wsac import Captioner, ModelError, WsacError
from wsac.inference.bundle import (
    decoder_checksum,
    set_calibration,
    set_default_options,
)
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner_folder import find_captioner
from wsac.inference.confidence import FEATURES, Calibration, Logistic

SOUND = torch.from_numpy(0.1 * np.sin(np.arange(16_000) / 5)).float()
ROW = (0.0,) * len(FEATURES)
CALIBRATION = Calibration(Logistic(ROW, 0.5, ROW, (1.0,) * len(FEATURES)), threshold=0.4)


@pytest.fixture
def folder(captioner, tmp_path):
    captioner.save(tmp_path / "run", memory_precision="float32")
    return tmp_path / "run"


def change(folder, **changes):
    card = json.loads((folder / "captioner.json").read_text())
    (folder / "captioner.json").write_text(json.dumps(card | changes))


def test_save_and_load_give_the_same_captions(captioner, folder, tmp_path):
    again = Captioner.load(folder)
    moved = folder.rename(tmp_path / "moved")
    third = Captioner.load(moved)
    assert again.options == captioner.options
    assert again.caption(SOUND) == third.caption(SOUND)
    assert not [path for path in moved.rglob("*") if path.suffix in {".pkl", ".pt", ".bin"}]
    captioner.save(tmp_path / "half", half=True, memory_precision="int8")
    small, large = (
        sum(path.stat().st_size for path in (tmp_path / name).glob("*.safetensors"))
        for name in ("half", "moved")
    )
    assert small < 0.6 * large
    assert Captioner.load(tmp_path / "half").caption(SOUND).logprob < 0


def test_the_options_are_one_flat_table_on_disk(captioner, tmp_path):
    options = CaptionOptions.make(bridge="nnd", beam_size=3, choose="clap", seed=7, top_p=0.5)
    captioner.with_options(options).save(tmp_path)
    table = json.loads((tmp_path / "captioner.json").read_text())["options"]
    assert table.items() >= {"bridge": "nnd", "beam_size": 3, "seed": 7, "top_p": 0.5}.items()
    assert not any(isinstance(value, dict) for value in table.values())
    assert Captioner.load(tmp_path).options == options


def test_a_captioner_saved_meanwhile_gets_no_confidence_of_another(captioner, folder):
    checksum = decoder_checksum(folder)
    set_calibration(folder, CALIBRATION, of=checksum)
    with torch.no_grad():
        for parameter in captioner.decoder.parameters():
            parameter.mul_(0.5)
    captioner.save(folder, memory_precision="float32")  # as a training does meanwhile
    before = (folder / "captioner.json").read_bytes()
    for update in (
        lambda: set_calibration(folder, CALIBRATION, of=checksum),
        lambda: set_default_options(folder, captioner.options, of=checksum),
    ):
        with pytest.raises(ModelError, match="another captioner was saved here meanwhile"):
            update()
    assert (folder / "captioner.json").read_bytes() == before
    assert Captioner.load(folder).calibration is None


def test_defaults_and_calibration_change_in_place(folder):
    before = json.loads((folder / "captioner.json").read_text())
    options = CaptionOptions.make(bridge="ad", beam_size=1)
    set_default_options(folder, options)
    set_calibration(folder, CALIBRATION)
    after = json.loads((folder / "captioner.json").read_text())
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {"options", "confidence", "checksum"}
    again = Captioner.load(folder)
    assert (again.options, again.calibration) == (options, CALIBRATION)


def test_the_bundled_captioner_has_a_name():
    assert (find_captioner("pocket") / "captioner.json").is_file()
    assert str(find_captioner("runs/mine")) == "runs/mine"


WRONG = [
    ({"clap_fingerprint": "another"}, "trained with CLAP another"),
    ({"version": 2}, "a captioner of format 2, but this wsac reads format 1"),
    ({"version": None}, "not a captioner of this version .*version"),
    ({"memory_entries": -1}, "not a captioner of this version .*memory_entries"),
    ({"confidence": {"threshold": 2}}, "not a captioner of this version .*confidence"),
    ({"prompt": {"phrases": ["a dog"], "count": 0}}, "not a captioner of this version .*count"),
    ({"options": {"beam": 4}}, "unknown caption option 'beam'"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_wrong_cards_are_explained_in_one_line(folder, changes, words):
    change(folder, **changes)
    with pytest.raises(WsacError, match=words) as caught:
        Captioner.load(folder)
    assert "\n" not in str(caught.value)


def test_wrong_folders_are_explained(folder, tmp_path):
    with pytest.raises(ModelError, match="no captioner here"):
        Captioner.load(tmp_path)
    (folder / "decoder.safetensors").unlink()
    with pytest.raises(ModelError, match="not a captioner of this version"):
        Captioner.load(folder)
    (folder / "captioner.json").write_text("{")
    with pytest.raises(WsacError, match="not valid JSON"):
        Captioner.load(folder)


@pytest.mark.slow
def test_loading_imports_no_compiler():
    """torch._dynamo and sympy take two seconds and 70 MB."""
    code = (
        "import sys; from wsac import Captioner; Captioner.load();"
        "print(*sorted({'torch._dynamo', 'torch._inductor', 'sympy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
