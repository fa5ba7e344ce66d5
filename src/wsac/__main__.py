"""``python -m wsac``."""

from .cli import main

raise SystemExit(main())
