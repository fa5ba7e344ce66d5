"""Language models as decoders: the cut vocabulary is exact, adapters learn,
mistakes are one line.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from miniatures.decoder_kinds import ODD, rows_of
from miniatures.language_models import byte_level, wordpiece
from wsac.bridges.memory import SupportMemory
from wsac.data.tokenizer import EOS, PAD, Tokenizer, vocabulary_size
from wsac.decoder.pretrained.mappers import MAPPERS, make_mapper
from wsac.decoder.pretrained.vocabulary import FIRST, ForeignTokenizer, keep_pieces, read_backend
from wsac.io.config import load_recipe
from wsac.training import decoder as train_decoder
from wsac.training.recipe import Recipe
from wsac.types import ModelError, RecipeError


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.inference_mode()
def test_the_cut_vocabulary_is_the_whole_one_without_the_other_rows(
    make, models, embeddings, captions, kind
):
    """Against the model as transformers reads it: its logits at the kept rows, and no others."""
    from transformers import AutoModelForCausalLM

    decoder, tokenizer = make("gpt2", model=str(models[kind]), mapper="linear")
    whole = AutoModelForCausalLM.from_pretrained(models[kind]).eval()
    decoder.eval()
    assert decoder.vocab_size < len(whole.get_input_embeddings().weight) - 100
    ids = tokenizer.encode(captions[:1])[0][:5]
    theirs = decoder.pieces[torch.tensor(ids)]
    read = byte_level([*captions, *ODD]).encode(captions[0]).ids[:5]
    assert theirs.tolist() == read
    logits, state = decoder.prefill(embeddings[:1], 8)
    for token in ids:
        logits, state = decoder.step(torch.tensor([token]), state)
    x = torch.cat((decoder.mapper(embeddings[:1]), whole.get_input_embeddings()(theirs[None])), 1)
    assert_close(
        logits[0], whole(inputs_embeds=x).logits[0, -1][decoder.pieces], rtol=1e-4, atol=1e-4
    )
    everything, words = make("gpt2", model=str(models[kind]), vocabulary="all")
    assert everything.vocab_size == FIRST + read_backend(models[kind]).get_vocab_size() - 1
    assert words.decode(words.encode(["Zwölf Boxkämpfer"])) == ["Zwölf Boxkämpfer"]


def test_foreign_pieces_become_clean_text_again(captions):
    texts = [*captions[:20], *ODD]
    for backend, same in (
        (byte_level(captions + ODD), str),
        (wordpiece(captions + ODD), str.lower),
    ):
        marks = [backend.token_to_id(mark) for mark in ("[CLS]", "[SEP]")]
        start, end = marks if marks[0] is not None else (None, backend.get_vocab_size() - 1)
        kept = keep_pieces(backend, texts, begin=0, end=end, also=[] if start is None else [start])
        tokenizer = ForeignTokenizer(backend, kept, start)
        rows = tokenizer.encode(texts)
        assert all(FIRST <= token < tokenizer.vocab_size for row in rows for token in row)
        assert tokenizer.decode([[*row, EOS, PAD] for row in rows]) == [
            same(text) for text in texts
        ]
        assert tokenizer.encode(["日本"])[0] == (
            [] if start is None else rows[0][:1]
        )  # nothing kept can write it
        assert (tokenizer.lost(texts), tokenizer.lost([*texts, "日本"])) == (0, 1)


@pytest.mark.slow
def test_pieces_that_a_captioner_cannot_write_are_told(recipe, tmp_path, capsys):
    train_decoder.train(recipe("wsac", **{"training.epochs": 1}), tmp_path / "first", device="cpu")
    (tmp_path / "more.txt").write_text("A dog barks\nA zither is played\nThe gong sounds\n" * 10)
    again = recipe(
        "wsac", start=str(tmp_path / "first"), **{"corpus.captions": [str(tmp_path / "more.txt")]}
    )
    capsys.readouterr()
    train_decoder.train(again, tmp_path / "second", device="cpu")
    assert re.search(
        r"note: [12] of 3 captions have pieces that the vocabulary of \S+ lacks",
        capsys.readouterr().err,
    )


def test_vocab_txt_reads_like_tokenizer_json(captions, tmp_path):
    made = wordpiece(captions)
    made.save(str(tmp_path / "tokenizer.json"))
    pieces = sorted(made.get_vocab().items(), key=lambda item: item[1])
    (tmp_path / "vocab.txt").write_text("\n".join(piece for piece, _ in pieces) + "\n")
    one, two = (read_backend(tmp_path / name) for name in ("tokenizer.json", "vocab.txt"))
    for text in (*captions[:5], "[SEP] is text here"):
        assert (
            one.encode(text, add_special_tokens=False).ids
            == two.encode(text, add_special_tokens=False).ids
        )
    assert made.token_to_id("[SEP]") not in one.encode("[SEP]", add_special_tokens=False).ids


def test_the_size_of_a_bpe_grows_with_its_corpus(captions):
    assert vocabulary_size(captions) == 512
    assert (
        vocabulary_size(["a dog barks and rain falls"] * 10_000) == 1472
    )  # 60,000 words / 40, in steps of 64
    assert vocabulary_size(["a dog barks and rain falls"] * 70_000) == 4096
    assert Tokenizer.train(captions, 0).vocab_size <= 512


@pytest.mark.slow
def test_the_bundled_recipe_keeps_its_vocabulary(shared):
    from wsac.data.captions.corpus import merge

    files = [shared / "captions" / f"{name}.train.csv" for name in ("Clotho", "AudioCaps")]
    for paths in (files, files[:1]):
        assert vocabulary_size([one.caption for one in merge(paths).examples]) == 4096


@pytest.mark.parametrize("kind", MAPPERS)
def test_mappers_make_as_many_soft_tokens_as_they_are_told(kind, embeddings):
    mapper = make_mapper(kind, 16, 5, 24, layers=2).eval()
    made = mapper(embeddings)
    assert made.shape == (6, 5, 24)
    assert_close(mapper(embeddings[2:3])[0], made[2])
    assert not torch.allclose(made[0], made[1])
    made.sum().backward()
    assert all(parameter.grad is not None for parameter in mapper.parameters())


@pytest.mark.slow
def test_only_what_is_trained_is_saved_and_learns(make, embeddings, captions):
    for name, learns in (
        ("gpt2", ("mapper.",)),
        ("gpt2-trained", ("mapper.", "lm.")),
        ("llm", ("mapper.", "lora_")),
    ):
        decoder, tokenizer = make(name)
        before = {key: value.clone() for key, value in decoder.named_parameters()}
        decoder.train()
        optimizer = torch.optim.Adam([p for p in decoder.parameters() if p.requires_grad], 1e-2)
        for _ in range(2):  # LoRA's first matrix has a gradient once the second is not zero
            optimizer.zero_grad()
            decoder.loss(embeddings[:4], rows_of(tokenizer, captions[:4])).backward()
            optimizer.step()
        changed = {
            key for key, value in decoder.named_parameters() if not torch.equal(value, before[key])
        }
        assert changed == {key for key in before if any(part in key for part in learns)} - {
            "lm.lm_head.weight"
        }
        assert set(decoder.state_dict()) - {"kept"} == changed


def test_frozen_models_have_no_dropout(make, embeddings, captions):
    for name, noisy in (("gpt2", False), ("gpt2-trained", True)):
        decoder, tokenizer = make(name)
        tokens = rows_of(tokenizer, captions[:4])
        one, two = (decoder.train().loss(embeddings[:4], tokens).detach() for _ in range(2))
        assert torch.equal(one, two) is not noisy


def test_adapters_begin_as_nothing_and_checkpointing_changes_no_gradient(
    make, embeddings, captions
):
    sizes = {"dtype": "float32", "mapper": "linear"}
    with_it, tokenizer = make("llm", **sizes)
    without, _ = make("llm", checkpointing=False, **sizes)
    plain, _ = make(
        "gpt2",
        model=with_it.model,
        instruction="Describe the sound",
        prefix_length=2,
        mapper="linear",
    )
    plain.mapper.load_state_dict(with_it.mapper.state_dict())
    tokens = rows_of(tokenizer, captions[:4])
    assert_close(
        with_it.train().loss(embeddings[:4], tokens), plain.train().loss(embeddings[:4], tokens)
    )
    checkpointed = [
        any(getattr(m, "gradient_checkpointing", False) for m in d.lm.modules())
        for d in (with_it, without)
    ]
    assert checkpointed == [True, False]
    grads = []
    for decoder in (with_it, without):
        for name, value in decoder.named_parameters():
            if "lora_B" in name:
                value.data.fill_(0.1)
        decoder.mapper.load_state_dict(plain.mapper.state_dict())
        decoder.load_state_dict(with_it.state_dict())
        decoder.train().loss(embeddings[:4], tokens).backward()
        grads.append(
            {name: value.grad for name, value in decoder.named_parameters() if value.requires_grad}
        )
    assert len(grads[0]) == 2 * 2 * 2 + 2  # two layers, q and v, two matrices each; the mapper
    assert_close(grads[0], grads[1])


def test_an_llm_has_small_weights_and_precise_adapters(make):
    decoder, _ = make("llm")
    kinds = {name: value.dtype for name, value in decoder.named_parameters()}
    assert {kind for name, kind in kinds.items() if "lora_" in name or "mapper" in name} == {
        torch.float32
    }
    assert {
        kind for name, kind in kinds.items() if "lora_" not in name and "mapper" not in name
    } == {torch.bfloat16}
    with pytest.raises(
        RecipeError, match=r"decoder\.lora_targets \['attention'\] fit no layer .* q_proj"
    ):
        make("llm", lora_targets=["attention"])


@pytest.mark.slow
def test_memory_of_other_captions_prompts_with_what_is_known(recipe, tmp_path):
    """Pieces that the cut vocabulary lacks are left out of prompts."""
    captioner = train_decoder.train(
        recipe("llm", 2, **{"training.epochs": 1}), tmp_path / "run", device="cpu"
    )
    other = captioner.with_memory(["日本", "A dog barks"])
    assert isinstance(other.memory, SupportMemory)
    assert other.prompter.rows[0] == ()
    assert other.caption(torch.randn(16_000)).text is not None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "causal-lm"}, "kind 'causal-lm' needs a model"),
        (
            {"kind": "transformer", "mapper": "mlp", "frozen": False},
            "frozen is no option of a decoder of kind 'transf",
        ),
        (
            {"kind": "llm", "model": "x", "frozen": False},
            "frozen is no option of a decoder of kind 'llm'",
        ),
        ({"kind": "wsac", "lora_rank": 4}, "lora_rank is no option of a decoder of kind 'wsac'"),
        ({"kind": "gpt2", "width": 64}, "width is no option of a decoder of kind 'causal-lm'"),
        ({"kind": "rnn"}, "kind"),
        ({"vocab_size": 20}, "vocab_size 20 is less than 300"),
    ],
)
def test_options_of_other_kinds_are_refused(values, message):
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(Recipe, overrides={f"decoder.{key}": value for key, value in values.items()})
    assert "\n" not in str(error.value)


def test_kinds_have_their_own_defaults():
    gpt2 = load_recipe(Recipe, overrides={"decoder.kind": "gpt2"}).decoder
    assert (gpt2.kind, gpt2.model, gpt2.prefix_length) == ("causal-lm", "openai-community/gpt2", 10)
    wsac = load_recipe(Recipe, overrides={"decoder.kind": "wsac"}).decoder
    assert (wsac.layers, wsac.heads, wsac.width, wsac.prefix_length, wsac.max_tokens) == (
        4,
        4,
        768,
        1,
        22,
    )
    assert wsac.vocabulary == "all"


@pytest.mark.parametrize(
    ("name", "kind"), [("gpt2", "causal-lm"), ("drcap", "llm"), ("wsac", "transformer")]
)
def test_the_recipes_of_decoders_load(name, kind):
    recipe = load_recipe(
        Recipe, Path(__file__).parents[2] / "src" / "wsac" / "recipes" / f"{name}.toml"
    )
    assert (recipe.decoder.kind, recipe.decoder.dtype == "bfloat16") == (kind, kind == "llm")
    assert recipe.prompt.count == (3 if name == "drcap" else 0)


def broken(models, folder, kind):
    """A folder of a language model that something is wrong with."""
    shutil.copytree(models["llama"], folder)
    config = json.loads((folder / "config.json").read_text())
    match kind:
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
        case "no weights":
            (folder / "model.safetensors").unlink()
        case "no end":
            config["eos_token_id"] = None
        case "other size":
            config["hidden_size"] = 48
        case "cut short":
            whole = (folder / "model.safetensors").read_bytes()
            (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
        case "no language model":
            config = {"model_type": "clap"}
        case "other tokenizer":
            found = json.loads((folder / "tokenizer.json").read_text())
            found["added_tokens"] += [
                found["added_tokens"][-1] | {"id": 500 + i, "content": f"<{i}>"} for i in range(9)
            ]
            (folder / "tokenizer.json").write_text(json.dumps(found))
        case "short":
            config["max_position_embeddings"] = 20
        case "bidirectional":
            from transformers import BertConfig, BertForMaskedLM

            shutil.rmtree(folder)
            sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
            BertForMaskedLM(BertConfig(vocab_size=440, hidden_size=32, **sizes)).save_pretrained(
                folder
            )
            shutil.copy(models["llama"] / "tokenizer.json", folder)
            return
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no tokenizer", "no tokenizer.json; give a folder with"),
        ("no weights", "no model.safetensors; load the model with transformers"),
        ("no end", "no eos_token_id that its tokenizer knows"),
        ("other size", "sizes differ from config.json"),
        ("cut short", "not a causal language model that transformers can read"),
        ("no language model", "not a causal language model"),
        ("other tokenizer", "do not belong together"),
        ("short", "20 positions, but 10 before the caption and 16 of it"),
        ("bidirectional", "not a causal language model: its words depend on those that follow"),
    ],
)
def test_models_that_do_not_fit_are_one_line_and_leave_nothing(
    recipe, run, models, tmp_path, kind, message
):
    from wsac.io.config import save_recipe

    broken(models, tmp_path / "base", kind)
    given = {"decoder.model": str(tmp_path / "base"), "decoder.prefix_length": 10}
    save_recipe(recipe("gpt2", **given), tmp_path / "r.toml")
    code, _, err = run(
        "train", "--recipe", tmp_path / "r.toml", "--out", tmp_path / "run", "--device", "cpu"
    )
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["gpt2", "wsac"])
def test_a_folder_that_is_not_there(make, tmp_path, name):
    with pytest.raises(ModelError, match="nowhere: no such"):
        make(name, model=str(tmp_path / "nowhere"))


def test_an_llm_without_peft(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match=r"needs peft; pip install 'wsac\[llm\]'"):
        make("llm")
