"""What captioning computes, with whichever array library ``wsac.arrays`` has: numbers by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from wsac.archive.clusters import k_means, near_duplicates
from wsac.archive.search.exact_search import nearest_exact
from wsac.arrays import F, Tensor, torch
from wsac.bridges import KINDS, BridgeContext, inference_bridge
from wsac.bridges.gap import fit_gap
from wsac.bridges.memory import SupportMemory, rows_unlike
from wsac.clap.pocket.melspec import LogMel
from wsac.clap.retrieval_scores import recall_at
from wsac.clap.tag_calibration import TagCalibration
from wsac.decoder.generation import GenerationOptions, generate_best, generate_samples
from wsac.decoder.generation.word_trie import WordTrie
from wsac.inference.confidence import Logistic, calibration_error, confidence_features
from wsac.inference.rerank import choose
from wsac.inference.spans.spectrum import Spectrum
from wsac.runtime.seeding import generator_for
from wsac.types import Caption

DIM, VOCAB = 24, 96
SEARCHES = {
    "greedy": {"beam_size": 1},
    "beam": {"beam_size": 4, "length_penalty": 1.0},
    "early": {"beam_size": 3, "early_stopping": True},
    "penalties": {"beam_size": 3, "repetition_penalty": 1.4, "no_repeat_ngram": 4},
    "groups": {"beam_size": 4, "groups": 2},
    "drawn": {"top_p": 0.8},
    "drawn_top_k": {"top_k": 7, "temperature": 0.7, "top_p": 1.0},
}


def unit(*shape: int, seed: int) -> Tensor:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return F.normalize(torch.from_numpy(values), dim=-1)


class TableDecoder:
    """The next token depends on the embedding, the last token and the place."""

    max_tokens, device = 12, torch.zeros(1).device

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        table = rng.standard_normal((VOCAB, VOCAB)).astype(np.float32)
        table[:, 2] += 1.0  # the end
        self.by_token = torch.from_numpy(2.5 * table)
        self.by_sound = torch.from_numpy(rng.standard_normal((DIM, VOCAB)).astype(np.float32))

    def prefill(self, embedding: Tensor, max_tokens: int, prompt: Any = None) -> tuple:
        state = 3.0 * embedding @ self.by_sound
        return state + 0.0, state

    def step(self, token: Tensor, state: Tensor) -> tuple:
        return self.by_token[token] + state, 1.07 * state

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows.flatten()]


class Letters:
    """A tokenizer of words of letters."""

    vocab_size = VOCAB

    def encode(self, captions: Any) -> list[list[int]]:
        return [[3 + (ord(letter) * 7) % (VOCAB - 3) for letter in text] for text in captions]


class TextClap:
    def embed_text(self, texts: Any) -> Tensor:
        rows = [unit(1, DIM, seed=len(text)) for text in texts]
        return torch.cat(rows)


def results() -> dict[str, Any]:
    texts, sounds = unit(300, DIM, seed=1), unit(40, DIM, seed=2)
    memory = SupportMemory(texts)
    gap = fit_gap(texts[:40], sounds, paired=True)
    values: dict[str, Any] = {
        f"gap_{name}": getattr(gap, name) for name in ("text_mean", "rotation", "transport")
    }
    context = BridgeContext(memory, gap, 0.07)
    for stage, name in KINDS:
        if stage == "inference":
            values[f"bridge_{name}"] = inference_bridge(name, context)(sounds)
    values["bridge_chain"] = inference_bridge("shift+pd:temperature=0.02", context)(sounds)
    trie = WordTrie(["abc", "ad", "dab", "cab"], Letters(), torch.zeros(1).device)
    for name, options in SEARCHES.items():
        generate = generate_samples if name.startswith("drawn") else generate_best
        for words in (None,) if name == "penalties" else (None, trie):
            chosen: Any = GenerationOptions(**options), 3, None, words
            rows = generate(TableDecoder(), sounds[:9], *chosen)
            key = f"{name}_words" if words else name
            values[f"tokens_{key}"] = [x for row in rows for h in row for x in (*h.tokens, -1)]
            values[f"logprob_{key}"] = [h.logprob for row in rows for h in row]
    captions = [Caption("a" * (1 + i % 11), -0.1 * i) for i in range(len(sounds))]
    features = confidence_features(TextClap(), memory, sounds, captions)
    right = torch.from_numpy(np.arange(len(sounds)) % 3 == 0)
    logistic = Logistic.fit(features, right)
    values |= {"features": features, "confidence": logistic(features)}
    values["calibration_error"] = calibration_error(logistic(features), right)
    values["tags"] = TagCalibration(0.1, -0.1, 0.3)(sounds @ texts[:20].T)
    values["recall"] = list(recall_at(sounds @ texts.T, texts[:40] @ texts.T > 0.2).values())
    rows = [[("a", -1.0), ("bb", -1.1), ("ccc", -1.2)]] * 4
    values["chosen"] = choose(TextClap(), sounds[:4], rows, "mbr")
    values["chosen"] += choose(TextClap(), sounds[:4], rows, "clap")
    wave = np.random.default_rng(3).standard_normal(16_000).astype(np.float32)
    values["log_mel"] = LogMel(16_000, 1024, 320, 64)(torch.from_numpy(wave[None]))
    values["spectrum"] = Spectrum(16_000).add(wave, last=True)
    values["unlike"] = rows_unlike(memory, 0.5, generator_for(0, "thin"))
    values["sampled"] = memory.sample_rows(20, generator_for(0, "rows"))
    values["clusters"], values["centres"] = k_means(texts.numpy(), 5)
    values["duplicates"] = [x for row in near_duplicates(texts.numpy(), 0.6) for x in (*row, -1)]
    values["near"], values["near_rows"] = nearest_exact(
        texts.half().numpy(), sounds[0].numpy(), 10, None
    )
    return {name: np.asarray(value) for name, value in values.items()}


if __name__ == "__main__":
    np.savez(Path(sys.argv[1]), **results())
    heavy = {"torch", "transformers"} & set(sys.modules)
    assert not heavy, heavy
