"""Help that names the kinds of values as users do."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

# types of Python, as they stand in typer's help, and what users call them
TYPE = re.compile(r"<(?:list\[)?(str|Path|int|float)\]?( range)?>")
CALLED = {"str": "text", "Path": "path", "int": "number", "float": "number"}


class PlainHelp(TyperCommand):
    """A command whose help says <number>, not <float>."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write = formatter.write_dl

        def in_plain_words(rows: Any, *args: Any, **options: Any) -> None:
            plain = [(TYPE.sub(lambda m: f"<{CALLED[m[1]]}>", name), text) for name, text in rows]
            write(plain, *args, **options)

        formatter.write_dl = in_plain_words
        super().format_options(ctx, formatter)
