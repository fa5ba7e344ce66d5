"""Downloads from the Hub or from one address: whole, checked, errors explained in one line."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from wsac.types import ModelError

from .console import progress, say
from .files import atomic_path

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class MissingFileError(ModelError):
    """A file that its repository does not have."""


def hub_file(repo: str, name: str, revision: str | None = None, *, offline: bool = False) -> Path:
    """One file of a repository on the Hub, or from its cache (HF_HOME), with its SHA-256 checked.

    Downloads are resumed. offline, or HF_HUB_OFFLINE: only the cache. Raises MissingFileError when
    the repository does not have the file, ModelError for everything else.
    """
    from huggingface_hub import hf_hub_download

    offline = offline or not _hub_answers()
    where = "looked for in the cache of the Hub" if offline else "from the Hub, or its cache"
    say(f"{repo}/{name}: {where}")
    with _explain(repo, name, revision):
        path = Path(hf_hub_download(repo, name, revision=revision, local_files_only=offline))
    _verify(path)
    return path


def hub_folder(
    repo: str,
    files: Sequence[str | tuple[str, ...]],
    revision: str | None = None,
    *,
    offline: bool = False,
) -> Path:
    """The folder with the named files of one commit, that of the first.

    A tuple names alternatives, the best first; with "" at its end the file is optional.
    """
    first, *others = files
    path = hub_file(repo, str(first), revision, offline=offline)
    folder = path.parents[str(first).count("/")]
    for names in others:
        for name in filter(None, alternatives := (names,) if isinstance(names, str) else names):
            try:
                hub_file(repo, name, folder.name, offline=offline)
                break
            except MissingFileError:
                if name == alternatives[-1]:
                    raise
    return folder


def download(url: str, target: Path, sha256: str, *, offline: bool = False) -> Path:
    """A file from an address outside the Hub, stored at ``target`` once, and checked.

    Raises ModelError when it cannot be downloaded, or is not the published one.
    """
    if target.is_file():
        if _sha256(target) != sha256:
            what = "its SHA-256 is not the published one; delete it and give the command again"
            raise ModelError(f"{target}: {what}")
        return target
    if offline:
        what = f"not in the cache; connect, or get {url} by hand and give its path"
        raise ModelError(f"{target.name}: {what}")
    say(f"{target.name}: from {url}")
    with atomic_path(target) as path:
        _fetch(url, path)
        if _sha256(path) != sha256:
            what = "the download is not the published file (SHA-256); give the command again"
            raise ModelError(f"{url}: {what}")
    return target


def _fetch(url: str, path: Path) -> None:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=60) as answer, path.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            with progress("download", size, unit="bytes") as tick:
                while block := answer.read(1 << 20):
                    tick(file.write(block))
    except (OSError, HTTPException) as error:  # URLError is an OSError
        what = f"cannot be downloaded ({error}); get it by hand and give its path"
        raise ModelError(f"{url}: {what}") from error


@lru_cache
def _hub_answers() -> bool:
    """Whether the Hub answers. huggingface_hub retries for 24 s per file, whatever its timeouts.

    Behind a proxy, or offline by HF_HUB_OFFLINE, the library decides.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or getproxies():
        return True
    place = urlsplit(constants.ENDPOINT)
    port = place.port or (80 if place.scheme == "http" else 443)
    with suppress(OSError), socket.create_connection((place.hostname or "", port), timeout=10):
        return True
    return False


def _verify(path: Path) -> None:
    """Check a large file against its name in the Hub's cache, its SHA-256, once: a stamp says
    so."""
    blob = path.resolve()
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return
    stamp = blob.with_name(blob.name + ".checked")
    state = f"{blob.stat().st_size} {blob.stat().st_mtime_ns}"
    if stamp.is_file() and stamp.read_text() == state:
        return
    if _sha256(blob) != blob.name:
        blob.unlink()
        what = "its SHA-256 is not the published one; the download was damaged and is deleted"
        raise ModelError(f"{path}: {what}, give the command again")
    with suppress(OSError):  # a cache that others own is checked again the next time
        stamp.write_text(state)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _explain(repo: str, name: str, revision: str | None) -> Iterator[None]:
    """Turn the exceptions of huggingface_hub into one line with the remedy."""
    from huggingface_hub import errors, try_to_load_from_cache

    kind: type[ModelError] = ModelError
    try:
        yield
        return
    except errors.LocalEntryNotFoundError as error:
        cause: Exception = error
        if not isinstance(try_to_load_from_cache(repo, name, revision=revision), str | None):
            kind, what = MissingFileError, "not on the Hub"  # the cache remembers that
        else:
            remedy = "connect, or copy the files here and give their path"
            what = f"not in the cache, and the Hub cannot be reached; {remedy}"
    except errors.GatedRepoError as error:
        cause, what = error, "behind a form on the Hub; accept it there, then: hf auth login"
    except errors.RevisionNotFoundError as error:
        cause, what = error, "no such revision on the Hub; check what follows the @"
    except (errors.RepositoryNotFoundError, errors.EntryNotFoundError) as error:
        remedy = "check the name, or sign in: hf auth login"
        cause, kind, what = error, MissingFileError, f"not on the Hub; {remedy}"
    except (errors.HfHubHTTPError, OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        remedy = "the same command resumes it"
        cause, what = error, f"the download failed ({reason}); {remedy}"
    raise kind(f"{repo}/{name}: {what}") from cause
