"""Retrieval on SoundWorld scenes, and whether "A then B" is told from "B then A".

    python benchmarks/quality/soundworld_retrieval.py --seed 7 --scenes 500

Retrieval: each recording against the first captions of all. Order: for each scene of the form
"then", the recording must be nearer to a true caption than to the same sentence with its two events
exchanged; scenes of that form are drawn on beyond the 500 until there are enough of them.
"""

from __future__ import annotations

import argparse

import torch

from wsac.clap import load_clap
from wsac.clap.retrieval_scores import recall_at
from wsac.data.soundworld import render_scene, swap_order
from wsac.data.soundworld.write import draw_scene
from wsac.io.console import progress


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clap", default="pocket")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument(
        "--pairs", type=int, default=500, help='scenes of the form "then" for the order'
    )
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    clap = load_clap(options.clap)
    audio, captions, truths, swaps, turns = [], [], [], [], []
    i = 0
    with progress("scenes", options.scenes, unit="scenes") as tick:
        while len(captions) < options.scenes or len(turns) < options.pairs:
            scene, rng = draw_scene(options.seed, i)
            i += 1
            if i > options.scenes and scene.form != "then":
                continue
            sound = torch.from_numpy(render_scene(scene, rng, sample_rate=clap.sample_rate))
            embedding = clap.embed_audio([sound])[0]
            if len(captions) < options.scenes:
                audio.append(embedding)
                captions.append(scene.captions[0])
                tick()
            if scene.form == "then" and len(turns) < options.pairs:
                true, false = swap_order(scene, rng)
                turns.append(embedding)
                truths.append(true)
                swaps.append(false)
    similarity = torch.stack(audio) @ clap.embed_text(captions).T
    relevant = torch.eye(len(captions), dtype=torch.bool)
    print(f"{len(captions)} scenes of seed {options.seed}, {options.clap} ({clap.fingerprint})")
    for name, way in (("audio to text", similarity), ("text to audio", similarity.T)):
        print(
            f"{name}: "
            + "  ".join(f"{k} {100 * value:.1f} %" for k, value in recall_at(way, relevant).items())
        )
    turn_embeddings = torch.stack(turns)
    margin = (turn_embeddings * (clap.embed_text(truths) - clap.embed_text(swaps))).sum(dim=-1)
    print(f"order: {100 * float((margin > 0).float().mean()):.1f} % of {len(turns)} pairs")


if __name__ == "__main__":
    main()
