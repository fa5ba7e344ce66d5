"""A captioner's folder on disk. This module alone reads and writes its ``captioner.json``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from wsac.arrays import WITH_TORCH, Tensor
from wsac.bridges.gap import Gap
from wsac.bridges.memory import SupportMemory
from wsac.clap import ClapEncoder, load_clap
from wsac.clap.loading import WAYS
from wsac.decoder import build
from wsac.decoder.generation import Words
from wsac.decoder.onnx_decoder import OnnxDecoder
from wsac.io.checked_json import FILES, check_file, check_record, copy_graphs, write_record
from wsac.io.console import say
from wsac.io.files import COMMIT, atomic_update, read_json, settle
from wsac.io.locks import one_at_a_time
from wsac.io.tensors import checksum_of, read_tensors, write_tensors
from wsac.runtime.device import pick_device
from wsac.runtime.onnx_session import NO_GRAPHS
from wsac.types import ModelError, RecipeError

from .caption_options import CaptionOptions
from .captioner_folder import BUNDLED_CAPTIONER as BUNDLED_CAPTIONER
from .captioner_folder import check_captioner, published
from .confidence import FEATURES, Calibration
from .hub_captioner import CARD, GRAPHS, PARTS, WORDS, fetch_captioner
from .prompts import Prompter, PromptSettings

if TYPE_CHECKING:
    from .captioner import Captioner

FORMAT = 1
FREE = ("clap", "decoder.model")  # places in captioner.json, which people change by hand
BROKEN = (LookupError, TypeError, ValueError, AttributeError, OSError, RuntimeError)


class Card(BaseModel):
    """``captioner.json``. Other keys are facts of the training, such as ``validation_loss``.

    clap: pocket, ``clap`` (saved in the folder), or the name or path of a public one. decoder: its
    kind and sizes. options: CaptionOptions as a flat table. trained: the training bridge.
    """

    version: Literal[1]
    clap: str
    clap_fingerprint: str
    decoder: dict[str, Any]
    options: dict[str, Any]
    memory_entries: int = Field(ge=0)
    trained: str
    prompt: PromptSettings | None = None
    confidence: Calibration | None = None


def save(
    captioner: Captioner, folder: Path, half: bool, memory_precision: str, notes: dict[str, Any]
) -> None:
    """Write a captioner, as ``Captioner.save`` explains; all files take their places at once."""
    with atomic_update(folder, whole=PARTS) as part:
        _write(captioner, part, half, memory_precision, notes)


def _write(
    captioner: Captioner, folder: Path, half: bool, memory_precision: str, notes: dict[str, Any]
) -> None:
    clap, memory, decoder = captioner.clap, captioner.memory, captioner.decoder
    state = decoder.state_dict()
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    write_tensors(folder / "decoder.safetensors", state)
    sizes = {"kind": decoder.kind, **decoder.config}
    copy_graphs(GRAPHS, BUNDLED_CAPTIONER / CARD, "decoder", sizes, folder)
    captioner.tokenizer.save(folder / "tokenizer.json")
    if captioner.words is not None:
        captioner.words.save(folder / WORDS)
    if memory is not None:
        memory.save(folder / "memory.safetensors", memory_precision)
    if captioner.gap is not None:
        captioner.gap.save(folder / "gap.safetensors")
    built_in = clap.fingerprint == _bundled_fingerprint()
    if not built_in and not clap.source:
        clap.save(folder / "clap")
    card: dict[str, Any] = {
        "version": FORMAT,
        "clap": "pocket" if built_in else clap.source or "clap",
        "clap_fingerprint": clap.fingerprint,
        "decoder": sizes,
        "options": captioner.options.to_dict(),
        "memory_entries": 0 if memory is None else len(memory),
        "trained": captioner.trained,
    }
    if captioner.prompter is not None:
        card["prompt"] = asdict(captioner.prompter.settings)
    if captioner.calibration is not None:
        card["confidence"] = asdict(captioner.calibration)
    sums = {name: checksum_of(folder / name) for name in PARTS if (folder / name).is_file()}
    write_record(folder / CARD, card | notes, sums, FREE)


def load(name: str | Path, moved_clap: str | Path | None, device: str) -> dict[str, Any]:
    """The arguments of a Captioner, read from its folder. Raises ModelError."""
    folder = check_captioner(name)
    device = pick_device(device)
    before = _stamp(folder)
    try:
        parts = _read(folder, moved_clap, device)
        if _stamp(folder) == before:
            return parts
    except ModelError:
        if _stamp(folder) == before:
            raise
    with one_at_a_time(folder):  # it was saved meanwhile; now nobody can
        return _read(folder, moved_clap, device)


def newest(name: str | Path, revision: str | None) -> str:
    """The name of a captioner with its revision; on the Hub it is looked for again.

    Raises ModelError for the revision of a folder.
    """
    fetch_captioner.cache_clear()
    if revision and not published(name):
        raise ModelError(f"{name}: a folder has no revision {revision}; leave it out")
    return f"{name}@{revision}" if revision else str(name)


def _stamp(folder: Path) -> tuple[int, ...]:
    """The same before and after a reading only if no file was replaced: the card is the last."""
    card = (folder / CARD).stat()
    return time.monotonic_ns() if (folder / COMMIT).is_dir() else 0, card.st_ino, card.st_mtime_ns


def _read(folder: Path, moved_clap: str | Path | None, device: str) -> dict[str, Any]:
    from safetensors import SafetensorError

    raw = read_json(folder / CARD)
    version = raw.get("version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version != FORMAT:
        reads = f"this wsac reads format {FORMAT}; install the wsac that wrote it"
        raise ModelError(f"{folder}: a captioner of format {version}, but {reads}")
    try:
        card = Card.model_validate(_without_old_confidence(folder, raw))
        return _parts(folder, raw, card, moved_clap, device)
    except (*BROKEN, SafetensorError) as error:
        reason = " ".join(map(str.strip, str(error).split("\n")[:3]))
        raise ModelError(f"{folder}: not a captioner of this version ({reason})") from error


def _without_old_confidence(folder: Path, raw: Any) -> Any:
    """The card without a confidence that was fitted on the features of another version."""
    confidence = raw.get("confidence") if isinstance(raw, dict) else None
    features = confidence.get("features") if isinstance(confidence, dict) else None
    if isinstance(features, list) and features != list(FEATURES):
        say(f"note: {folder}: the confidence is of an older wsac; run wsac calibrate")
        return raw | {"confidence": None}
    return raw


def _parts(
    folder: Path, raw: dict[str, Any], card: Card, moved_clap: str | Path | None, device: str
) -> dict[str, Any]:
    sums = raw.get(FILES)

    def path_of(name: str) -> tuple[Path, str | None]:
        """A part and the checksum that it must have; None in a folder of an older wsac."""
        return folder / name, None if sums is None else sums.get(name, "none")

    clap = _load_clap(folder, card.clap, moved_clap, device)
    if clap.fingerprint != card.clap_fingerprint:
        differ = f"trained with CLAP {card.clap_fingerprint}, but this is {clap.fingerprint}"
        raise ModelError(f"{folder}: {differ}; give the CLAP of the training as --clap")
    config, options = dict(card.decoder), dict(card.options)
    options.pop("compiled", None)  # of an older captioner.json
    if options.get("precision") == "int8":
        say("note: precision int8 is gone; this captioner now writes in float32")
        options["precision"] = "float32"
    for name in set(GRAPHS) & (sums or {}).keys():
        check_file(folder / name, raw)
    state = read_tensors(*path_of("decoder.safetensors"))[0]
    decoder = _decoder(folder, config.pop("kind"), config, state).to(device)
    check_file(folder / "tokenizer.json", raw)
    tokenizer = decoder.read_tokenizer(folder / "tokenizer.json")
    words = None
    if WORDS in sums if sums is not None else (folder / WORDS).is_file():
        check_file(folder / WORDS, raw)
        words = Words.load(folder / WORDS, tokenizer)
    memory, gap = None, None
    if card.memory_entries:
        memory = SupportMemory.load(*path_of("memory.safetensors"))
    gap_file, checksum = path_of("gap.safetensors")
    if gap_file.is_file() if sums is None else "gap.safetensors" in sums:
        gap = Gap.load(gap_file, fingerprint=clap.fingerprint, checksum=checksum)
    prompter = None
    if card.prompt is not None:  # captions are the rows of the memory, labels are embedded again
        phrases = memory
        if card.prompt.labels:
            phrases = SupportMemory(clap.embed_text(card.prompt.phrases))
        if phrases is None:
            raise ValueError("prompts of captions, and no support memory")
        settings = asdict(card.prompt)
        prompter = Prompter.make(embeddings=phrases, tokenizer=tokenizer, **settings)
    caption_options = CaptionOptions.make(**options)
    check_record(folder / CARD, raw)
    return {
        "clap": clap,
        "decoder": decoder,
        "tokenizer": tokenizer,
        "memory": memory,
        "options": caption_options,
        "calibration": card.confidence,
        "gap": gap,
        "trained": card.trained,
        "prompter": prompter,
        "words": words,
    }


def _decoder(folder: Path, kind: str, config: dict[str, Any], state: dict[str, Tensor]) -> Any:
    if WITH_TORCH or kind != OnnxDecoder.kind:
        decoder: Any = build(kind, config, {name: tuple(x.shape) for name, x in state.items()})
        decoder.load_state_dict(state)
        return decoder
    if not (folder / GRAPHS[0]).is_file():
        raise ModelError(f"{folder}: {NO_GRAPHS}")
    return OnnxDecoder(folder, config, {name: value.float() for name, value in state.items()})


def _load_clap(folder: Path, name: str, moved: str | Path | None, device: str) -> ClapEncoder:
    if moved is not None:  # "#raw" and the like stay those of the training
        ways = "" if "#" in str(moved) else "".join(f"#{way}" for way in WAYS if f"#{way}" in name)
        return load_clap(f"{moved}{ways}", device=device)
    own = folder / "clap"  # a public one lies there where it has graphs
    light = not WITH_TORCH and name != "pocket" and (own / "clap.json").is_file()
    try:
        return load_clap(own if light or name == "clap" else name, device=device)
    except ModelError as error:
        if name in ("clap", "pocket"):
            raise
        remedy = f"{folder} was trained with {name}; if it has moved, give --clap"
        raise ModelError(f"{error}; {remedy}") from error


@lru_cache(maxsize=1)
def _bundled_fingerprint() -> str:
    try:
        return load_clap("pocket").fingerprint
    except ModelError:  # while the bundled model itself is being made
        return ""


def decoder_checksum(folder: str | Path) -> str:
    """What tells the captioners apart that a folder holds one after the other; "" of none."""
    settle(Path(folder))
    weights = Path(folder) / "decoder.safetensors"
    return checksum_of(weights) if weights.is_file() else ""


def set_default_options(
    folder: str | Path, options: CaptionOptions, gap: Gap | None = None, *, of: str = ""
) -> None:
    """Change how a folder's captioner captions by default. gap: saved along, for its bridge.

    of: its ``decoder_checksum``. Raises ModelError if the folder holds another captioner by now.
    """
    parts = {} if gap is None else {"gap.safetensors": gap.save}
    _update(folder, parts, of, options=options.to_dict())


def set_calibration(folder: str | Path, calibration: Calibration, *, of: str = "") -> None:
    """Save the confidence of the captioner of a folder; ``of`` as in ``set_default_options``."""
    _update(folder, {}, of, confidence=asdict(calibration))


def set_words(folder: str | Path, captions: Sequence[str]) -> int:
    """Let the captioner of a folder write only words of the captions of its training.

    For one of an older wsac; training does it by itself. Returns the number of words. Raises
    RecipeError where any words may be written (``Words.of``).
    """
    checksum = decoder_checksum(folder)
    words = Words.of(captions, load(folder, None, "cpu")["tokenizer"])
    if words is None:
        reason = "a foreign vocabulary, or captions without sentences of words"
        raise RecipeError(f"{folder}: {reason}; it goes on to write any words")
    _update(folder, {WORDS: words.save}, checksum)
    return len(words.words)


Saved = Mapping[str, Callable[[Path], object]]  # names of parts, and what writes each


def _update(folder: str | Path, parts: Saved, of: str, **changes: Any) -> None:
    folder = Path(folder)

    def write_card(part: Path) -> None:
        raw = read_json(folder / CARD)
        check_record(folder / CARD, raw)
        if of and of != checksum_of(folder / "decoder.safetensors"):
            what = "another captioner was saved here meanwhile; give the same command again"
            raise ModelError(f"{folder}: {what}")
        here = [name for name in PARTS if (folder / name).is_file()]
        sums = raw.get(FILES) or {name: checksum_of(folder / name) for name in here}
        sums = sums | {name: checksum_of(part / name) for name in parts}
        write_record(part / CARD, raw | changes, sums, FREE)

    with atomic_update(folder, last=write_card) as part:
        for name, save_to in parts.items():
            save_to(part / name)


def unfinished(folder: Path) -> str:
    """Where a run stopped before its end, such as ``step 200 of 800``; "" for any other folder."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
            meta = json.loads(file.metadata()["meta"])
            return "" if meta["over"] else f"step {meta['step']:,} of {meta['total']:,}"
    except (OSError, SafetensorError, TypeError, KeyError, ValueError):  # not a run's checkpoint
        return ""


def note_unfinished(model: str | Path, more: str = "") -> None:
    """Say on stderr when the folder of a captioner belongs to a run that stopped before its end."""
    if stopped := unfinished(Path(model)):
        run = f"{model} belongs to an unfinished run, its checkpoint is {stopped}"
        say(f"note: {run}; wsac train resumes it{more}")
