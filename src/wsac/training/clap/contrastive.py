"""Contrastive training of a pocket CLAP from a CSV of ``audio,caption``."""

from __future__ import annotations

import copy
import time
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from wsac.clap.loading import load_clap
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.pocket.towers import PocketConfig
from wsac.clap.retrieval_scores import evaluate, label_embeddings
from wsac.clap.texts import load_or_make
from wsac.data.captions.corpus import read_captions
from wsac.data.datasets.pairs import Clip, read_pairs
from wsac.data.tokenizer import Tokenizer
from wsac.io.config import pin_recipe
from wsac.io.console import progress, say
from wsac.runtime.device import pick_device
from wsac.runtime.seeding import numpy_for, seed_for
from wsac.training.checkpoint import (
    append_metrics,
    check_loss,
    cut_metrics,
    digest,
    learning_rate,
    load_checkpoint,
    save_checkpoint,
)
from wsac.training.clap.clap_recipe import ClapRecipe
from wsac.training.clap.store import AudioStore
from wsac.training.optim import follow
from wsac.types import CorpusError, RecipeError

from .batches import ahead, sampler, workers_for
from .losses import pair_loss, text_objective
from .mixing import Composer
from .teacher import teach

SHOWN = (
    "R@1",
    "R@10",
    "zero_shot",
    "true_over_false",
)  # of the validation, in the log; metrics.jsonl has all


def train_clap(recipe: ClapRecipe, out: str | Path, *, device: str = "auto") -> PocketClap:
    """Train, write the CLAP folder ``out`` and return the model.

    First the text tower learns from text (the teacher's geometry, paraphrases); then both towers learn from the pairs,
    while the text tower keeps to its teacher. The weights kept are a moving average. A run that was stopped goes on
    from its last checkpoint. ``out`` also gets recipe.toml, metrics.jsonl, a checkpoint and the decoded audio.
    """
    out, device = Path(out), pick_device(device)
    clips, scenes = read_pairs(recipe.pairs), read_pairs(recipe.scenes) if recipe.scenes else []
    validation = {_short(path, recipe.validation): read_pairs([path]) for path in recipe.validation}
    texts, groups = _texts(recipe, clips)
    if (out / "captioner.json").is_file():
        raise RecipeError(f"{out}: holds a captioner; give a CLAP another --out")
    if recipe.start and Path(recipe.start).resolve() == out.resolve():
        raise RecipeError(f"start = {recipe.start}: the same folder as --out; give another --out")
    beginning = _begin_with(recipe.start, device) if recipe.start else None
    if beginning is not None:
        shape = {
            key: value
            for key, value in asdict(beginning.config).items()
            if key in ClapRecipe.model_fields
        }
        recipe = recipe.model_copy(update=shape | {"vocab_size": recipe.vocab_size})
    pin_recipe(recipe, out)
    say(f"{len(clips):,} sounds and {len(scenes):,} scenes, {len(texts):,} captions")
    every = texts + [c for scene in scenes for c in (*scene.captions, *scene.negatives)]
    model = beginning or _new_model(recipe, every)
    targets = None
    if recipe.teacher:
        key = f"teacher/{recipe.teacher}/{recipe.embed_dim}"
        make = partial(teach, texts, recipe.teacher, recipe.embed_dim, device=device)
        targets = load_or_make(key, texts, make, out)
    elif not groups and not any(scene.negatives and len(scene.captions) > 1 for scene in scenes):
        recipe = recipe.model_copy(update={"text_steps": 0})  # nothing to learn from text alone
    rate = model.sample_rate
    store, scene_store = (
        AudioStore(clips, rate, out),
        AudioStore(scenes, rate, out, "scenes") if scenes else None,
    )
    model = model.to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    both = nn.ModuleDict({"model": model, "average": average})
    text_loss = text_objective(model, texts, groups, targets, scenes)
    draw = sampler(
        recipe, model.config, Composer(clips, store, recipe.balance), scenes, scene_store
    )

    inputs = digest(
        store.key,
        scene_store.key if scene_store else "",
        *texts,
        *([model.fingerprint] if beginning else []),
    )
    optimizer = _optimizer(recipe, model)
    total, step, prototypes = recipe.text_steps + recipe.steps, 0, None
    checkpoint, metrics = out / "checkpoint.safetensors", out / "metrics.jsonl"
    if checkpoint.is_file():
        step = load_checkpoint(checkpoint, both, optimizer, inputs=inputs)["step"]
        say(f"resuming at step {step:,} of {total:,}")
    cut_metrics(metrics, step)
    autocast = _autocast(recipe.precision, device)
    began, losses = time.perf_counter(), []
    drawn = ahead(draw, range(max(0, step - recipe.text_steps), recipe.steps), workers_for(device))
    with progress("train-clap", total, unit="steps", done=step) as tick:
        while step < total:
            joint = step - recipe.text_steps
            if joint >= 0 and (prototypes is None or step % recipe.save_every == 0):
                prototypes = _prototypes(model, clips, device)
            model.train()
            torch.manual_seed(seed_for(recipe.seed, "dropout", step))
            for group in optimizer.param_groups:
                group["lr"] = _rate(recipe, step, group["part"])
            with autocast:
                # with the pairs, the sounds matter most
                size = recipe.text_batch if joint < 0 else recipe.text_batch // 8
                loss = text_loss(numpy_for(recipe.seed, "text", step), size)
                if joint >= 0:
                    kind, samples, examples = next(drawn)
                    waveforms = samples.to(device, non_blocking=True).float() / 32767
                    labels = prototypes if kind == "events" else None  # twins have the same
                    loss = loss + pair_loss(
                        model, waveforms, examples, labels, twins=kind == "twins"
                    )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
            since = joint if joint >= 0 else step  # the average begins anew with the pairs
            follow(average, model, recipe.average, since)
            losses.append(check_loss(loss.item(), step))
            step += 1
            stage = "pairs" if joint >= 0 else "text"
            tick(note=f"{stage} loss {losses[-1]:.3f}")
            row = {"step": step, "stage": stage, "loss": sum(losses) / len(losses)}
            evaluated = bool(validation) and joint >= 0 and step % recipe.evaluate_every == 0
            if evaluated or (validation and step == total):
                for name, held_out in validation.items():
                    row |= {
                        f"{name} {key}": value
                        for key, value in evaluate(average.eval(), held_out).items()
                    }
            if evaluated or step % recipe.save_every == 0 or step == total:
                append_metrics(metrics, row | {"seconds": round(time.perf_counter() - began, 1)})
                save_checkpoint(checkpoint, both, optimizer, {"step": step, "inputs": inputs})
                say(_summary(row, total, time.perf_counter() - began))
                losses = []
    average.cpu().eval().save(out)
    return PocketClap.load(out, device=device)


