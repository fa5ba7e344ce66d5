"""How closely is listened, and what counts as an event."""

from __future__ import annotations

from dataclasses import dataclass

from wsac.types import RecipeError

THRESHOLD, BUILT_IN = 0.5, 0.3  # of labels of one's own; among many built-in ones each has less


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """window_seconds, hop_seconds: what is listened to at a time, and how often. gate: a window
    whose loudest tenth of a second stays below it, in dBFS, is not listened to. threshold: an event
    begins when its label has this probability in ``confirm`` windows in a row; it ends when the
    label has been below half of it for ``hold_seconds``. before, after: seconds of sound around an
    event in its clip. longest_clip: seconds. clips: whether events carry their sound. Raises
    RecipeError for impossible values."""

    window_seconds: float = 2.0
    hop_seconds: float = 0.5
    gate: float = -60.0
    threshold: float = THRESHOLD
    confirm: int = 2
    hold_seconds: float = 1.0
    before: float = 2.0
    after: float = 1.0
    longest_clip: float = 30.0
    clips: bool = False

    def __post_init__(self) -> None:
        if not 0.5 <= self.window_seconds <= 10:
            raise RecipeError(f"window of {self.window_seconds:g} s: give 0.5 to 10 seconds")
        if not 0.1 <= self.hop_seconds <= self.window_seconds:
            what = f"0.1 s to the length of the window, {self.window_seconds:g} s"
            raise RecipeError(f"hop of {self.hop_seconds:g} s: give {what}")
        if not 0 < self.threshold <= 1:
            raise RecipeError(f"threshold {self.threshold:g}: give more than 0, up to 1")
        if not -120 <= self.gate <= 0:
            raise RecipeError(f"gate of {self.gate:g} dBFS: give -120 (none) to 0")
        if self.confirm < 1:
            raise RecipeError(f"confirm {self.confirm}: give 1 or more windows")
