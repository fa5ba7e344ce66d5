"""A captioner to the Hub: its files and a model card, in one commit."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsac.clap.public.catalog import CATALOG
from wsac.io.console import say
from wsac.io.files import read_json
from wsac.io.hub import HUB_ID, hub_address, hub_answers, refusal
from wsac.io.json_text import to_json
from wsac.types import ModelError, first_line

from .hub_captioner import CARD, fetch_captioner, files_of
from .model_card import model_card, read_scores

if TYPE_CHECKING:
    from .captioner import Captioner

README = "README.md"


def push_captioner(captioner: Captioner, repo: str, **facts: Any) -> str:
    """Publish a captioner in memory; ``facts`` as of ``push_folder``."""
    check_repo(repo)
    with tempfile.TemporaryDirectory(prefix="wsac-push-") as folder:
        captioner.save(folder)
        return push_folder(Path(folder), repo, **facts)


def push_folder(
    folder: Path,
    repo: str,
    *,
    clap: str = "",
    licence: str = "",
    data: str = "",
    scores: Sequence[str | Path] = (),
    private: bool = False,
) -> str:
    """Publish the captioner of a folder and return the address of the commit.

    Its files and a README.md are one commit, so readers see all of it or nothing. The README.md of
    the folder is taken as it is; without one a model card is written. Evaluations that lie in the
    folder are its figures, and ``scores``. clap: what others load as its CLAP, where the card names
    a folder of this machine. The token is that of huggingface_hub (HF_TOKEN, hf auth login).
    Raises ModelError, and nothing was changed then, but that the repository may be new and empty.
    """
    repo = check_repo(repo)
    files = {name: folder / name for name in files_of(str(folder), folder / CARD)}
    card = read_json(folder / CARD)
    if clap:
        card = card | {"clap": clap}
    _check_places(folder, card)
    own = sorted(folder.glob("*.json"))
    figures = read_scores(own, strict=False) + read_scores(scores)
    text = (folder / README).read_text("utf-8") if (folder / README).is_file() else ""
    if not text:
        data = data or _captions_of(folder)
        text = model_card(repo, card, licence=licence, data=data, scores=figures)
    if (card.get("prompt") or {}).get("phrases"):
        say(f"note: {CARD} holds the captions of its prompts, which are published, too")
    content: dict[str, str | bytes] = {name: str(path) for name, path in files.items()}
    content |= {CARD: (to_json(card, indent=2) + "\n").encode(), README: text.encode()}
    size = sum(path.stat().st_size for path in files.values())
    say(f"{repo}: {len(content)} files, {size / 1e6:.1f} MB to the Hub")
    with _explained(repo):
        address = _commit(repo, content, private)
    fetch_captioner.cache_clear()
    return address


def check_repo(repo: str) -> str:
    """``owner/name`` of a repository. Raises ModelError for another name, and where nothing can be
    uploaded."""
    from huggingface_hub import constants, get_token

    address = hub_address(repo) or repo
    if not HUB_ID.fullmatch(address):
        raise ModelError(f"{repo}: not a repository; give owner/name")
    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"{repo}: HF_HUB_OFFLINE forbids uploads; unset it")
    if not get_token():
        what = "nobody is signed in; hf auth login, or set HF_TOKEN to a token that may write"
        raise ModelError(f"{repo}: {what}")
    if not hub_answers():
        raise ModelError(f"{repo}: the Hub cannot be reached; connect and give the command again")
    return address


def _check_places(folder: Path, card: dict[str, Any]) -> None:
    """Raises ModelError where a captioner needs a folder that only this machine has."""
    clap = str(card["clap"]).partition("#")[0].partition("@")[0]
    if clap not in ("pocket", "clap", *CATALOG) and not _is_repo(clap):
        remedy = "name one that others can load: --clap owner/name, or a name of wsac clap list"
        raise ModelError(f"{folder}: its CLAP is a place on this machine, {clap}; {remedy}")
    model = str(card["decoder"].get("model") or "").partition("@")[0]
    if model and not _is_repo(model):
        remedy = f"put that model on the Hub, and write owner/name as decoder.model in {CARD}"
        raise ModelError(f"{folder}: its decoder needs {model}, on this machine; {remedy}")


def _is_repo(name: str) -> bool:
    return bool(HUB_ID.fullmatch(name)) and not name.startswith((".", "~"))


def _captions_of(folder: Path) -> str:
    """The names of the caption files of a run, without their folders."""
    try:
        recipe = tomllib.loads((folder / "recipe.toml").read_text("utf-8"))
        names = [Path(name).name for name in recipe["corpus"]["captions"]]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return "Captions of " + ", ".join(f"`{name}`" for name in names) + "." if names else ""


def _commit(repo: str, content: dict[str, str | bytes], private: bool) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(library_name="wsac")
    api.create_repo(repo, private=private, exist_ok=True)
    files = [CommitOperationAdd(name, value) for name, value in content.items()]
    done = api.create_commit(repo, files, commit_message="A captioner of wsac")
    return str(done.commit_url)


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """Turn what the Hub's library raises into one line with the remedy."""
    try:
        yield
    except Exception as error:  # it and the libraries below have no common error
        what = f"the upload failed ({first_line(error)}); nothing was changed, try again"
        if refusal(error) or refusal(error.__cause__):
            make = "https://huggingface.co/settings/tokens makes one that may"
            what = f"the Hub refuses: the token may not write here; {make}"
        raise ModelError(f"{repo}: {what}") from error
