"""Where sound comes from while it happens: a microphone, a stream, raw samples or a file.

Each source is a function that yields blocks ``[T]`` of mono float32 at the wanted rate. One that
stops or fails raises or returns; ``reconnecting`` decides what that means.
"""

from __future__ import annotations

import os
import queue
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.stream import AudioStream
from wsac.io.console import say
from wsac.types import AudioError, WsacError

BLOCK_SECONDS = 0.1
STALL_SECONDS = 10.0  # without a sample: the source is dead
AHEAD = 100  # blocks of a microphone that wait, at most
NO_SOUNDDEVICE = "a microphone needs sounddevice: pip install 'wsac[live]'; or give --input"


def is_address(name: str) -> bool:
    """Whether it is an address such as ``rtsp://camera/stream``."""
    return "://" in name


def without_password(address: str) -> str:
    """An address as it may be shown and logged."""
    return re.sub(r"(?<=://)([^/:@]*):[^/]*@", r"\1@", address)


def sound_device() -> Any:
    """The library for microphones. Raises WsacError where it, or PortAudio, is missing."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the library PortAudio is missing
        missing = isinstance(error, OSError)
        raise WsacError(
            f"{error}: apt-get install libportaudio2" if missing else NO_SOUNDDEVICE
        ) from error
    return sounddevice


def microphone(name: str | None, sample_rate: int) -> Iterator[np.ndarray]:
    """What a microphone hears. name: a part of its name or its number; None: the system's default.

    Raises WsacError without sounddevice, and AudioError where there is no such microphone, or when
    it does not start, breaks, or falls silent for STALL_SECONDS.
    """
    import soxr

    sounddevice = sound_device()
    device = int(name) if name is not None and name.isdecimal() else name
    blocks: queue.Queue[np.ndarray] = queue.Queue(AHEAD)
    lost = 0

    def take(block: np.ndarray, frames: int, when: Any, status: Any) -> None:
        nonlocal lost
        try:
            blocks.put_nowait(block[:, 0].copy())
        except queue.Full:
            lost += len(block)

    try:
        rate = int(sounddevice.query_devices(device, "input")["default_samplerate"])
        stream = sounddevice.InputStream(
            device=device,
            samplerate=rate,
            channels=1,
            dtype="float32",
            blocksize=round(rate * BLOCK_SECONDS),
            callback=take,
        )
    except (ValueError, sounddevice.PortAudioError) as error:
        what = f"microphone {name or '(default)'}: {error}"
        raise AudioError(f"{what}; python -m sounddevice lists those that are there") from error
    resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
    try:
        with stream:
            while True:
                block = blocks.get(timeout=STALL_SECONDS)
                if lost:
                    say(f"microphone: {lost / rate:.1f} s lost, since listening is too slow")
                    lost = 0
                yield resampler.resample_chunk(block)
    except (queue.Empty, sounddevice.PortAudioError) as error:
        reason = str(error) or f"nothing for {STALL_SECONDS:g} s"
        what = f"microphone {name or '(default)'}: {reason}"
        raise AudioError(f"{what}; is it plugged in, and free?") from error


def network_stream(address: str, sample_rate: int) -> Iterator[np.ndarray]:
    """The sound of an address that FFmpeg reads, such as rtsp, http or srt.

    Raises AudioError when it cannot be opened or read for STALL_SECONDS.
    """
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    yield from _container(address, without_password(address), sample_rate, options)


def piped(file: BinaryIO, sample_rate: int) -> Iterator[np.ndarray]:
    """A sound with a header, such as WAV or Ogg, from a pipe."""
    yield from _container(file, "-", sample_rate, {})


def raw_samples(file: BinaryIO, rate: int, sample_rate: int) -> Iterator[np.ndarray]:
    """Samples of 16 bits (little endian, one channel) at ``rate`` from a pipe."""
    import soxr

    resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
    size, odd = 2 * round(rate * BLOCK_SECONDS), b""
    while data := os.read(file.fileno(), size):
        data = odd + data
        odd = data[len(data) // 2 * 2 :]
        block = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32_768
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), True)


def sound_file(
    path: Path, sample_rate: int, speed: float = 0.0, options: AudioOptions = AS_IS
) -> Iterator[np.ndarray]:
    """A file, as fast as it can be read, or at ``speed`` times its own. What is wrong with it is
    told at its end. Raises AudioError."""
    with AudioStream(path, sample_rate, options) as stream:
        size, begin, seconds = round(sample_rate * BLOCK_SECONDS), time.monotonic(), 0.0
        for block in stream:
            if not speed:
                yield block
                continue
            for place in range(0, len(block), size):
                part = block[place : place + size]
                seconds += len(part) / sample_rate
                time.sleep(max(0.0, begin + seconds / speed - time.monotonic()))
                yield part
        for note in stream.notes:
            say(f"{path}: {note}")


def _container(
    file: str | BinaryIO, name: str, sample_rate: int, options: dict[str, str]
) -> Iterator[np.ndarray]:
    import av

    try:
        timeout = STALL_SECONDS if isinstance(file, str) else None
        with av.open(
            file, "r", options=options, timeout=timeout, metadata_errors="replace"
        ) as opened:
            if not opened.streams.audio:
                raise AudioError(f"{name}: no audio track; give another --input")
            resampler = av.AudioResampler("flt", "mono", sample_rate)
            for frame in opened.decode(opened.streams.audio[0]):
                frame.pts = None  # gaps in the time stamps are not filled
                for part in resampler.resample(frame):
                    yield part.to_ndarray()[0]
    except (av.FFmpegError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{name}: cannot be read ({reason}); check the address") from error
