"""Laws of the decoder's other precisions, and the options by which people reach them."""

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
from wsac.decoder import TransformerDecoder
from wsac.decoder.generation import GenerationOptions, generate, precision, prepare
from wsac.decoder.generation.penalties import likeliest_tokens
from wsac.decoder.generation.precision import Bfloat16Linear, Int8Linear, RoughScores
from wsac.decoder.kernels.topk import likeliest
from wsac.decoder.transformer import TiedScores
from wsac.inference.captioner import CaptionOptions
from wsac.runtime import device
from wsac.runtime.device import has_bfloat16, processor_flags
from wsac.types import RecipeError

TOLERANCE = 0.05  # nats a token; docs/decoding.md states it


@pytest.fixture
def processor(monkeypatch):
    """Say what the processor can."""

    def say(*flags):
        for module in (device, precision):
            monkeypatch.setattr(module, "processor_flags", lambda: frozenset(flags))

    return say


@torch.inference_mode()
def test_bfloat16_stays_near_float32(decoder, embeddings):
    fast = prepare(decoder, "bfloat16")
    (exact, state), (near, other) = decoder.prefill(embeddings, 8), fast.prefill(embeddings, 8)
    for token in (5, 9, 7):
        assert near.dtype == torch.float32
        assert_close(near.log_softmax(-1), exact.log_softmax(-1), atol=TOLERANCE, rtol=0)
        assert not torch.equal(near, exact)
        (exact, state), (near, other) = (
            one.step(torch.full((6,), token), kept)
            for one, kept in ((decoder, state), (fast, other))
        )


@pytest.mark.parametrize("size", [5, 4095, 4096, 5000, 50_257])
@pytest.mark.parametrize("count", [1, 2, 16])
def test_the_likeliest_are_those_of_topk(size, count):
    values = torch.randperm(6 * size).float().view(2, 3, size)
    for given in (values, values[:, 1:], torch.where(values % 7 == 0, -torch.inf, values)):
        best, place = likeliest(given, min(count, size))
        expected = given.topk(min(count, size))
        assert torch.equal(best, expected.values)
        assert torch.equal(place, expected.indices)


def test_the_likeliest_tokens_of_many_rows_are_those_of_all_log_probabilities():
    logits = torch.randn(70, 500)
    allowed = logits.clone()
    allowed[:, PAD:EOS] = -torch.inf
    expected = allowed.log_softmax(-1).topk(6)
    best, token = likeliest_tokens(logits, 6)
    assert torch.equal(token, expected.indices)
    assert_close(best, expected.values)


@pytest.mark.parametrize("flags", [(), ("avx512_vnni",)])
def test_scores_of_a_large_vocabulary_are_exact_where_it_matters(flags, processor):
    """Rounded ones of these make ties, between which the choice would be arbitrary."""
    processor(*flags)
    torch.manual_seed(0)
    weight, hidden = torch.randn(20_000, 64) / 4, torch.randn(8, 64)
    decoder = TransformerDecoder(embed_dim=8, vocab_size=20_000, width=64, layers=1)
    scores = prepare(decoder, "bfloat16").scores
    assert isinstance(scores, RoughScores)
    assert isinstance(decoder.scores, TiedScores)
    found, exact = RoughScores(weight)(hidden, weight), hidden @ weight.T
    assert not torch.equal(found, exact)
    assert_close(found.topk(8).values, exact.topk(8).values, rtol=1e-5, atol=1e-5)
    assert torch.equal(found.topk(8).indices, exact.topk(8).indices)
    assert_close(found.logsumexp(-1), exact.logsumexp(-1), atol=TOLERANCE, rtol=0)
    small = prepare(TransformerDecoder(embed_dim=8, vocab_size=400, width=64, layers=1), "bfloat16")
    assert isinstance(small.scores, TiedScores)


