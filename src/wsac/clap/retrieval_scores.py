"""How well a CLAP brings texts and sounds together: retrieval both ways, and zero-shot classification."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.data.datasets.pairs import Clip
from wsac.io.console import progress, say
from wsac.types import AudioError

from .encoder import ClapEncoder
from .sounds import embed_many


def recall_at(
    similarity: Tensor, relevant: Tensor, ranks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """The share of rows with a relevant column among the k most similar: ``{"R@1": …}``.

    similarity: [Q, C]; relevant: [Q, C] bool. Ties count against the query: a constant similarity finds nothing early.
    """
    best = similarity.masked_fill(~relevant, -torch.inf).amax(dim=1, keepdim=True)
    ahead = ((similarity >= best) & ~relevant).sum(dim=1)
    return {f"R@{k}": float((ahead < k).float().mean()) for k in ranks}


def evaluate(
    model: ClapEncoder, clips: Sequence[Clip], *, ranks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Retrieval among the clips and their first captions, and zero-shot accuracy where clips share labels.

    Keys: ``audio_to_text_R@k``, ``text_to_audio_R@k``, ``zero_shot``, and ``true_over_false``: how often a sound is
    nearer to its first caption than to its first false one. Clips with equal captions are relevant to both.
    """
    clips, audio = embed_clips(model, clips)
    texts = [clip.captions[0] for clip in clips]
    similarity = audio @ model.embed_text(texts).T
    rows: dict[str, int] = {}
    same = torch.tensor([rows.setdefault(text, len(rows)) for text in texts])
    relevant = same[:, None] == same
    found = {
        f"audio_to_text_{name}": value
        for name, value in recall_at(similarity, relevant, ranks).items()
    }
    found |= {
        f"text_to_audio_{name}": value
        for name, value in recall_at(similarity.T, relevant, ranks).items()
    }
    false = [i for i, clip in enumerate(clips) if clip.negatives]
    if false:
        wrong = model.embed_text([clips[i].negatives[0] for i in false])
        margin = similarity.diagonal()[false] - (audio[false] * wrong).sum(dim=-1)
        found["true_over_false"] = float((margin > 0).float().mean())
    if 1 < len({clip.label for clip in clips}) < len(clips):
        found["zero_shot"] = zero_shot(model, clips, audio)
    return found


def embed_clips(model: ClapEncoder, clips: Sequence[Clip]) -> tuple[list[Clip], Tensor]:
    """The clips that can be decoded, and their embeddings ``[N, D]``. Raises AudioError when there are none."""
    usable, embeddings = [], []
    sounds = embed_many(model, [clip.path for clip in clips])
    with progress("validation", len(clips), unit="clips") as tick:
        for clip, sound in zip(clips, sounds, strict=True):
            tick()
            if isinstance(sound, AudioError):
                say(f"skipped: {sound}")
                continue
            usable.append(clip)
            embeddings.append(sound.embedding)
    if not usable:
        raise AudioError(
            f"none of the {len(clips)} validation sounds could be decoded; see the lines above"
        )
    return usable, torch.stack(embeddings)


def zero_shot(model: ClapEncoder, clips: Sequence[Clip], audio: Tensor) -> float:
    """Top-1 accuracy of the nearest label, a label being the mean text embedding of its captions. audio: ``[N, D]``."""
    labels = sorted({clip.label for clip in clips})
    prototypes = label_embeddings(model, clips, labels)
    nearest = (audio @ prototypes.T).argmax(dim=1).tolist()
    return sum(labels[i] == clip.label for i, clip in zip(nearest, clips, strict=True)) / len(clips)


def label_embeddings(model: ClapEncoder, clips: Sequence[Clip], labels: Sequence[str]) -> Tensor:
    """Unit-norm ``[L, D]``: the mean embedding of the captions that the clips of a label have."""
    captions = {
        label: {c: None for clip in clips if clip.label == label for c in clip.captions}
        for label in labels
    }
    flat = model.embed_text([caption for label in labels for caption in captions[label]])
    parts = flat.split([len(captions[label]) for label in labels])
    return F.normalize(torch.stack([part.mean(dim=0) for part in parts]), dim=-1)
