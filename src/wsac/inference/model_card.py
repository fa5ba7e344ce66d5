"""The model card of a published captioner: its README.md on the Hub."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsac.io.checked_json import check_record
from wsac.io.files import read_json
from wsac.types import ModelError, WsacError

BUILT_IN_LICENCE = "cc-by-nc-4.0"  # of the built-in CLAP
SHOWN = ("dataset", "split", "bridge", "beam_size", "gap")  # of an evaluation; no paths
ABOUT = """\
Describes a sound in a sentence. A captioner of wsac, learned **from text alone**: a decoder learned
to write captions back from their text embeddings; in use, the embedding of a sound takes their
place."""
USE = """\
```bash
wsac caption dog.wav --model {repo}
```

```python
from wsac import Captioner

captioner = Captioner.from_pretrained("{repo}")
print(captioner.caption("dog.wav").text)
```"""
LIMITS = """\
It describes what its CLAP recognises, in the style of its training captions. A fluent sentence can
be wrong. Of speech it knows that somebody speaks, not what. Do not use it where a wrong description
can do harm."""


def read_scores(paths: Iterable[str | Path], *, strict: bool = True) -> list[dict[str, Any]]:
    """Evaluations that ``wsac evaluate -o`` wrote.

    strict: raise ModelError for any other file; else it is left out.
    """
    evaluations = []
    for path in paths:
        try:
            value = read_json(path)
            if not isinstance(value, dict) or not {"metrics", "items", "digest"} <= value.keys():
                raise ModelError(f"{path}: no evaluation; wsac evaluate -o FILE.json writes one")
            check_record(Path(path), value)
            evaluations.append(value)
        except WsacError:
            if strict:
                raise
    return evaluations


def model_card(
    repo: str,
    card: Mapping[str, Any],
    *,
    licence: str = "",
    data: str = "",
    scores: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Markdown with a head of YAML, as the Hub reads it.

    card: the ``captioner.json``. licence: an identifier of the Hub, such as ``mit``; default: that
    of the built-in CLAP where it is used, else ``other``. data: what it was trained on. scores: of
    ``read_scores``.
    """
    from huggingface_hub import ModelCardData

    pocket = card["clap"] == "pocket"
    licence = licence or (BUILT_IN_LICENCE if pocket else "other")
    name = repo.partition("/")[2]
    head = ModelCardData(
        language="en",
        license=licence,
        library_name="wsac",
        pipeline_tag="audio-text-to-text",
        tags=["audio-captioning", "clap", "text-only-training"],
        model_name=name,
        eval_results=[result for each in scores for result in _results(each)] or None,
    )
    parts = [
        f"---\n{head.to_yaml()}\n---",
        f"# {name}",
        ABOUT,
        f"## Use\n\n{USE.format(repo=repo)}",
        "## What it is\n\n" + _table(("part", "value"), _parts(card)),
        "## Training data\n\n" + (data or "Its author does not say what it was trained on."),
        "## Figures\n\n" + _figures(card, scores),
        "## Licence\n\n" + _licence(licence, pocket),
        f"## Limits\n\n{LIMITS}",
    ]
    return "\n\n".join(parts) + "\n"


def _results(score: Mapping[str, Any]) -> list[Any]:
    """The figures of an evaluation, for the head of the card."""
    from huggingface_hub import EvalResult

    dataset = str(score.get("about", {}).get("dataset") or "own recordings")
    return [
        EvalResult(
            task_type="audio-captioning",
            dataset_type=dataset.replace(" ", "-"),
            dataset_name=dataset,
            dataset_split=score.get("about", {}).get("split"),
            metric_type=name,
            metric_value=round(value, 4),
        )
        for name, value, _ in _metrics(score)
    ]


def _metrics(score: Mapping[str, Any]) -> list[tuple[str, float, Any]]:
    """(name, value, interval) of the metrics that have a value."""
    rows = []
    for name, facts in score["metrics"].items():
        value = facts.get("value")
        if isinstance(value, int | float) and math.isfinite(value):
            rows.append((name, float(value), facts.get("interval")))
    return rows


def _parts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    decoder, options = card["decoder"], card["options"]
    clap = {"pocket": "pocket, built into wsac", "clap": "its own, in `clap/`"}
    confidence = card.get("confidence")
    sure = "not calibrated"
    if confidence:
        sure = f"calibrated; unsure below {confidence['threshold']:.0%}"
    model = f" on {decoder['model']}" if decoder.get("model") else ""
    sizes = [f"{key} {decoder[key]}" for key in ("layers", "width", "vocab_size") if key in decoder]
    return [
        ("CLAP", clap.get(card["clap"], f"`{card['clap']}`")),
        ("decoder", ", ".join([decoder["kind"] + model, *sizes])),
        ("bridge", f"`{card['trained'] or '–'}` in training, `{options['bridge']}` in captioning"),
        ("beams", str(options["beam_size"])),
        ("support memory", f"{card['memory_entries']:,} text embeddings"),
        ("captions of the training", f"{card['captions']:,}" if "captions" in card else "–"),
        ("confidence", sure),
    ]


def _figures(card: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> str:
    texts = []
    for score in scores:
        about = {key: score.get("about", {}).get(key) for key in SHOWN}
        of = ", ".join(f"{key} {value}" for key, value in about.items() if value)
        rows = [
            (name, f"{value:.4g}", "–" if not span else f"{span[0]:.4g} to {span[1]:.4g}")
            for name, value, span in _metrics(score)
        ]
        title = f"{score['items']:,} clips" + (f" ({of})" if of else "")
        texts.append(f"{title}:\n\n{_table(('metric', 'value', '95 % interval'), rows)}")
    if not texts:
        texts.append("Not evaluated on sounds.")
    if isinstance(loss := card.get("validation_loss"), int | float):
        texts.append(f"Loss on held-out captions: {loss:.4g} nats per token.")
    return "\n\n".join(texts)


def _licence(licence: str, pocket: bool) -> str:
    texts = [f"Of these files: `{licence}`" + (", not stated." if licence == "other" else ".")]
    if pocket:
        texts.append("The built-in CLAP that it needs is CC BY-NC 4.0, non-commercial.")
    return " ".join([*texts, "Code of wsac: Apache-2.0."])


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
