"""Conditions on the columns of an archive, as of SQL: ``duration < 5 and caption like '%dog%'``.

The words are turned into an expression of Python, parsed (never evaluated) and carried out by
pyarrow, column by column. A comparison with nothing (null) is not true.
"""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsac.types import WsacError, did_you_mean

WORDS = {"and": "and", "or": "or", "not": "not", "in": "in", "is": "is", "null": "None"}
# @ and // stand between two operands, as like does
WORDS |= {"true": "True", "false": "False", "like": "@", "not like": "//"}
SIGNS = {"=": "==", "<>": "!="}
ALIASES = {"duration": "seconds", "file": "path"}
COMPARED: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
}
EXAMPLE = "as in \"duration < 5 and caption like '%dog%'\""


class Where:
    """A condition. columns: the names that it reads, as they are in the archive.

    >>> where = Where("duration < 5 and 'rain' in tags", schema)
    >>> where.mask(table.select(where.columns))       # [N] bool
    """

    def __init__(self, text: str, schema: pa.Schema) -> None:
        """Raises WsacError for what is no condition, and for columns that are not there."""
        self.text, self._schema = text, schema
        try:
            self._tree = ast.parse(_as_python(text), mode="eval").body
        except (SyntaxError, ValueError, tokenize.TokenError, RecursionError) as error:
            raise self._error(f"not a condition ({error.args[0]})") from error
        names = [node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        self.columns = list(dict.fromkeys(map(self._column, names)))
        if not self.columns:
            raise self._error("names no column")
        self.mask(pa.table({name: pa.array([], self._type(name)) for name in self.columns}))

    def mask(self, table: pa.Table) -> np.ndarray:
        """[N] bool: the rows for which it is true. Raises WsacError for types that do not fit."""
        try:
            value = self._value(self._tree, table)
            if not isinstance(value, (pa.ChunkedArray, pa.Array)) or value.type != pa.bool_():
                raise self._error("neither true nor false")
            return np.asarray(pc.fill_null(value, False), dtype=bool)
        except pa.ArrowException as error:
            raise self._error(f"types that do not go together ({error})") from error
        except (AttributeError, TypeError) as error:
            raise self._error("'in' goes with a list of values, a text, tags or notes") from error

    def _error(self, what: str) -> WsacError:
        return WsacError(f"where {self.text!r}: {what}; write it {EXAMPLE}")

    def _type(self, name: str) -> pa.DataType:
        return self._schema.field(name).type

    def _column(self, word: str) -> str:
        name = ALIASES.get(word.lower(), word)
        if name in self._schema.names and name not in ("embedding", "spans"):
            return name
        known = [n for n in self._schema.names if n not in ("embedding", "spans")]
        near = did_you_mean(word, [*known, *ALIASES])
        what = f"no column '{word}'; {near}there are {', '.join(known)}"
        raise WsacError(f"where {self.text!r}: {what}")

    def _value(self, node: ast.AST, table: pa.Table) -> Any:
        match node:
            case ast.BoolOp(op=op, values=values):
                join = pc.and_kleene if isinstance(op, ast.And) else pc.or_kleene
                result = self._value(values[0], table)
                for value in values[1:]:
                    result = join(result, self._value(value, table))
                return result
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return pc.invert(self._value(operand, table))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                pairs = zip(pairwise(sides), ops, strict=True)
                parts = [self._compare(*pair, op, table) for pair, op in pairs]
                result = parts[0]
                for part in parts[1:]:
                    result = pc.and_kleene(result, part)
                return result
            case ast.BinOp(left=left, op=ast.MatMult(), right=ast.Constant(value=str() as pattern)):
                return pc.match_like(self._value(left, table), pattern, ignore_case=True)
            case ast.BinOp(left=left, op=ast.FloorDiv(), right=ast.Constant(value=str()) as right):
                return pc.invert(self._value(ast.BinOp(left, ast.MatMult(), right), table))
            case ast.Attribute(value=ast.Name(id=name), attr=key) if name == "extra":
                return _extra(table["extra"], key)
            case ast.Name(id=name):
                return table[self._column(name)]
            case ast.Constant(value=None | bool() | int() | float() | str() as constant):
                return constant
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self._value(item, table) for item in items]
        raise self._error(f"'{ast.unparse(node)}' is not known here")

    def _compare(self, left: ast.expr, right: ast.expr, op: ast.cmpop, table: pa.Table) -> Any:
        first, second = self._value(left, table), self._value(right, table)
        first, second = _fitting(first, second), _fitting(second, first)
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (second is None or isinstance(second, bool)):
                raise self._error("'is' goes with null, true and false only")
            same = (
                pc.is_null(first)
                if second is None
                else pc.fill_null(pc.equal(first, second), False)
            )
            return same if isinstance(op, ast.Is) else pc.invert(same)
        if first is None or second is None:
            raise self._error("nothing equals null; write 'is null' or 'is not null'")
        if isinstance(op, (ast.In, ast.NotIn)):
            inside = _contains(first, second)
            return pc.invert(inside) if isinstance(op, ast.NotIn) else inside
        return COMPARED[type(op)](first, second)


