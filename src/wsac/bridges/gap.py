"""The modality gap of a CLAP: the statistics of its texts and sounds that bridges need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsac.arrays import F, Tensor, torch
from wsac.io.tensors import read_tensors, write_tensors
from wsac.types import ModelError

DIRECTIONS = 100  # of the PLS head, as published
ROUNDS = 5  # of matching sounds with texts, and rotating them
PRIOR = 1.0  # pairs in each direction that speak for no rotation: a few dozen sounds show none
ROWS = 2048  # compared at once
CROWD = 10  # nearest others that tell how crowded a place is
NEIGHBOURS_OF = 20_000  # most rows among which mutual nearest neighbours are sought
TRANSPORTED = 10_000  # most rows of a transport plan: 400 MB
BLUR = 0.05  # weight of the entropy in a transport plan
BALANCING = 30  # how often the two sides of a transport plan are balanced


@dataclass(frozen=True, slots=True)
class Gap:
    """Statistics of the text and audio embeddings of one CLAP, usually of different scenes.

    text_mean, audio_mean: [D]. text_covariance, audio_covariance: [D, D]. rotation, transport: [D,
    D], orthogonal, audio to text (``fit_rotation``, ``fit_transport``). pls_text, pls_audio: [D, K]
    axes of *pairs*, or None without pairs. fingerprint: of the CLAP.
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
        """[D] the gap vector, mean audio minus mean text. Liang et al. 2022, arXiv 2203.02053."""
        return self.audio_mean - self.text_mean

    def save(self, path: str | Path) -> None:
        """Write safetensors, whole or not at all."""
        values = {name: getattr(self, name) for name in self.__slots__}
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        write_tensors(path, tensors, {"fingerprint": self.fingerprint})

    @classmethod
    def load(cls, path: str | Path, *, fingerprint: str = "", checksum: str | None = None) -> Gap:
        """Read what ``save`` wrote, with this checksum if there is one.

        Raises ModelError for other files, damaged ones and gaps of other CLAPs.
        """
        from safetensors import SafetensorError

        try:
            tensors, meta = read_tensors(path, checksum)
            gap = cls(**tensors, fingerprint=meta.get("fingerprint", ""))
        except FileNotFoundError as error:
            raise ModelError(f"{path}: no such file; wsac gap --save writes one") from error
        except (OSError, SafetensorError, TypeError) as error:
            what = f"not a gap file ({error}); wsac gap --save writes one"
            raise ModelError(f"{path}: {what}") from error
        if fingerprint and gap.fingerprint != fingerprint:
            whose = f"the gap of CLAP {gap.fingerprint or 'unknown'}, not of {fingerprint}"
            raise ModelError(f"{path}: {whose}; measure this one's with wsac gap")
        return gap


def fit_gap(text: Tensor, audio: Tensor, *, paired: bool = False, fingerprint: str = "") -> Gap:
    """Fit on text ``[N, D]`` and audio embeddings ``[M, D]``, unit norm.

    paired: row i of both is of the same sound. Raises ModelError for fewer than two rows, and for
    pairs of unequal number.
    """
    counts = f"{len(text)} texts and {len(audio)} sounds"
    if len(text) < 2 or len(audio) < 2:
        raise ModelError(f"{counts}: the gap needs two of each or more")
    if paired and len(text) != len(audio):
        raise ModelError(f"{counts} are not pairs")
    text, audio = text.float(), audio.float()
    moments = text.mean(0), audio.mean(0), text.T.cov(), audio.T.cov()
    rotation, transport = fit_rotation(text, audio), fit_transport(text, audio)
    pls_text, pls_audio = fit_pls(text, audio) if paired else (None, None)
    return Gap(*moments, rotation, transport, pls_text, pls_audio, fingerprint)


