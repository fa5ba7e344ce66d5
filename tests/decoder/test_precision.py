"""Laws of the decoder in bfloat16, and the options by which people reach it."""

from __future__ import annotations

import dataclasses
import json

import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from wsac.data.tokenizer import EOS, PAD
from wsac.decoder.generation import GenerationOptions, prepare
from wsac.decoder.generation.penalties import likeliest_tokens
from wsac.decoder.kernels.bfloat16 import Bfloat16Linear, packs_weights
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.runtime import device
from wsac.runtime.device import has_bfloat16, processor_flags
from wsac.types import RecipeError

TOLERANCE = 0.05  # nats a token; docs/decoding.md states it


@torch.inference_mode()
def test_bfloat16_stays_near_float32(decoder, embeddings):
    fast = prepare(decoder, "bfloat16")
    (exact, state), (near, other) = decoder.prefill(embeddings, 8), fast.prefill(embeddings, 8)
    for token in (5, 9, 7):
        assert near.dtype == torch.float32
        assert_close(near.log_softmax(-1), exact.log_softmax(-1), atol=TOLERANCE, rtol=0)
        assert not torch.equal(near, exact)
        tokens = torch.full((6,), token)
        (exact, state), (near, other) = decoder.step(tokens, state), fast.step(tokens, other)


def test_the_likeliest_tokens_of_many_rows_are_those_of_all_log_probabilities():
    logits = torch.randn(70, 500)
    allowed = logits.clone()
    allowed[:, PAD:EOS] = -torch.inf
    expected = allowed.log_softmax(-1).topk(6)
    best, token = likeliest_tokens(logits, 6)
    assert torch.equal(token, expected.indices)
    assert_close(best, expected.values)


def test_preparing_leaves_the_decoder_as_it_is(decoder):
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    assert prepare(decoder, "float32") is decoder
    fast = prepare(decoder, "bfloat16")
    assert isinstance(fast.blocks[0].up, Bfloat16Linear)
    assert fast.prefix is decoder.prefix
    assert fast.tokens.weight is decoder.tokens.weight
    assert type(decoder.blocks[0].up) is nn.Linear
    after = dict(decoder.state_dict())
    assert {value.dtype for value in after.values()} == {torch.float32}
    assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("with_bias", [True, False])
def test_products_are_those_of_rounded_matrices(with_bias, packed):
    """With the matrix in oneDNN's order, by private functions of torch, and without them."""
    if packed and not packs_weights():
        pytest.skip("oneDNN packs no bfloat16 matrices here")
    torch.manual_seed(0)
    weight, bias = torch.randn(40, 24), torch.randn(40) if with_bias else None
    linear = Bfloat16Linear(weight, bias, packed)
    half = None if bias is None else bias.to(torch.bfloat16)
    for shape in ((1, 24), (7, 24), (3, 5, 24), (0, 24)):
        x = torch.randn(shape)
        plain = F.linear(x.to(torch.bfloat16), weight.to(torch.bfloat16), half).float()
        assert_close(linear(x), plain, rtol=2**-7, atol=1e-6)  # sums may round otherwise


def test_layers_that_gpt2_writes_transposed():
    class Conv1D(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.randn(8, 12)), nn.Parameter(torch.randn(12))

        def forward(self, x):
            return x @ self.weight + self.bias

    torch.manual_seed(0)
    both = nn.ModuleDict({"c_attn": Conv1D(), "lm_head": nn.Linear(8, 12)})
    x, fast = torch.randn(5, 8), prepare(both, "bfloat16")
    assert fast["lm_head"] is both["lm_head"]
    assert_close(fast["c_attn"](x), both["c_attn"](x), atol=0.3, rtol=0)
    assert not torch.equal(fast["c_attn"](x), both["c_attn"](x))


