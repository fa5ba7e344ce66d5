"""The verbs about metrics: ``wsac evaluate``, ``wsac compare`` and ``wsac metrics list|install``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsac.io.console import print_json, say, table
from wsac.types import WsacError

from .common_options import DeviceOption, GapOption, JsonOption, OfflineOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsac.evaluation import Item, Models, Report
    from wsac.evaluation.statistics import Comparison

metrics = typer.Typer(
    name="metrics",
    help="What captions can be measured with.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

ReferencesOption = Annotated[
    Path | None,
    typer.Option("--references", "-r", help="Captions by people, one or several a sound."),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        help="fast, compact, classic, dcase2024, reference-free, or names: wsac metrics list."
    ),
]
AudioOption = Annotated[Path | None, typer.Option(help="The folder of the sounds, for clapscore.")]
TrainingOption = Annotated[
    Path | None, typer.Option(help="The captions of the training, for novelty.")
]
SkipOption = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out and count rows that cannot be used.")
]
JudgeOption = Annotated[str | None, typer.Option(help="The CLAP of clapscore; pocket by default.")]
EncoderOption = Annotated[
    str | None, typer.Option(help="The sentence encoder of sbert_sim and fense.")
]
CheckerOption = Annotated[
    str | None, typer.Option(help="The error detector of fer, fense and spider_fl.")
]


def evaluate(
    candidates: Annotated[
        Path | None,
        typer.Option("--candidates", "-c", help="The captions to judge: CSV, JSON, JSON lines."),
    ] = None,
    references: ReferencesOption = None,
    metrics: MetricsOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Instead of captions: a captioner that is to write them, pocket or a run folder."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="What it captions: clotho, audiocaps or folder.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Where the dataset lies.")] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    bridge: Annotated[
        str | None, typer.Option(help="Of the captioner: wsac bridges lists them.")
    ] = None,
    beam: Annotated[int | None, typer.Option(help="Of the captioner.")] = None,
    gap: GapOption = None,
    audio: AudioOption = None,
    training_text: TrainingOption = None,
    skip_invalid: SkipOption = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A JSON file with the values of every sound.")
    ] = None,
    clap: JudgeOption = None,
    encoder: EncoderOption = None,
    checker: CheckerOption = None,
    offline: OfflineOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Score captions against what people wrote, with 95 % intervals.

    wsac evaluate -c captions.csv -r clotho.csv -o scores.json
    """
    from wsac.evaluation.results import save, to_json

    models = _models(clap, encoder, checker, training_text, offline, device)
    if candidates is not None:
        if model or dataset or root or bridge or beam or gap:
            raise WsacError(
                "--candidates are captions that are there already; leave --model, --dataset and --root out"
            )
        report = _evaluated(candidates, references, metrics, models, audio, skip_invalid)
        title = str(candidates)
    else:
        if not dataset or root is None:
            lacks = (
                "--root is missing, where the dataset lies; or "
                if dataset
                else "--dataset is missing; or " * bool(root)
            )
            raise WsacError(
                f"{lacks}give --candidates FILE, or --dataset clotho --root FOLDER and a --model to caption it"
            )
        if references or audio:
            raise WsacError(
                "a dataset has its references and sounds; leave --references and --audio out"
            )
        options = {"model": model or "pocket", "bridge": bridge, "beam": beam, "gap": gap}
        options["skip_invalid"] = skip_invalid
        report = _captioned(dataset, root, split, metrics, models, options)
        title = ", ".join(f"{name} {value}" for name, value in report.about.items())
    if out is not None:
        save(report, out)
    if as_json:
        print(to_json(report), end="")
    else:
        _show(report, title)


