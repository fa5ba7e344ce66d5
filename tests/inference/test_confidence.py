"""Confidence: its features, its fit, its error, and captions below the threshold."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile
import torch
from pydantic import TypeAdapter
from torch.testing import assert_close

from wsac.cli import main
from wsac.inference.batch import caption_files
from wsac.inference.bundle import FREE
from wsac.inference.calibrate import Known, calibrate, fit, judge, read_known
from wsac.inference.captioner import SILENCE, Captioner
from wsac.inference.confidence import (
    DIFFERENT,
    FEATURES,
    NEAREST,
    Calibration,
    Logistic,
    calibration_error,
    confidence_features,
    main_event,
    names_any,
)
from wsac.io.checked_json import write_record
from wsac.types import AudioError, Caption, CorpusError, ModelError, RecipeError

RATE = 16_000


def some_calibration(threshold=0.25, **changes):
    row = (0.0,) * len(FEATURES)
    return Calibration(
        replace(Logistic(row, 0.0, row, (1.0,) * len(FEATURES)), **changes), threshold=threshold
    )


def test_features_are_what_they_say(clap, captioner, embeddings):
    captions = [Caption("a dog barks", -float(i)) for i in range(6)]
    features = confidence_features(clap, captioner.memory, embeddings, captions)
    assert features.shape == (6, len(FEATURES))
    assert_close(features[:, 0], embeddings @ clap.embed_text(["a dog barks"])[0])
    similarity = embeddings @ captioner.memory.embeddings.float().T
    assert_close(features[:, 1], (similarity.amax(1) - similarity.mean(1)) / similarity.std(1))
    assert_close(features[:, 2], -torch.arange(6.0))
    alike = captioner.memory.embeddings.float() @ clap.embed_text(["a dog barks"])[0] >= DIFFERENT
    others = similarity[:, ~alike].amax(1)
    assert_close(features[:, 4], features[:, 0] - others)
    weights = (similarity / NEAREST).softmax(1)
    assert_close(features[:, 5], (weights @ captioner.memory.embeddings.float()).norm(dim=1))
    assert (confidence_features(clap, None, embeddings, captions)[:, [1, 4, 5]] == 0).all()
    assert confidence_features(clap, None, embeddings[:0], []).shape == (0, len(FEATURES))


def test_a_fit_recovers_probabilities():
    rng = torch.Generator().manual_seed(0)
    x = (
        torch.randn(4000, len(FEATURES), generator=rng)
        * torch.tensor([1.0, 5.0, 0.1, 2.0, 0.5, 1.0])
        + 3
    )
    truth = torch.sigmoid((x[:, 0] - 3) * 2 - 1)
    right = torch.rand(4000, generator=rng) < truth
    clear = x[:, 1] > -6  # of the others no caption is right
    truth, right = truth * clear, right & clear
    calibration = Calibration.fit(x[:2000], right[:2000], clear[:2000])
    assert float((calibration(x[2000:]) - truth[2000:]).abs().mean()) < 0.03
    assert (
        float(
            (Calibration.fit(x[:2000], right[:2000], clear[:2000] | True)(x[2000:]) - truth[2000:])
            .abs()
            .mean()
        )
        < 0.06
    )
    assert calibration_error(calibration(x[2000:]), right[2000:]) < 0.05
    again = TypeAdapter(Calibration).validate_json(json.dumps(asdict(calibration)))
    assert torch.equal(again(x), calibration(x))
    assert 0 <= float(calibration(x * 1e6).min()) <= float(calibration(x * 1e6).max()) <= 1


def test_a_fit_needs_both_kinds_and_survives_perfect_ones():
    x = torch.randn(20, len(FEATURES), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ModelError, match="right and wrong"):
        Calibration.fit(x, torch.ones(20), torch.ones(20))
    sure = Calibration.fit(x, x[:, 0] > 0, torch.ones(20))(x)
    assert sure.isfinite().all()
    assert float(sure[x[:, 0] > 0].min()) > float(sure[x[:, 0] <= 0].max())
    clear = x[:, 0] > 0  # and of those all are right
    both = Calibration.fit(x, clear, clear)(x)
    assert float(both[clear].min()) > 0.5 > float(both[~clear].max())


def test_calibration_error_of_known_cases():
    right = torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert calibration_error(torch.full((4,), 0.5), right) == pytest.approx(0)
    assert calibration_error(torch.full((4,), 1.0), right) == pytest.approx(0.5)
    assert calibration_error(torch.tensor([0.95, 0.05, 0.95, 0.05]), right) == pytest.approx(0.05)
    assert calibration_error(torch.tensor([0.05, 0.95, 0.05, 0.95]), right) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("caption", "words", "named"),
    [
        ("A dog barks", ("dog",), True),
        ("A hot dog stand", ("dogs",), False),
        ("Someone opens a can", ("can opener", "a can"), True),
        ("A DOG barks", ("Dog",), True),
        ("Scan the room", ("can",), False),
        ("A dog barks", (), False),
        ("Barking dogs", ("bark*",), True),
        ("A dog embarks", ("bark*",), False),
    ],
)
def test_names_are_whole_words(caption, words, named):
    assert names_any(caption, words) == named


@pytest.mark.parametrize(
    ("caption", "event"),
    [
        ("A dog barks while rain falls", "A dog barks "),
        ("Rain falls, then a dog barks", "Rain falls"),
        ("A man speaks", "A man speaks"),
        ("As a man speaks a dog barks", "As a man speaks a dog barks"),
        ("A band plays", "A band plays"),
    ],
)
def test_the_main_event_stands_before_the_first_connective(caption, event):
    assert main_event(caption) == event


def test_an_uncalibrated_captioner_says_so(captioner, embeddings, tmp_path):
    captioner.save(tmp_path)
    tone = 0.1 * np.sin(np.arange(RATE) / 5)
    soundfile.write(tmp_path / "tone.wav", tone, RATE)
    (row,) = caption_files([str(tmp_path / "tone.wav")], model=tmp_path)
    assert row.confidence is None
    assert row.text
    assert captioner.caption(torch.from_numpy(tone)).confidence is None
    with pytest.raises(RecipeError, match="wsac calibrate"):
        caption_files([str(tmp_path / "tone.wav")], model=tmp_path, min_confidence=0.5)


def test_a_confidence_of_other_features_is_left_out_with_a_note(captioner, tmp_path, capsys):
    captioner.calibration = some_calibration()
    captioner.save(tmp_path)
    card = json.loads((tmp_path / "captioner.json").read_text())
    files = card.pop("checksums")
    facts = {key: value for key, value in card.items() if key not in ("checksum", "unchecked")}
    facts["confidence"]["features"] = ["length"]
    write_record(tmp_path / "captioner.json", facts, files, FREE)
    assert Captioner.load(tmp_path, device="cpu").calibration is None
    assert "run wsac calibrate" in capsys.readouterr().err


@pytest.mark.slow
def test_an_unsure_caption_is_a_guess(captioner, tmp_path, capsys):
    """Of two sounds the quiet one is empty; the confidence is made to be 0.3 for all."""
    bias = float(torch.logit(torch.tensor(0.3)))
    captioner.calibration = some_calibration(bias=bias, threshold=0.4)
    captioner.save(tmp_path / "run")
    soundfile.write(tmp_path / "tone.wav", 0.1 * np.sin(np.arange(RATE) / 5), RATE)
    soundfile.write(tmp_path / "nothing.wav", np.zeros(RATE), RATE)
    files = [str(tmp_path / "nothing.wav"), str(tmp_path / "tone.wav")]
    nothing, tone = caption_files(files, model=tmp_path / "run")
    assert (nothing.text, nothing.confidence, nothing.guess) == (SILENCE, 0.0, "")
    assert tone.text == ""
    assert tone.guess
    assert tone.confidence == pytest.approx(0.3, abs=1e-4)
    _, low = caption_files(files, model=tmp_path / "run", min_confidence=0.29)
    assert (low.text, low.guess) == (tone.guess, "")
    with pytest.raises(RecipeError, match="from 0 to 1"):
        caption_files(files, model=tmp_path / "run", min_confidence=1.5)

    command = ["caption", files[1], "--model", str(tmp_path / "run")]
    assert main([*command, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["caption"], row["guess"]) == ("", tone.guess)
    assert main(command) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "unsure; perhaps:" in printed
    assert "30 %" in printed
    assert main([*command, "--min-confidence", "0", "--csv"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header == "file,caption,logprob,start,end,notes,error,confidence,guess"
    assert tone.guess in line


def test_confidence_follows_the_sound(captioner):
    weights = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    captioner.calibration = some_calibration(weights=weights)
    sounds = [torch.from_numpy(0.1 * np.sin(np.arange(RATE) / k)).float() for k in (2, 5, 11)]
    embeddings = torch.stack([captioner.embed(sound).embedding for sound in sounds])
    captions = captioner.caption_embeddings(embeddings)
    expected = torch.sigmoid(captioner.features(embeddings, captions)[:, 1])
    assert_close(torch.tensor([caption.confidence for caption in captions]), expected)
    assert len({caption.confidence for caption in captions}) == 3


@pytest.fixture
def known(captioner, tmp_path):
    """A saved captioner, and sounds; half have the first word of their caption as keyword."""
    captioner.save(tmp_path / "run")
    rng = np.random.default_rng(0)
    lines = ["audio,keywords"]
    for i in range(24):
        sound = (
            0.1 * np.sin(np.arange(RATE) / (2 + i)) if i % 2 else 0.1 * rng.standard_normal(RATE)
        )
        soundfile.write(tmp_path / f"{i}.wav", sound, RATE)
        first = re.findall(r"[^\W_]+", captioner.caption(torch.from_numpy(sound).float()).text)[0]
        lines.append(f"{i}.wav,{first if i % 2 else ''}")
    soundfile.write(tmp_path / "nothing.wav", np.zeros(RATE), RATE)
    lines += ["nothing.wav,silence", "missing.wav,dog"]
    (tmp_path / "known.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.slow
def test_calibrate_writes_what_it_fitted(known, capsys):
    before = Captioner.load(known / "run")
    judged = judge(before, read_known(known / "known.csv"))
    assert len(judged.captions) == 24  # without the silent one and the missing one
    assert judged.right.sum() == 12
    figures = calibrate(known / "run", known / "known.csv", known / "known.csv")
    assert figures["fit"] == figures["test"]
    assert figures["fit"]["accuracy"] == pytest.approx(0.5)
    assert figures["fit"]["recordings"] == 24
    assert "skipped: " in capsys.readouterr().err
    after = Captioner.load(known / "run")
    assert after.calibration is not None
    assert after.calibration.threshold == figures["threshold"]
    assert torch.equal(after.calibration(judged.features), fit(judged)(judged.features))
    unclear = after.calibration(judged.features)[~judged.right]
    assert float((unclear < after.calibration.threshold).float().mean()) >= 0.9
    assert (
        main(["calibrate", str(known / "run"), "--pairs", str(known / "known.csv"), "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["fit"] == figures["fit"]
    assert main(["calibrate", str(known / "run"), "--pairs", str(known / "known.csv")]) == 0
    assert "50.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("audio,caption\na.wav,x\n", "line 1: no column keywords"),
        ("audio,keywords\n,x\n", "line 2: audio is empty"),
        ("audio,keywords\n", "no rows"),
    ],
)
def test_wrong_tables_are_named(tmp_path, text, message):
    (tmp_path / "known.csv").write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_known(tmp_path / "known.csv")


def test_keywords_are_separated_by_bars(tmp_path):
    (tmp_path / "known.csv").write_text("audio,keywords\na.wav,dog | barks|\nb.wav,\n")
    assert read_known(tmp_path / "known.csv") == [
        Known("a.wav", ("dog", "barks")),
        Known("b.wav", ()),
    ]


def test_tables_of_recordings_may_have_semicolons_capitals_and_bad_rows(tmp_path):
    path = tmp_path / "known.csv"
    path.write_text("File_Name;Wörter\na.wav;dog | barks\n;x\nb.wav;\n")
    with pytest.raises(CorpusError, match=r"line 3: audio is empty; .*--skip-invalid"):
        read_known(path, column="Wörter")
    rows = read_known(path, column="Wörter", skip_invalid=True)
    assert rows == [Known("a.wav", ("dog", "barks")), Known("b.wav", ())]
    path.write_text("Audio;Keywords\na.wav;dog\n")
    assert read_known(path) == [Known("a.wav", ("dog",))]


def test_nothing_to_calibrate_on(known):
    with pytest.raises(AudioError, match="none of the 1"):
        judge(Captioner.load(known / "run"), [Known("missing.wav", ("dog",))])
    with pytest.raises(ModelError, match="no captioner here"):
        calibrate(known, known / "known.csv")
