"""Contrastive training of a pocket CLAP from a CSV of ``audio,caption``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from wsac.clap.loading import load_clap
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.pocket.pocket_config import PocketConfig
from wsac.clap.retrieval_scores import evaluate, label_embeddings
from wsac.clap.texts import load_or_make
from wsac.data.captions.corpus import read_captions
from wsac.data.datasets.pairs import Clip, read_pairs
from wsac.data.tokenizer import Tokenizer
from wsac.io.config import pin_recipe, recipe_digest
from wsac.io.console import say
from wsac.io.files import settle
from wsac.io.locks import alone_in
from wsac.runtime.determinism import deterministic
from wsac.runtime.device import pick_device
from wsac.runtime.seeding import numpy_for, seed_for
from wsac.training.checkpoint import digest
from wsac.training.distributed import Processes
from wsac.training.loop import TrainState, run
from wsac.training.optim import autocast, learning_rate, update_average
from wsac.types import CorpusError, RecipeError

from .batches import Batch, Draw, draw_ahead, sampler, workers_for
from .clap_recipe import ClapRecipe
from .distillation import Heads, Segments, distillation_loss
from .losses import pair_loss, text_objective
from .mixing import Composer
from .store import AudioStore
from .teacher import teach

LOGGED = ("R@1", "R@10", "zero_shot", "true_over_false")  # validation scores in the printed line


def train_clap(recipe: ClapRecipe, out: str | Path, *, device: str = "auto") -> PocketClap:
    """Train a CLAP, write it to the folder ``out`` and return it.

    First the text tower learns from text: the teacher's geometry and paraphrases. Then both towers
    learn from the pairs, and the text tower keeps to its teacher. The saved weights are a moving
    average. A stopped run resumes from its last checkpoint. ``out`` also gets recipe.toml,
    metrics.jsonl, the checkpoint and the decoded audio.
    Raises CorpusError, RecipeError or ModelError for unusable pairs, options or models,
    WsacError while another process trains in ``out``.
    """
    out, device = Path(out), pick_device(device)
    with alone_in(out):
        settle(out)
        with deterministic(device, recipe.deterministic):
            training = ClapTraining.prepare(recipe, out, device)
            run(training, out)
        training.average.cpu().eval().save(out)
        return PocketClap.load(out, device=device)


@dataclass(slots=True)
class ClapTraining:
    """A CLAP in training. text_loss: by ``text_objective``. draw: by ``sampler``."""

    title: ClassVar[str] = "train-clap"
    save_seconds: ClassVar[float] = float("inf")  # label embeddings are as old as the checkpoint
    patience: ClassVar[int] = 0

    recipe: ClapRecipe
    model: PocketClap
    clips: list[Clip]
    validation: dict[str, list[Clip]]
    text_loss: Callable[[np.random.Generator, int], Tensor]
    draw: Draw
    recipe_digest: str
    inputs: str
    summary: str
    device: str
    processes: Processes = field(default_factory=Processes)
    heads: Heads | None = None
    segment_loss: Callable[[np.random.Generator, int], Tensor] | None = None
    average: PocketClap = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    drawn: Iterator[Batch] | None = field(init=False, default=None)
    label_embeddings: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = _optimizer(self.recipe, self.model, self.heads)

    @classmethod
    def prepare(cls, recipe: ClapRecipe, out: Path, device: str) -> ClapTraining:
        """Read pairs and captions, decode the audio, make the towers; writes recipe.toml."""
        clips, scenes = read_pairs(recipe.pairs), read_pairs(recipe.scenes) if recipe.scenes else []
        validation = {name: read_pairs([path]) for name, path in _names(recipe.validation).items()}
        texts, groups = _texts(recipe, clips)
        if (out / "captioner.json").is_file():
            raise RecipeError(f"{out}: holds a captioner; give a CLAP another --out")
        if recipe.start and Path(recipe.start).resolve() == out.resolve():
            what = "the same folder as --out; give another --out"
            raise RecipeError(f"start = {recipe.start}: {what}")
        if recipe.segments and (not recipe.start or recipe.text_steps):
            raise RecipeError("segments: they need a start, and text_steps = 0")
        origins: list[str] = []
        if recipe.start:
            model = _load_start(recipe.start, device)
            origins.append(model.fingerprint)
            options = asdict(model.config).items()
            shape = {key: value for key, value in options if key in ClapRecipe.model_fields}
            recipe = recipe.model_copy(update=shape | {"vocab_size": recipe.vocab_size})
        pin_recipe(recipe, out)
        pinned = recipe_digest(recipe)
        if not recipe.start:
            extra = [text for scene in scenes for text in (*scene.captions, *scene.negatives)]
            model = _new_model(recipe, texts + extra)
        targets = None
        if recipe.teacher:
            key = f"teacher/{recipe.teacher}/{recipe.embed_dim}"
            make = partial(teach, texts, recipe.teacher, recipe.embed_dim, device=device)
            targets = load_or_make(key, texts, make, out)
        elif not groups and not any(s.negatives and len(s.captions) > 1 for s in scenes):
            recipe = recipe.model_copy(update={"text_steps": 0})  # nothing to learn from text alone
        rate = model.sample_rate
        store = AudioStore(clips, rate, out)
        scene_store = AudioStore(scenes, rate, out, "scenes") if scenes else None
        model = model.to(device)
        heads, segment_loss = None, None
        if recipe.segments:
            segments = Segments.load(recipe.segments)
            origins.append(segments.key)
            torch.manual_seed(seed_for(recipe.seed, "heads"))
            sizes = segments.scores.shape[-1], segments.features.shape[-1]
            heads = Heads(model.config.audio_width, *sizes).to(device)
            segment_loss = distillation_loss(model, heads, segments, device)
            model.text.requires_grad_(False)
        composer = Composer(clips, store, recipe.balance)
        return cls(
            recipe,
            model,
            clips,
            validation,
            text_objective(model, texts, groups, targets, scenes),
            sampler(recipe, model.config, composer, scenes, scene_store),
            pinned,
            digest(store.key, scene_store.key if scene_store else "", *texts, *origins),
            f"{len(clips):,} sounds and {len(scenes):,} scenes, {len(texts):,} captions",
            device,
            heads=heads,
            segment_loss=segment_loss,
        )

    @property
    def weights(self) -> nn.Module:
        parts = {"model": self.model, "average": self.average}
        return nn.ModuleDict(parts if self.heads is None else parts | {"heads": self.heads})

    @property
    def total(self) -> int:
        return self.recipe.text_steps + self.recipe.steps

    @property
    def save_every(self) -> int:
        return self.recipe.save_every

    def announce(self) -> None:
        say(self.summary)

    def update(self, step: int) -> Tensor:
        """First ``text_steps`` on text alone, then steps on pairs and an eighth as many texts, or
        on segments of a teacher."""
        recipe, model, pair_step = self.recipe, self.model, step - self.recipe.text_steps
        has_pairs = pair_step >= 0
        on_segments = has_pairs and self._on_segments(pair_step)
        if has_pairs and self.drawn is None:
            later = range(pair_step, recipe.steps)
            steps = [later_step for later_step in later if not self._on_segments(later_step)]
            self.drawn = draw_ahead(self.draw, steps, workers_for(self.device))
        if has_pairs and (self.label_embeddings is None or step % recipe.save_every == 0):
            self.label_embeddings = self._embed_labels()
        model.train()
        torch.manual_seed(seed_for(recipe.seed, "dropout", step))
        for group in self.optimizer.param_groups:
            group["lr"] = _rate(recipe, step, group["part"])
        precision = recipe.precision
        if precision == "auto":  # autocast slows down CPUs that lack the instructions
            precision = "bfloat16" if self.device.startswith("cuda") else "float32"
        with autocast(precision, self.device):
            size = recipe.text_batch // 8 if has_pairs else recipe.text_batch
            rng = numpy_for(recipe.seed, "segments" if on_segments else "text", step)
            if on_segments and self.segment_loss is not None:
                loss = self.segment_loss(rng, recipe.batch_size)
            elif self.segment_loss is None:
                loss = self.text_loss(rng, size)
            else:  # the text tower stays
                loss = torch.zeros((), device=self.device)
            if self.drawn is not None and not on_segments:
                kind, samples, examples = next(self.drawn)
                waveforms = samples.to(self.device, non_blocking=True).float() / 32767
                labels = self.label_embeddings if kind == "events" else None  # twins share labels
                twins = kind == "twins"
                loss = loss + pair_loss(model, waveforms, examples, labels, twins=twins)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
        self.optimizer.step()
        since = pair_step if has_pairs else step  # the average starts anew with the pairs
        update_average(self.average, model, recipe.average, since)
        return loss.detach()

    def _on_segments(self, pair_step: int) -> bool:
        """Whether a step after those on text is on segments of a teacher."""
        chance = numpy_for(self.recipe.seed, "kind", pair_step).random()
        return self.segment_loss is not None and chance < self.recipe.segment_share

    @torch.no_grad()
    def _embed_labels(self) -> Tensor:
        """[L, D] by the text tower as it is now, in the order of ``Composer.labels``."""
        labels = sorted({clip.label for clip in self.clips})
        return label_embeddings(self.model.eval(), self.clips, labels).to(self.device)

    def evaluates_at(self, step: int) -> bool:
        return step % self.recipe.save_every == 0 or self._validates_at(step)

    def _validates_at(self, step: int) -> bool:
        due = step > self.recipe.text_steps and step % self.recipe.evaluate_every == 0
        return bool(self.validation) and (due or step == self.total)

    def evaluate(self, state: TrainState, seconds: float) -> dict[str, Any]:
        stage = "pairs" if state.step > self.recipe.text_steps else "text"
        row: dict[str, Any] = {"step": state.step, "stage": stage, "loss": state.mean_loss}
        if self._validates_at(state.step):
            for name, clips in self.validation.items():
                scores = evaluate(self.average.eval(), clips)
                row |= {f"{name} {key}": value for key, value in scores.items()}
        line = f"step {state.step:,} of {self.total:,}, {stage} loss {state.mean_loss:.3f}"
        shown = [f"{key} {100 * row[key]:.1f} %" for key in row if key.endswith(LOGGED)]
        say("; ".join([f"{line}, {seconds:,.0f} s", *shown]))
        return row | {"seconds": round(seconds, 1)}


def _load_start(start: str, device: str) -> PocketClap:
    """The CLAP to continue from. Raises RecipeError if it is of another kind."""
    clap = load_clap(start, device=device)
    if not isinstance(clap, PocketClap):
        what = "not a pocket CLAP; train-clap continues only from these"
        raise RecipeError(f"start = {start}: {what}")
    return clap


def _new_model(recipe: ClapRecipe, texts: list[str]) -> PocketClap:
    tokenizer = Tokenizer.train(texts, recipe.vocab_size, lowercase=True)
    names = ("embed_dim", "channels", "audio_width", "audio_layers", "text_width", "text_layers")
    shape = {name: getattr(recipe, name) for name in names}
    torch.manual_seed(seed_for(recipe.seed, "weights"))
    return PocketClap(PocketConfig(vocab_size=tokenizer.vocab_size, **shape), tokenizer)


def _texts(recipe: ClapRecipe, clips: list[Clip]) -> tuple[list[str], list[list[int]]]:
    """The distinct captions, and the rows of the captions of each described clip (paraphrases)."""
    rows: dict[str, int] = {}
    groups: dict[str, set[int]] = {}
    for clip in clips:
        for caption in clip.captions:
            rows.setdefault(caption, len(rows))
    for path in recipe.text:
        for example in read_captions(path):
            if caption := " ".join(example.caption.split()):
                row = rows.setdefault(caption, len(rows))
                if example.clip is not None:
                    groups.setdefault(f"{path}/{example.clip}", set()).add(row)
    if len(rows) < 2:
        raise CorpusError("fewer than two distinct captions; contrastive training needs more")
    return list(rows), [sorted(group) for group in groups.values() if len(group) > 1]


def _optimizer(recipe: ClapRecipe, model: PocketClap, heads: nn.Module | None) -> torch.optim.AdamW:
    parts: dict[str, list[nn.Parameter]] = {"text": [], "audio": []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parts["text" if name.startswith("text.") else "audio"].append(parameter)
    if heads is not None:
        parts["audio"] += heads.parameters()
    parts = {part: parameters for part, parameters in parts.items() if parameters}
    groups = [{"params": parameters, "part": part} for part, parameters in parts.items()]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))


def _rate(recipe: ClapRecipe, step: int, part: str) -> float:
    """Each stage warms up and decays. The text tower slows down to a third with the pairs."""
    if step < recipe.text_steps:
        peak, total = recipe.text_learning_rate, recipe.text_steps
    else:
        peak = recipe.learning_rate if part == "audio" else recipe.text_learning_rate / 3
        step, total = step - recipe.text_steps, recipe.steps
    return learning_rate(step, total, peak=peak, warmup=recipe.warmup_steps, schedule="cosine")


def _names(paths: tuple[str, ...]) -> dict[str, str]:
    """Paths by file name, with the folder where several share a name."""
    stems = [Path(path).stem for path in paths]
    names = {}
    for path, stem in zip(paths, stems, strict=True):
        unique = stems.count(stem) == 1
        names[stem if unique else f"{Path(path).parent.name}/{stem}"] = path
    return names
