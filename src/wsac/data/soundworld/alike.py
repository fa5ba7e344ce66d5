"""Which kinds an ear or a word could take for each other."""

from __future__ import annotations

ALIKE: tuple[frozenset[str], ...] = (
    frozenset(
        {
            "rain",
            "stream",
            "pouring",
            "drip",
            "sea_waves",
            "static",
            "hiss",
            "wind",
            "vacuum_cleaner",
        }
    ),
    frozenset({"man", "crowd"}),
    frozenset({"woman", "crowd"}),
    frozenset({"engine", "helicopter", "train", "hum", "drill", "vacuum_cleaner", "insect"}),
    frozenset({"thunder", "fireworks", "gunshot", "door"}),
    frozenset(
        {"knocking", "hammer", "door", "footsteps", "horse", "clock", "typing", "drip", "train"}
    ),
    frozenset({"church_bell", "gong", "telephone", "alarm_clock"}),
    frozenset({"birds", "crow", "owl", "duck", "whistle", "crickets"}),
    frozenset({"fire", "rain", "static", "clapping"}),
    frozenset({"cow", "sheep", "cat", "baby"}),
    frozenset({"guitar", "piano", "drums"}),
    frozenset({"clapping", "crowd"}),
    frozenset({"siren", "car_horn", "alarm_clock"}),
    frozenset({"glass", "gong"}),
)


def alike(kind: str, other: str) -> bool:
    """Whether two kinds are the same or could be confused."""
    return kind == other or any(kind in group and other in group for group in ALIKE)
