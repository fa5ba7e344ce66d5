"""``wsac doctor``: what is installed, what the machine offers, and whether captioning works."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from typer import Exit, Option

from wsac import __version__
from wsac.io.console import say

from . import common_options as common

SOUND, WORD = "siren", "siren"  # the test sound, and what its caption must name
SLOW = 10.0  # seconds
LITTLE = 1 << 30  # bytes of free disk space
DEVELOPERS = ("dev", "docs", "release", "full-tests")  # extras that using wsac does not need
ORDER = ("test", "device", "processor", "java", "extras", "caches", "disk", "versions")
JSON_ONLY = ("set",)  # variables of the threads' library; wsac sets one of them itself


def doctor(
    as_json: common.Json = False,
    device: Annotated[str, Option(help="cpu, cuda or auto.")] = "auto",  # checked in the report
) -> None:
    """Check the installation, and caption a test sound.

    Nothing is sent anywhere. The exit code is 1 when something is broken.

    wsac doctor --json
    """
    report: dict[str, Any] = {"versions": {}, "extras": {}}
    problems: list[str] = []
    notes: list[str] = []
    checks = {
        "versions": lambda: _packages(report, problems),
        "device": lambda: _device(device),
        "processor": lambda: _processor(notes),
        "java": _java,
        "caches": lambda: _caches(notes),
        "disk": lambda: _disk(notes),
        "test": lambda: _self_test(device, notes),
    }
    for name, check in checks.items():
        report[name] = _attempt(name, check, problems)
    report |= {"notes": notes, "problems": problems, "ok": not problems}
    common.show(as_json, report, "", ("what", "here"), _rows(report))
    say(_verdict(report))
    for problem in problems:
        say(f"error: {problem}")
    for note in notes:
        say(f"note: {note}")
    if problems:
        raise Exit(1)


def _verdict(report: dict[str, Any]) -> str:
    """The line below the table: what works, and what some verbs may lack."""
    if count := len(report["problems"]):
        return f"{count} broken; above is what is here"
    captioned = f"a {SOUND} was captioned as '{report['test'].get('caption')}'"
    absent = [n for n, v in report["extras"].items() if v != "installed" and n not in DEVELOPERS]
    absent += [] if "version" in report["java"] else ["Java"]
    lacking = f"; only some verbs need what is not installed: {', '.join(absent)}" if absent else ""
    return f"everything works: {captioned}{lacking}"


def _attempt(name: str, check: Callable[[], dict[str, Any]], problems: list[str]) -> dict[str, Any]:
    """Any failure of a check is a problem to report, and does not end the others."""
    try:
        return check()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        if not any(problem.endswith(f": {reason}") for problem in problems):
            problems.append(f"{name}: {reason or type(error).__name__}")
        return {}


def _packages(report: dict[str, Any], problems: list[str]) -> dict[str, str]:
    """Versions; the extras are put into the report."""
    from importlib.metadata import PackageNotFoundError

    from wsac.runtime.machine import packages

    own = {"wsac": __version__, "Python": platform.python_version(), "system": platform.platform()}
    try:
        versions, missing = packages()
    except PackageNotFoundError:
        return own | {"packages": "unknown: wsac runs from its sources and is not installed"}
    problems += [f"{what} is needed; pip install wsac" for what in missing.pop("")]
    report["extras"] = {
        name: f"no: {', '.join(absent)}; pip install 'wsac[{name}]'" if absent else "installed"
        for name, absent in missing.items()
    }
    if report["extras"].get("live") == "installed":
        from wsac.listening.live_sources import sound_device
        from wsac.types import WsacError

        try:
            sound_device()
        except WsacError as error:
            report["extras"]["live"] = f"no: {error}"
    return own | versions


def _device(name: str) -> dict[str, Any]:
    from wsac.runtime.device import pick_device
    from wsac.runtime.machine import device_facts

    return device_facts(pick_device(name))


def _processor(notes: list[str]) -> dict[str, Any]:
    from wsac.runtime.machine import processor

    facts = processor()
    if facts["threads"] > facts["usable"]:
        what = f"{facts['threads']} threads for {facts['usable']} processors: slow"
        notes.append(f"{what}; unset OMP_NUM_THREADS")
    return facts


def _java() -> dict[str, Any]:
    from wsac.evaluation.metrics.items import MissingError
    from wsac.evaluation.metrics.java.runtime import find_java

    try:
        path, version = find_java("METEOR")
    except MissingError as error:
        return {"java": f"no: {error}"}
    return {"java": str(path), "version": version}


def _caches(notes: list[str]) -> dict[str, Any]:
    from huggingface_hub import constants

    from wsac.clap.texts import cache_folder
    from wsac.runtime.machine import folder_size, is_writable
    from wsac.types import WsacError

    places = {"Hub": Path(constants.HF_HUB_CACHE)}
    try:
        places = {"wsac": cache_folder()} | places
    except WsacError as error:
        notes.append(f"no cache: {error}; set WSAC_CACHE to a folder")
    for name, folder in places.items():
        if not is_writable(folder):
            variable = "WSAC_CACHE" if name == "wsac" else "HF_HOME"
            notes.append(f"{folder}: not writable; set {variable} to another folder")
    return {name: {"folder": str(p), "bytes": folder_size(p)} for name, p in places.items()}


def _disk(notes: list[str]) -> dict[str, int]:
    from wsac.runtime.machine import free_space

    free = {str(p): free_space(p) for p in dict.fromkeys((Path.cwd(), Path(tempfile.gettempdir())))}
    notes += [f"{p}: only {_size(n)} free" for p, n in free.items() if n < LITTLE]
    return free


def _self_test(device: str, notes: list[str]) -> dict[str, Any]:
    """Write a synthesised siren, read it with both decoders, and caption it."""
    import numpy as np

    from wsac.data.audio.backends import AvSource
    from wsac.data.soundworld import KINDS
    from wsac.inference.captioner import Captioner
    from wsac.io.files import write_wav
    from wsac.types import WsacError

    began = time.perf_counter()
    samples = KINDS[SOUND].render(np.random.default_rng(0), 5.0, 16_000)
    captioner = Captioner.load(device=device)
    loaded = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{SOUND}.wav")
        write_wav(path, samples, 16_000)
        caption = captioner.caption(path)  # libsndfile reads it
        source = AvSource(path, path.read_bytes()[:64])
        read = np.concatenate([block for block, _ in source.blocks()], axis=-1)
        source.close()
    done = time.perf_counter()
    if read.shape[-1] != len(samples) or not np.allclose(read, samples, atol=1e-3):
        raise WsacError("FFmpeg reads other samples than were written; reinstall av")
    if WORD not in caption.text.lower():
        raise WsacError(f"the test sound, a {SOUND}, was captioned as '{caption.text}'")
    if done - began > SLOW:
        notes.append(f"the test took {done - began:.0f} s; is the machine busy?")
    spent = {"loading": round(loaded - began, 2), "captioning": round(done - loaded, 2)}
    return {"sound": SOUND, "caption": caption.text, "seconds": spent}


def _size(count: int) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count / 1e3:,.1f} kB" if count else "empty"


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """A line for each fact, what matters most first."""
    rows, developers = [], []
    for section in ORDER:
        for name, value in report[section].items():
            title = name if section == name else f"{section}: {name}"
            if section == "extras" and name in DEVELOPERS:
                developers += [name] if value == "installed" else []
            elif name not in JSON_ONLY:
                in_bytes = section == "disk" or name == "memory"
                text = _words(value, in_bytes=in_bytes)
                rows.append((title, f"{text} free" if section == "disk" else text))
        if section == "extras" and developers:
            rows.append(("extras: for developers", ", ".join(developers)))
    return rows


def _words(value: Any, *, in_bytes: bool = False) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if in_bytes:
            return _size(value)
        case {"folder": folder, "bytes": count}:
            return f"{folder}: {_size(count)}"
        case dict():  # seconds of the test
            return ", ".join(f"{what} {seconds} s" for what, seconds in value.items())
        case list():
            return ", ".join(map(str, value)) or "none"
    return str(value)
