"""How many tokens another precision writes as float32 does, on the embeddings of real captions.

    python benchmarks/speed/precision.py ../shared/captions/Clotho.test.csv

"same prefix": after the same tokens, how often the likeliest next one is the same. "alone": each
precision goes on from its own tokens, greedily, so that after one difference the rest of a caption
mostly differs too. bfloat16 is emulated where the processor lacks it: the tokens are those that it
would give to within rounding, the time says nothing.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from wsac.data.captions.corpus import read_captions
from wsac.data.tokenizer import EOS, PAD
from wsac.decoder import CaptionDecoder
from wsac.decoder.generation import prepare
from wsac.inference.captioner import Captioner
from wsac.io.console import table

BATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "captions", help="in any format of wsac corpus, such as Clotho's test captions"
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument(
        "--clips", type=int, default=1000, help="so many captions, spread over the file"
    )
    parser.add_argument("--precision", nargs="+", default=["bfloat16"])
    options = parser.parse_args()
    captioner = Captioner.load(options.model, device="cpu")
    captions = [example.caption for example in read_captions(options.captions)]
    captions = captions[:: max(1, len(captions) // options.clips)][: options.clips]
    embeddings = captioner.clap.embed_text(captions)
    rows = []
    for precision in options.precision:
        results = agreement(captioner.decoder, embeddings, precision)
        rows.append(
            (
                precision,
                *(f"{100 * results[name]:.2f} %" for name in ("same prefix", "alone", "captions")),
                f"{results['nats']:.4f}",
            )
        )
    title = f"tokens as in float32, {len(captions):,} captions of {options.captions}"
    table(title, ("precision", "same prefix>", "alone>", "whole captions>", "nats a token>"), rows)


@torch.inference_mode()
def agreement(decoder: CaptionDecoder, embeddings: Tensor, precision: str) -> dict[str, float]:
    """Shares of equal tokens, "same prefix" and "alone", and of equal "captions"; "nats": how far
    the log-probability of a token is off, root mean square. embeddings: [B, D] unit norm."""
    other = prepare(decoder, precision)
    real, sums = 0, {"same prefix": 0.0, "alone": 0.0, "captions": 0.0, "nats": 0.0}
    for part in embeddings.split(BATCH):
        exact, scores = greedy(decoder, part)
        forced, forced_scores = greedy(other, part, exact)
        alone, _ = greedy(other, part)
        mask = exact != PAD
        real += int(mask.sum())
        sums["same prefix"] += int((forced == exact)[mask].sum())
        sums["captions"] += int(_same(alone, exact).all(1).sum())
        sums["alone"] += int(_same(alone, exact)[mask].sum())
        sums["nats"] += float((forced_scores - scores)[mask].square().sum())
    return {
        "same prefix": sums["same prefix"] / real,
        "alone": sums["alone"] / real,
        "captions": sums["captions"] / len(embeddings),
        "nats": (sums["nats"] / real) ** 0.5,
    }


def greedy(
    decoder: CaptionDecoder, embedding: Tensor, prescribed: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The likeliest token of each place [B, L], the end included and then padding, and the
    log-probability of what stands there. prescribed: [B, L] tokens to go on from instead of the
    likeliest; the log-probabilities are then theirs.
    """
    limit = decoder.max_tokens if prescribed is None else prescribed.shape[1]
    logits, state = decoder.prefill(embedding, limit)
    ended = torch.zeros(len(embedding), dtype=torch.bool)
    tokens, scores = [], []
    for place in range(limit):
        logits[:, PAD:EOS] = -torch.inf
        best = logits.argmax(dim=-1)
        going = best if prescribed is None else prescribed[:, place]
        scores.append(logits.float().log_softmax(-1).gather(1, going[:, None])[:, 0])
        tokens.append(torch.where(ended, PAD, best))
        ended = ended | (going == EOS)
        if bool(ended.all()) or place + 1 == limit:
            break
        logits, state = decoder.step(going, state)
    return torch.stack(tokens, dim=1), torch.stack(scores, dim=1)


def _same(results: Tensor, exact: Tensor) -> Tensor:
    """[B, L] where the tokens are equal; results may be longer or shorter."""
    short = exact.shape[1] - results.shape[1]
    return (
        torch.nn.functional.pad(results, (0, max(0, short)), value=PAD)[:, : exact.shape[1]]
        == exact
    )


if __name__ == "__main__":
    main()
