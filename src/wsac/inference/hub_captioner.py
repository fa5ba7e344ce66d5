"""A captioner from the Hub: the files that its card lists, of one commit, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from wsac.io.files import read_json
from wsac.io.hub import MissingFileError, hub_file
from wsac.types import ModelError, WsacError

CARD = "captioner.json"
WORDS = "words.txt"
GRAPHS = ("prefill.onnx", "step.onnx")  # where they have been written
PARTS = (
    *("decoder.safetensors", "tokenizer.json", WORDS, "memory.safetensors", "gap.safetensors"),
    *GRAPHS,
)
CLAP_PARTS = ("clap.safetensors", "tokenizer.json", "audio.onnx", "text.onnx")
# bytes: more is no captioner. A vocabulary of a language model has some 20 MB, its weights 16 GB
MOST_TEXT, MOST_WEIGHTS = 128_000_000, 64_000_000_000


@lru_cache
def fetch_captioner(repo: str, revision: str | None = None) -> Path:
    """The folder of a captioner in the cache of the Hub, downloaded once in a process.

    revision: a commit, tag or branch; default: the branch main. All files are of the commit of the
    first. Only safetensors, JSON and text are asked for, by name, and each is compared with its
    checksum on the Hub, later also with that in the card. Raises ModelError.
    """
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        card = hub_file(repo, CARD, revision, most_bytes=MOST_TEXT)
    except MissingFileError as error:
        if isinstance(error.__cause__, RemoteEntryNotFoundError):
            what = f"no captioner, since it has no {CARD}; check the name"
            raise ModelError(f"{repo}: {what}") from error
        raise
    folder = card.parent
    for name in files_of(repo, card):
        most = MOST_WEIGHTS if name.endswith(".safetensors") else MOST_TEXT
        hub_file(repo, name, folder.name, most_bytes=most)
    return folder


def files_of(repo: str, card: Path) -> Iterator[str]:
    """The files of a captioner beside its card; those of its own CLAP once ``clap/clap.json`` is
    there. Raises ModelError for another kind of card.
    """
    yield from _listed(repo, card, PARTS)
    if read_json(card).get("clap") == "clap":
        yield "clap/clap.json"
        clap = card.with_name("clap") / "clap.json"
        yield from (f"clap/{name}" for name in _listed(repo, clap, CLAP_PARTS))


def _listed(repo: str, card: Path, parts: tuple[str, ...]) -> list[str]:
    from wsac.io.checked_json import FILES

    try:
        sums = read_json(card)[FILES].keys()
        return [name for name in parts if name in sums]
    except (WsacError, LookupError, TypeError, AttributeError) as error:
        what = f"its {card.name} is none of a captioner of this version"
        raise ModelError(f"{repo}: {what}; ask its author to push it again") from error
