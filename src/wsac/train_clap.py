"""Contrastive training of a pocket CLAP from a CSV of ``audio,caption``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .cache import load_or_make
from .checkpoint import check_loss, digest, learning_rate, load_checkpoint, save_checkpoint
from .clap.pairs import AudioStore, Clip, crop, disturb, mix, read_pairs
from .clap.pocket import PocketClap, PocketConfig
from .clap.teacher import teach
from .console import progress, say
from .corpora import read_captions
from .recipe import ClapRecipe, pin_recipe
from .seeding import numpy_for, seed_for
from .tokenizer import Tokenizer
from .types import AudioError, CorpusError, RecipeError


def train_clap(recipe: ClapRecipe, out: str | Path) -> PocketClap:
    """Train, write the CLAP folder ``out`` and return the model.

    First the text tower learns from text (the teacher's geometry, paraphrases); then both towers learn from the pairs,
    while the text tower keeps to its teacher. A run that was stopped goes on from its last checkpoint.
    """
    out = Path(out)
    clips = read_pairs(recipe.pairs)
    validation = read_pairs(recipe.validation) if recipe.validation else []
    texts, groups = _texts(recipe, clips)
    if (out / "captioner.json").is_file():
        raise RecipeError(f"{out}: holds a captioner; give a CLAP another --out")
    pin_recipe(recipe, out)
    say(f"{len(clips):,} sounds, {len(texts):,} captions")
    tokenizer = Tokenizer.train(texts, recipe.vocab_size, lowercase=True)
    config = PocketConfig(
        embed_dim=recipe.embed_dim,
        channels=recipe.channels,
        vocab_size=tokenizer.vocab_size,
        text_width=recipe.text_width,
        text_layers=recipe.text_layers,
    )
    torch.manual_seed(seed_for(recipe.seed, "weights"))
    model = PocketClap(config, tokenizer)
    targets = None
    if recipe.teacher:
        key = f"teacher/{recipe.teacher}/{recipe.embed_dim}"
        targets = load_or_make(key, texts, lambda: teach(texts, recipe.teacher, recipe.embed_dim), out)
    elif not groups:
        recipe = recipe.model_copy(update={"text_steps": 0})  # nothing to learn from text alone
    store = AudioStore(clips, config.sample_rate, out)
    text_loss = _text_objective(model, recipe, texts, groups, targets)

    inputs = digest(store.key, *texts)
    text_names = ("text.",)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for n, p in model.named_parameters() if n.startswith(text_names)], "part": "text"},
            {"params": [p for n, p in model.named_parameters() if not n.startswith(text_names)], "part": "audio"},
        ],
        weight_decay=recipe.weight_decay,
        betas=(0.9, 0.98),
    )
    total, first = recipe.text_steps + recipe.steps, 0
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.is_file():
        first = load_checkpoint(checkpoint, model, optimizer, inputs=inputs)["step"]
        say(f"resuming at step {first:,} of {total:,}")

    draw = _sampler(recipe, clips, store)
    began = time.perf_counter()
    with progress("train-clap", total, unit="steps", done=first) as tick:
        for step in range(first, total):
            model.train()
            torch.manual_seed(seed_for(recipe.seed, "dropout", step))
            joint = step - recipe.text_steps
            for group in optimizer.param_groups:
                group["lr"] = _rate(recipe, step, group["part"])
            loss = text_loss(step)
            if joint >= 0:
                loss = loss + _pair_loss(model, *draw(joint))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
            note = f"{'pairs' if joint >= 0 else 'text'} loss {check_loss(loss.item(), step):.3f}"
            tick(note=note)
            if (step + 1) % recipe.save_every == 0 or step + 1 == total:
                save_checkpoint(checkpoint, model, optimizer, {"step": step + 1, "inputs": inputs})
                say(f"step {step + 1:,} of {total:,}, {note}, {time.perf_counter() - began:,.0f} s")
    model.eval().save(out)
    if validation:
        accuracy, count = zero_shot(model, validation)
        say(f"zero-shot accuracy over {count} labels: {100 * accuracy:.1f} %")
    return PocketClap.load(out)


def zero_shot(model: PocketClap, clips: list[Clip]) -> tuple[float, int]:
    """Top-1 accuracy of the nearest label, a label being the mean text embedding of its captions; and label count."""
    from .audio import load_audio

    labels = sorted({clip.label for clip in clips})
    captions = {label: sorted({c for clip in clips if clip.label == label for c in clip.captions}) for label in labels}
    prototypes = F.normalize(torch.stack([model.embed_text(captions[label]).mean(0) for label in labels]), dim=-1)
    hits, heard = 0, 0
    with progress("zero-shot", len(clips), unit="clips") as tick:
        for clip in clips:
            tick()
            try:
                samples = torch.from_numpy(load_audio(clip.path, model.sample_rate).samples)
            except AudioError as error:
                say(f"skipped: {error}")
                continue
            heard += 1
            hits += labels[int((model.embed_audio([samples]) @ prototypes.T).argmax())] == clip.label
    return hits / max(1, heard), len(labels)


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


def _rate(recipe: ClapRecipe, step: int, part: str) -> float:
    """Each stage warms up and decays; with the pairs the text tower moves at a fifth of its rate."""
    if step < recipe.text_steps:
        peak = recipe.text_learning_rate
        return learning_rate(step, recipe.text_steps, peak=peak, warmup=recipe.warmup_steps, schedule="cosine")
    peak = recipe.learning_rate if part == "audio" else recipe.text_learning_rate / 5
    return learning_rate(
        step - recipe.text_steps, recipe.steps, peak=peak, warmup=recipe.warmup_steps, schedule="cosine"
    )


def _text_objective(
    model: PocketClap, recipe: ClapRecipe, texts: list[str], groups: list[list[int]], targets: Tensor | None
) -> Callable[[int], Tensor]:
    """The text-only part of the loss at a step: keep to the teacher, and bring paraphrases together."""

    def loss(step: int) -> Tensor:
        rng = numpy_for(recipe.seed, "text", step)
        size = recipe.text_batch if step < recipe.text_steps else recipe.text_batch // 4  # then the sounds matter most
        total = torch.zeros(())
        if targets is not None:
            rows = rng.choice(len(texts), min(size, len(texts)), replace=False)
            embedding, target = model.encode_captions([texts[i] for i in rows]), targets[rows]
            total = total + 4 * (1 - (embedding * target).sum(-1).mean())
            total = total + F.cross_entropy(embedding @ target.T / 0.05, torch.arange(len(rows)))
        if groups:
            chosen = rng.choice(len(groups), min(size // 4, len(groups)), replace=False)
            two = np.stack([rng.choice(groups[g], 2, replace=False) for g in chosen])  # [G, 2]
            embedding = model.encode_captions([texts[i] for i in two.T.ravel()])
            one, other = embedding.chunk(2)
            total = total + 0.3 * F.cross_entropy(one @ other.T / 0.05, torch.arange(len(chosen)))
        return total

    return loss


def _sampler(recipe: ClapRecipe, clips: list[Clip], store: AudioStore) -> Callable[[int], tuple[Tensor, list[str]]]:
    """Crops ``[B, T]`` with their captions at a step, labels balanced by the inverse square root of their count."""
    labels = [clip.label for clip in clips]
    counts = Counter(labels)
    weights = np.array([counts[label] ** -0.5 if store.seconds(i) > 0 else 0.0 for i, label in enumerate(labels)])
    weights /= weights.sum()
    length = int(recipe.crop_seconds * store.sample_rate)

    def draw(step: int) -> tuple[Tensor, list[str]]:
        rng = numpy_for(recipe.seed, "audio", step)
        batch, captions = [], []
        for row in rng.choice(len(clips), recipe.batch_size, p=weights):
            samples, caption = crop(store[row], length, rng), str(rng.choice(clips[row].captions))
            if rng.random() < recipe.mixtures:
                other = int(rng.choice(len(clips), p=weights))
                if labels[other] != labels[row]:
                    samples, pattern = mix(samples, crop(store[other], length, rng), rng)
                    caption = pattern.format(a=caption, b=str(rng.choice(clips[other].captions)))
            batch.append(disturb(samples, rng))
            captions.append(caption)
        return torch.from_numpy(np.stack(batch)), captions

    return draw


def _pair_loss(model: PocketClap, waveforms: Tensor, captions: list[str]) -> Tensor:
    """Symmetric InfoNCE whose targets follow the similarity of the texts, plus the cosine of each pair.

    Two captions of the same event share the target, so they are not each other's negatives.
    """
    log_mel = _spec_augment(model.log_mel(waveforms))
    audio = F.normalize(model.audio(log_mel), dim=-1)
    text = model.encode_captions(captions)
    logits = audio @ text.T / model.log_temperature.exp().clamp(0.02, 1)
    target = (text.detach() @ text.detach().T / 0.03).softmax(-1)
    contrast = F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)
    return contrast + 2 * (1 - (audio * text).sum(-1).mean())


def _spec_augment(log_mel: Tensor, *, bands: int = 2, widest: tuple[int, int] = (10, 30)) -> Tensor:
    """Mask up to two frequency bands and two time spans of each clip with its mean (Park et al. 2019)."""
    batch, mels, frames = log_mel.shape
    mean = log_mel.mean(dim=(1, 2), keepdim=True)
    for size, limit, shape in ((mels, widest[0], (1, mels, 1)), (frames, widest[1], (1, 1, frames))):
        place = torch.arange(size).view(shape)
        for _ in range(bands):
            width = torch.randint(0, min(limit, size // 2) + 1, (batch, 1, 1))
            first = (torch.rand(batch, 1, 1) * (size - width)).long()
            log_mel = torch.where((place >= first) & (place < first + width), mean, log_mel)
    return log_mel
