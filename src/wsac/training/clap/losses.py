"""What the pocket CLAP is trained for: the teacher's geometry and paraphrases, pairs of sound and text, and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.data.datasets.pairs import Clip

from .augment import disturb
from .mixing import Example

ORDER = 10.0  # weight of the order loss; with 2, and the labels beside it, 165 steps on twins taught nothing
SAME = 0.03  # temperature of the similarity of texts that says how far two captions mean the same


def text_objective(
    model: PocketClap,
    texts: Sequence[str],
    groups: Sequence[Sequence[int]],
    targets: Tensor | None,
    scenes: Sequence[Clip] = (),
) -> Callable[[np.random.Generator, int], Tensor]:
    """The loss on ``size`` texts: keep to the teacher's targets ``[N, D]``, and bring paraphrases together.

    groups: rows of texts that describe the same clip. scenes: those with false captions teach the text tower what a
    sentence encoder neglects, the order of events above all; the audio tower finds nothing to follow before it knows.
    """
    scenes = [scene for scene in scenes if scene.negatives and len(scene.captions) > 1]

    def loss(rng: np.random.Generator, size: int) -> Tensor:
        device = model.log_temperature.device
        total = torch.zeros((), device=device)
        if targets is not None:
            rows = rng.choice(len(texts), min(size, len(texts)), replace=False)
            embedding, target = (
                model.encode_captions([texts[i] for i in rows]),
                targets[rows].to(device),
            )
            total = total + 4 * (1 - (embedding * target).sum(-1).mean())
            total = total + F.cross_entropy(
                embedding @ target.T / 0.05, torch.arange(len(rows), device=device)
            )
        if groups:
            chosen = rng.choice(len(groups), min(size // 4, len(groups)), replace=False)
            two = np.stack([rng.choice(groups[g], 2, replace=False) for g in chosen])  # [G, 2]
            one, other = model.encode_captions([texts[i] for i in two.T.ravel()]).chunk(2)
            matches = torch.arange(len(chosen), device=device)
            total = total + 0.3 * F.cross_entropy(one @ other.T / 0.05, matches)
        if scenes:
            drawn = [
                scenes[i]
                for i in rng.choice(len(scenes), min(size // 4, len(scenes)), replace=False)
            ]
            pairs = [rng.choice(scene.captions, 2, replace=False) for scene in drawn]
            false = [str(rng.choice(scene.negatives)) for scene in drawn]
            said = model.encode_captions(
                [*(str(a) for a, _ in pairs), *(str(b) for _, b in pairs), *false]
            )
            one, rest = said[: len(drawn)], said[len(drawn) :]
            total = total + 0.5 * F.cross_entropy(
                one @ rest.T / 0.05, torch.arange(len(drawn), device=device)
            )
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
    """Symmetric InfoNCE whose targets follow the similarity of the texts, plus the cosine of each pair.

    Two captions of the same event share the target, so they are not each other's negatives; false captions are
    further negatives of every sound. waveforms: ``[B, T]``, of the examples in their order.
    labels: prototypes ``[L, D]``, of which each sound should be nearest to its own.
    twins: examples 2i and 2i + 1 are the same sounds in both orders; see ``order_loss``.
    """
    device = model.log_temperature.device
    audio = F.normalize(model.audio(disturb(model.log_mel(waveforms))).float(), dim=-1)
    false = [one.false for one in examples if one.false]
    text = model.encode_captions([one.caption for one in examples] + false)
    text, wrong = text[: len(examples)], text[len(examples) :]
    temperature = model.log_temperature.exp().clamp(0.02, 1)
    logits = audio @ text.T / temperature
    with torch.no_grad():
        target = (
            torch.eye(len(text), device=device) if twins else (text @ text.T / SAME).softmax(-1)
        )
        padded = F.pad(target, (0, len(wrong)))
    contrast = F.cross_entropy(torch.cat((logits, audio @ wrong.T / temperature), 1), padded)
    contrast = contrast + F.cross_entropy(logits.T, target)
    loss = contrast + 2 * (1 - (audio * text).sum(-1).mean())
    if twins:
        loss = loss + ORDER * order_loss(audio, text)
    if labels is not None:
        loss = loss + label_loss(audio / temperature, labels, [one.labels for one in examples])
    return loss


def order_loss(audio: Tensor, text: Tensor) -> Tensor:
    """1 - cos(a - a', t - t'), the mean over twins: what the order changes in the sound, it changes in the sentence.

    audio, text: ``[B, D]``, twins side by side. Contrast alone learns no order: twins are so alike at first that
    their difference hardly counts; here it counts whatever its length.
    """
    return (
        1 - F.cosine_similarity(audio[0::2] - audio[1::2], text[0::2] - text[1::2], dim=-1).mean()
    )


def label_loss(audio: Tensor, prototypes: Tensor, labels: Sequence[Sequence[int]]) -> Tensor:
    """Cross-entropy over all labels, shared among those that are heard and their near-synonyms.

    audio: ``[B, D]`` over the temperature; prototypes: ``[L, D]`` unit norm, constant.
    """
    heard = torch.zeros(len(audio), len(prototypes), device=audio.device)
    for row, own in enumerate(labels):
        heard[row, list(own)] = 1 / max(1, len(own))
    alike = (prototypes @ prototypes.T / SAME).softmax(-1)
    return F.cross_entropy(audio @ prototypes.T, heard @ alike)
