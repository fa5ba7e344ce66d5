"""The verbs about metrics: ``wsac evaluate``, ``compare``, ``report`` and ``metrics``."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from wsac.io.console import say, table
from wsac.types import WsacError

from . import common_options as common

if TYPE_CHECKING:
    from wsac.evaluation import Models, Report
    from wsac.evaluation.pairing import Pairs

metrics = typer.Typer(
    name="metrics", help="List the metrics and install what they need.", **common.PLAIN
)

ReferencesOption = Annotated[
    Path | None, Option("--references", "-r", callback=common.existing, help="People's captions.")
]
MetricsOption = Annotated[str | None, Option(help="Names or sets, as in wsac metrics list.")]
AudioOption = Annotated[Path | None, Option(help="The folder of the sounds.")]
# the models that judge captions
JudgeOption = Annotated[str | None, Option(help="CLAP of clapscore and --retrieve (pocket).")]
EncoderOption = Annotated[str | None, Option(help="Sentence encoder of sbert_sim and fense.")]
CheckerOption = Annotated[str | None, Option(help="Error detector of fer, fense and spider_fl.")]


def evaluate(
    candidates: Annotated[
        Path | None, Option("--candidates", "-c", callback=common.existing, help="To score.")
    ] = None,
    references: ReferencesOption = None,
    metrics: MetricsOption = None,
    model: Annotated[str | None, Option(help="A captioner to score on --dataset.")] = None,
    dataset: Annotated[str | None, Option(help="clotho, audiocaps or folder.")] = None,
    root: Annotated[Path | None, Option(help="The folder of the dataset.")] = None,
    split: Annotated[str, Option(help="train, val or test.")] = "test",
    bridge: common.Bridge = None,
    beam: common.Beam = None,
    gap: common.Gap = None,
    audio: AudioOption = None,
    training_text: Annotated[Path | None, Option(help="Training captions, for novelty.")] = None,
    column: common.Column = None,
    skip_invalid: common.SkipInvalid = False,
    out: Annotated[Path | None, common.NewFile] = None,
    clap: JudgeOption = None,
    encoder: EncoderOption = None,
    checker: CheckerOption = None,
    offline: common.Offline = False,
    device: common.Device = "auto",
    as_json: common.Json = False,
) -> None:
    """Score captions against those of people.

    Every figure has a 95 % interval. Without references only some metrics are left.

    wsac evaluate -c captions.csv -r clotho.csv -o scores.json
    """
    from wsac.data.datasets.layouts import find_dataset
    from wsac.evaluation import Models
    from wsac.evaluation.pairing import caption_dataset
    from wsac.evaluation.results import report_json, save
    from wsac.inference.captioner_folder import check_captioner
    from wsac.io.console import is_utf8

    models = Models(training_text, clap, encoder, checker, device, offline)
    inputs: dict[str, Any] = {"references": references, "audio": audio, "column": column}
    inputs["skip_invalid"] = skip_invalid
    decoding: dict[str, Any] = {"bridge": bridge, "beam_size": beam, "gap": gap}
    if candidates is not None:
        if model or dataset or root or any(decoding.values()):
            raise WsacError("--candidates are captions; leave --model, --dataset and --root out")
        scored = _score_file(candidates, metrics, models, inputs)
        title = str(candidates)
    elif not dataset or root is None:
        lacking = "--root is missing; " if dataset else "--dataset is missing; " if root else ""
        remedy = "give --candidates FILE, or --dataset clotho --root FOLDER and a --model"
        raise WsacError(lacking + remedy)
    elif references or audio:
        raise WsacError("a dataset has both; leave --references and --audio out")
    else:
        names = _metric_names(metrics, "fast", models)
        clips = find_dataset(dataset, root, split, column=column, skip_invalid=skip_invalid)
        decoding |= {"model": model or "pocket"}
        check_captioner(model or "pocket")
        pairs = caption_dataset(clips, skip_invalid=skip_invalid, device=device, **decoding)
        about = {"model": model or "pocket", "dataset": dataset, "root": root}
        about |= {} if dataset == "folder" else {"split": clips.split}
        scored = _score(pairs, names, models, about | decoding)
        title = ", ".join(f"{name} {value}" for name, value in scored.about.items())
    if out is not None:
        save(scored, out)
    if as_json:
        print(report_json(scored, ensure_ascii=not is_utf8()), end="")
    else:
        _show(scored, title)


def compare(
    first: Annotated[Path, Argument(help="A file of wsac evaluate -o, or captions.", metavar="A")],
    second: Annotated[Path, Argument(help="The same for the other captioner.", metavar="B")],
    references: ReferencesOption = None,
    metrics: MetricsOption = None,
    audio: AudioOption = None,
    column: common.Column = None,
    skip_invalid: common.SkipInvalid = False,
    clap: JudgeOption = None,
    encoder: EncoderOption = None,
    checker: CheckerOption = None,
    offline: common.Offline = False,
    device: common.Device = "auto",
    as_json: common.Json = False,
) -> None:
    """Test whether two captioners differ on the same sounds.

    wsac compare a.json b.json
    """
    from wsac.evaluation import Models
    from wsac.evaluation.results import interval, is_evaluation, load, number
    from wsac.evaluation.scoring import compare_reports

    for path in (first, second):
        if not path.is_file():
            raise WsacError(f"{path}: not found; check the path")
    evaluations = [is_evaluation(path) for path in (first, second)]
    if any(evaluations):
        if references is not None or metrics is not None:
            raise WsacError("evaluations have both; leave --references and --metrics out")
        if not all(evaluations):
            odd = second if evaluations[0] else first
            raise WsacError(f"{odd}: captions, but the other file is an evaluation; give two alike")
        reports = [load(path) for path in (first, second)]
    else:
        models = Models(None, clap, encoder, checker, device, offline)
        inputs: dict[str, Any] = {"references": references, "audio": audio, "column": column}
        inputs["skip_invalid"] = skip_invalid
        reports = [_score_file(path, metrics, models, inputs) for path in (first, second)]
    names = str(first), str(second)
    rows, notes = compare_reports(*reports, names=names)
    facts: dict[str, Any] = {"first": names[0], "second": names[1], "digest": reports[0].digest}
    facts |= {"comparisons": [asdict(row) for row in rows], "notes": notes}
    cells = []
    for row in rows:
        values = number(row.first), number(row.second), f"{row.difference:+.4f}"
        effect = "" if row.effect is None else f"{row.effect:+.2f}"
        cells.append((row.name, *values, interval(row.low, row.high), f"{row.p:.4f}", effect))
    columns = ("metric", "A>", "B>", "B - A>", "95 % interval>", "p>", "Cohen's d>")
    common.show(as_json, facts, f"A {first}, B {second}", columns, cells)
    for note in notes:
        say(note)


def report(
    scores: Annotated[Path, Argument(help="A file of wsac evaluate -o.", metavar="SCORES")],
    out: Annotated[Path, common.NewFile],
    by: Annotated[str | None, Option(help="The metric that ranks the clips.")] = None,
    clips: Annotated[int, Option(help="Number of best clips, and of worst clips.")] = 5,
    audio: AudioOption = None,
    retrieve: Annotated[common.Paths, Option(help="Captions: show the nearest ones.")] = None,
    clap: JudgeOption = None,
    offline: common.Offline = False,
    device: common.Device = "auto",
) -> None:
    """Show an evaluation as an HTML page.

    It plays the best and the worst clips.

    wsac report scores.json -o report.html
    """
    from wsac.evaluation.pairing import find_sounds
    from wsac.evaluation.report import read_texts, write_evaluation
    from wsac.evaluation.results import load

    scored = load(scores)
    _check_folder(audio)
    if audio is not None:
        places, ambiguous = find_sounds([item.id for item in scored.items], audio)
        moved = [replace(item, audio=places.get(item.id, item.audio)) for item in scored.items]
        scored = replace(scored, items=tuple(moved))
        for key, why in list(ambiguous.items())[:5]:
            say(f"not shown: {key!r} is {why}")
    options: dict[str, Any] = {"title": scores.stem, "clips": clips, "by": by}
    if retrieve:
        from wsac.clap import load_clap

        options |= {"captions": read_texts(retrieve)}
        options |= {"clap": load_clap(clap or "pocket", device=device, offline=offline)}
    problems = write_evaluation(scored, out, **options)
    more = [f"{len(problems) - 5} more"] if len(problems) > 5 else []
    for problem in (*problems[:5], *more):
        say(f"not shown: {problem}")
    if problems:
        say("if the sounds have moved, give their folder as --audio")
    say(f"{out}: scores of {len(scored.items):,} clips; open it in a browser")


@metrics.command("list")
def show_list(as_json: common.Json = False) -> None:
    """List the metrics, the sets they belong to and what they need.

    wsac metrics list
    """
    from wsac.evaluation import METRICS, SETS

    rows = []
    for name, metric in METRICS.items():
        sets = [group for group, members in SETS.items() if name in members]
        needs = ", ".join(filter(None, ("references" if metric.references else "", metric.extra)))
        rows.append({"name": name, "sets": sets, "needs": needs})
    cells = [(row["name"], ", ".join(row["sets"]), row["needs"]) for row in rows]
    common.show(as_json, rows, "", ("metric", "sets", "needs"), cells)


@metrics.command()
def install(
    what: Annotated[str, Argument(help="spice.")],
    source: Annotated[common.Words, Option("--from", help="Folder, zip file or address.")] = None,
) -> None:
    """Install the jars of SPICE, which no package carries.

    wsac metrics install spice --from stanford-corenlp-full-2015-12-09.zip
    """
    from wsac.evaluation.metrics.java.spice_jars import STANFORD, install_spice

    if what != "spice":
        raise WsacError(f"{what}: only spice; METEOR comes with pip install 'wsac[meteor]'")
    if not source:
        raise WsacError(f"name where the jars are: --from FOLDER, or --from {STANFORD}")
    install_spice(source)


def _score_file(path: Path, metrics: str | None, models: Models, inputs: dict[str, Any]) -> Report:
    from wsac.evaluation.pairing import read_pairs

    references = inputs["references"]
    names = _metric_names(metrics, "reference-free" if references is None else "fast", models)
    _check_folder(inputs["audio"])
    about = {"captions": path, "references": references}
    return _score(read_pairs(path, **inputs), names, models, about)


def _score(pairs: Pairs, names: list[str], models: Models, about: dict[str, Any]) -> Report:
    """Evaluate the items; notes and what was left out go to stderr."""
    from wsac.evaluation import evaluate

    left_out = [f"left out: {what} ({count:,})" for what, count in pairs.skipped.items()]
    for note in (*pairs.notes, *left_out):
        say(note)
    scored = evaluate(pairs.items, names, models)
    texts = {k.removesuffix("_size"): str(v) for k, v in about.items() if v is not None}
    return replace(scored, skipped=pairs.skipped, about=texts, notes=tuple(pairs.notes))


def _metric_names(metrics: str | None, default: str, models: Models) -> list[str]:
    """The metrics asked for; a wrong name is an error before anything is read."""
    from wsac.evaluation.metrics.registry import resolve

    names = (default if metrics is None else metrics).split(",")
    known, _ = resolve(names)
    return [*names, "novelty"] if models.training is not None and "novelty" not in known else names


def _check_folder(audio: Path | None) -> None:
    if audio is not None and not audio.is_dir():
        raise WsacError(f"--audio {audio}: no such folder")


def _show(scored: Report, title: str) -> None:
    from wsac.evaluation.results import counted, figure_rows
    from wsac.evaluation.statistics import LEVEL, RESAMPLES

    columns = ("metric", "value>", f"{100 * LEVEL:.0f} % interval>", "note")
    table(title, columns, figure_rows(scored))
    say(f"{counted(scored)}; set {scored.digest}")
    if scored.intervals:
        note = f"intervals: percentile bootstrap over clips, {RESAMPLES:,} resamples"
        fixed = "; CIDEr-D uses the document frequencies of the whole set"
        say(note + fixed * ("cider_d" in scored.intervals))
    names: dict[str, list[str]] = {}
    for name, reason in scored.missing.items():
        names.setdefault(reason, []).append(name)
    for reason, missing in names.items():
        say(f"not computed: {', '.join(missing)}: {reason}")
