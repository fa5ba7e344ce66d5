"""Zero-shot tagging: the laws of a Tagger, many files, and `wsac tag` as people use it."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from wsac import AudioError, RecipeError, Tagger, load_clap
from wsac.clap.sounds import AudioEmbedding, embed_sound
from wsac.cli import main
from wsac.data.captions.labels import read_labels
from wsac.inference.batch import stream_tags
from wsac.inference.tagger import PROMPTS, Tag

LABELS = ["dog bark", "rain", "church_bells", "A siren"]
RATE = 16_000  # Hz


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.1, 0.1, round(seconds * RATE)).astype(np.float32)


def close(tags: list[Tag], others: list[Tag]) -> None:
    """The same labels with the same scores, up to the last bits."""
    assert sorted(tag.label for tag in tags) == sorted(tag.label for tag in others)
    for value in ("score", "probability"):
        mine, theirs = (
            {tag.label: getattr(tag, value) for tag in found} for found in (tags, others)
        )
        assert mine == pytest.approx(theirs, abs=1e-4)


@pytest.fixture
def tagger(clap) -> Tagger:
    return Tagger(clap, LABELS)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two sounds, a silent one and a broken one."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "a.wav", noise(2.6), RATE, subtype="FLOAT")
    soundfile.write(folder / "b.flac", noise(1.0, seed=1), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(2 * RATE), RATE)
    (folder / "broken.wav").write_text("this is no sound")
    return folder


@pytest.fixture
def run(capsys, clap_folder):
    """Run ``wsac tag`` with the miniature CLAP; returns (exit code, stdout, stderr)."""

    def call(*words):
        code = main(["tag", *map(str, words), "--clap", str(clap_folder)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


# the laws of a Tagger
def test_tags_are_sorted_cosines_whose_probabilities_sum_to_one(tagger, clap):
    tags = tagger.tag(noise(1.5))
    assert sorted(tag.label for tag in tags) == sorted(LABELS)  # shown as written
    assert [tag.score for tag in tags] == sorted((tag.score for tag in tags), reverse=True)
    assert [tag.probability for tag in tags] == sorted(
        (tag.probability for tag in tags), reverse=True
    )
    assert sum(tag.probability for tag in tags) == pytest.approx(1)
    embedding = clap.embed_audio([torch.from_numpy(noise(1.5))])[0]
    expected = dict(zip(LABELS, (tagger.label_embeddings @ embedding).tolist(), strict=True))
    assert {tag.label: tag.score for tag in tags} == pytest.approx(expected, abs=1e-5)


def test_a_label_is_the_normalised_mean_of_its_prompts(tagger, clap):
    assert_close(tagger.label_embeddings.norm(dim=-1), torch.ones(4))
    mean = clap.embed_text([prompt.replace("{}", "church bells") for prompt in PROMPTS]).mean(dim=0)
    assert_close(tagger.label_embeddings[2], mean / mean.norm(), atol=1e-5, rtol=0)
    alone = Tagger(clap, LABELS, prompts=["{}"])
    assert_close(
        alone.label_embeddings, clap.embed_text(["dog bark", "rain", "church bells", "A siren"])
    )


def test_neither_the_order_of_labels_nor_that_of_prompts_matters(tagger, clap):
    close(tagger.tag(noise(1)), Tagger(clap, LABELS[::-1], PROMPTS[::-1]).tag(noise(1)))


def test_prompts_and_labels_are_text_not_formats(clap):
    tagger = Tagger(clap, ["{}", "{0!r}", "a {b}"])
    assert [tag.label for tag in sorted(tagger.tag(noise(1)), key=lambda tag: tag.label)] == [
        "a {b}",
        "{0!r}",
        "{}",
    ]


def test_equal_scores_are_in_the_order_of_the_alphabet(tagger):
    tagger.label_embeddings = tagger.label_embeddings[:1].expand(4, -1)
    tags = tagger.tag(noise(1))
    assert [tag.label for tag in tags] == sorted(LABELS)
    assert [tag.probability for tag in tags] == pytest.approx([0.25] * 4)


def test_the_temperature_is_that_of_the_clap(clap):
    class Warm:
        embed_dim, sample_rate, window_seconds = (
            clap.embed_dim,
            clap.sample_rate,
            clap.window_seconds,
        )
        temperature = 0.07
        embed_text, embed_audio = staticmethod(clap.embed_text), staticmethod(clap.embed_audio)

    default = Tagger(Warm(), LABELS)
    Warm.temperature = 1000.0
    warm = Tagger(Warm(), LABELS)
    assert (default.temperature, warm.temperature) == (0.07, 1000.0)
    assert [tag.probability for tag in warm.tag(noise(1))] == pytest.approx([0.25] * 4, abs=1e-3)
    assert [tag.score for tag in warm.tag(noise(1))] == [tag.score for tag in default.tag(noise(1))]
    first, *_, last = default.tag(noise(1))
    assert first.probability / last.probability == pytest.approx(
        np.exp((first.score - last.score) / 0.07)
    )


def test_a_streamed_file_is_tagged_like_its_samples(tagger, folder):
    path, samples = folder / "a.wav", noise(2.6)  # longer than two windows of the CLAP, with a tail
    of_path, of_name, of_array, of_tensor = tagger.tag_batch(
        [path, str(path), samples, torch.from_numpy(samples)]
    )
    assert of_path == of_name
    close(of_path, of_array)
    assert of_array == of_tensor
    close(of_path, tagger.tag(path))
    assert tagger.tag_batch([]) == []


def test_windows_have_times_and_the_tags_of_their_samples(tagger, folder):
    found = list(tagger.tag_windows(folder / "a.wav", window_seconds=1.0))
    assert [(sound.start, sound.end) for sound in found] == [(0, 1), (1, 2), (2, 2.6)]
    for sound in found:
        samples = noise(2.6)[round(sound.start * RATE) : round(sound.end * RATE)]
        close(list(sound.tags), tagger.tag(samples))
    overlapping = [
        (h.start, h.end)
        for h in tagger.tag_windows(noise(2.0), window_seconds=1.0, hop_seconds=0.5)
    ]
    assert overlapping == [(0, 1), (0.5, 1.5), (1, 2)]
    scrap = [(h.start, h.end) for h in tagger.tag_windows(noise(2.05), window_seconds=1.0)]
    assert scrap == [(0, 1), (1, 2.05)]


def test_an_embedding_can_be_tagged(tagger, clap):
    sound = embed_sound(clap, noise(1.5))
    assert isinstance(sound, AudioEmbedding)
    assert (sound.start, sound.end, sound.notes, sound.silent) == (0, 1.5, (), False)
    assert tagger.tag_embeddings([sound])[0] == tagger.tag(noise(1.5))


def test_silence_has_no_tags(tagger):
    quiet = np.zeros(RATE, np.float32)
    assert tagger.tag(quiet) == []
    windows = tagger.tag_windows(np.concatenate((quiet, noise(1))), window_seconds=1.0)
    assert [(bool(sound.notes), len(sound.tags)) for sound in windows] == [(True, 0), (False, 4)]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "no labels"),
        (["dog"], "one label only, 'dog'"),
        (["dog", " "], "label 2 of 2 is empty"),
        (["__", "dog"], "label 1 of 2 is empty"),
        (["dog", "rain", "dog"], "labels 'dog' and 'dog' read the same"),
        (["dog_bark", "Dog  bark"], "labels 'dog_bark' and 'Dog  bark' read the same"),
        ("dog, rain", "give a list"),
    ],
)
def test_impossible_labels_are_explained(clap, labels, message):
    with pytest.raises(RecipeError, match=message) as caught:
        Tagger(clap, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prompts", [[], ["{}", "a sound"], "{}"])
def test_impossible_prompts_are_explained(clap, prompts):
    with pytest.raises(RecipeError, match=r"give a list with \{\} in each"):
        Tagger(clap, LABELS, prompts)


def test_wrong_sounds_are_explained(tagger):
    for bad in (np.zeros((20, 100)), np.zeros(0)):
        with pytest.raises(AudioError, match="mono samples"):
            tagger.tag(bad)
    for call in (tagger.tag, lambda samples: list(tagger.tag_windows(samples, window_seconds=1.0))):
        with pytest.raises(AudioError, match="samples are NaN or infinite"):
            call(np.full(RATE, np.nan))
    with pytest.raises(AudioError, match=r"missing\.wav"):
        tagger.tag("missing.wav")


# many files
def test_rows_of_files_and_of_windows(folder, clap_folder):
    rows = {
        Path(row.file).name: row
        for row in stream_tags([str(folder)], LABELS, clap=clap_folder, top=2)
    }
    assert list(rows) == ["a.wav", "b.flac", "broken.wav", "silent.wav"]
    assert (rows["a.wav"].start, rows["a.wav"].end, len(rows["a.wav"].tags)) == (0, 2.6, 2)
    assert "broken.wav" in str(rows["broken.wav"])
    assert rows["silent.wav"].tags == ()
    assert rows["silent.wav"].notes[0].startswith("silent: ")
    soundfile.write(folder / "half.wav", np.concatenate((noise(1), np.zeros(RATE))), RATE)
    for name, silent in (("half.wav", [False, True]), ("silent.wav", [True, True])):
        windows = list(stream_tags([str(folder / name)], LABELS, clap=clap_folder, window=1.0))
        assert [(row.start, row.end, len(row.tags)) for row in windows] == [
            (0, 1, 0 if silent[0] else 4),
            (1, 2, 0 if silent[1] else 4),
        ]
        assert [
            bool(row.notes) and row.notes[0].startswith("silent: ") for row in windows
        ] == silent
        assert all(len(row.notes) <= 1 for row in windows)


def test_a_file_of_labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeff# animals\n dog bark \r\n\n  # weather\nrain, heavy\n".encode())
    assert read_labels(path) == ["dog bark", "rain, heavy"]


# the command
def test_json_holds_every_row(run, folder):
    code, out, err = run(
        folder, folder / "missing.mp3", "--labels", "dog bark, rain,church_bells", "--json"
    )
    rows = {row["file"].rsplit("/", 1)[1]: row for row in json.loads(out)}
    assert code == 1
    assert err.strip().splitlines()[-1] == "2 of 5 files could not be tagged"
    assert [line.startswith("error: ") for line in err.strip().splitlines()] == [True, True, False]
    assert list(rows["a.wav"]) == ["file", "start", "end", "tags", "none", "notes", "error"]
    tags = rows["a.wav"]["tags"]
    assert [list(tag) for tag in tags] == [["label", "score", "probability"]] * 3
    assert {tag["label"] for tag in tags} == {"dog bark", "rain", "church_bells"}
    assert sum(tag["probability"] for tag in tags) == pytest.approx(1, abs=1e-3)
    assert rows["silent.wav"]["tags"] == []
    assert "silent" in rows["silent.wav"]["notes"][0]
    for name in ("broken.wav", "missing.mp3"):
        assert name in rows[name]["error"]
        assert (rows[name]["tags"], rows[name]["end"]) == ([], None)


def test_csv_has_a_line_for_each_tag(run, folder, tmp_path):
    (tmp_path / "labels.txt").write_text("dog bark\nrain, heavy\nsiren\n")
    code, out, _ = run(
        folder / "a.wav",
        folder / "silent.wav",
        folder / "broken.wav",
        "--labels-file",
        tmp_path / "labels.txt",
        "--csv",
        "--top",
        "2",
        "--window",
        "1.5",
    )
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 1
    assert list(rows[0]) == [
        "file",
        "start",
        "end",
        "label",
        "score",
        "probability",
        "none",
        "notes",
        "error",
    ]
    assert [
        (Path(r["file"]).name, r["start"], r["end"], bool(r["label"]), bool(r["error"]))
        for r in rows
    ] == [
        ("a.wav", "0.0", "1.5", True, False),
        ("a.wav", "0.0", "1.5", True, False),
        ("a.wav", "1.5", "2.6", True, False),
        ("a.wav", "1.5", "2.6", True, False),
        ("silent.wav", "0.0", "1.5", False, False),
        ("silent.wav", "1.5", "2.0", False, False),
        ("broken.wav", "", "", False, True),
    ]
    assert {row["label"] for row in rows} <= {"dog bark", "rain, heavy", "siren", ""}
    assert float(rows[0]["probability"]) >= float(rows[1]["probability"])


@pytest.mark.slow
def test_the_table_names_each_file_once_with_bars_and_notes(run, folder, monkeypatch):
    monkeypatch.chdir(folder)  # short names, which are not folded
    code, out, err = run(
        "a.wav", "silent.wav", "--labels", "dog bark,rain,[red]siren", "--top", "3"
    )
    assert (code, err) == (0, "")
    assert out.count("a.wav") == out.count("silent.wav") == 1
    assert all(
        word in out
        for word in ("dog bark", "rain", "[red]siren", "%", "cosine", "(silent: the mono mix")
    )
    assert any(bar in out for bar in "█#")
    code, out, _ = run("a.wav", "--labels", "dog bark,rain", "--window", "1")
    assert "2.0–2.6" in out
    code, out, err = run("broken.wav", "--labels", "dog bark,rain")
    assert (code, out) == (1, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.wav"], "no labels"),
        (["x.wav", "--labels", " "], "no labels"),
        (["x.wav", "--labels", "dog"], "one label only"),
        (["x.wav", "--labels", "dog,,rain"], "label 2 of 3 is empty"),
        (["x.wav", "--labels", "dog bark,Dog_bark"], "delete one"),
        (["x.wav", "--labels", "a,b", "--labels-file", "good.txt"], "choose one"),
        (
            ["x.wav", "--labels-file", "nowhere.txt"],
            "cannot read the labels: nowhere.txt: not found",
        ),
        (["x.wav", "--labels-file", "."], "cannot read the labels"),
        (["x.wav", "--labels-file", "latin.txt"], "latin.txt: line 1: not UTF-8"),
        (["x.wav", "--labels-file", "comments.txt"], "comments.txt: no labels"),
        (["a.wav", "--labels", "a,b", "--top", "0"], "top 0: nothing"),
        (["x.wav", "--labels", "a,b", "--window", "0.1"], "at least 0.5"),
        (["x.wav", "--labels", "a,b", "--json", "--csv"], "choose one"),
        (["x.wav", "--labels", "a,b", "--device", "nonsense"], "choose cpu, cuda or auto"),
        (["a.wav", "--labels", "a,b", "--clap", "nowhere"], "no CLAP of this name"),
        (["", "--labels", "a,b"], "empty file name"),
        (["empty", "--labels", "a,b"], "no sound files here"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    soundfile.write("a.wav", np.zeros(16_000), 16_000)
    (tmp_path / "good.txt").write_text("dog\nrain\n")
    (tmp_path / "comments.txt").write_text("# nothing\n\n")
    (tmp_path / "latin.txt").write_bytes("caf\xe9\nrain\n".encode("latin-1"))
    code = main(["tag", *words])
    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("error: ")
    assert message in err


def test_wrong_usage(run):
    assert run()[0] == 2
    assert run("x.wav", "--labels", "a,b", "--top", "many")[0] == 2


# the bundled CLAP, and the benchmark
def test_the_bundled_clap_is_the_default(capsys, tmp_path):
    """The first thing that people do. Broadband noise is nearer to rain than to a beep."""
    soundfile.write(tmp_path / "noise.wav", noise(5.0), RATE)
    assert main(["tag", str(tmp_path / "noise.wav"), "--labels", "beeping, rain", "--json"]) == 0
    tags = json.loads(capsys.readouterr().out)[0]["tags"]
    assert [tag["label"] for tag in tags] == ["rain", "beeping"]
    assert tags[0]["score"] > tags[1]["score"] + 0.1


def test_the_bundled_clap_hears_a_beep():
    seconds = np.arange(5 * RATE) / RATE
    beep = (0.3 * np.sin(2 * np.pi * 1000 * seconds) * (seconds % 0.5 < 0.15)).astype(np.float32)
    assert Tagger(load_clap(), ["beeping", "rain"]).tag(beep)[0].label == "beeping"


def test_the_benchmark_counts_what_it_says():
    place = Path(__file__).parents[2] / "benchmarks" / "esc50" / "esc50_zeroshot.py"
    spec = importlib.util.spec_from_file_location("esc50_zeroshot", place)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    ranked = [["cat", "dog"], ["dog", "cat"], ["a", "b", "c", "d", "e", "rain"], ["(silent)"]]
    report = benchmark.score(["dog", "dog", "rain", "rain"], ranked)
    assert (report["top1"], report["top5"]) == (0.25, 0.5)
    assert report["per_class"] == {"dog": 0.5, "rain": 0.0}
    assert report["confusions"] == [("dog", "cat", 1), ("rain", "(silent)", 1), ("rain", "a", 1)]
