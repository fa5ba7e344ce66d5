"""The losses of the pocket CLAP: texts alone, pairs of sound and text, labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.data.datasets.pairs import Clip

from .augment import augment
from .mixing import Example

ORDER_WEIGHT = 10.0  # with 2, and with the label loss beside it, 165 steps on twins taught nothing
TEXT_TEMPERATURE = 0.03  # of the similarity that says how alike two captions are
CONTRAST_TEMPERATURE = 0.05  # of the contrast between texts


def text_objective(
    model: PocketClap,
    texts: Sequence[str],
    groups: Sequence[Sequence[int]],
    targets: Tensor | None,
    scenes: Sequence[Clip] = (),
) -> Callable[[np.random.Generator, int], Tensor]:
    """A function of a generator and a batch size: the loss of the text tower on texts alone.

    targets: the teacher's embeddings [N, D] of the texts. groups: rows that are paraphrases.
    scenes: those with false captions teach what sentence encoders neglect, above all the order of
    events, which the audio tower can follow only once the text tower knows it.
    """
    scenes = [scene for scene in scenes if scene.negatives and len(scene.captions) > 1]

    def sample(rng: np.random.Generator, population: int, size: int) -> np.ndarray:
        return rng.choice(population, min(size, population), replace=False)

    def contrast(queries: Tensor, candidates: Tensor) -> Tensor:
        """Cross-entropy of the i-th candidate for the i-th query. [B, D], [at least B, D]."""
        labels = torch.arange(len(queries), device=queries.device)
        return F.cross_entropy(queries @ candidates.T / CONTRAST_TEMPERATURE, labels)

    def loss(rng: np.random.Generator, size: int) -> Tensor:
        total = torch.zeros((), device=model.log_temperature.device)
        if targets is not None:
            rows = sample(rng, len(texts), size)
            embedding = model.encode_captions([texts[row] for row in rows])
            target = targets[rows].to(total.device)
            total = total + 4 * (1 - (embedding * target).sum(-1).mean())
            total = total + contrast(embedding, target)
        if groups:
            chosen = sample(rng, len(groups), size // 4)
            pairs = np.stack([rng.choice(groups[g], 2, replace=False) for g in chosen])  # [G, 2]
            embedding = model.encode_captions([texts[row] for row in pairs.T.ravel()])
            total = total + 0.3 * contrast(*embedding.chunk(2))
        if scenes:
            drawn = [scenes[row] for row in sample(rng, len(scenes), size // 4)]
            captions = np.stack([rng.choice(scene.captions, 2, replace=False) for scene in drawn])
            false = [rng.choice(scene.negatives) for scene in drawn]
            embedding = model.encode_captions([str(text) for text in (*captions.T.ravel(), *false)])
            total = total + 0.5 * contrast(embedding[: len(drawn)], embedding[len(drawn) :])
        return total

    return loss


def pair_loss(
    model: PocketClap,
    waveforms: Tensor,
    examples: Sequence[Example],
    labels: Tensor | None = None,
    *,
    twins: bool = False,
) -> Tensor:
    """Symmetric InfoNCE with the similarity of the texts as target, plus the cosine of each pair.

    Captions of the same event share the target, so they are not negatives of each other; false
    captions are further negatives of every sound.
    waveforms: [B, T] of the examples. labels: label embeddings [L, D], adds ``label_loss``.
    twins: examples 2i and 2i + 1 are the same sounds in both orders, adds ``order_loss``.
    """
    device = model.log_temperature.device
    audio = F.normalize(model.audio(augment(model.log_mel(waveforms))).float(), dim=-1)
    false = [example.false for example in examples if example.false]
    text = model.encode_captions([example.caption for example in examples] + false)
    text, wrong = text[: len(examples)], text[len(examples) :]
    temperature = model.log_temperature.exp().clamp(0.02, 1)
    logits = audio @ text.T / temperature
    with torch.no_grad():
        alike = (text @ text.T / TEXT_TEMPERATURE).softmax(-1)
        target = torch.eye(len(text), device=device) if twins else alike
        padded = F.pad(target, (0, len(wrong)))
    contrast = F.cross_entropy(torch.cat((logits, audio @ wrong.T / temperature), 1), padded)
    contrast = contrast + F.cross_entropy(logits.T, target)
    loss = contrast + 2 * (1 - (audio * text).sum(-1).mean())
    if twins:
        loss = loss + ORDER_WEIGHT * order_loss(audio, text)
    if labels is not None:
        rows = [example.labels for example in examples]
        loss = loss + label_loss(audio / temperature, labels, rows)
    return loss


def order_loss(audio: Tensor, text: Tensor) -> Tensor:
    """1 - cos(a - a', t - t'), the mean over twins: a swap changes sound and sentence alike.

    audio, text: [B, D], twins side by side. Contrast alone learns no order: at first twins are so
    alike that their difference hardly counts. Here it counts whatever its length.
    """
    audio_change, text_change = audio[0::2] - audio[1::2], text[0::2] - text[1::2]
    return 1 - F.cosine_similarity(audio_change, text_change, dim=-1).mean()


def label_loss(audio: Tensor, prototypes: Tensor, labels: Sequence[Sequence[int]]) -> Tensor:
    """Cross-entropy over all labels; the target is shared among those that sound and near-synonyms.

    audio: [B, D] over the temperature. prototypes: [L, D] unit norm, constant. labels: their rows.
    """
    present = torch.zeros(len(audio), len(prototypes), device=audio.device)
    for row, own in enumerate(labels):
        present[row, list(own)] = 1 / max(1, len(own))
    alike = (prototypes @ prototypes.T / TEXT_TEMPERATURE).softmax(-1)
    return F.cross_entropy(audio @ prototypes.T, present @ alike)
