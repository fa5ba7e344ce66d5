"""The verbs about metrics: ``wsac evaluate``, ``wsac compare`` and ``wsac metrics list|install``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_json, say, table
from .types import WsacError

if TYPE_CHECKING:
    from .metrics import Models, Report
    from .metrics.resampling import Comparison

metrics = typer.Typer(
    name="metrics", help="What captions can be measured with.", no_args_is_help=True, add_completion=False,
    rich_markup_mode=None,
)  # fmt: skip

ReferencesOption = Annotated[
    Path | None, typer.Option("--references", "-r", help="Captions by people, one or several a sound.")
]
MetricsOption = Annotated[
    str | None, typer.Option(help="fast, classic, dcase2024, reference-free, or names with commas: wsac metrics list.")
]
AudioOption = Annotated[Path | None, typer.Option(help="The folder of the sounds, for clapscore.")]
TrainingOption = Annotated[Path | None, typer.Option(help="The captions of the training, for novelty.")]
SkipOption = Annotated[bool, typer.Option("--skip-invalid", help="Leave out and count rows that cannot be used.")]
ClapOption = Annotated[str | None, typer.Option(help="The CLAP of clapscore; pocket by default.")]
EncoderOption = Annotated[str | None, typer.Option(help="The sentence encoder of sbert_sim and fense.")]
CheckerOption = Annotated[str | None, typer.Option(help="The error detector of fer, fense and spider_fl.")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Only models that are here already.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]


def evaluate(
    candidates: Annotated[
        Path, typer.Option("--candidates", "-c", help="The captions to judge: CSV, JSON, JSON lines.")
    ],
    references: ReferencesOption = None,
    metrics: MetricsOption = None,
    audio: AudioOption = None,
    training_text: TrainingOption = None,
    skip_invalid: SkipOption = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A JSON file with the values of every sound.")] = None,
    clap: ClapOption = None,
    encoder: EncoderOption = None,
    checker: CheckerOption = None,
    offline: OfflineOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Score captions against what people wrote, with 95 % intervals.

    wsac evaluate -c captions.csv -r clotho.csv -o scores.json
    """
    from .metrics.evaluation import save, to_json

    models = _models(clap, encoder, checker, training_text, offline, device)
    report = _evaluated(candidates, references, metrics, models, audio, skip_invalid)
    if out is not None:
        save(report, out)
    if as_json:
        print(to_json(report), end="")
    else:
        _show(report, str(candidates))