def _as_python(text: str) -> str:
    """SQL's words, signs and strings as Python's. Raises ValueError for words left out here."""
    words: list[str] = []
    strings: list[str] = []  # pieces of one string, in which a quote is written twice
    end = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text.strip()).readline):
        word, is_string = token.string, token.type == tokenize.STRING
        if strings and not (is_string and token.start == end):
            words.append(repr(_unquoted("".join(strings))))
            strings = []
        if is_string:
            strings.append(word)
        elif token.type == tokenize.NAME and word.lower() == "between":
            raise ValueError("for between, write 1 <= seconds <= 5")
        elif token.type == tokenize.NAME and word.lower() == "like" and words[-1:] == ["not"]:
            words[-1] = WORDS["not like"]
        elif token.type == tokenize.NAME:
            words.append(WORDS.get(word.lower(), word))
        elif token.type not in (tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER):
            words.append(SIGNS.get(word, word))
        end = token.end
    return " ".join(words).replace("< >", "!=")


def _unquoted(string: str) -> str:
    """What SQL reads between quotes: a quote of the kind outside is written twice."""
    quote = string[0]
    if quote not in "'\"":
        raise ValueError(f"{string}: a text is written 'so'")
    return string[1:-1].replace(2 * quote, quote)


def _fitting(value: Any, other: Any) -> Any:
    """Texts of ``extra`` as numbers where the other side is one, and days as points in time."""
    if isinstance(value, list):
        return [_fitting(item, other) for item in value]
    if isinstance(value, pa.Array) and isinstance(other, (int, float)):
        return pa.array(map(_number, value.to_pylist()), pa.float64())
    if isinstance(value, str) and pa.types.is_timestamp(getattr(other, "type", None)):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise pa.ArrowInvalid(f"'{value}' is no date as 2026-01-31") from error
        return pa.scalar(moment if moment.tzinfo else moment.replace(tzinfo=UTC), other.type)
    return value


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _contains(item: Any, whole: Any) -> Any:
    """``item in whole``: a column in constants, or text in a column of texts, lists or tags."""
    if isinstance(whole, (str, list)):
        values = whole if isinstance(whole, list) else [whole]
        values = [value.as_py() if isinstance(value, pa.Scalar) else value for value in values]
        return pc.is_in(item, pa.array(values, item.type))
    if pa.types.is_string(whole.type):
        return pc.match_substring(whole, item, ignore_case=True)
    inner = whole.type.value_type
    values = pc.list_flatten(whole)
    labels = pc.struct_field(values, "label") if pa.types.is_struct(inner) else values
    inside = np.zeros(len(whole), bool)
    parents = np.asarray(pc.list_parent_indices(whole))
    inside[parents[np.asarray(pc.fill_null(pc.equal(labels, item), False), dtype=bool)]] = True
    return pa.array(inside)


def _extra(column: pa.ChunkedArray, key: str) -> pa.Array:
    """A further column of the list of files, as text; null where it is not there or empty."""
    values = [json.loads(text).get(key) if text else None for text in column.to_pylist()]
    return pa.array([None if value in (None, "") else str(value) for value in values], pa.string())
