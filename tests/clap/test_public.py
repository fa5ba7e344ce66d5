"""Public CLAPs from disk: every layout through the one loader, conversion, refusals, fingerprints,
all the verbs.
"""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.testing import assert_close

from miniatures.public_checkpoints import FILES, WORDS, model, tokenizer, write_file, write_folder
from wsac.clap import ClapEncoder, load_clap
from wsac.clap.collections import read_embeddings
from wsac.clap.public.catalog import FAMILIES
from wsac.clap.public.checkpoints import read_tensors
from wsac.clap.public.state_dicts import canonical
from wsac.clap.public.tokenizer_file import read_tokenizer
from wsac.cli import main
from wsac.types import ModelError

LAYOUTS = (*FILES, "transformers", "transformers-fused")
DECODER = "decoder.layers=1 decoder.width=16 decoder.heads=2 decoder.vocab_size=300"
SIZES = f"{DECODER} training.epochs=1".split()


def write(kind, folder):
    if kind.startswith("transformers"):
        return write_folder(folder, fused=kind.endswith("fused"))
    return write_file(kind, folder)


@pytest.fixture(scope="module", params=LAYOUTS)
def checkpoint(request, tmp_path_factory):
    return request.param, write(request.param, tmp_path_factory.mktemp("public"))


@pytest.mark.slow
def test_weights_arrive_where_they_belong(checkpoint):
    kind, path = checkpoint
    clap = load_clap(path)
    assert isinstance(clap, ClapEncoder)
    assert clap.family.name == kind
    made = model(kind).state_dict()
    for name, value in clap.state_dict().items():
        if not name.endswith(("num_batches_tracked", "scale")):
            assert torch.equal(value, made[name]), name
    assert clap.temperature == pytest.approx(0.05 if kind.startswith("wavcaps") else np.exp(-3.0))


def test_it_follows_the_protocol(checkpoint):
    _, path = checkpoint
    clap = load_clap(path)
    noise = [
        torch.randn(n, generator=torch.Generator().manual_seed(n)) * 0.1
        for n in (100, 50_000, 700_000)
    ]
    for embeddings in (
        clap.embed_audio(noise),
        clap.embed_text(WORDS),
        clap.embed_text([WORDS[0] * 60]),
    ):
        assert embeddings.dtype == torch.float32
        assert_close(embeddings.norm(dim=-1), torch.ones(len(embeddings)))
    assert_close(clap.embed_text(WORDS[::-1]).flip(0), clap.embed_text(WORDS), rtol=0, atol=1e-5)
    assert clap.embed_text([]).shape == (0, 32)
    assert torch.equal(clap.embed_audio(noise), clap.embed_audio(noise))


def test_threads_change_nothing(checkpoint):
    _, path = checkpoint
    clap = load_clap(path)
    noise = [torch.randn(90_000, generator=torch.Generator().manual_seed(0)) * 0.1]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = clap.embed_audio(noise)
        torch.set_num_threads(2)
        two = clap.embed_audio(noise)
    finally:
        torch.set_num_threads(threads)
    assert_close(one, two, rtol=0, atol=1e-5)


def test_exclamation_marks_move_the_place_in_ms_clap_2023(tmp_path):
    """Id 0 is both "!" and the padding there: the last token is looked for one place to the left
    for every mark.
    """
    clap = load_clap(write_file("msclap-2023", tmp_path))
    (ids,) = clap.tokenize(["a dog!"])
    assert 0 in ids
    with torch.inference_mode():
        hidden = clap.text.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        expected = torch.nn.functional.normalize(
            clap.text_projection(hidden[len(ids) - 1 - ids.count(0)]), dim=-1
        )
    assert_close(clap.embed_text(["a dog!"])[0], expected, rtol=0, atol=1e-5)
    assert ids[-1] == clap.tokenizer.token_to_id("<|endoftext|>")


