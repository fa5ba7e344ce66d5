"""Learning from a tagger that knows more sounds: its scores, its features, captions that fit them.

A folder of segments holds sounds and what the teacher says of each (`Segments` lists the files).
Captions are joined to the teacher's classes by a sentence encoder: a caption has a profile, the
probability of each class by its words. The similarity of profile and scores says how well the
caption fits the sound, and the embedding of the sound is drawn to those of the fitting captions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.pocket.towers import pool
from wsac.io.files import read_json
from wsac.types import CorpusError, WsacError

from .augment import augment
from .losses import TEXT_TEMPERATURE

PROFILE_TEMPERATURE = 0.04  # of the similarity of profile and scores
TEMPERATURE = 0.06  # of the similarity of sound and text
UNIMPORTANT = 0.1  # the weight of classes that captions do not tell, such as silence
LABEL_SHARE = 0.7  # the weight of labels beside the captions in what an embedding is drawn to
SHORTER = 0.45  # the share of steps on a part of the segments
LONGER = 0.15  # the share of steps on two segments in a row
MIXED = 0.25  # the share of steps on two segments at once
FAINTEST = 12.0  # dB by which the second of these is lower, at most
SHORTEST = 0.15  # the shortest part of a segment
DECIBELS = 10 / np.log(10)  # of a neper of power
WEIGHTS = {"scores": 0.15, "features": 0.3, "captions": 1, "pull": 3, "classes": 0.3, "labels": 0.5}
RARE = -6.0  # the log-odds of a class before anything is learned
NONE, UNKNOWN = -1, -2  # in place of a label: no further sound, a sound without a label


@dataclass(slots=True)
class Segments:
    """Sounds of equal length and what the teacher says of them, memory-mapped from a folder.

    log_mels: float16 [N, mels, frames]. scores: float16 [N, moments, classes], moments spread
    evenly. features: float16 [N, width], the mean over the moments. labels: int32 [N, sounds], rows
    of ``phrases``, NONE or UNKNOWN. profiles: float16 [captions, classes]. words.json has the
    classes, those that count little (``unimportant``), the captions, and the phrases of each label.
    Raises CorpusError for files that do not fit together.
    """

    log_mels: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    profiles: np.ndarray
    classes: list[str]
    unimportant: list[str]
    captions: list[str]
    phrases: list[list[str]]

    @classmethod
    def load(cls, folder: str | Path) -> Segments:
        folder = Path(folder)
        names = ("log_mels", "scores", "features", "labels", "profiles")
        try:
            words = read_json(folder / "words.json")
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
            classes, captions = list(words["classes"]), list(words["captions"])
            unimportant, phrases = list(words["unimportant"]), list(words["labels"].values())
        except (OSError, ValueError, KeyError, WsacError) as error:
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CorpusError(f"{folder}: no segments of a teacher here ({why})") from error
        log_mels, scores, features, labels, profiles = arrays
        if not len(log_mels) == len(scores) == len(features) == len(labels):
            raise CorpusError(f"{folder}: its arrays are of different lengths; make them again")
        if profiles.shape != (len(captions), len(classes)) or scores.shape[-1] != len(classes):
            raise CorpusError(f"{folder}: classes and captions do not fit; make them again")
        parts = log_mels, scores, features, labels, profiles
        return cls(*parts, classes, unimportant, captions, phrases)

    def __len__(self) -> int:
        return len(self.log_mels)

    @property
    def key(self) -> str:
        """A digest of what they are: other segments are other training material."""
        words = repr((self.classes, self.unimportant, self.captions, self.phrases))
        facts = hashlib.sha256(words.encode())
        for array in (self.labels, self.profiles, self.features):
            facts.update(array.tobytes())
        return facts.hexdigest()

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log-mels [B, mels, frames], scores [B, moments, classes], features [B, width] and labels
        [B, sounds] of ``size`` segments: a part of each, the whole, or pairs, in a row or mixed.

        A class sounds in a mixture unless it is in neither part.
        """
        rows = np.sort(rng.choice(len(self), min(size, len(self)), replace=False))
        parts = (self.log_mels, self.scores, self.features, self.labels)
        mels, scores, features, labels = (np.asarray(part[rows]) for part in parts)
        chance, middle = rng.random(), len(rows) // 2
        if chance < SHORTER:
            frames, moments = mels.shape[-1], scores.shape[1]
            length = int(frames * rng.uniform(SHORTEST, 0.6))
            start = int(rng.integers(0, frames - length + 1))
            mels = mels[..., start : start + length]
            first = min(moments - 1, int(start / frames * moments))
            last = max(first + 1, round((start + length) / frames * moments))
            scores = scores[:, first:last]
        elif chance < SHORTER + LONGER and middle:
            pair = slice(middle), slice(middle, 2 * middle)
            longest = 2 * mels.shape[-1] - 1  # the frames of twice the length
            mels = np.concatenate([mels[half] for half in pair], -1)[..., :longest]
            scores = np.concatenate([scores[half] for half in pair], 1)
            labels = np.concatenate([labels[half] for half in pair], 1)
            features = (features[pair[0]] + features[pair[1]]) / 2
        elif chance < SHORTER + LONGER + MIXED:
            lower = rng.uniform(0, FAINTEST, (len(rows), 1, 1)).astype(np.float32)
            other = np.roll(np.arange(len(rows)), 1)
            power = np.float32(-lower / DECIBELS)  # of the second, in nats
            mels = np.logaddexp(mels.astype(np.float32), mels[other] + power)
            second = scores[other] * (1 - lower / (2 * FAINTEST))  # half at the faintest
            scores = 1 - (1 - scores.astype(np.float32)) * (1 - second)
            labels = np.concatenate([labels, labels[other]], 1)
            features = (features + features[other]) / 2
        sounds = torch.from_numpy(labels.astype(np.int64))
        return _floats(mels), _floats(scores), _floats(features), sounds


