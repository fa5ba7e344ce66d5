"""What got no cue, counted by reason and told in one line."""

from __future__ import annotations

from collections.abc import Mapping

from wsac.io.console import count_of

UNSURE, REPEATED, SURROUNDINGS = "unsure", "repeated", "like their surroundings"
NO_ROOM, SKIPPED = "without room", "speech or music"
SHOWN_AT_ONE = (UNSURE, REPEATED, SURROUNDINGS)  # by the highest sensitivity
REASONS = (*SHOWN_AT_ONE, NO_ROOM, SKIPPED)


def left_out_words(left_out: Mapping[str, int], sensitivity: float = 1.0) -> str:
    """ "3 sounds left out: 2 unsure, 1 repeated (--sensitivity 1 shows these)"; "" for none.

    left_out: counts by reason, of REASONS. sensitivity: with which they were left out.
    """
    counts = [(left_out[reason], reason) for reason in REASONS if left_out.get(reason)]
    if not counts:
        return ""
    words, others = (
        ", ".join(f"{n:,} {reason}" for n, reason in counts if (reason in SHOWN_AT_ONE) is wanted)
        for wanted in (True, False)
    )
    if words and sensitivity < 1:
        words += " (--sensitivity 1 shows these)"
    rest = ", ".join(filter(None, (words, others)))
    return f"{count_of(sum(n for n, _ in counts), 'sound')} left out: {rest}"
