"""Files that are whole or absent: write to a temporary name beside the target, then rename."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsac.types import WsacError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, dtype


def _cannot_write(target: str | Path, reason: Any) -> WsacError:
    return WsacError(f"{target}: cannot write ({reason}); check the path and the free space")


def _part_of(target: Path) -> Path:
    """A hidden name beside the target, with its suffix: some writers choose the format by it."""
    return target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it on success, delete it on any failure.

    Raises WsacError when the folder cannot be made or written.
    """
    target = Path(target)
    if not target.name:
        raise WsacError(f"'{target}': this is a folder; name a file in it")
    temporary = _part_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode  # follows the umask; some writers make files private
        yield temporary
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError as error:
        raise _cannot_write(target, error.strerror or error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; rename it on success, delete it on any failure.

    Raises WsacError when ``target`` is there and no empty folder, or cannot be written.
    """
    target = Path(target)
    try:
        if not target.name or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            remedy = "name a new folder, or delete this one"
            raise WsacError(f"'{target}': there is something here already; {remedy}")
        temporary = _part_of(target)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if target.exists():
                target.rmdir()
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise _cannot_write(target, error.strerror or error) from error


def write_text(target: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(target, text.encode("utf-8"))


def write_csv(target: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with one header line, whole or not at all."""
    with atomic_path(target) as path, path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_bytes(target: str | Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_wav(target: str | Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write mono samples [T] as 16-bit WAV, whole or not at all."""
    import soundfile

    encoded = io.BytesIO()  # libsndfile would not report a full disk
    soundfile.write(encoded, samples, sample_rate, format="WAV", subtype="PCM_16")
    write_bytes(target, encoded.getvalue())


def write_json(target: str | Path, value: Any) -> None:
    """Write indented JSON, whole or not at all."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_tensors(
    target: str | Path, tensors: Mapping[str, Tensor], meta: dict[str, str] | None = None
) -> None:
    """Write safetensors, whole or not at all; tensors may be views or lie on any device."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    owned = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic_path(target) as path:
        try:
            save_file(owned, path, metadata=meta)
        except SafetensorError as error:  # a full disk, for example
            raise _cannot_write(target, error) from error


def write_tensor(
    target: str | Path, name: str, parts: Iterable[Tensor], shape: tuple[int, ...], kind: dtype
) -> None:
    """Write one tensor as safetensors, whole or not at all, from parts: it is never in memory.

    kind: float32, float16 or int8.
    """
    short = {"torch.float32": "F32", "torch.float16": "F16", "torch.int8": "I8"}[str(kind)]
    size = math.prod(shape) * kind.itemsize
    entry = {"dtype": short, "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({name: entry}).encode()
    header += b" " * (-len(header) % 8)
    with atomic_path(target) as path, path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for part in parts:
            part.detach().cpu().contiguous().to(kind).numpy().tofile(file)


def read_json(path: str | Path) -> Any:
    """Read JSON. Raises WsacError when the file is missing or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise WsacError(f"{path}: cannot read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise WsacError(f"{path}: not valid JSON ({error})") from error
