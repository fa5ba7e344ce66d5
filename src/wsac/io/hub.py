"""Files that come from elsewhere: from the Hub into its cache, or from one address; whole, checked, explained."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
    """One file of a repository on the Hub, downloaded or from the Hub's cache (HF_HOME), checked against its SHA-256.

    Downloads are resumed. offline, or HF_HUB_OFFLINE: only the cache. Raises ModelError for what is not there or not
    whole, and MissingFileError when the repository is there without the file.
    """
    from huggingface_hub import hf_hub_download

    offline = offline or not _reachable()
    with _explained(repo, name, revision, offline):
        path = Path(hf_hub_download(repo, name, revision=revision, local_files_only=offline))
    _check(path)
    return path


def hub_folder(
    repo: str,
    files: Sequence[str | tuple[str, ...]],
    revision: str | None = None,
    *,
    offline: bool = False,
) -> Path:
    """The folder that holds the named files of one commit: that of the first.

    A tuple names files of which the first that exists is taken; with "" at its end, none need be there.
    """
    first, *others = files
    found = hub_file(repo, str(first), revision, offline=offline)
    folder = found.parents[str(first).count("/")]
    for names in others:
        names = (names,) if isinstance(names, str) else names
        for name in filter(None, names):
            try:
                hub_file(repo, name, folder.name, offline=offline)
                break
            except MissingFileError:
                if name == names[-1]:
                    raise
    return folder


def download(url: str, target: Path, sha256: str, *, offline: bool = False) -> Path:
    """A file from an address outside the Hub, kept at ``target``: downloaded once, whole or absent, and checked.

    Raises ModelError when it cannot be had, or is not the published one.
    """
    if not target.is_file():
        if offline:
            raise ModelError(
                f"{target.name}: not in the cache; connect, or get {url} by hand and give its path"
            )
        say(f"{target.name}: from {url}")
        found = hashlib.sha256()
        with atomic_path(target) as path, path.open("wb") as file:
            for block in _blocks(url):
                found.update(block)
                file.write(block)
            if found.hexdigest() != sha256:
                raise ModelError(
                    f"{url}: what came is not the published file (SHA-256); give the command again"
                )
    elif _sha256(target) != sha256:
        raise ModelError(
            f"{target}: its SHA-256 is not the published one; delete it and give the command again"
        )
    return target


def _blocks(url: str) -> Iterator[bytes]:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=60) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            with progress("download", size, unit="bytes") as tick:
                while block := answer.read(1 << 20):
                    yield block
                    tick(len(block))
    except (OSError, HTTPException) as error:  # URLError is an OSError
        raise ModelError(
            f"{url}: cannot be downloaded ({error}); get it by hand and give its path"
        ) from error


def _reachable() -> bool:
    """Whether the Hub answers at all; its library would try for half a minute. With a proxy that is left to it."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or getproxies():
        return True  # it knows what to do
    place = urlsplit(constants.ENDPOINT)
    return _answers(place.hostname or "", place.port or (80 if place.scheme == "http" else 443))


@lru_cache
def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=10):
            return True
    except OSError:
        return False


def _check(path: Path) -> None:
    """The Hub's cache names large files by their SHA-256: it must be theirs. A stamp beside it saves the next time."""
    blob = path.resolve()
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return
    stamp = blob.with_name(blob.name + ".checked")
    facts = f"{blob.stat().st_size} {blob.stat().st_mtime_ns}"
    if stamp.is_file() and stamp.read_text() == facts:
        return
    if _sha256(blob) != blob.name:
        blob.unlink()
        raise ModelError(
            f"{path}: its SHA-256 is not the published one; the download was damaged and is deleted, "
            "give the command again"
        )
    with suppress(OSError):  # a cache that others own: it is checked again the next time
        stamp.write_text(facts)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            found.update(block)
    return found.hexdigest()


class _explained:  # noqa: N801  a context manager, used like a function
    """Turn what the Hub's library raises into one line with the remedy."""

    def __init__(self, repo: str, name: str, revision: str | None, offline: bool) -> None:
        self.repo, self.name, self.revision, self.offline = repo, name, revision, offline
        self.what = f"{repo}/{name}"

    def __enter__(self) -> None:
        place = (
            "looked for in the cache of the Hub" if self.offline else "from the Hub, or its cache"
        )
        say(f"{self.what}: {place}")

    def __exit__(self, kind, error, trace) -> None:  # type: ignore[no-untyped-def]
        from huggingface_hub import errors

        if error is None:
            return
        reason = (str(error).strip().splitlines() or [kind.__name__])[0][:200]
        if isinstance(error, errors.LocalEntryNotFoundError):
            if self._known_missing():
                raise MissingFileError(f"{self.what}: not on the Hub") from error
            raise ModelError(
                f"{self.what}: not in the cache, and the Hub cannot be reached; connect, or copy the "
                "files here and give their path"
            ) from error
        if isinstance(error, errors.GatedRepoError):
            raise ModelError(
                f"{self.what}: behind a form on the Hub; accept it there, then: hf auth login"
            ) from error
        if isinstance(error, errors.RevisionNotFoundError):
            raise ModelError(
                f"{self.what}: no such revision on the Hub; check what follows the @"
            ) from error
        if isinstance(error, (errors.RepositoryNotFoundError, errors.EntryNotFoundError)):
            raise MissingFileError(
                f"{self.what}: not on the Hub; check the name, or sign in: hf auth login"
            ) from error
        if isinstance(error, (errors.HfHubHTTPError, OSError, RuntimeError, ValueError)):
            raise ModelError(
                f"{self.what}: the download failed ({reason}); the same command goes on with it"
            ) from error

    def _known_missing(self) -> bool:
        """Whether the cache remembers that this commit has no such file, which needs no connection."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repo, self.name, revision=self.revision)
        return not (found is None or isinstance(found, str))  # the library has a mark for it