def test_exclamation_marks_never_merge_in_ms_clap_2023(tmp_path):
    """Its wrapper pads with "!": a special token from then on, out of reach of GPT-2's merges."""
    alphabet = sorted({*pre_tokenizers.ByteLevel.alphabet()} - {"!"})
    words = ["!", "<|endoftext|>", *alphabet, "!!", '!"', "\u0120!"]
    merges = [("!", "!"), ("!", '"'), ("\u0120", "!")]
    bpe = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.save(str(tmp_path / "tokenizer.json"))
    assert bpe.encode("a!!").tokens == ["a", "!!"]
    marked = read_tokenizer(tmp_path / "tokenizer.json", FAMILIES["msclap-2023"])
    assert marked.encode("a!!!").tokens == ["a", "!", "!", "!"]
    assert marked.encode('a!"').tokens == ["a", "!", '"']
    assert marked.encode("a !").tokens == ["a", "\u0120", "!"]
    plain = read_tokenizer(tmp_path / "tokenizer.json", FAMILIES["laion"])
    assert plain.encode("a!!").tokens == ["a", "!!"]


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.module.", "model.clap.module."])
def test_prefixes_of_trainers_are_removed(tmp_path, prefix):
    state = read_tensors(write_file("wavcaps-cnn14", tmp_path))
    _, plain, _ = canonical(dict(state), "plain")
    _, named, _ = canonical({prefix + name: value for name, value in state.items()}, "named")
    assert named.keys() == plain.keys()


@pytest.mark.slow
def test_conversion_keeps_every_embedding(checkpoint, tmp_path, capsys):
    _, path = checkpoint
    assert main(["convert-clap", str(path), "-o", str(tmp_path / "converted")]) == 0
    capsys.readouterr()
    before, after = load_clap(path), load_clap(tmp_path / "converted")
    noise = [torch.randn(40_000, generator=torch.Generator().manual_seed(0)) * 0.1]
    assert torch.equal(before.embed_audio(noise), after.embed_audio(noise))
    assert torch.equal(before.embed_text(WORDS), after.embed_text(WORDS))
    assert after.temperature == pytest.approx(before.temperature)
    assert not list((tmp_path / "converted").glob("*.pt"))


def test_conversion_prints_its_fingerprint_and_keeps_out_of_full_folders(tmp_path, run):
    path = write_file("wavcaps-htsat", tmp_path / "source")
    code, _, err = run("convert-clap", path, "-o", tmp_path / "converted")
    assert code == 0
    assert f": {load_clap(tmp_path / 'converted').fingerprint}; use it with --clap" in err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    code, _, err = run("convert-clap", path, "-o", tmp_path / "full")
    assert code == 1
    assert "full': there is something here already; name a new folder" in err
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_fingerprints_differ_where_embeddings_do(tmp_path):
    seen = {load_clap(write(kind, tmp_path / kind)).fingerprint for kind in LAYOUTS}
    assert len(seen) == len(LAYOUTS)
    path = write_file("wavcaps-htsat", tmp_path / "again")
    first = load_clap(path).fingerprint
    assert first == load_clap(path).fingerprint
    raw = torch.load(path, weights_only=True)
    raw["model"]["text_proj.2.bias"][0] += 1e-3
    torch.save(raw, path)
    assert load_clap(path).fingerprint != first
    write_file("wavcaps-htsat", tmp_path / "again")
    assert load_clap(path).fingerprint == first
    tokenizer("roberta").save(str(path.parent / "tokenizer.json"))
    assert load_clap(path).fingerprint != first


def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys):
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    path = tmp_path / "trap.pt"
    torch.save({"model": {"x": torch.zeros(1)}, "trap": Trap()}, path)
    with pytest.raises(ModelError, match="holds more than tensors"):
        load_clap(path)
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError):
        load_clap(tmp_path / "old.pt")
    assert not marker.exists()
    assert main(["clap", "info", str(path)]) == 1
    error = capsys.readouterr().err
    assert "would run its code" in error
    assert "open" in error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pt", b"not a checkpoint", "not a checkpoint of torch"),
        ("x.safetensors", b"nothing", "cannot be read as safetensors"),
        ("missing.pt", None, "no such file or folder"),
    ],
)
def test_broken_files_say_so(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_clap(tmp_path / name)


def test_broken_folders_say_so(tmp_path):
    with pytest.raises(ModelError, match="no CLAP here"):
        load_clap(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="of type 'bert', not clap"):
        load_clap(tmp_path)
    write_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        load_clap(tmp_path)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="not a CLAP that is known here"):
        load_clap(tmp_path / "other.pt")