def fit_pls(text: Tensor, audio: Tensor, directions: int = DIRECTIONS) -> tuple[Tensor, Tensor]:
    """Axes along which pairs vary together: U and V, [D, K], of Tᵀ A = U Σ Vᵀ, both centred.

    text, audio: [N, D], row by row of the same sound. Source: COMET, arXiv 2605.29628.
    """
    t, a = (text - text.mean(0)).double(), (audio - audio.mean(0)).double()
    u, _, v = torch.linalg.svd(t.T @ a)
    count = min(directions, len(text) - 1, text.shape[1])
    return u[:, :count].float().contiguous(), v[:count].T.float().contiguous()


def fit_rotation(text: Tensor, audio: Tensor) -> Tensor:
    """[D, D] orthogonal R such that (a - ā) R lies as t - t̄ does; sounds and texts are not paired.

    Five times, sounds and texts that are each other's nearest after R count as pairs, and R is
    solved for them (orthogonal Procrustes, Schönemann 1966), with a prior towards the identity
    worth one pair in every direction. Nearness is CSLS, which makes hubs, near to everything, less
    near (Conneau et al. 2018, arXiv 1710.04087, sec. 2.3).
    """
    t, a = (_directions(x, NEIGHBOURS_OF).double() for x in (text, audio))
    rotation = torch.eye(text.shape[1], dtype=torch.float64)
    for _ in range(ROUNDS):
        rows, columns = mutual_neighbours(a @ rotation, t)
        rotation = _procrustes(a[rows].T @ t[columns], PRIOR)
    return rotation.float()


def fit_transport(text: Tensor, audio: Tensor) -> Tensor:
    """The same by an optimal transport of all sounds to all texts: Wasserstein-Procrustes.

    The plan gives each sound its share of the texts and each text its share of the sounds. It wants
    both of the same kind of scenes in the same proportions; then it is better, otherwise far worse.
    Source: Grave et al. 2019 (arXiv 1805.11222), with the plan of Sinkhorn (Cuturi 2013,
    arXiv 1306.0895) over all rows.
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


def spread_rows(rows: int, most: int) -> Tensor:
    """At most ``most`` of ``rows`` row numbers, evenly spread from the first to the last."""
    count = min(rows, most)
    return torch.arange(count) * (rows - 1) // max(1, count - 1)


def _directions(rows: Tensor, most: int) -> Tensor:
    """Unit directions from the mean, of at most ``most`` rows, evenly spread."""
    rows = rows.float()
    rows = rows - rows.mean(0)
    if len(rows) > most:
        rows = rows[spread_rows(len(rows), most)]
    return F.normalize(rows, dim=-1)


def _procrustes(matched: Tensor, prior: float) -> Tensor:
    """The rotation R with the largest trace of Rᵀ (M + prior · I)."""
    u, _, v = torch.linalg.svd(matched + prior * torch.eye(len(matched), dtype=matched.dtype))
    return u @ v


def mutual_neighbours(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of both, [P] each, that are each other's nearest by CSLS.

    CSLS(x, y) = 2 cos(x, y) - r(x) - r(y), with r the mean cosine to the 10 nearest of the other
    side. left: [N, D], right: [M, D], unit norm.
    """
    crowd = crowding(right, left)
    nearest = torch.empty(len(left), dtype=torch.long)
    best = torch.full((len(right),), -torch.inf, dtype=left.dtype)
    owner = torch.zeros(len(right), dtype=torch.long)
    for start in range(0, len(left), ROWS):
        part = slice(start, start + ROWS)
        similarity = left[part] @ right.T
        around = similarity.topk(min(CROWD, len(right)), dim=1).values.mean(1, keepdim=True)
        similarity = 2 * similarity - around - crowd
        nearest[part] = similarity.argmax(dim=1)
        value, row = similarity.max(dim=0)
        owner = torch.where(value > best, row + start, owner)
        best = torch.maximum(value, best)
    rows = torch.nonzero(owner[nearest] == torch.arange(len(left))).flatten()
    return rows, nearest[rows]


def crowding(left: Tensor, right: Tensor) -> Tensor:
    """[N] mean inner product of each row of ``left`` with its 10 nearest rows of ``right``."""
    count = min(CROWD, len(right))
    parts = [(part @ right.T).topk(count, dim=1).values.mean(1) for part in left.split(ROWS)]
    return torch.cat(parts)
