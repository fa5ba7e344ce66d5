"""How wide the modality gap is, what each bridge does about it, and a page that shows both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.bridges import BridgeContext, inference_bridge, nearest_rows
from wsac.bridges.gap import Gap
from wsac.bridges.memory import SupportMemory
from wsac.clap.retrieval_scores import recall_at
from wsac.io.html import PagePart, write_page
from wsac.io.plots import histograms_png, scatter_png

SAMPLE = 2000  # rows that cosines are taken between
RANKED = 5000  # pairs that recall is among, at most
SUBSPACE = 10  # directions between which principal angles are given
SPECS = (
    "ad",
    "shift",
    "coral",
    "procrustes",
    "wasserstein",
    "pls",
    "topk",
    "santa",
    "pd",
    "nnd",
    "shift+pd",
)
FEW = 50  # sounds or texts that a mean and a covariance say something of
SHOWN = 6  # sounds whose neighbours are shown


def measure_gap(
    text: Tensor, audio: Tensor, gap: Gap, *, paired: bool = False, specs: Sequence[str] = SPECS
) -> dict:
    """Figures of the gap. text: ``[N, D]``, audio: ``[M, D]``, unit norm; paired: row i of both is of the same sound.

    distance: |ā - t̄|. cosines: mean and deviation of text with text, audio with audio, audio with text, and of pairs.
    angles: degrees between the first ten principal directions of both. effective_rank: exp of the entropy of the
    covariance's eigenvalues (Roy & Vetterli 2007). bridges: after each, the distance of means, the mean cosine with the
    nearest text, and for pairs the mean cosine and R@1, R@10 of the sound's own text among all.
    """
    found: dict[str, Any] = {
        "texts": len(text),
        "sounds": len(audio),
        "distance": float(gap.shift.norm()),
        "cosines": {
            name: _spread(values) for name, values in cosines(text, audio, paired=paired).items()
        },
        "angles": principal_angles(gap.text_covariance, gap.audio_covariance),
        "effective_rank": {
            "text": effective_rank(gap.text_covariance),
            "audio": effective_rank(gap.audio_covariance),
        },
        "bridges": {},
    }
    given = BridgeContext(SupportMemory(text), gap)
    for spec in specs:
        if "pls" in spec and gap.pls_text is None:
            continue
        moved = inference_bridge(spec, given)(audio)
        scores, _ = nearest_rows(moved, SupportMemory(text), 1)
        row = {
            "distance": float((moved.mean(0) - gap.text_mean).norm()),
            "nearest": float(scores.mean()),
        }
        if paired:
            row["cosine"] = float((moved * text).sum(1).mean())
            t, a = (some[:: -(-len(text) // RANKED)] for some in (text, moved))
            row |= recall_at(a @ t.T, torch.eye(len(t), dtype=torch.bool), (1, 10))
        found["bridges"][spec] = row
    return found


def cosines(text: Tensor, audio: Tensor, *, paired: bool = False) -> dict[str, Tensor]:
    """Samples of cosines between different texts, different sounds, sounds and texts, and pairs."""
    t, a = text[:: -(-len(text) // SAMPLE)], audio[:: -(-len(audio) // SAMPLE)]
    found = {
        "text-text": _between(t),
        "audio-audio": _between(a),
        "audio-text": (a @ t.T).flatten(),
    }
    return found | ({"pairs": (audio * text).sum(dim=1)} if paired else {})


def _between(rows: Tensor) -> Tensor:
    first, second = torch.triu_indices(len(rows), len(rows), 1)
    return (rows @ rows.T)[first, second]


def _spread(values: Tensor) -> dict[str, float]:
    return {"mean": float(values.mean()), "deviation": float(values.std(correction=0))}


def principal_angles(one: Tensor, other: Tensor, directions: int = SUBSPACE) -> list[float]:
    """Degrees between the spans of the first principal directions of two covariances ``[D, D]``, rising."""
    keep = min(directions, len(one))
    u, v = (torch.linalg.eigh(c.double()).eigenvectors[:, -keep:] for c in (one, other))
    singular = torch.linalg.svdvals(u.T @ v).clamp(max=1)
    return torch.rad2deg(torch.arccos(singular)).tolist()


def effective_rank(covariance: Tensor) -> float:
    values = torch.linalg.eigvalsh(covariance.double()).clamp(min=0)
    share = values / values.sum()
    return float(torch.exp(-(share * share.clamp(min=1e-30).log()).sum()))


def figure_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The gap itself, for people."""
    rows = [
        ("texts", f"{found['texts']:,}"),
        ("sounds", f"{found['sounds']:,}"),
        ("distance of means", f"{found['distance']:.3f}"),
    ]
    rows += [
        (f"cosine, {name}", f"{spread['mean']:.3f} ± {spread['deviation']:.3f}")
        for name, spread in found["cosines"].items()
    ]
    angles = found["angles"]
    rows.append((f"angles of {len(angles)} directions", f"{angles[0]:.0f}° to {angles[-1]:.0f}°"))
    return rows + [
        (f"effective rank, {name}", f"{value:.1f}")
        for name, value in found["effective_rank"].items()
    ]