def test_a_tensor_too_few_or_too_many_is_named(tmp_path):
    path = write_file("wavcaps-cnn14", tmp_path)
    raw = torch.load(path, weights_only=True)
    good = dict(raw["model"])
    for change, message in (
        (lambda s: s.pop("audio_proj.2.weight"), "'audio_projection.linear2.weight' is missing"),
        (
            lambda s: s.update(
                {"audio_encoder.audio_enc.conv_block1.conv3.weight": torch.zeros(1)}
            ),
            "unknown tensor",
        ),
        (lambda s: s.update({"something.else": torch.zeros(1)}), "unknown tensor 'something.else'"),
        (lambda s: s.update({"text_proj.0.weight": torch.zeros(3, 3)}), "does not fit"),
        (lambda s: s.pop("audio_proj.0.weight"), "without 'audio_projection.linear1.weight'"),
    ):
        state = dict(good)
        change(state)
        torch.save({"model": state}, path)
        with pytest.raises(ModelError, match=message):
            load_clap(path)


def test_a_checkpoint_without_tokenizer_hears_but_does_not_read(tmp_path):
    path = write_file("msclap-2022", tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "elsewhere.json")
    clap = load_clap(path)
    assert clap.embed_audio([torch.randn(1000) * 0.1]).shape == (1, 32)
    with pytest.raises(ModelError, match=r"no tokenizer beside it; put the tokenizer\.json"):
        clap.embed_text(["a dog"])
    assert load_clap(path, tokenizer=tmp_path / "elsewhere.json").embed_text(["a dog"]).shape == (
        1,
        32,
    )


def test_filters_of_the_checkpoint_are_used_and_said(tmp_path, capsys):
    path = write_file("wavcaps-cnn14", tmp_path)
    raw = torch.load(path, weights_only=True)
    own = model("wavcaps-cnn14").log_mel.filters * 1.1
    raw["model"]["audio_encoder.audio_enc.audio_feats_extractor.log_trans.melW"] = own
    torch.save(raw, path)
    assert torch.equal(load_clap(path).log_mel.filters, own)
    assert "has its own mel filters" in capsys.readouterr().err


@pytest.mark.slow
def test_all_verbs_work_with_each(checkpoint, sounds, tmp_path, capsys):
    _, path = checkpoint
    (tmp_path / "captions.txt").write_text("\n".join(WORDS * 4) + "\n")
    out = tmp_path / "run"
    captions = ["--captions", str(tmp_path / "captions.txt")]
    command = ["train", *captions, "--clap", str(path), "--out", str(out), "--no-verdict"]
    assert main([*command, *(word for size in SIZES for word in ("--set", size))]) == 0
    assert not (out / "clap").exists()  # a large one is named, not copied
    capsys.readouterr()
    assert main(["caption", str(sounds), "--model", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert main(["tag", str(sounds), "--labels", "a dog, rain", "--clap", str(path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["tags"]) == 2
    assert main(["clap", "info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["embed_dim"], facts["sample_rate"]) == (32, load_clap(path).sample_rate)
    files = ["--text", "a dog", "--audio", str(sounds / "short.wav")]
    assert main(["clap", "embed", str(path), *files, "--json"]) == 0
    assert np.array(json.loads(capsys.readouterr().out)["similarity"]).shape == (2, 2)
    out = str(tmp_path / "emb")
    assert main(["embed", "audio", str(sounds), "-o", out, "--clap", str(path)]) == 0
    array, names = read_embeddings(tmp_path / "emb")
    assert array.shape == (3, 32)
    assert [name.rpartition("/")[2] for name in names] == ["long.wav", "middle.wav", "short.wav"]


@pytest.mark.slow
def test_a_clap_that_has_moved_is_given_by_hand(sounds, tmp_path, capsys):
    (tmp_path / "before").mkdir()
    path = write_file("wavcaps-cnn14", tmp_path / "before")
    (tmp_path / "captions.txt").write_text("\n".join(WORDS * 4) + "\n")
    captions = ["--captions", str(tmp_path / "captions.txt")]
    command = ["train", *captions, "--clap", str(path), "--out", str(tmp_path / "run")]
    command.append("--no-verdict")
    assert main([*command, *(word for size in SIZES for word in ("--set", size))]) == 0
    (tmp_path / "before").rename(tmp_path / "after")
    capsys.readouterr()
    command = ["caption", str(sounds / "short.wav"), "--model", str(tmp_path / "run"), "--json"]
    assert main(command) == 1
    assert "give --clap" in capsys.readouterr().err
    assert main([*command, "--clap", str(tmp_path / "after" / path.name)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["caption"]
    assert main([*command, "--clap", "pocket"]) == 1
    assert "trained with CLAP wavcaps-cnn14" in capsys.readouterr().err
