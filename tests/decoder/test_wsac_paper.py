"""A checkpoint of the published code writes what it wrote there."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from miniatures.language_models import byte_level, published
from miniatures.public_checkpoints import write_file
from wsac.clap import load_clap
from wsac.data.tokenizer import EOS
from wsac.decoder.generation import generate
from wsac.decoder.pretrained.vocabulary import read_backend
from wsac.inference.captioner import Captioner
from wsac.inference.convert import convert_captioner


@torch.inference_mode()
def plain_loop(state, gpt2, embedding, end):
    """What the published code does with one embedding [D]:
    the prefix, then the likeliest token, 30 times.
    """
    weight, bias = state["clap_project.model.0.weight"], state["clap_project.model.0.bias"]
    prefix = F.linear(embedding[None], weight, bias)[:, None]
    tokens: list[int] = []
    for _ in range(30):
        words = gpt2.transformer.wte(torch.tensor([tokens], dtype=torch.long))
        tokens.append(int(gpt2(inputs_embeds=torch.cat((prefix, words), 1)).logits[0, -1].argmax()))
        if tokens[-1] == end:
            break
    return tokens


@pytest.mark.slow
def test_a_converted_checkpoint_says_what_it_said(run, captions, clap_folder, sound, tmp_path):
    file, gpt2 = published(tmp_path / "theirs", captions)
    end = read_backend(tmp_path / "theirs").token_to_id("[SEP]")
    code, _, err = run(
        "convert-captioner",
        file,
        "--clap",
        clap_folder,
        "--tokenizer",
        tmp_path / "theirs",
        "--out",
        tmp_path / "run",
    )
    assert code == 0, err
    captioner = Captioner.load(tmp_path / "run", device="cpu")
    decoder, state = captioner.decoder, torch.load(file, weights_only=True)
    audio = F.normalize(torch.randn(24, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    found = generate(decoder, audio, captioner.options.generation)
    rows = [one.tokens if len(one.tokens) == 30 else [*one.tokens, EOS] for one in found]
    theirs = [plain_loop(state, gpt2, one, end) for one in audio]
    assert [decoder.pieces[row].tolist() for row in map(torch.tensor, rows)] == theirs
    lengths = {len(row) for row in theirs}
    assert 30 in lengths, "no row reaches the limit"
    assert len(lengths) > 2, "no row ends by itself"
    assert len({token for row in theirs for token in row}) > 20
    assert (
        captioner.options.bridge,
        captioner.options.generation.beam_size,
        decoder.max_tokens,
    ) == (
        "ad",
        1,
        30,
    )
    assert captioner.memory is None
    assert captioner.caption(sound).logprob < 0


def test_a_converted_captioner_with_a_memory(captions, clap_folder, sound, tmp_path):
    file, _ = published(tmp_path / "theirs", captions)
    (tmp_path / "captions.txt").write_text("\n".join(captions[:30]) + "\n")
    made = convert_captioner(
        file,
        tmp_path / "run",
        clap=clap_folder,
        tokenizer=tmp_path / "theirs" / "tokenizer.json",
        captions=[tmp_path / "captions.txt"],
    )
    again = Captioner.load(tmp_path / "run", device="cpu")
    assert len(again.memory) == len(set(captions[:30]))
    assert again.options.bridge == "pd"
    one, other = again.caption(sound), made.caption(sound)
    assert one.text == other.text
    assert one.logprob == pytest.approx(
        other.logprob, abs=1e-4
    )  # tensors that were read lie elsewhere in memory


def test_a_converted_captioner_reads_captions_as_they_are(captions, tmp_path):
    """The published code does not clean captions before its CLAP; WavCaps' own code does."""
    file, _ = published(tmp_path / "theirs", captions)
    state = torch.load(file, weights_only=True)
    state["clap_project.model.0.weight"] = torch.randn(32, 32) / 6  # for the CLAP's 32 dimensions
    torch.save(state, file)
    clap = write_file("wavcaps-cnn14", tmp_path / "clap")
    texts = ["A dog barks, loudly.", "Rain falls; wind blows!"]
    (tmp_path / "captions.txt").write_text("\n".join(texts) + "\n")
    words = {"clap": clap, "tokenizer": tmp_path / "theirs" / "tokenizer.json"}
    convert_captioner(file, tmp_path / "run", captions=[tmp_path / "captions.txt"], **words)
    (tmp_path / "clap").rename(tmp_path / "moved")
    for moved in (f"{tmp_path}/moved/{clap.name}", f"{tmp_path}/moved/{clap.name}#raw"):
        captioner = Captioner.load(tmp_path / "run", clap=moved, device="cpu")
        raw, clean = captioner.clap, load_clap(moved.removesuffix("#raw"))
        assert torch.allclose(captioner.memory.embeddings, raw.embed_text(texts), atol=1e-5)
        assert not torch.allclose(captioner.memory.embeddings, clean.embed_text(texts), atol=1e-3)
        other = captioner.with_memory(texts[:1])  # at inference too
        assert torch.allclose(other.memory.embeddings, captioner.memory.embeddings[:1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clap_project.model.0.weight": torch.zeros(32, 24)}, "for embeddings of 24 dimensions"),
        (
            {"clap_project.model.0.weight": torch.zeros(64, 16)},
            "64 values make the prefix and the decoder is 32 wide",
        ),
        ({"decoder.transformer.ln_f.bias": torch.zeros(31)}, "does not fit the published WSAC"),
        ({"decoder.transformer.ln_f.bias": None}, "does not fit the published WSAC"),
        ({"clap_project.model.0.weight": None}, "not a checkpoint of the published WSAC"),
        ({"decoder.lm_head.weight": torch.zeros(320, 32)}, "its head is not its embedding"),
        (
            {"decoder.transformer.wte.weight": torch.zeros(50, 32), "decoder.lm_head.weight": None},
            "give the tokenizer of bert-base-uncased",
        ),
    ],
)
def test_checkpoints_that_do_not_fit_are_one_line(
    run, captions, clap_folder, tmp_path, change, message
):
    file, _ = published(tmp_path / "theirs", captions)
    state = torch.load(file, weights_only=True) | change
    torch.save({name: value for name, value in state.items() if value is not None}, file)
    words = ["--clap", clap_folder, "--tokenizer", tmp_path / "theirs", "--out", tmp_path / "run"]
    code, _, err = run("convert-captioner", file, *words)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_convert_captioner_cannot_read(run, captions, clap_folder, tmp_path):
    file, _ = published(tmp_path / "theirs", captions)
    byte_level(captions).save(str(tmp_path / "gpt2.json"))
    torch.save({"state": object()}, tmp_path / "code.pt")
    for words, message in (
        ([tmp_path / "none.pt", tmp_path / "theirs"], "no such file"),
        ([tmp_path / "code.pt", tmp_path / "theirs"], "refused"),
        ([file, tmp_path / "nowhere"], "no such tokenizer"),
        ([file, tmp_path / "gpt2.json"], "without [CLS] and [SEP]"),
        ([file, file], "not a tokenizer"),
    ):
        code, _, err = run(
            "convert-captioner",
            words[0],
            "--tokenizer",
            words[1],
            "--clap",
            clap_folder,
            "--out",
            tmp_path / "run",
        )
        assert code == 1
        assert message in err
        assert err.count("\n") == 1