def bridge_rows(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of what each bridge does."""
    columns = list(next(iter(found["bridges"].values())))
    heads = ["bridge", *(f"{column}>" for column in columns)]
    return heads, [
        [spec, *(f"{row[c]:.3f}" for c in columns)] for spec, row in found["bridges"].items()
    ]


def legend(found: Mapping[str, Any]) -> list[str]:
    """What the columns of ``bridge_rows`` are, and how far to believe them."""
    columns = next(iter(found["bridges"].values()))
    lines = [
        "distance: between the means of the sounds, after the bridge, and of the texts; nearest: mean cosine of a "
        "sound with its nearest text"
    ]
    if "cosine" in columns:
        lines[0] += (
            "; cosine: with its own text; R@1, R@10: its own text is the first, among the first ten, of all"
        )
        lines.append(
            "the bridges were fitted on these very pairs, pls most of all: its figures are too good"
        )
    return lines


def write_gap_page(
    path: str | Path,
    found: Mapping[str, Any],
    text: Tensor,
    audio: Tensor,
    gap: Gap,
    captions: Sequence[str],
    files: Sequence[str],
    *,
    paired: bool = False,
) -> None:
    """A page with the figures, both clouds in their two common principal directions before and after the shift,
    cosines, and the nearest captions of some sounds with and without it."""
    centre = torch.cat((text, audio)).mean(0)
    _, _, axes = torch.pca_lowrank(torch.cat((text, audio)) - centre, 2, niter=8)
    shifted = inference_bridge("shift", BridgeContext(gap=gap))(audio)
    clouds = {
        name: ((rows[:: -(-len(rows) // SAMPLE)] - centre) @ axes).tolist()
        for name, rows in {"texts": text, "sounds": audio, "sounds, shifted": shifted}.items()
    }
    values = {name: some.tolist() for name, some in cosines(text, audio, paired=paired).items()}
    pictures = [
        (
            "Texts and sounds in two principal directions",
            scatter_png(clouds, title="Two principal directions"),
        ),
        ("Histograms of cosines", histograms_png(values, title="Cosines")),
    ]
    heads, rows = bridge_rows(found)
    near = _neighbours(text, audio, shifted, captions, files)
    parts = [
        PagePart("The gap", columns=("", ">"), rows=figure_rows(found)),
        PagePart("Pictures", pictures=pictures),
        PagePart("What bridges do", columns=heads, rows=rows, lines=legend(found)),
        PagePart("Nearest captions", columns=("sound", "as it is", "shifted"), rows=near),
    ]
    write_page(path, parts, title="The modality gap", summary=f"CLAP {gap.fingerprint}")


def _neighbours(
    text: Tensor, audio: Tensor, shifted: Tensor, captions: Sequence[str], files: Sequence[str]
) -> list[tuple[str, str, str]]:
    some = torch.linspace(0, len(audio) - 1, min(SHOWN, len(audio))).long()
    found = [
        nearest_rows(F.normalize(rows[some], dim=-1), SupportMemory(text), 1)[1][:, 0].tolist()
        for rows in (audio, shifted)
    ]
    return [
        (Path(files[i]).name, captions[a], captions[b])
        for i, a, b in zip(some.tolist(), *found, strict=True)
    ]
