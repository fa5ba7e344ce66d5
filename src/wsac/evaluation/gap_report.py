"""How wide the modality gap is, what each bridge does about it, and a page that shows both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsac.arrays import F, Tensor, torch
from wsac.bridges import BridgeContext, inference_bridge, nearest_rows
from wsac.bridges.gap import Gap, spread_rows
from wsac.bridges.memory import SupportMemory
from wsac.clap.retrieval_scores import recall_at
from wsac.io.html import PagePart, write_page
from wsac.io.svg_plots import histograms_svg, scatter_svg

SAMPLE = 2000  # rows between which cosines are taken
RANKED = 5000  # pairs among which recall is measured, at most
SUBSPACE = 10  # directions between which principal angles are measured
SPECS = tuple("ad shift coral procrustes wasserstein pls topk santa pd nnd shift+pd".split())
FEW = 50  # sounds or texts below which mean and covariance are unreliable
SHOWN = 6  # sounds whose neighbours are shown


def measure_gap(text: Tensor, audio: Tensor, gap: Gap, *, paired: bool = False) -> dict:
    """Figures of the gap between embeddings of texts ``[N, D]`` and sounds ``[M, D]``, unit norm.

    paired: row i of both is of the same sound. distance: |ā - t̄|. cosines: mean and deviation of
    text with text, audio with audio, audio with text, and of pairs. angles: degrees between the
    first ten principal directions of both. effective_rank: exp of the entropy of the
    covariance's eigenvalues (Roy & Vetterli 2007). bridges: after each, the distance of means,
    the mean cosine with the nearest text, and for pairs the mean cosine and R@1, R@10 of the
    sound's own text among all.
    """
    spreads = {}
    for name, values in cosines(text, audio, paired=paired).items():
        array = values.double().numpy()
        spreads[name] = {"mean": float(array.mean()), "deviation": float(array.std())}
    ranks = effective_rank(gap.text_covariance), effective_rank(gap.audio_covariance)
    bridges: dict[str, dict[str, float]] = {}
    memory = SupportMemory(text)
    for spec in SPECS:
        if "pls" in spec and gap.pls_text is None:
            continue
        moved = inference_bridge(spec, BridgeContext(memory, gap))(audio)
        distance = float((moved.mean(0) - gap.text_mean).norm())
        nearest = float(nearest_rows(moved, memory, 1)[0].mean())
        bridges[spec] = {"distance": distance, "nearest": nearest}
        if paired:
            bridges[spec]["cosine"] = float((moved * text).sum(1).mean())
            t, a = _sample(text, RANKED), _sample(moved, RANKED)
            bridges[spec] |= recall_at(a @ t.T, torch.eye(len(t), dtype=torch.bool), (1, 10))
    return {
        "texts": len(text),
        "sounds": len(audio),
        "distance": float(gap.shift.norm()),
        "cosines": spreads,
        "angles": principal_angles(gap.text_covariance, gap.audio_covariance),
        "effective_rank": dict(zip(("text", "audio"), ranks, strict=True)),
        "bridges": bridges,
    }


def cosines(text: Tensor, audio: Tensor, *, paired: bool = False) -> dict[str, Tensor]:
    """Samples of cosines between different texts, different sounds, sounds and texts, and pairs."""
    t, a = _sample(text, SAMPLE), _sample(audio, SAMPLE)
    values = {}
    for name, rows in (("text-text", t), ("audio-audio", a)):
        number = torch.arange(len(rows))
        values[name] = (rows @ rows.T)[number[:, None] < number]
    values["audio-text"] = (a @ t.T).flatten()
    return values | ({"pairs": (audio * text).sum(dim=1)} if paired else {})


def _sample(rows: Tensor, most: int) -> Tensor:
    """At most ``most`` rows, evenly spaced."""
    return rows[:: -(-len(rows) // most)]


def principal_angles(text: Tensor, audio: Tensor, directions: int = SUBSPACE) -> list[float]:
    """Degrees, rising, between the spans of the first principal directions of two covariances.

    text, audio: ``[D, D]``.
    """
    count = min(directions, len(text))
    u, v = (torch.linalg.eigh(c.double())[1][:, -count:] for c in (text, audio))
    singular = torch.linalg.svd(u.T @ v)[1].clamp(max=1)
    return [math.degrees(math.acos(cosine)) for cosine in singular.tolist()]


def effective_rank(covariance: Tensor) -> float:
    """exp of the entropy of the eigenvalues of ``[D, D]``. Source: Roy & Vetterli 2007."""
    values = torch.linalg.eigh(covariance.double())[0].clamp(min=0)
    share = values / values.sum()
    return math.exp(-float((share * share.clamp(min=1e-30).log()).sum()))


def figure_rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows for people about the gap itself."""
    rows = {name: f"{figures[name]:,}" for name in ("texts", "sounds")}
    rows["distance of means"] = f"{figures['distance']:.3f}"
    for name, spread in figures["cosines"].items():
        rows[f"cosine, {name}"] = f"{spread['mean']:.3f} ± {spread['deviation']:.3f}"
    angles = figures["angles"]
    rows[f"angles of {len(angles)} directions"] = f"{angles[0]:.0f}° to {angles[-1]:.0f}°"
    ranks = figures["effective_rank"]
    return [*rows.items(), *((f"effective rank, {name}", f"{ranks[name]:.1f}") for name in ranks)]


