"""``python -m wsac``, and the start of the command ``wsac``."""

import sys


def run() -> int:
    """Run the command line, and stop without a word more when interrupted while it starts."""
    try:
        from .cli import main

        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(run())
