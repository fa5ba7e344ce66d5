"""Microphones, streams, pipes and files; and what happens when they die."""

from __future__ import annotations

import io
import itertools
import os
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from miniatures.ears import RATE, play
from wsac.listening import live_sources as sources
from wsac.listening.reconnecting import reconnecting
from wsac.types import AudioError, WsacError


def wav_of(samples) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def collect(blocks, into: list) -> None:
    for block in blocks:
        into.append(block)


class FakeMicrophone:
    """In the public shape of sounddevice: it calls back from a thread of its own."""

    class PortAudioError(Exception):
        pass

    def __init__(self, samples, rate: int) -> None:
        self.samples, self.rate, self.closed = samples, rate, False

    def query_devices(self, device, kind):
        if device == "absent":
            raise ValueError("No input device matching 'absent'")
        return {"name": "fake", "default_samplerate": float(self.rate)}

    def InputStream(self, *, device, samplerate, channels, dtype, blocksize, callback):  # noqa: N802
        assert (samplerate, channels, dtype) == (self.rate, 1, "float32")
        fake = self

        class Stream:
            def __enter__(self):
                def speak():
                    for place in range(0, len(fake.samples), blocksize):
                        block = fake.samples[place : place + blocksize, None]
                        callback(block, len(block), None, None)

                threading.Thread(target=speak, daemon=True).start()

            def __exit__(self, *_):
                fake.closed = True

        return Stream()


def test_a_microphone_is_resampled_and_closed(monkeypatch):
    monkeypatch.setattr(sources, "STALL_SECONDS", 0.2)
    samples = np.repeat(play(1, ("dog", 0, 1)), 3)
    fake = FakeMicrophone(samples, 3 * RATE)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    blocks = []
    with pytest.raises(AudioError, match=r"nothing for 0.2 s; is it plugged in, and free\?"):
        collect(sources.microphone(None, RATE), blocks)
    assert fake.closed
    assert len(np.concatenate(blocks)) == pytest.approx(RATE, abs=400)  # the resampler holds some


def test_an_absent_microphone_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone(play(1), RATE))
    with pytest.raises(AudioError, match=r"microphone absent: No input device.*lists those"):
        next(sources.microphone("absent", RATE))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(WsacError, match=r"pip install 'wsac\[live\]'"):
        next(sources.microphone(None, RATE))


@pytest.mark.parametrize("moment", ["__enter__", "__exit__"])
def test_a_microphone_that_does_not_start_or_breaks_is_told_in_one_line(monkeypatch, moment):
    def broken(*_):
        raise FakeMicrophone.PortAudioError("Device unavailable [PaErrorCode -9985]")

    monkeypatch.setattr(sources, "STALL_SECONDS", 0.1)
    fake = FakeMicrophone(play(1), RATE)
    opened = fake.InputStream

    def stream_of(**options):
        stream = opened(**options)
        setattr(type(stream), moment, broken)
        return stream

    fake.InputStream = stream_of
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with pytest.raises(AudioError, match=r"\(default\): Device unavailable .*; is it plugged in"):
        collect(sources.microphone(None, RATE), [])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:secret@camera/live", "rtsp://me@camera/live"),
        ("rtsp://me:se@cr:et@camera:554/a@b:c", "rtsp://me@camera:554/a@b:c"),
        ("http://camera:80/live", "http://camera:80/live"),
        ("http://me@camera/live", "http://me@camera/live"),
        ("the microphone", "the microphone"),
    ],
)
def test_passwords_of_addresses_are_not_shown(address, shown):
    assert sources.without_password(address) == shown


def test_a_slow_listener_is_told_what_was_lost(monkeypatch, capsys):
    monkeypatch.setattr(sources, "AHEAD", 2)
    fake = FakeMicrophone(play(1), RATE)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    blocks = sources.microphone(None, RATE)
    next(blocks)
    time.sleep(0.1)
    next(blocks)
    assert "s lost, since listening is too slow" in capsys.readouterr().err


def test_raw_samples_in_odd_pieces():
    samples = play(1, ("dog", 0, 1))
    data = (samples * 32_767).astype("<i2").tobytes()
    reader, writer = os.pipe()

    def write():
        for place in range(0, len(data), 777):
            os.write(writer, data[place : place + 777])
        os.close(writer)

    threading.Thread(target=write).start()
    with os.fdopen(reader, "rb") as file:
        heard = np.concatenate(list(sources.raw_samples(file, RATE, RATE)))
    np.testing.assert_allclose(heard, samples, atol=1e-4)


def test_a_sound_with_a_header_from_a_pipe():
    samples = play(1, ("dog", 0, 1))
    reader, writer = os.pipe()

    def write():
        with os.fdopen(writer, "wb") as file:
            file.write(wav_of(samples))

    threading.Thread(target=write).start()
    with os.fdopen(reader, "rb") as file:
        heard = np.concatenate(list(sources.piped(file, RATE)))
    np.testing.assert_allclose(heard, samples, atol=1e-4)


def test_a_file_at_a_speed(tmp_path):
    soundfile.write(tmp_path / "a.wav", play(2), RATE)
    begin = time.monotonic()
    blocks = list(sources.sound_file(tmp_path / "a.wav", RATE, speed=20.0))
    assert time.monotonic() - begin >= 0.09
    assert sum(map(len, blocks)) == 2 * RATE
    assert max(map(len, blocks)) == 1600
    assert sum(map(len, sources.sound_file(tmp_path / "a.wav", RATE))) == 2 * RATE


@pytest.fixture
def cut_stream():
    """An address whose sound is cut in its middle, each time but for the last."""
    data, asked = wav_of(play(2, ("dog", 0, 2))), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(time.monotonic())
            self.send_response(200)
            self.send_header("Content-Type", "audio/wav")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])

        def log_message(self, *_): ...

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/stream", asked
        server.shutdown()


def test_a_stream_that_dies_is_opened_again(cut_stream, capsys):
    address, asked = cut_stream
    waits = []
    blocks = reconnecting(
        lambda: sources.network_stream(address, RATE), address, sleep=waits.append
    )
    total, gaps = 0, 0
    while gaps < 3:
        block = next(blocks)
        gaps += block is None
        total += 0 if block is None else len(block)
    assert total / RATE == pytest.approx(3.0, abs=0.05)
    assert len(asked) == 3
    assert waits == [1.0, 2.0]
    err = capsys.readouterr().err
    assert err.count("trying again in 1 s") == 1
    assert err.count(f"{address}: here again\n") == 2


def test_waits_grow_up_to_a_minute_and_begin_anew_after_a_steady_time(capsys):
    clock = itertools.count(0, 0)
    state = SimpleNamespace(time=0.0, lives=0, waits=[])

    def source():
        state.lives += 1
        if 1 < state.lives < 12:
            raise AudioError("x: no route")
        state.time += 100.0 if state.lives == 12 else 0.0
        yield np.zeros(1, np.float32)

    def sleep(seconds):
        state.waits.append(seconds)

    blocks = reconnecting(source, "x", sleep=sleep, now=lambda: state.time + next(clock))
    while state.lives < 13:
        next(blocks)
    assert state.waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert state.waits[-1] == 1
    assert "x: no route; trying again in 60 s" in capsys.readouterr().err


def test_a_wrong_address_is_an_error_at_once():
    with pytest.raises(AudioError, match=r"http://127.0.0.1:9/x: cannot be read"):
        next(reconnecting(lambda: sources.network_stream("http://127.0.0.1:9/x", RATE), "x"))
    with pytest.raises(AudioError, match="no sound came"):
        next(reconnecting(lambda: iter(()), "x"))