def test_auto_asks_the_processor(decoder, monkeypatch):
    for flags, kind in (
        (("avx2",), nn.Linear),
        (("avx2", "amx_bf16"), Bfloat16Linear),
        (("bf16",), Bfloat16Linear),
    ):
        monkeypatch.setattr(device, "processor_flags", lambda flags=flags: frozenset(flags))
        assert type(prepare(decoder, "auto").blocks[0].up) is kind
        assert has_bfloat16("cpu") is (kind is Bfloat16Linear)


def test_the_flags_of_a_processor(tmp_path):
    (tmp_path / "x86").write_text(
        "processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\n\nprocessor\t: 1\nflags\t: other\n"
    )
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert {"fpu", "avx2", "avx512_bf16"} <= processor_flags(str(tmp_path / "x86"))
    assert "bf16" in processor_flags(str(tmp_path / "arm"))
    assert processor_flags(str(tmp_path / "none")) == frozenset()


# -- the captioner and the command line --
@pytest.fixture
def sound(tmp_path, clap):
    path = tmp_path / "noise.wav"
    noise = torch.randn(clap.sample_rate, generator=torch.Generator().manual_seed(0)) * 0.1
    soundfile.write(path, noise.numpy(), clap.sample_rate)
    return path


def test_options_reach_the_search(captioner, sound):
    plain = captioner.caption(sound)
    assert captioner._writer() is captioner.decoder
    fast = captioner.with_options(precision="bfloat16")
    assert fast._writer() is fast._writer() is not captioner.decoder
    assert captioner._writer() is captioner.decoder
    assert fast.caption(sound).logprob == pytest.approx(plain.logprob, abs=TOLERANCE)
    drawn = {
        captioner.with_options(samples=1, seed=seed, temperature=2.0).caption(sound).text
        for seed in range(4)
    }
    assert len(drawn) > 1
    words = captioner.with_options(no_repeat_ngram=1).caption(sound)
    assert words.text != plain.text
    for options in (
        {"precision": "half"},
        {"groups": 3},
        {"no_repeat_ngram": 1.5},
        {"temperature": -1.0},
    ):
        with pytest.raises(RecipeError):
            captioner.with_options(**options)
    with pytest.raises(RecipeError, match="did you mean 'no_repeat_ngram'"):
        captioner.with_options(no_repeat_ngrams=2)


def test_an_older_captioner_loads_without_the_precisions_that_are_gone(
    captioner, sound, tmp_path, capsys
):
    captioner.save(tmp_path / "run")
    card = json.loads((tmp_path / "run" / "captioner.json").read_text())
    card["options"] |= {"compiled": True, "precision": "int8"}
    del card["checksums"], card["checksum"]  # an older one has none
    (tmp_path / "run" / "captioner.json").write_text(json.dumps(card))
    again = Captioner.load(tmp_path / "run", device="cpu")
    assert again.options.precision == "float32"
    assert "note: precision int8 is gone" in capsys.readouterr().err
    assert again.caption(sound).logprob < 0


def test_every_option_of_the_search_is_one_of_captions():
    search = dataclasses.asdict(GenerationOptions())
    del search["max_tokens"]  # the decoder's own
    assert search.items() <= CaptionOptions().to_dict().items()


@pytest.mark.slow
def test_the_command_line_sets_them(run, captioner, sound, tmp_path):
    captioner.save(tmp_path / "model")
    words = ("caption", sound, "--model", tmp_path / "model", "--json")
    code, plain, _ = run(*words)
    assert code == 0
    code, out, _ = run(
        *words, "--set", "no_repeat_ngram=1", "--set", "groups=2", "--precision", "auto"
    )
    assert code == 0
    assert json.loads(out)[0]["caption"] != json.loads(plain)[0]["caption"]
    for wrong, message in (
        (("--set", "group=2"), "did you mean 'groups'?"),
        (
            ("--set", "groups"),
            "--set groups: write it as key=value, for example length_penalty=0.8",
        ),
        (("--set", "groups=two"), "groups = 'two': give a whole number"),
        (("--precision", "half"), "choose from auto, float32, bfloat16"),
    ):
        code, _, err = run(*words, *wrong)
        assert code == 1
        assert message in err
        assert err.count("\n") == 1