def compare(
    first: Annotated[
        Path, typer.Argument(help="JSON of wsac evaluate -o, or a file of captions.", metavar="A")
    ],
    second: Annotated[Path, typer.Argument(help="The same of the other captioner.", metavar="B")],
    references: ReferencesOption = None,
    metrics: MetricsOption = None,
    audio: AudioOption = None,
    skip_invalid: SkipOption = False,
    clap: JudgeOption = None,
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

    from wsac.evaluation.comparison import compare_reports
    from wsac.evaluation.results import is_evaluation, load

    evaluations = [is_evaluation(path) for path in (first, second)]
    if any(evaluations):
        if references is not None or metrics is not None:
            raise WsacError(
                "evaluations hold their references and metrics; leave --references and --metrics out"
            )
        if not all(evaluations):
            odd = second if evaluations[0] else first
            raise WsacError(
                f"{odd}: captions, and the other is an evaluation; give two files of captions, or two of "
                "wsac evaluate -o FILE.json"
            )
        reports = load(first), load(second)
    else:
        models = _models(clap, encoder, checker, None, offline, device)
        reports = tuple(
            _evaluated(path, references, metrics, models, audio, skip_invalid)
            for path in (first, second)
        )  # type: ignore[assignment]
    rows, notes = compare_reports(*reports, names=(str(first), str(second)))
    if as_json:
        print_json(
            {
                "first": str(first),
                "second": str(second),
                "digest": reports[0].digest,
                "comparisons": [asdict(row) for row in rows],
                "notes": notes,
            }
        )
    else:
        _show_comparison(rows, str(first), str(second))
    for note in notes:
        say(note)


def report(
    scores: Annotated[Path, typer.Argument(help="JSON of wsac evaluate -o.", metavar="SCORES")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")],
    by: Annotated[
        str | None,
        typer.Option(help="The metric that says which clips are the best and the worst."),
    ] = None,
    clips: Annotated[
        int, typer.Option(help="How many of the best, and of the worst, to show.")
    ] = 5,
    audio: Annotated[
        Path | None, typer.Option(help="The folder of the sounds, where they lie elsewhere now.")
    ] = None,
    retrieve: Annotated[
        list[Path] | None,
        typer.Option(help="Caption files, to show those nearest to a clip; repeatable."),
    ] = None,
    clap: Annotated[
        str | None, typer.Option(help="The CLAP of --retrieve; pocket by default.")
    ] = None,
    offline: OfflineOption = False,
    device: DeviceOption = "auto",
) -> None:
    """An evaluation as one HTML page: figures, histograms, and the best and worst clips to hear.

    wsac report scores.json -o report.html
    """
    from dataclasses import replace

    from wsac.clap import load_clap
    from wsac.evaluation.pairing import find_sound
    from wsac.evaluation.report import read_texts, write_evaluation
    from wsac.evaluation.results import load
    from wsac.runtime.device import pick_device

    found = load(scores)
    _check_folder(audio)
    if audio is not None:
        items = tuple(
            replace(item, audio=find_sound(item.id, audio) or item.audio) for item in found.items
        )
        found = replace(found, items=items)
    encoder = (
        load_clap(clap or "pocket", device=pick_device(device), offline=offline)
        if retrieve
        else None
    )
    texts = read_texts(retrieve) if retrieve else []
    problems = write_evaluation(
        found, out, title=scores.stem, clips=clips, by=by, captions=texts, clap=encoder
    )
    for problem in problems[:5]:
        say(f"not shown: {problem}")
    if len(problems) > 5:
        say(f"not shown: {len(problems) - 5} more")
    if problems:
        say("where the sounds lie elsewhere, --audio FOLDER names it")
    say(f"{out}: figures of {len(found.items):,} clips; open it in a browser")


@metrics.command("list")
def show_list(as_json: JsonOption = False) -> None:
    """All metrics, the sets they belong to and what they need.

    wsac metrics list
    """
    from wsac.evaluation import METRICS, SETS

    rows = []
    for name, metric in METRICS.items():
        sets = [group for group, members in SETS.items() if name in members]
        needs = ", ".join(filter(None, ("references" if metric.references else "", metric.extra)))
        rows.append({"name": name, "sets": sets, "needs": needs})
    if as_json:
        print_json(rows)
    else:
        table(
            "",
            ("metric", "sets", "needs"),
            [(row["name"], ", ".join(row["sets"]), row["needs"]) for row in rows],
        )


@metrics.command()
def install(
    what: Annotated[str, typer.Argument(help="spice.")],
    source: Annotated[
        list[str] | None,
        typer.Option("--from", help="A folder, a zip file or the address of one; repeatable."),
    ] = None,
) -> None:
    """Put SPICE's jars, which no package carries, into the data folder.

    wsac metrics install spice --from stanford-corenlp-full-2015-12-09.zip
    """
    from wsac.evaluation.metrics.java.spice_install import STANFORD, install_spice

    if what != "spice":
        raise WsacError(
            f"{what}: only spice is installed so; METEOR comes with pip install 'wsac[meteor]'"
        )
    if not source:
        raise WsacError(f"name where the jars are: --from FOLDER, or --from {STANFORD}")
    install_spice(source)


def _models(
    clap: Any, encoder: Any, checker: Any, training: Path | None, offline: bool, device: str
) -> Models:
    from wsac.evaluation import Models

    return Models(training, clap, encoder, checker, device, offline)


def _evaluated(
    candidates: Path,
    references: Path | None,
    metrics: str | None,
    models: Models,
    audio: Path | None,
    skip: bool,
) -> Report:
    """Read, pair and score; what was left out is said on stderr."""
    from wsac.evaluation.pairing import read_pairs

    names = _names(metrics, "reference-free" if references is None else "fast", models)
    _check_folder(audio)
    pairs = read_pairs(candidates, references, audio=audio, skip_invalid=skip)
    about = {"captions": str(candidates)} | (
        {} if references is None else {"references": str(references)}
    )
    return _scored(pairs.items, names, models, pairs.skipped, pairs.notes, about)


def _check_folder(audio: Path | None) -> None:
    if audio is not None and not audio.is_dir():
        raise WsacError(f"--audio {audio}: no such folder")


def _captioned(
    dataset: str,
    root: Path,
    split: str,
    metrics: str | None,
    models: Models,
    options: dict[str, Any],
) -> Report:
    """Find the dataset, caption it and score."""
    from wsac.data.datasets.layouts import find_dataset
    from wsac.evaluation.dataset import caption_dataset

    names = _names(metrics, "fast", models)
    found = find_dataset(dataset, root, split)
    items, skipped = caption_dataset(found, device=models.device, **options)
    about = {"model": options["model"], "dataset": dataset, "root": str(root)}
    about |= {} if dataset == "folder" else {"split": found.split}
    about |= {
        name: str(options[name]) for name in ("bridge", "beam", "gap") if options[name] is not None
    }
    return _scored(items, names, models, skipped, found.problems, about)


def _names(metrics: str | None, usual: str, models: Models) -> list[str]:
    """The metrics asked for; a wrong name is known before anything is read."""
    from wsac.evaluation.metrics.registry import resolve

    names = (usual if metrics is None else metrics).split(",")
    known, _ = resolve(names)
    return [*names, "novelty"] if models.training is not None and "novelty" not in known else names


def _scored(
    items: Sequence[Item],
    names: list[str],
    models: Models,
    skipped: dict[str, int],
    notes: Sequence[str],
    about: dict[str, str],
) -> Report:
    from dataclasses import replace

    from wsac.evaluation import evaluate as run

    for note in (*notes, *(f"left out: {what} ({count:,})" for what, count in skipped.items())):
        say(note)
    return replace(run(items, names, models), skipped=skipped, about=about, notes=tuple(notes))


def _show(report: Report, title: str) -> None:
    from wsac.evaluation.results import counted, figure_rows
    from wsac.evaluation.statistics import LEVEL, RESAMPLES

    table(
        title, ("metric", "value>", f"{100 * LEVEL:.0f} % interval>", "note"), figure_rows(report)
    )
    say(f"{counted(report)}; set {report.digest}")
    if report.intervals:
        kept = "; CIDEr-D keeps the document frequencies of the whole set" * (
            "cider_d" in report.intervals
        )
        say(f"intervals: percentile bootstrap over clips, {RESAMPLES:,} resamples{kept}")
    reasons: dict[str, list[str]] = {}
    for name, why in report.missing.items():
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        say(f"not computed: {', '.join(names)}: {why}")


def _show_comparison(rows: list[Comparison], first: str, second: str) -> None:
    from wsac.evaluation.results import interval, number

    cells = [
        (
            row.name,
            number(row.first),
            number(row.second),
            f"{row.difference:+.4f}",
            interval(row.low, row.high),
            f"{row.p:.4f}",
            "" if row.effect is None else f"{row.effect:+.2f}",
        )
        for row in rows
    ]
    heads = ("metric", "A>", "B>", "B - A>", "95 % interval>", "p>", "Cohen's d>")
    table(f"A {first}, B {second}", heads, cells)
