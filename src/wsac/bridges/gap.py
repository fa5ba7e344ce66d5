"""The modality gap between the texts and the sounds of a CLAP: what is known of it, fitted and kept in one file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.io.files import write_tensors
from wsac.types import ModelError

DIRECTIONS = 100  # of the PLS head, as published
ROUNDS = 5  # of matching sounds with texts, and turning them
PRIOR = 1.0  # so many pairs in every direction speak for no rotation: a few dozen sounds cannot tell one
ROWS = 2048  # compared at once
CROWD = 10  # nearest others by which a place is called crowded
NEIGHBOURS_OF = 20_000  # rows compared at most when mutual nearest neighbours are sought
TRANSPORTED = 10_000  # rows of a transport plan at most: 400 MB
BLUR, BALANCING = (
    0.05,
    30,
)  # of a transport plan: the entropy's weight, and how often both sides are balanced


@dataclass(frozen=True, slots=True)
class Gap:
    """Statistics of text and audio embeddings of one CLAP, both unit norm, not of the same scenes unless said.

    text_mean, audio_mean: [D]. text_covariance, audio_covariance: [D, D]. rotation: [D, D], orthogonal, audio to text
    (see ``fit_rotation``). pls_text, pls_audio: [D, K] directions that *pairs* share, or None without pairs.
    fingerprint: of the CLAP.
    """

    text_mean: Tensor
    audio_mean: Tensor
    text_covariance: Tensor
    audio_covariance: Tensor
    rotation: Tensor
    transport: Tensor
    pls_text: Tensor | None = None
    pls_audio: Tensor | None = None
    fingerprint: str = ""

    @property
    def shift(self) -> Tensor:
        """[D] mean audio minus mean text embedding: the gap vector. Source: Liang et al. 2022, arXiv 2203.02053."""
        return self.audio_mean - self.text_mean

    @property
    def dim(self) -> int:
        return len(self.text_mean)

    def save(self, path: str | Path) -> None:
        """Write safetensors, whole or not at all."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        write_tensors(
            path,
            {k: v for k, v in tensors.items() if isinstance(v, Tensor)},
            {"fingerprint": self.fingerprint},
        )

    @classmethod
    def load(cls, path: str | Path, *, fingerprint: str = "") -> Gap:
        """Read what ``save`` wrote. Raises ModelError when it cannot be read or is of another CLAP than this one."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
                gap = cls(**tensors, fingerprint=(file.metadata() or {}).get("fingerprint", ""))
        except FileNotFoundError as error:
            raise ModelError(f"{path}: no such file; wsac gap --save writes one") from error
        except (OSError, SafetensorError, TypeError) as error:
            raise ModelError(
                f"{path}: not a gap file ({error}); wsac gap --save writes one"
            ) from error
        if fingerprint and gap.fingerprint != fingerprint:
            raise ModelError(
                f"{path}: the gap of CLAP {gap.fingerprint or 'unknown'}, not of {fingerprint}; "
                "measure this one's with wsac gap"
            )
        return gap


def fit_gap(text: Tensor, audio: Tensor, *, paired: bool = False, fingerprint: str = "") -> Gap:
    """Fit on text ``[N, D]`` and audio embeddings ``[M, D]``, unit norm. paired: row i of both is of the same sound.

    Raises ModelError for fewer than two rows, and for pairs that are not as many.
    """
    if len(text) < 2 or len(audio) < 2:
        raise ModelError(
            f"{len(text)} texts and {len(audio)} sounds: the gap needs two of each or more"
        )
    if paired and len(text) != len(audio):
        raise ModelError(f"{len(text)} texts and {len(audio)} sounds are no pairs")
    text, audio = text.float(), audio.float()
    pls = fit_pls(text, audio) if paired else (None, None)
    moments = text.mean(0), audio.mean(0), text.T.cov(), audio.T.cov()
    return Gap(
        *moments, fit_rotation(text, audio), fit_transport(text, audio), pls[0], pls[1], fingerprint
    )


def fit_pls(text: Tensor, audio: Tensor, directions: int = DIRECTIONS) -> tuple[Tensor, Tensor]:
    """Directions of pairs that vary together: M = Tᵀ A = U Σ Vᵀ of the centred embeddings; U and V, [D, K].

    text, audio: [N, D], row by row of the same sound. Source: COMET, arXiv 2605.29628.
    """
    t, a = (text - text.mean(0)).double(), (audio - audio.mean(0)).double()
    u, _, v = torch.linalg.svd(t.T @ a)
    keep = min(directions, len(text) - 1, text.shape[1])
    return u[:, :keep].float().contiguous(), v[:keep].T.float().contiguous()


def fit_rotation(text: Tensor, audio: Tensor) -> Tensor:
    """[D, D] orthogonal R, so that (a - ā) R lies as t - t̄ does, from sounds and texts that are no pairs.

    Five times: sounds and texts that are each other's nearest after R are taken for pairs, and R is solved for them
    (orthogonal Procrustes, Schönemann 1966), with a prior towards the identity that is worth one pair in every
    direction. Nearest is by CSLS, which makes hubs, near to everything, less near (Conneau et al. 2018,
    arXiv 1710.04087, sec. 2.3).
    """
    t, a = (_directions(x, NEIGHBOURS_OF).double() for x in (text, audio))
    rotation = torch.eye(text.shape[1], dtype=torch.float64)
    for _ in range(ROUNDS):
        rows, columns = mutual_neighbours(a @ rotation, t)
        rotation = _procrustes(a[rows].T @ t[columns], PRIOR)
    return rotation.float()


def fit_transport(text: Tensor, audio: Tensor) -> Tensor:
    """The same from an optimal transport of all sounds to all texts in place of pairs: Wasserstein-Procrustes.

    A plan of sounds and texts gives each sound its share of the texts and each text its share of the sounds, so it
    wants both of the same kind of scenes in the same proportions; then it is the better one, otherwise far worse.
    Source: Grave et al. 2019 (arXiv 1805.11222), with Sinkhorn's plan (Cuturi 2013, arXiv 1306.0895) of all rows.
    """
    t, a = (_directions(x, TRANSPORTED) for x in (text, audio))
    rotation = torch.eye(text.shape[1])
    for _ in range(ROUNDS):
        kernel = (a @ rotation @ t.T).sub_(1).div_(BLUR).exp_()
        of_text = torch.full((len(t),), 1 / len(t))
        for _ in range(BALANCING):
            of_sound = 1 / len(a) / (kernel @ of_text)
            of_text = 1 / len(t) / (kernel.T @ of_sound)
        matched = a.T @ (of_sound[:, None] * (kernel @ (of_text[:, None] * t)))
        rotation = _procrustes(matched.double(), PRIOR / len(a)).float()
    return rotation


def _directions(rows: Tensor, most: int) -> Tensor:
    """Unit directions from the mean; of more than ``most`` rows so many, evenly spread."""
    rows = rows.float()
    rows = rows - rows.mean(0)
    if len(rows) > most:
        rows = rows[torch.linspace(0, len(rows) - 1, most).long()]
    return F.normalize(rows, dim=-1)


def _procrustes(matched: Tensor, prior: float) -> Tensor:
    """The rotation R with the largest trace of Rᵀ (M + prior · I)."""
    u, _, v = torch.linalg.svd(matched + prior * torch.eye(len(matched), dtype=matched.dtype))
    return u @ v


def mutual_neighbours(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of both, [P] each, that are each other's nearest by CSLS: 2 cos(x, y) - r(x) - r(y), with r the mean cosine
    to the nearest of the other side. one: [N, D], other: [M, D], unit norm."""
    best, back = (
        torch.empty(len(one), dtype=torch.long),
        torch.full((len(other),), -torch.inf, dtype=one.dtype),
    )
    owner = torch.zeros(len(other), dtype=torch.long)
    crowd = crowding(other, one)
    for first in range(0, len(one), ROWS):
        similarity = one[first : first + ROWS] @ other.T
        around = similarity.topk(min(CROWD, len(other)), dim=1).values.mean(1, keepdim=True)
        similarity = 2 * similarity - around - crowd
        best[first : first + ROWS] = similarity.argmax(dim=1)
        value, row = similarity.max(dim=0)
        nearer = value > back
        back = torch.where(nearer, value, back)
        owner = torch.where(nearer, row + first, owner)
    rows = torch.nonzero(owner[best] == torch.arange(len(one))).flatten()
    return rows, best[rows]


def crowding(one: Tensor, other: Tensor) -> Tensor:
    """[N] mean inner product of each row of ``one`` with its nearest rows of ``other``."""
    nearest = min(CROWD, len(other))
    return torch.cat(
        [(part @ other.T).topk(nearest, dim=1).values.mean(1) for part in one.split(ROWS)]
    )
