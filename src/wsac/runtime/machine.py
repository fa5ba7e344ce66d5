"""What is installed here, and what the machine offers: the facts that ``wsac doctor`` shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from .cpus import allowed_cpus, usable_cpus
from .device import has_bfloat16, processor_flags
from .onnx_session import onnx_threads

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")  # those that torch uses
LIBRARIES = ("OMP_NUM", "MKL_NUM", "OPENBLAS_NUM")
THREADS = (*(f"{name}_THREADS" for name in LIBRARIES), "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def packages() -> tuple[dict[str, str], dict[str, list[str]]]:
    """The installed versions of what it needs by name, and by extra ("" for all) what is missing.

    A version that is too old or too new is missing. Raises PackageNotFoundError when only its
    sources are here.
    """
    from packaging.requirements import Requirement

    versions: dict[str, str] = {}
    missing: dict[str, list[str]] = {"": []}
    for requirement in map(Requirement, metadata.requires("wsac") or ()):
        if requirement.name == "wsac":
            continue  # an extra of extras
        for extra in _extras(requirement.marker):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue  # for another system
            absent = missing.setdefault(extra, [])
            try:
                version = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                absent.append(str(requirement).partition(";")[0].strip())
                continue
            versions[requirement.name] = version
            if not requirement.specifier.contains(version, prereleases=True):
                bounds = f"{requirement.name}{requirement.specifier}"
                absent.append(f"{bounds} (here: {version})")
    return versions, missing


def _extras(marker: Any) -> list[str]:
    """The extras that a requirement belongs to; [""] when everybody needs it."""
    words = str(marker or "").replace("'", '"').split('"')
    return [words[i + 1] for i, word in enumerate(words) if word.endswith("extra == ")] or [""]


def processor() -> dict[str, Any]:
    """Its features that count, and how many processors this process may use."""
    from wsac.arrays import WITH_TORCH, torch

    flags = processor_flags()
    return {
        "allowed": allowed_cpus(),
        "usable": usable_cpus(),  # fewer than allowed: a container's quota
        "threads": torch.get_num_threads() if WITH_TORCH else onnx_threads(),
        "set": {name: os.environ[name] for name in THREADS if name in os.environ},
        "flags": [flag for flag in FLAGS if flag in flags],
    }


def device_facts(name: str) -> dict[str, Any]:
    """The name, memory in bytes and bfloat16 of a device; of a CPU only the last."""
    from wsac.arrays import WITH_TORCH, torch

    facts: dict[str, Any] = {"device": name, "bfloat16": WITH_TORCH and has_bfloat16(name)}
    if name.startswith("cuda"):
        properties = torch.cuda.get_device_properties(name)
        facts |= {"name": properties.name, "memory": properties.total_memory}
        facts |= {"cuda": torch.version.cuda}
    return facts


def folder_size(folder: Path) -> int:
    """The bytes of all files below a folder, each counted once; 0 where it is not."""
    return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in _stats(folder)}.values())


def _stats(folder: Path) -> Iterator[os.stat_result]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(Path(place, name))
            except OSError:
                continue  # removed meanwhile


def free_space(folder: Path) -> int:
    """Free bytes on the disk of a folder, or of the nearest one above it that exists."""
    folder = folder.absolute()
    return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free


def is_writable(folder: Path) -> bool:
    """Whether files can be made there, or the folder itself where it is not yet."""
    folder = folder.absolute()
    return os.access(next(p for p in (folder, *folder.parents) if p.exists()), os.W_OK | os.X_OK)