def _floats(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


class Heads(nn.Module):
    """What the tower says to the teacher. It is dropped after the training."""

    def __init__(self, width: int, classes: int, features: int) -> None:
        super().__init__()
        self.scores = nn.Linear(width, classes)
        nn.init.constant_(self.scores.bias, RARE)
        self.features = nn.Linear(2 * width, features)


def distillation_loss(
    model: PocketClap, heads: Heads, segments: Segments, device: str
) -> Callable[[np.random.Generator, int], Tensor]:
    """A function of a generator and a batch size: the loss of the audio tower on segments.

    The sum, by ``WEIGHTS``, of: cross-entropy of the moments' scores; squared error of the
    features; divergence from the probabilities of captions; 1 - cosine with the mean embedding of
    the fitting captions and labels; cross-entropy over the names of classes, and over labels. The
    text tower is read once, so it must not be trained.
    """

    def embed(texts: list[str]) -> Tensor:
        with torch.no_grad():
            return F.normalize(model.embed_text(texts).to(device), dim=-1)

    captions = embed(segments.captions)
    classes = embed([name.lower() for name in segments.classes])
    phrases = [F.normalize(embed(texts).mean(0), dim=-1) for texts in segments.phrases]
    labels = torch.stack(phrases) if phrases else captions[:0]
    alike = (labels @ labels.T / TEXT_TEMPERATURE).softmax(-1)
    profiles = torch.from_numpy(np.asarray(segments.profiles, np.float32)).to(device)
    roots = (profiles / profiles.sum(-1, keepdim=True)).sqrt()
    weight = [UNIMPORTANT if name in segments.unimportant else 1 for name in segments.classes]
    importance = torch.tensor(weight, device=device)
    spread = float(np.asarray(segments.features[:4096], np.float32).var(0).sum()) or 1.0

    def loss(rng: np.random.Generator, size: int) -> Tensor:
        mels, scores, features, sounds = (part.to(device) for part in segments.batch(rng, size))
        moments = model.audio.moments(augment(mels))
        pooled = pool(moments)
        audio = F.normalize(model.audio.project(pooled).float(), dim=-1)
        count = moments.shape[1]
        wanted = F.interpolate(scores.transpose(1, 2), size=count, mode="linear").transpose(1, 2)
        logits = heads.scores(moments).float()
        mean = 0.8 * scores.mean(1) + 0.2 * scores.amax(1)
        shares = (mean * importance).clamp(min=1e-4)
        shares = shares / shares.sum(-1, keepdim=True)
        fit = (shares.sqrt() @ roots.T / PROFILE_TEMPERATURE).softmax(-1)  # [B, captions]
        named, complete = _named(sounds, len(labels))
        aim = F.normalize(fit @ captions, dim=-1)
        if len(labels):
            own = F.normalize(named @ labels, dim=-1)
            aim = F.normalize(aim + LABEL_SHARE * complete[:, None] * own, dim=-1)
        error = F.mse_loss(heads.features(pooled).float(), features, reduction="none")
        log_odds = (audio @ captions.T / TEMPERATURE).log_softmax(-1)
        terms = {
            "scores": F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            .sum(-1)
            .mean(),
            "features": error.sum(-1).mean() / spread,
            "captions": F.kl_div(log_odds, fit, reduction="batchmean"),
            "pull": 1 - (audio * aim).sum(-1).mean(),
            "classes": F.cross_entropy(audio @ classes.T / TEMPERATURE, shares),
        }
        if len(labels):
            each = F.cross_entropy(audio @ labels.T / TEMPERATURE, named @ alike, reduction="none")
            terms["labels"] = (each * complete).sum() / complete.sum().clamp(min=1)
        return torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()

    return loss


def _named(sounds: Tensor, labels: int) -> tuple[Tensor, Tensor]:
    """Shares of the labels [B, L], and the share of sounds that have one: 0, 0.5 or 1 [B]."""
    shares = torch.zeros(len(sounds), labels + 1, device=sounds.device)
    known = sounds >= 0
    shares.scatter_add_(1, torch.where(known, sounds, labels), known.float())
    count = known.sum(1)
    whole = ((sounds != UNKNOWN).all(1) & (count > 0)).float()
    complete = torch.where(count > 0, 0.5 + 0.5 * whole, torch.zeros_like(whole))
    return shares[:, :labels] / count.clamp(min=1)[:, None], complete
