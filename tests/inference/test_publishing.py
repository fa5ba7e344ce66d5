"""Publishing a captioner on a local Hub: one commit, a model card, the token, and every refusal."""

from __future__ import annotations

import json

import pytest
import yaml

from miniatures.hub_server import TOKEN
from wsac import Captioner, ModelError
from wsac.inference.publishing import push_folder
from wsac.io.checked_json import write_record

# of huggingface_hub itself, in its upload of large files
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "someone/barks"
SOUND = [0.1 * (i % 50) / 50 for i in range(16_000)]
SCORES = {
    "format": 1,
    "digest": "d",
    "items": 40,
    "about": {"dataset": "clotho", "split": "evaluation", "root": "/home/someone/clotho"},
    "metrics": {
        "cider_d": {"value": 0.31234, "interval": [0.29, 0.33], "note": ""},
        "fense": {"value": None, "interval": None, "note": ""},
    },
}


@pytest.fixture
def hub(hub, monkeypatch):
    """Somebody is signed in."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


@pytest.fixture
def folder(captioner, tmp_path):
    folder = tmp_path / "run"
    captioner.save(folder, notes={"captions": 240, "validation_loss": 1.25})
    (folder / "recipe.toml").write_text('[corpus]\ncaptions = ["/home/someone/barks.txt"]\n')
    write_record(folder / "scores.json", SCORES)
    (folder / "metrics.jsonl").write_text("{}\n")
    return folder


def head_of(text):
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.slow
def test_what_was_pushed_captions_the_same(hub, captioner):
    address = captioner.push_to_hub(REPO, licence="mit", data="240 sentences.", private=True)
    assert address == f"{hub.address}/{REPO}/commit/c0ffee" + "0" * 34
    assert hub.repos[REPO]["visibility"] == "private"
    (commit,) = hub.commits
    assert sorted(commit["files"]) == [
        "README.md",
        "captioner.json",
        "clap/clap.json",
        "clap/clap.safetensors",
        "clap/tokenizer.json",
        "decoder.safetensors",
        "memory.safetensors",
        "tokenizer.json",
    ]
    again = Captioner.from_pretrained(REPO)
    assert again.caption(SOUND).text == captioner.caption(SOUND).text
    text = hub.files[f"{REPO}/README.md"].decode()
    assert head_of(text)["license"] == "mit"
    assert "240 sentences." in text
    assert "Not evaluated on sounds." in text


@pytest.mark.slow
def test_a_command_publishes_a_run_with_its_figures(hub, folder, run):
    status, out, err = run("push", folder, REPO)
    assert status == 0, err
    assert out.strip().startswith(f"{hub.address}/{REPO}/commit/")
    text = hub.files[f"{REPO}/README.md"].decode()
    head = head_of(text)
    assert (head["library_name"], head["license"]) == ("wsac", "other")
    assert head["pipeline_tag"] == "audio-text-to-text"
    (result,) = head["model-index"][0]["results"]
    assert result["dataset"]["name"] == "clotho"
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("cider_d", 0.3123)]
    assert "40 clips (dataset clotho, split evaluation)" in text
    assert "| cider_d | 0.3123 | 0.29 to 0.33 |" in text
    assert "Captions of `barks.txt`." in text
    assert "Loss on held-out captions: 1.25 nats per token." in text
    assert "/home/someone" not in text
    assert f'Captioner.from_pretrained("{REPO}")' in text
    assert TOKEN not in out + err + text
    before = len(hub.commits)
    (folder / "README.md").write_text("# My own words\n")
    assert json.loads(run("push", folder, f"hf://{REPO}", "--json")[1])["repo"]
    assert hub.files[f"{REPO}/README.md"] == b"# My own words\n"
    assert len(hub.commits) == before + 1


def test_what_cannot_be_loaded_elsewhere_is_refused(hub, folder, clap):
    card = json.loads((folder / "captioner.json").read_text())
    (folder / "captioner.json").write_text(json.dumps(card | {"clap": "/home/someone/clap.pt"}))
    with pytest.raises(ModelError, match="its CLAP is a place on this machine, /home/someone/clap"):
        push_folder(folder, REPO)
    push_folder(folder, REPO, clap="someone/clap")
    assert json.loads(hub.files[f"{REPO}/captioner.json"])["clap"] == "someone/clap"
    decoder = card["decoder"] | {"model": "/home/someone/gpt2"}
    (folder / "captioner.json").write_text(json.dumps(card | {"decoder": decoder}))
    with pytest.raises(ModelError, match="its decoder needs /home/someone/gpt2, on this machine"):
        push_folder(folder, REPO)
    assert len(hub.commits) == 1


@pytest.mark.slow
def test_every_refusal_is_one_line(hub, folder, run, monkeypatch):
    from huggingface_hub import constants

    def refused(*words):
        status, out, err = run("push", *words)
        assert (status, out) == (1, "")
        assert TOKEN not in err
        return err.splitlines()[-1]

    assert "not a repository; give owner/name" in refused(folder, "barks")
    assert "no captioner here" in refused(folder.parent, REPO)
    assert "no evaluation; wsac evaluate -o" in refused(
        folder, REPO, "--scores", folder / "captioner.json"
    )
    for status in (401, 403):
        hub.status = status
        assert "the token may not write here" in refused(folder, REPO)
    hub.status = 500
    assert "nothing was changed, try again" in refused(folder, REPO)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids uploads" in refused(folder, REPO)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert "nobody is signed in; hf auth login" in refused(folder, REPO)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: TOKEN)
    monkeypatch.setattr("wsac.inference.publishing.hub_answers", lambda: False)
    assert "the Hub cannot be reached" in refused(folder, REPO)
    assert hub.commits == []


def test_prompts_are_published_with_a_note(hub, folder, capsys):
    card = json.loads((folder / "captioner.json").read_text())
    prompt = {"phrases": ["a dog barks"], "count": 1}
    (folder / "captioner.json").write_text(json.dumps(card | {"prompt": prompt}))
    push_folder(folder, REPO)
    assert "holds the captions of its prompts" in capsys.readouterr().err


@pytest.mark.slow
def test_the_card_of_the_built_in_captioner(hub, tmp_path):
    Captioner.load().push_to_hub(REPO)
    text = hub.files[f"{REPO}/README.md"].decode()
    assert head_of(text)["license"] == "cc-by-nc-4.0"
    assert "The built-in CLAP that it needs is CC BY-NC 4.0" in text
    assert "calibrated; unsure below 41%" in text
    again = Captioner.from_pretrained(REPO)
    assert again.calibration == Captioner.load().calibration
