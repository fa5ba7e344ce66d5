"""Fit the probabilities of `wsac tag` for a pocket CLAP, and save them in its folder.

    python benchmarks/pocket/calibrate_tags.py ../shared runs/pocket-distil

The sounds are those that no training used: held-out sources of `world` whose file names say what
they are, and the held-out clips of ESC-50 fold 4. The labels are all phrases of both. A label that
means nearly the same as a sound's own is right, too.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import pocket_pairs
import torch
from segments import held_out, phrase

from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.sounds import embed_many
from wsac.clap.tag_calibration import TagCalibration, distinct
from wsac.inference.confidence import calibration_error
from wsac.inference.tagger import embed_in_prompts
from wsac.types import AudioError

SYNONYMS = 0.8  # the cosine of two labels that mean nearly the same
FOLDS = 2
DRAWS = 20


def sounds(shared: Path) -> list[tuple[str, str]]:
    """Paths and labels."""
    with (shared / "audio" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        clips = pocket_pairs.select(list(csv.DictReader(file)), "held-out")
    rows = [(str(shared / "audio" / clip["file"]), clip["label"]) for clip in clips]
    with (shared / "world" / "world.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if held_out(row["source"]) and (label := phrase(row["hint"])):
                rows.append((str(shared / "world" / row["file"]), label))
    return rows


def all_labels(shared: Path) -> list[str]:
    """The labels of all recordings."""
    with (shared / "audio" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        labels = {pocket_pairs.label(row) for row in csv.DictReader(file)}
    with (shared / "world" / "world.csv").open(newline="", encoding="utf-8") as file:
        labels |= {phrase(row["hint"]) for row in csv.DictReader(file)}
    return sorted(labels - {""})


def error_of(
    calibration: TagCalibration, scores: torch.Tensor, right: torch.Tensor, alike: torch.Tensor
) -> str:
    """Calibration errors of the first label, over twenty draws of 10, 44 and 100 labels."""
    parts, rng = [], torch.Generator().manual_seed(9)
    for count in (10, 44, 100):
        sure, hits = [], []
        for _ in range(DRAWS):
            drawn = distinct(scores.shape[1], count, rng, alike)
            fits = right[:, drawn]
            rows = fits.any(1)
            probability, place = calibration(scores[rows][:, drawn])[:, :-1].max(1)
            sure.append(probability)
            hits.append(fits[rows].gather(1, place[:, None])[:, 0])
        right_share = torch.cat(hits).float().mean()
        error = calibration_error(torch.cat(sure), torch.cat(hits))
        parts.append(f"{count} labels: {error:.3f} ({right_share:.0%} right)")
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("clap", type=Path)
    options = parser.parse_args()
    clap = PocketClap.load(options.clap)
    labels = all_labels(options.shared)
    embeddings = embed_in_prompts(clap, labels)
    rows = sounds(options.shared)
    audio, own = [], []
    for (_, label), sound in zip(rows, embed_many(clap, [path for path, _ in rows]), strict=True):
        if not isinstance(sound, AudioError) and not sound.silent:
            audio.append(sound.embedding)
            own.append(labels.index(label))
    scores = torch.stack(audio) @ embeddings.T
    alike = embeddings @ embeddings.T >= SYNONYMS
    right = alike[own]
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(0))
    for fold in range(FOLDS):  # an honest figure: fitted on one half, measured on the other
        inside = order[fold::FOLDS]
        outside = torch.cat([order[other::FOLDS] for other in range(FOLDS) if other != fold])
        rng = torch.Generator().manual_seed(fold)
        fitted = TagCalibration.fit(scores[outside], right[outside], rng, alike)
        print(f"half {fold + 1}:", error_of(fitted, scores[inside], right[inside], alike))
    rng = torch.Generator().manual_seed(0)
    clap.tagging = TagCalibration.fit(scores, right, rng, alike)
    print(f"{len(scores)} sounds, {len(labels)} labels: {clap.tagging}")
    clap.save(options.clap)


if __name__ == "__main__":
    main()
