"""The ``wsac`` command: one verb a function, heavy imports inside the verb, every user's mistake in one line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from wsac import __version__
from wsac.cli import bridges, clap
from wsac.cli import caption as hearing
from wsac.cli import data as material
from wsac.cli import evaluate as metrics
from wsac.cli import export as exporting
from wsac.cli import train as training
from wsac.io.console import say
from wsac.runtime.process import configure_process
from wsac.types import WsacError

app = typer.Typer(
    name="wsac",
    help="Text-only audio captioning: from a text file of captions to a captioner of real recordings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time
)

GOES_ON = "; given again, it goes on from its last checkpoint, if it had come so far"

VERBS: tuple[Callable[..., None], ...] = (
    hearing.caption,
    hearing.tag,
    training.train,
    metrics.evaluate,
    metrics.report,
    metrics.compare,
    bridges.bridges,
    bridges.gap,
    bridges.benchmark,
    bridges.tune,
    training.calibrate,
    exporting.export,
    material.corpus,
    material.soundworld,
    material.demo,
)
for verb in VERBS:
    app.command()(verb)
app.command("train-clap")(training.train_clap)
app.command("convert-clap")(clap.convert)
app.command("convert-captioner")(training.convert_captioner)
for group in (clap.clap, clap.embed, metrics.metrics):
    app.add_typer(group)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"wsac {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 well, 1 an error in one line, 2 wrong usage, 130 interrupted."""
    configure_process()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # file names need not be valid text, and terminals need not be UTF-8
            stream.reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread():
        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # a scheduler's stop is like Ctrl-C
    try:
        app(args=argv, prog_name="wsac", standalone_mode=True)
    except SystemExit as stop:
        if stop.code == 130:
            verb = next(iter(sys.argv[1:] if argv is None else argv), "")
            say("interrupted" + (GOES_ON if verb in ("train", "train-clap") else ""))
        return stop.code if isinstance(stop.code, int) else 1
    except WsacError as error:
        say(f"error: {error}")
        return 1
    except OSError as error:
        say(
            f"error: {error.filename or 'output'}: {error.strerror or error}; check the path, its rights and the space"
        )
        return 1
    return 0