def bridge_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of what each bridge does."""
    bridges = figures["bridges"]
    heads = ["bridge", *(f"{column}>" for column in next(iter(bridges.values())))]
    rows = [[spec, *(f"{value:.3f}" for value in row.values())] for spec, row in bridges.items()]
    return heads, rows


def legend(figures: Mapping[str, Any]) -> list[str]:
    """What the columns of ``bridge_rows`` mean, and how far to trust them."""
    lines = [
        "distance: between the mean of the sounds after the bridge and the mean of the texts",
        "nearest: mean cosine of a sound with its nearest text",
    ]
    if "cosine" in next(iter(figures["bridges"].values())):
        lines += [
            "cosine: with its own text; R@1, R@10: its own text is among the first 1 or 10 of all",
            "the bridges were fitted on these very pairs, pls most of all: its figures flatter",
        ]
    return lines


def write_gap_page(
    path: str | Path,
    figures: Mapping[str, Any],
    text: Tensor,
    audio: Tensor,
    gap: Gap,
    captions: Sequence[str],
    files: Sequence[str],
) -> None:
    """A page with the figures, pictures, and the nearest captions of some sounds.

    The pictures show both clouds in their two common principal directions, before and after the
    shift, and histograms of cosines.
    """
    both = torch.cat((text, audio))
    centre = both.mean(0)
    spread = both - centre
    axes = torch.linalg.eigh(spread.T @ spread)[1][:, [-1, -2]]  # the two principal directions
    shifted = inference_bridge("shift", BridgeContext(gap=gap))(audio)
    points = {}
    for name, cloud in (("texts", text), ("sounds", audio), ("sounds, shifted", shifted)):
        points[name] = ((_sample(cloud, SAMPLE) - centre) @ axes).tolist()
    samples = cosines(text, audio, paired="pairs" in figures["cosines"])
    values = {name: sample.tolist() for name, sample in samples.items()}
    scatter = scatter_svg(points, title="Two principal directions")
    pictures = [("Texts and sounds in two principal directions", scatter)]
    pictures.append(("Histograms of cosines", histograms_svg(values, title="Cosines")))
    chosen = spread_rows(len(audio), SHOWN)
    columns = [[Path(files[i]).name for i in chosen.tolist()]]
    for cloud in (audio[chosen], shifted[chosen]):
        _, nearest = nearest_rows(F.normalize(cloud, dim=-1), SupportMemory(text), 1)
        columns.append([captions[i] for i in nearest[:, 0].tolist()])
    near = list(zip(*columns, strict=True))
    heads, rows = bridge_rows(figures)
    parts = [
        PagePart("The gap", columns=("", ">"), rows=figure_rows(figures)),
        PagePart("Pictures", pictures=pictures),
        PagePart("What bridges do", columns=heads, rows=rows, lines=legend(figures)),
        PagePart("Nearest captions", columns=("sound", "as it is", "shifted"), rows=near),
    ]
    write_page(path, parts, title="The modality gap", summary=f"CLAP {gap.fingerprint}")
