"""How a sound is read: which track and channel, and the rate of bare samples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wsac.types import RecipeError


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """sample_rate: of arrays that do not bring one; None: the CLAP's. track: which audio track of
    a file, from 1; None: the loudest. channel: which channel, from 1, or "mix", the mean of all;
    None: the mean, unless the channels cancel each other. librosa_length: a resampled sound has
    librosa's number of samples, ceil(samples × (new rate / old rate)) in floating point: 240,001
    for 5 s from 44.1 to 48 kHz. The last ones are then zeros.

    Raises RecipeError for impossible values.
    """

    sample_rate: int | None = None
    track: int | None = None
    channel: int | str | None = None
    librosa_length: bool = field(default=False, repr=False)  # set for the CLAP

    def __post_init__(self) -> None:
        for name in ("sample_rate", "track", "channel"):
            value = getattr(self, name)
            if value is None or (name == "channel" and value == "mix"):
                continue
            if isinstance(value, str) or value != int(value) or value < 1:
                raise RecipeError(f"{name} {value}: give a whole number, 1 or more")

    @staticmethod
    def parse(track: int | None, channel: str | None) -> AudioOptions:
        """From the options of a command line, where channel is a number or "mix"."""
        if channel is not None and channel != "mix" and not channel.isdecimal():
            raise RecipeError(f"--channel {channel}: give its number, from 1, or mix")
        number = channel if channel is None or channel == "mix" else int(channel)
        return AudioOptions(track=track, channel=number)

    def at(self, sample_rate: int | None) -> AudioOptions:
        """The same with this rate of arrays, unless it is None."""
        return self if sample_rate is None else replace(self, sample_rate=sample_rate)


AS_IS = AudioOptions()
