"""How well a CLAP matches texts and sounds: retrieval both ways, and zero-shot classification."""

from __future__ import annotations

from collections.abc import Sequence

from wsac.arrays import F, Tensor, torch
from wsac.data.datasets.pairs import Clip
from wsac.io.console import progress, say
from wsac.types import AudioError

from .encoder import ClapEncoder
from .sounds import embed_many


def recall_at(
    similarity: Tensor, relevant: Tensor, ranks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """The share of rows with a relevant column among the k most similar: ``{"R@1": …}``.

    similarity: [Q, C]; relevant: [Q, C] bool. Ties count against the query, so a constant
    similarity scores nothing.
    """
    best = similarity.masked_fill(~relevant, -torch.inf).amax(dim=1, keepdim=True)
    ahead = ((similarity >= best) & ~relevant).sum(dim=1)
    return {f"R@{k}": float((ahead < k).float().mean()) for k in ranks}


def evaluate(
    model: ClapEncoder, clips: Sequence[Clip], *, ranks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Retrieval among the clips and their first captions, and zero-shot accuracy of shared labels.

    Keys: ``audio_to_text_R@k``, ``text_to_audio_R@k``, ``zero_shot``, and ``true_over_false``: how
    often a sound is nearer to its first caption than to its first false one. Clips with equal
    captions are relevant to each other. Raises AudioError when no clip can be decoded.
    """
    clips, audio = embed_clips(model, clips)
    texts = [clip.captions[0] for clip in clips]
    similarity = audio @ model.embed_text(texts).T
    groups: dict[str, int] = {}
    group = torch.tensor([groups.setdefault(text, len(groups)) for text in texts])
    relevant = group[:, None] == group
    scores: dict[str, float] = {}
    for way, matrix in (("audio_to_text", similarity), ("text_to_audio", similarity.T)):
        scores |= {f"{way}_{k}": v for k, v in recall_at(matrix, relevant, ranks).items()}
    false = [i for i, clip in enumerate(clips) if clip.negatives]
    if false:
        wrong = model.embed_text([clips[i].negatives[0] for i in false])
        margin = similarity.diagonal()[false] - (audio[false] * wrong).sum(dim=-1)
        scores["true_over_false"] = float((margin > 0).float().mean())
    if 1 < len({clip.label for clip in clips}) < len(clips):
        scores["zero_shot"] = zero_shot(model, clips, audio)
    return scores


def embed_clips(model: ClapEncoder, clips: Sequence[Clip]) -> tuple[list[Clip], Tensor]:
    """The clips that can be decoded and their embeddings ``[N, D]``. Raises AudioError for none."""
    usable, embeddings = [], []
    sounds = embed_many(model, [clip.path for clip in clips])
    with progress("validation", len(clips), unit="clips") as tick:
        for clip, sound in zip(clips, sounds, strict=True):
            tick()
            if isinstance(sound, AudioError):
                say(f"skipped: {sound}")
            else:
                usable.append(clip)
                embeddings.append(sound.embedding)
    if not usable:
        what = f"none of the {len(clips)} validation sounds could be decoded"
        raise AudioError(f"{what}; see the lines above")
    return usable, torch.stack(embeddings)


def zero_shot(model: ClapEncoder, clips: Sequence[Clip], audio: Tensor) -> float:
    """Top-1 accuracy of the nearest label, see ``label_embeddings``. audio: ``[N, D]``."""
    labels = sorted({clip.label for clip in clips})
    nearest = (audio @ label_embeddings(model, clips, labels).T).argmax(dim=1).tolist()
    return sum(labels[i] == clip.label for i, clip in zip(nearest, clips, strict=True)) / len(clips)


def label_embeddings(model: ClapEncoder, clips: Sequence[Clip], labels: Sequence[str]) -> Tensor:
    """Unit-norm ``[L, D]``: the mean embedding of the captions of each label."""
    captions: dict[str, dict[str, None]] = {label: {} for label in labels}
    for clip in clips:
        captions.get(clip.label, {}).update(dict.fromkeys(clip.captions))
    flat = model.embed_text([caption for label in labels for caption in captions[label]])
    parts = flat.split([len(captions[label]) for label in labels])
    return F.normalize(torch.stack([part.mean(dim=0) for part in parts]), dim=-1)
