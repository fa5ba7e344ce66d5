"""Help, and words about wrong values, that name the kinds of values as users do."""

from __future__ import annotations

import re
from typing import Any

from typer import BadParameter
from typer.core import TyperCommand

# types of Python, as they stand in typer's help, and what users call them
TYPE = re.compile(r"<(?:list\[)?(str|Path|int|float)\]?( range)?>")
CALLED = {"str": "text", "Path": "path", "int": "number", "float": "number"}

# what typer says of wrong values, and how users say it
WRONG = (
    (r"Input should be a valid integer,? .*", "give a whole number"),
    (r"Input should be a valid number,? .*", "give a number"),
    (r"Input should be (greater|less) than or equal to (.*)", r"give \2 or \1"),
    (r"Value error, (.*) is not one of (.*?)\.?", r"\1: give one of \2"),
)


class PlainHelp(TyperCommand):
    """A command whose help says <number>, not <float>."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return list(super().parse_args(ctx, args))
        except BadParameter as error:
            for pattern, words in WRONG:
                error.message = re.sub(f"^{pattern}$", words, error.message)
            error.message = error.message.replace("greater", "more")
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write = formatter.write_dl

        def in_plain_words(rows: Any, *args: Any, **options: Any) -> None:
            plain = [(TYPE.sub(lambda m: f"<{CALLED[m[1]]}>", name), text) for name, text in rows]
            write(plain, *args, **options)

        formatter.write_dl = in_plain_words
        super().format_options(ctx, formatter)