def compare(
    first: Annotated[Path, typer.Argument(help="JSON of wsac evaluate -o, or a file of captions.", metavar="A")],
    second: Annotated[Path, typer.Argument(help="The same of the other captioner.", metavar="B")],
    references: ReferencesOption = None,
    metrics: MetricsOption = None,
    audio: AudioOption = None,
    skip_invalid: SkipOption = False,
    clap: ClapOption = None,
    encoder: EncoderOption = None,
    checker: CheckerOption = None,
    offline: OfflineOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Do two captioners differ on the same sounds? Paired bootstrap and permutation test.

    wsac compare a.json b.json
    """
    from dataclasses import asdict

    from .metrics.comparison import compare_reports
    from .metrics.evaluation import load

    if first.suffix == second.suffix == ".json" and references is None:
        if metrics is not None:
            raise WsacError("--metrics: two evaluations hold the metrics they hold; give it with --references")
        reports = load(first), load(second)
    elif references is None:
        raise WsacError("give --references FILE with captions, or two files of wsac evaluate -o FILE.json")
    else:
        models = _models(clap, encoder, checker, None, offline, device)
        reports = tuple(_evaluated(path, references, metrics, models, audio, skip_invalid) for path in (first, second))  # type: ignore[assignment]
    rows, notes = compare_reports(*reports, names=(str(first), str(second)))
    if as_json:
        print_json({"first": str(first), "second": str(second), "digest": reports[0].digest,
                    "comparisons": [asdict(row) for row in rows], "notes": notes})  # fmt: skip
    else:
        _show_comparison(rows, str(first), str(second))
    for note in notes:
        say(note)


@metrics.command("list")
def show_list(as_json: JsonOption = False) -> None:
    """All metrics, the sets they belong to and what they need.

    wsac metrics list
    """
    from .metrics import METRICS, SETS

    rows = []
    for name, metric in METRICS.items():
        sets = [group for group, members in SETS.items() if name in members]
        needs = ", ".join(filter(None, ("references" if metric.references else "", metric.extra)))
        rows.append({"name": name, "sets": sets, "needs": needs})
    if as_json:
        print_json(rows)
    else:
        table("", ("metric", "sets", "needs"), [(row["name"], ", ".join(row["sets"]), row["needs"]) for row in rows])


@metrics.command()
def install(
    what: Annotated[str, typer.Argument(help="spice.")],
    source: Annotated[
        list[str] | None, typer.Option("--from", help="A folder, a zip file or the address of one; repeatable.")
    ] = None,
) -> None:
    """Put SPICE's jars, which no package carries, into the data folder.

    wsac metrics install spice --from stanford-corenlp-full-2015-12-09.zip
    """
    from .metrics.spice_install import STANFORD, install_spice

    if what != "spice":
        raise WsacError(f"{what}: only spice is installed so; METEOR comes with pip install 'wsac[meteor]'")
    if not source:
        raise WsacError(f"name where the jars are: --from FOLDER, or --from {STANFORD}")
    install_spice(source)


def _models(clap: Any, encoder: Any, checker: Any, training: Path | None, offline: bool, device: str) -> Models:
    from .metrics import Models

    return Models(training, clap, encoder, checker, device, offline)


def _evaluated(
    candidates: Path, references: Path | None, metrics: str | None, models: Models, audio: Path | None, skip: bool
) -> Report:
    """Read, pair and score; what was left out is said on stderr."""
    from dataclasses import replace

    from .metrics import evaluate as run
    from .metrics.pairing import read_pairs
    from .metrics.registry import resolve

    usual = "reference-free" if references is None else "fast"
    names = (usual if metrics is None else metrics).split(",")
    resolve(names)  # a wrong name is known before anything is read
    pairs = read_pairs(candidates, references, audio=audio, skip_invalid=skip)
    for note in (*pairs.notes, *(f"left out: {what} ({count:,})" for what, count in pairs.skipped.items())):
        say(note)
    if models.training is not None and "novelty" not in resolve(names)[0]:
        names.append("novelty")
    return replace(run(pairs.items, names, models), skipped=pairs.skipped)


def _show(report: Report, title: str) -> None:
    from .metrics.resampling import LEVEL, RESAMPLES

    counts = sorted({len(item.references) for item in report.items})
    span = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else str(counts[0])
    rows = [
        (name, _number(score.corpus), _span(report.intervals.get(name)), score.note)
        for name, score in report.scores.items()
    ]
    table(title, ("metric", "value>", f"{100 * LEVEL:.0f} % interval>", "note"), rows)
    say(f"{len(report.items):,} sounds with {span} references each; set {report.digest}")
    if report.intervals:
        kept = "; CIDEr-D keeps the document frequencies of the whole set" * ("cider_d" in report.intervals)
        say(f"intervals: percentile bootstrap over sounds, {RESAMPLES:,} resamples{kept}")
    reasons: dict[str, list[str]] = {}
    for name, why in report.missing.items():
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        say(f"not computed: {', '.join(names)}: {why}")


def _show_comparison(rows: list[Comparison], first: str, second: str) -> None:
    cells = [
        (row.name, _number(row.first), _number(row.second), f"{row.difference:+.4f}", _span((row.low, row.high)),
         f"{row.p:.4f}", "" if row.effect is None else f"{row.effect:+.2f}")
        for row in rows
    ]  # fmt: skip
    heads = ("metric", "A>", "B>", "B - A>", "95 % interval>", "p>", "Cohen's d>")
    table(f"A {first}, B {second}", heads, cells)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value > 10 else f"{value:.4f}"


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{_number(interval[0])} to {_number(interval[1])}"