def _begin_with(start: str, device: str) -> PocketClap:
    """The CLAP that the training goes on from. Raises RecipeError when it is of another kind."""
    clap = load_clap(start, device=device)
    if not isinstance(clap, PocketClap):
        raise RecipeError(f"start = {start}: not a pocket CLAP; train-clap goes on from these only")
    return clap


def _new_model(recipe: ClapRecipe, texts: list[str]) -> PocketClap:
    tokenizer = Tokenizer.train(texts, recipe.vocab_size, lowercase=True)
    config = PocketConfig(
        embed_dim=recipe.embed_dim,
        channels=recipe.channels,
        audio_width=recipe.audio_width,
        audio_layers=recipe.audio_layers,
        vocab_size=tokenizer.vocab_size,
        text_width=recipe.text_width,
        text_layers=recipe.text_layers,
    )
    torch.manual_seed(seed_for(recipe.seed, "weights"))
    return PocketClap(config, tokenizer)


def _texts(recipe: ClapRecipe, clips: list[Clip]) -> tuple[list[str], list[list[int]]]:
    """All distinct captions, and for each described clip with several captions their rows (paraphrases)."""
    rows: dict[str, int] = {}
    groups: dict[str, list[int]] = {}
    for clip in clips:
        for caption in clip.captions:
            rows.setdefault(caption, len(rows))
    for path in recipe.text:
        for example in read_captions(path):
            if caption := " ".join(example.caption.split()):
                row = rows.setdefault(caption, len(rows))
                if example.clip is not None:
                    groups.setdefault(f"{path}/{example.clip}", []).append(row)
    if len(rows) < 2:
        raise CorpusError("fewer than two distinct captions; contrastive training needs more")
    return list(rows), [sorted(set(group)) for group in groups.values() if len(set(group)) > 1]


def _optimizer(recipe: ClapRecipe, model: PocketClap) -> torch.optim.AdamW:
    parts: dict[str, list[nn.Parameter]] = {"text": [], "audio": []}
    for name, parameter in model.named_parameters():
        parts["text" if name.startswith("text.") else "audio"].append(parameter)
    groups = [{"params": parameters, "part": part} for part, parameters in parts.items()]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))


def _rate(recipe: ClapRecipe, step: int, part: str) -> float:
    """Each stage warms up and decays; with the pairs the text tower moves at a third of its rate."""
    if step < recipe.text_steps:
        peak = recipe.text_learning_rate
        return learning_rate(
            step, recipe.text_steps, peak=peak, warmup=recipe.warmup_steps, schedule="cosine"
        )
    peak = recipe.learning_rate if part == "audio" else recipe.text_learning_rate / 3
    joint = step - recipe.text_steps
    return learning_rate(
        joint, recipe.steps, peak=peak, warmup=recipe.warmup_steps, schedule="cosine"
    )


@torch.no_grad()
def _prototypes(model: PocketClap, clips: list[Clip], device: str) -> Tensor:
    """[L, D] label embeddings as the text tower sees them now, in the order of ``Composer.labels``."""
    return label_embeddings(model.eval(), clips, sorted({clip.label for clip in clips})).to(device)


def _autocast(precision: str, device: str):
    """bfloat16 where it is asked for, or by itself on a GPU; CPUs without the instructions are slower with it."""
    wanted = precision == "bfloat16" or (precision == "auto" and device.startswith("cuda"))
    return torch.autocast(device.partition(":")[0], torch.bfloat16) if wanted else nullcontext()


def _short(path: str, others: tuple[str, ...]) -> str:
    """The name of a file, with its folder where another has the same."""
    name = Path(path).stem
    return (
        name
        if [Path(other).stem for other in others].count(name) == 1
        else f"{Path(path).parent.name}/{name}"
    )


def _summary(row: dict, total: int, seconds: float) -> str:
    scores = [f"{name} {100 * value:.1f} %" for name, value in row.items() if name.endswith(SHOWN)]
    note = f"step {row['step']:,} of {total:,}, {row['stage']} loss {row['loss']:.3f}, {seconds:,.0f} s"
    return "; ".join([note, *scores])
