"""Downloads from the Hub: whole, checked, errors explained in one line."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from wsac.types import ModelError, first_line

from .console import say
from .mirrors import digest_of

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ON_THE_HUB = re.compile(r"hf:/{1,2}(?=[^/])")  # Path takes one of the two slashes away
REFUSED = "the Hub refuses this; sign in with an account that may: hf auth login, or set HF_TOKEN"


class MissingFileError(ModelError):
    """A file that its repository does not have."""


def hub_address(name: str | Path) -> str:
    """``owner/model`` of ``hf://owner/model``, perhaps with ``@revision``; "" of other names.

    Raises ModelError for hf:// with anything else behind it.
    """
    if not (mark := ON_THE_HUB.match(str(name))):
        return ""
    address = str(name)[mark.end() :]
    if not HUB_ID.fullmatch(address.partition("@")[0]):
        raise ModelError(f"{name}: not a repository; give hf://owner/name, or with @revision")
    return address


def hub_file(
    repo: str,
    name: str,
    revision: str | None = None,
    *,
    offline: bool = False,
    kind: str = "model",
    most_bytes: int = 0,
) -> Path:
    """One file of a repository on the Hub, or from its cache (HF_HOME), with its checksum checked.

    Downloads are resumed. offline, or HF_HUB_OFFLINE: only the cache. kind: "model" or "dataset".
    most_bytes: a larger file is refused before it is downloaded; 0 for no limit. A token comes from
    where huggingface_hub has it: HF_TOKEN, or hf auth login.
    Raises MissingFileError when the repository does not have the file, ModelError for everything
    else.
    """
    from huggingface_hub import hf_hub_download

    offline = offline or not hub_answers()
    where = "looked for in the cache of the Hub" if offline else "from the Hub, or its cache"
    say(f"{repo}/{name}: {where}")
    where_from: dict[str, Any] = {"revision": revision, "repo_type": kind}
    if most_bytes and not offline:
        _check_size(repo, name, where_from, most_bytes)
    with _explain(repo, name, where_from):
        path = Path(hf_hub_download(repo, name, local_files_only=offline, **where_from))
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


@lru_cache
def hub_answers() -> bool:
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


def _check_size(repo: str, name: str, where_from: dict[str, Any], most_bytes: int) -> None:
    """Raises ModelError for a file that is too large; whatever else is wrong, the download says."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(repo, name, **where_from), str):
        return
    size = None
    with suppress(Exception):  # the libraries below have no common error
        size = get_hf_file_metadata(hf_hub_url(repo, name, **where_from)).size
    if size is not None and size > most_bytes:
        sizes = f"{size / 1e6:,.0f} MB, and at most {most_bytes / 1e6:,.0f} MB are expected"
        raise ModelError(f"{repo}/{name}: {sizes}; it is not downloaded")


def _verify(path: Path) -> None:
    """Check a file against its name in the Hub's cache, once: a stamp says so.

    That is the SHA-256 of a large file, and of a small one the name that git gives it.
    """
    blob = path.resolve()
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob.name):
        return
    kind = "sha256" if len(blob.name) == 64 else "git"
    stamp = blob.with_name(blob.name + ".checked")
    state = f"{blob.stat().st_size} {blob.stat().st_mtime_ns}"
    if stamp.is_file() and stamp.read_text() == state:
        return
    if digest_of(blob, kind) != blob.name:
        blob.unlink()
        name = "SHA-256" if kind == "sha256" else "checksum"
        what = f"its {name} is not the published one; the download was damaged and is deleted"
        raise ModelError(f"{path}: {what}, give the command again")
    with suppress(OSError):  # a cache that others own is checked again the next time
        stamp.write_text(state)


@contextmanager
def _explain(repo: str, name: str, where_from: dict[str, Any]) -> Iterator[None]:
    """Turn the exceptions of huggingface_hub into one line with the remedy."""
    from huggingface_hub import errors, try_to_load_from_cache

    kind: type[ModelError] = ModelError
    try:
        yield
        return
    except errors.LocalEntryNotFoundError as error:
        cause: Exception = error
        if refusal(error.__cause__):
            what = REFUSED
        elif not isinstance(try_to_load_from_cache(repo, name, **where_from), str | None):
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
        remedy = "the same command resumes it"
        cause, what = error, f"the download failed ({first_line(error)}); {remedy}"
        if refusal(error):
            what = REFUSED
    raise kind(f"{repo}/{name}: {what}") from cause


def refusal(error: BaseException | None) -> bool:
    """Whether the Hub answered that this account, or nobody without one, may do this."""
    return getattr(getattr(error, "response", None), "status_code", 0) in (401, 403)
