"""Caption files that are no tables: JSON in several layouts, JSON lines, YAML and subtitles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .columns import SCORES, caption_columns, is_column
from .faults import Faults, row_fault
from .text_file import corpus_error

DEEPEST = 50  # levels of YAML
_CUE = re.compile(r"-->[^\n]*\n(.*?)(?:\n[ \t]*\n|\Z)", re.S)
_MARKUP = re.compile(r"<[^>\n]*>|\{\\[^}\n]*\}")


def json_lines(
    path: str | Path, lines: Iterator[str], faults: Faults | None
) -> Iterator[tuple[str, Any]]:
    """A value per line. A line that is no JSON is a row at fault, or an error in strict reading."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = _parse(line.rstrip("\r\n"), faults is not None and faults.strict)
        except ValueError as error:
            what, remedy = _explain(error)
            remedy = remedy and "correct it, or give the format text if these lines are captions"
            collect = None if faults is None or faults.strict else faults
            row_fault(collect, path, what, remedy or "correct it", f"line {number}")
            continue
        yield f"line {number}", lower_keys(value)


def json_document(
    path: str | Path, text: str, format: str, strict: bool, column: str | None = None
) -> tuple[list[Any], dict[str, str]]:
    """Records and COCO's file names by image; see ``records_of``."""
    try:
        value = _parse(text, strict)
    except json.JSONDecodeError as error:
        what = "; ".join(_explain(error))
        raise corpus_error(path, what, f"line {error.lineno}") from error
    except ValueError as error:
        raise corpus_error(path, f"{_explain(error)[0]}; correct it") from error
    return records_of(path, value, format, column)


def yaml_document(path: str | Path, text: str) -> tuple[list[Any], dict[str, str]]:
    """Records of YAML, such as that of MACS; every value is read as text."""
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise corpus_error(path, "YAML with an alias (*name); write the value in full")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise corpus_error(path, "YAML nested too deep; correct it")
        value = yaml.load(text, Loader=loader)  # BaseLoader makes texts, lists and mappings only
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)[:100]
        remedy = "correct it, or give the format text if these lines are captions"
        place = f"line {mark.line + 1}" if mark else ""
        raise corpus_error(path, f"not valid YAML ({reason}); {remedy}", place) from error
    return records_of(path, value, "yaml")


def subtitles(text: str) -> Iterator[tuple[str, str]]:
    """The text of each cue of SubRip or WebVTT, on one line, without markup."""
    text = re.sub(r"\r\n?", "\n", text)
    line, at = 1, 0
    for cue in _CUE.finditer(text):
        line, at = line + text.count("\n", at, cue.start()), cue.start()
        yield f"line {line}", " ".join(_MARKUP.sub("", cue[1]).split())


def records_of(
    path: str | Path, value: Any, format: str, column: str | None = None
) -> tuple[list[Any], dict[str, str]]:
    """Records of a document, and COCO's file names by image.

    Read are lists, lists under data or files, COCO's annotations, lists side by side such as cands
    and mrefs, objects from clips to captions, and single records. Raises CorpusError for others.
    """
    names: dict[str, str] = {}
    listed = value.get("data", value.get("files")) if isinstance(value, dict) else None
    if isinstance(listed, list):
        value = listed
    elif format == "wavcaps" or not isinstance(value, (dict, list)):
        remedy = 'write {"data": [{"id": "clip", "caption": "..."}]} or a list of captions'
        raise corpus_error(path, f'{kind(value)} instead of a "data" list; {remedy}')
    elif isinstance(value, dict) and isinstance(value.get("annotations"), list):
        images = value.get("images") or value.get("audios") or []
        if not isinstance(images, list):
            what = f"{kind(images)} where the list of images or audios belongs"
            raise corpus_error(path, f"{what}; correct or delete it")
        for image in images:
            if isinstance(image, dict) and isinstance(image.get("file_name"), str):
                names[str(image.get("id"))] = image["file_name"]
        return [_annotation(entry) for entry in value["annotations"]], names
    elif isinstance(value, dict):
        record = column is not None and column.lower() in lower_keys(value)
        value = [value] if record else _side_by_side(value) or _by_clip(value) or [value]
    return [_nested(lower_keys(entry)) for entry in value], names


def _annotation(entry: Any) -> Any:
    """The image and the caption of an annotation; its own id names neither."""
    if not isinstance(entry, dict):
        return entry
    return {"image_id": entry.get("image_id"), "caption": entry.get("caption")}


def _side_by_side(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Records of lists of equal length, such as aac-metrics' cands and mrefs; [] of no such."""
    lists = [entry for entry in value.values() if isinstance(entry, list)]
    names = [str(name).lower() for name in value]
    if len(lists) < max(2, len(names)) or len({*map(len, lists)}) > 1:
        return []
    if not all(is_column(name) or name in SCORES for name in names):
        return []
    rows = enumerate(zip(*lists, strict=True), 1)
    return [{"id": str(i), **dict(zip(names, row, strict=True))} for i, row in rows]


def _by_clip(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Records of an object from clips to captions; none when it is no such object."""
    if not all(isinstance(entry, (str, list)) for entry in value.values()):
        return []
    if any(is_column(name.lower()) for name in value):
        return []
    several = any(isinstance(entry, list) for entry in value.values())
    name = "captions" if several else "caption"
    return [{"id": key, name: entry} for key, entry in value.items()]


def _nested(entry: Any) -> Any:
    """A record whose captions are records of their own, as those of MACS are, as a plain one."""
    if not isinstance(entry, dict):
        return entry
    for name in ("annotations", "captions", "sentences"):
        inner = entry.get(name)
        if isinstance(inner, list) and inner and all(isinstance(part, dict) for part in inner):
            parts = [lower_keys(part) for part in inner]
            columns = [caption_columns(tuple(part)) for part in parts]
            if all(columns):
                captions = [part[names[0]] for part, names in zip(parts, columns, strict=True)]
                others = {key: value for key, value in entry.items() if key != name}
                return others | {"captions": captions}
    return entry


def lower_keys(value: Any) -> Any:
    """A record with lower-case names; anything else as it is."""
    if isinstance(value, dict):
        return {str(name).lower(): entry for name, entry in value.items()}
    return value


def _parse(text: str, strict: bool) -> Any:
    """JSON. Strict: no object has a key twice. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_unique if strict else None)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated!r} twice in one object")
    return value


def _explain(error: ValueError) -> tuple[str, str]:
    """What is wrong with the JSON, and the remedy; "" if only correcting it helps."""
    if isinstance(error, json.JSONDecodeError):
        what = f"not valid JSON ({error.msg}, column {error.colno})"
        return what, "is the file complete, and is it JSON?"
    return f"not usable JSON ({str(error)[:100]})", ""


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a truth value"}
    return "null" if value is None else kinds.get(type(value), "a number")