def test_preparing_leaves_the_decoder_as_it_is(decoder, embeddings):
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    assert prepare(decoder, "float32") is decoder
    fast = prepare(decoder, "bfloat16")
    assert isinstance(fast.blocks[0].up, Bfloat16Linear)
    assert fast.prefix is decoder.prefix
    assert fast.tokens.weight is decoder.tokens.weight
    assert type(decoder.blocks[0].up) is nn.Linear
    assert {name: value.dtype for name, value in decoder.state_dict().items()} == dict.fromkeys(
        before, torch.float32
    )
    assert_close(dict(decoder.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_matrix_in_the_order_that_is_read_gives_the_same_products(with_bias):
    torch.manual_seed(0)
    weight, bias = torch.randn(40, 24), torch.randn(40) if with_bias else None
    made = Bfloat16Linear(weight, bias)
    half = None if bias is None else bias.to(torch.bfloat16)
    for shape in ((1, 24), (7, 24), (3, 5, 24), (0, 24)):
        x = torch.randn(shape)
        plain = F.linear(x.to(torch.bfloat16), weight.to(torch.bfloat16), half).float()
        assert_close(made(x), plain, rtol=2**-7, atol=1e-6)  # sums may round otherwise


def test_layers_that_gpt2_writes_transposed():
    class Conv1D(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.randn(8, 12)), nn.Parameter(torch.randn(12))

        def forward(self, x):
            return x @ self.weight + self.bias

    torch.manual_seed(0)
    both = nn.ModuleDict({"c_attn": Conv1D(), "lm_head": nn.Linear(8, 12)})
    x = torch.randn(5, 8)
    for name in ("bfloat16", "int8"):
        made = prepare(both, name)
        assert made["lm_head"] is both["lm_head"]
        assert_close(made["c_attn"](x), both["c_attn"](x), atol=0.3, rtol=0)
        assert not torch.equal(made["c_attn"](x), both["c_attn"](x))


@pytest.mark.parametrize("flags", [(), ("avx512_vnni",)])
def test_int8_is_off_by_its_steps_at_most(processor, flags):
    """And a row gives the same alone and in any batch. 8 bits of input overflow where VNNI is missing, so only said."""
    if flags and not {"avx512_vnni", "avx_vnni"} & processor_flags():
        pytest.skip("this processor has no VNNI")
    processor(*flags)
    torch.manual_seed(0)
    linear = nn.Linear(64, 40)
    x = torch.randn(7, 3, 64) * torch.logspace(-3, 2, 7)[:, None, None]
    quantised = Int8Linear(linear.weight.detach(), linear.bias.detach())
    with torch.inference_mode():
        found, exact = quantised(x), linear(x)
        step = (x.amax(-1) - x.amin(-1)) / quantised.most  # [7, 3]
        width = linear.weight.abs().amax(1) / 127  # [40]
        bound = (
            step[..., None] / 2 * linear.weight.abs().sum(1)
            + x.abs().sum(-1)[..., None] * width / 2
        )
        slack = step[..., None] * width * 64 / 4 + 1e-4
        assert bool(((found - exact).abs() <= bound + slack).all())
        assert bool(((found - exact).abs() > 0).any())
        assert torch.equal(quantised(x[2:3, 1:2]), found[2:3, 1:2])


def test_int8_writes(decoder, embeddings):
    small = prepare(decoder, "int8")
    options = GenerationOptions(2, 8)
    together = generate(small, embeddings, options)
    assert [one.tokens for one in together] == [
        generate(small, row[None], options)[0].tokens for row in embeddings
    ]
    near = [
        abs(a.logprob - b.logprob)
        for a, b in zip(together, generate(decoder, embeddings, options), strict=True)
    ]
    assert 0 < max(near) < 0.3


def test_auto_asks_the_processor(decoder, processor):
    for flags, kind in (
        (("avx2",), nn.Linear),
        (("avx2", "amx_bf16"), Bfloat16Linear),
        (("bf16",), Bfloat16Linear),
    ):
        processor(*flags)
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


def test_without_a_compiler_there_is_a_note_and_the_same_caption(
    decoder, embeddings, monkeypatch, capsys
):
    def broken(function, **options):
        def fast(*arguments):
            raise RuntimeError("No working C++ compiler found\nand much more")

        return fast

    monkeypatch.setattr(torch, "compile", broken)
    compiled = prepare(decoder, "float32", compiled=True)
    options = GenerationOptions(2, 8)
    assert generate(compiled, embeddings, options) == generate(decoder, embeddings, options)
    err = capsys.readouterr().err
    assert err.splitlines() == [
        "note: not compiled, as no compiler works here (No working C++ compiler found)"
    ]


def test_a_compiled_step_is_what_is_called(decoder, embeddings, monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda step, **_: lambda *a: calls.append(1) or step(*a))
    compiled = prepare(decoder, "float32", compiled=True)
    assert generate(compiled, embeddings, GenerationOptions(1, 5)) == generate(
        decoder, embeddings, GenerationOptions(1, 5)
    )
    assert calls


# -- the captioner and the command line -------------------------------------------------------------------------------
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


def test_every_option_of_the_search_is_one_of_captions():
    kinds = [
        {field.name: field.default for field in dataclasses.fields(kind)}
        for kind in (GenerationOptions, CaptionOptions)
    ]
    search, captions = kinds
    del search["max_tokens"]  # the decoder's own
    assert search.items() <= captions.items()


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
        (("--precision", "half"), "choose of auto, float32, bfloat16, int8"),
    ):
        code, _, err = run(*words, *wrong)
        assert code == 1
        assert message in err
        assert err.count("\n") == 1
