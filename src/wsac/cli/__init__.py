"""The ``wsac`` command: one verb a function, imports inside the verb, errors in one line."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wsac import __version__
from wsac.io.console import prepare_streams, say
from wsac.runtime.process import configure_process
from wsac.types import WsacError

from . import (
    archive,
    archive_search,
    benchmark,
    bridges,
    caption,
    clap,
    data,
    demo,
    doctor,
    evaluate,
    export,
    listen,
    moments,
    serve,
    subtitle,
    train,
)
from .common_options import StoppedError
from .plain_help import PlainHelp

# The verbs, in the order and under the headings of `wsac --help`.
SECTIONS: dict[str, tuple[Callable[..., None] | typer.Typer, ...]] = {
    "Use a captioner": (
        caption.caption,
        caption.tag,
        subtitle.subtitle,
        moments.find,
        archive.archive,
        archive_search.search,
        serve.serve,
        listen.listen,
        clap.embed,
        export.export,
        demo.demo,
        doctor.doctor,
    ),
    "Train your own": (
        data.download,
        data.corpus,
        train.train,
        benchmark.tune,
        train.calibrate,
        export.push,
        train.train_clap,
        train.convert_captioner,
        clap.convert_clap,
    ),
    "Measure and research": (
        evaluate.evaluate,
        evaluate.compare,
        evaluate.report,
        evaluate.metrics,
        bridges.bridges,
        bridges.gap,
        benchmark.benchmark,
        clap.clap,
        data.soundworld,
    ),
}


def _name(verb: Any) -> str:
    return str(verb.info.name if isinstance(verb, typer.Typer) else verb.__name__).replace("_", "-")


class Sections(TyperGroup):
    """A group whose help lists its commands under the headings of SECTIONS."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                commands = [(_name(verb), self.commands[_name(verb)]) for verb in verbs]
                width = formatter.width - 22
                formatter.write_dl([(name, c.get_short_help_str(width)) for name, c in commands])


# the option that a verb takes a word by, where people write it as it is
OPTION_OF = {
    "train": "--captions",
    "train-clap": "--pairs",
    "tune": "--audio",
    "evaluate": "--candidates",
    "gap": "--audio",
}


class Verb(PlainHelp):
    """A command that says which option a word without one belongs to, and where rows go."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if self.name == "tag" and {"-o", "--out"} & {w.split("=")[0] for w in args}:
            example = f"wsac {self.name} FILE --csv > rows.csv"
            raise typer.BadParameter(f"no --out: rows go to stdout, as in {example}", ctx)
        if self.name in OPTION_OF and not {"-h", "--help"} & set(args):
            option = OPTION_OF[self.name]
            if words := self.make_parser(ctx).parse_args(args=list(args))[1]:
                what = f"{words[0]}: give it as {option} {shlex.quote(words[0])}"
                raise typer.BadParameter(what, ctx)
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="wsac",
    cls=Sections,
    help="Caption sounds with a captioner that was trained on text alone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time
    context_settings={"help_option_names": ["-h", "--help"]},
)
for section in SECTIONS.values():
    for verb in section:
        if isinstance(verb, typer.Typer):
            app.add_typer(verb)
        else:
            app.command(_name(verb), cls=Verb)(verb)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"wsac {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
]


@app.callback()
def _root(version: VersionOption = False) -> None: ...


EXTRAS = {"torch": "train", "transformers": "train", "pyarrow": "archive", "fsspec": "archive"}
NOT_EMPTY = {
    "--out": "name a file or folder, or . for this one",
    "--model": "give a folder of wsac train, or pocket: the built-in captioner",
    "--clap": "give pocket, a name of wsac clap list, a folder or a file",
    "--recipe": "give a recipe by name, such as wsac, or a TOML file",
    "--captions": "name a file of captions",
}


def _options(argv: list[str]) -> list[tuple[str, str]]:
    """Words with the words after them, and what is written as ``--name=value``."""
    written = [(name, value) for name, equals, value in (w.partition("=") for w in argv) if equals]
    return [*pairwise(argv), *written]


def main(argv: list[str] | None = None) -> int:
    """Run the command line. Returns 0, 1 (an error), 2 (wrong usage) or 130 (interrupted)."""
    argv = sys.argv[1:] if argv is None else argv
    configure_process()
    prepare_streams()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # schedulers stop like Ctrl-C
    for option, value in _options(argv):
        option = "--out" if option == "-o" else option
        if option in NOT_EMPTY and not value:
            say(f"error: {option} is empty; {NOT_EMPTY[option]}")
            return 2
    try:
        app(args=argv, prog_name="wsac", standalone_mode=True)
    except SystemExit as stop:
        if stop.code == 130:
            say("interrupted")
        return stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:  # before a verb began
        say("interrupted")
        return 130
    except StoppedError as stop:
        say(str(stop))
        return 130
    except WsacError as error:
        say(f"error: {error}")
        return 1
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        verb = next((word for word in argv if not word.startswith("-")), "")
        extra = "export" if verb == "export" else EXTRAS[error.name]
        say(f"error: wsac {verb} needs {error.name}: pip install 'wsac[{extra}]'")
        return 1
    except OSError as error:
        place, reason = error.filename or "a file could not be written", error.strerror or error
        say(f"error: {place}: {reason}; check the path, its permissions and the free space")
        return 1
    return 0
