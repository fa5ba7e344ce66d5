"""Conditions: what they mean, and what is said of those that cannot be read."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from wsac.archive.schema import shard_schema
from wsac.archive.search.where import Where
from wsac.types import WsacError

SCHEMA = shard_schema(8)
ROWS = {
    "path": ["a.wav", "b.wav", "c.wav"],
    "seconds": [1.0, 5.0, None],
    "mtime": [datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 2, 3)],
    "caption": ["A Dog barks", "rain", ""],
    "tags": [[{"label": "rain", "score": 0.1, "probability": 0.5}], None, []],
    "notes": [["truncated: 1 s"], [], None],
    "silent": [True, False, None],
    "extra": ['{"licence": "CC0", "n": "3"}', "", '{"n": 4}'],
}
TABLE = pa.table({name: pa.array(v, SCHEMA.field(name).type) for name, v in ROWS.items()})


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("duration < 5", "100"),
        ("seconds<=5 AND caption LIKE '%dog%'", "100"),
        ("2 < duration <= 5", "010"),
        ("seconds <> 5", "100"),
        ("not seconds = 5", "100"),  # nothing is neither 5 nor something else
        ("seconds > -1", "110"),
        ("seconds in (1, 5)", "110"),
        ("seconds is null", "001"),
        ("seconds is not null", "110"),
        ("seconds is null or duration = 1", "101"),
        ("(seconds = 1 or seconds = 5) and not silent", "010"),
        ("silent", "100"),
        ("not silent", "010"),
        ("'dog' in caption", "100"),
        ("caption = 'rain'", "010"),
        ("'rain' in tags", "100"),
        ("'rain' not in tags", "011"),
        ("'truncated: 1 s' in notes", "100"),
        ("path in ('a.wav', 'c.wav')", "101"),
        ("path in ('a.wav')", "100"),
        ("path not in ['a.wav']", "011"),
        ("file like '_.wav'", "111"),
        ("mtime >= '2026-01-02'", "011"),
        ("extra.licence = 'CC0'", "100"),
        ("extra.n > 3", "001"),
        ("extra.unknown = 'x'", "000"),
        ("caption not like '%dog%'", "011"),
        ("caption NOT LIKE '%dog%' and seconds > 1", "010"),
        ("caption = 'it''s' or caption = 'rain'", "010"),
        ("path in ('it''s', 'a.wav')", "100"),
        ("silent is true", "100"),
        ("silent is not true", "011"),
        ("silent is false", "010"),
        ("mtime in ('2026-01-01', '2026-01-03')", "101"),
    ],
)
def test_conditions(text, right):
    mask = Where(text, SCHEMA).mask(TABLE)
    assert "".join("01"[int(value)] for value in mask) == right


def test_a_quote_is_written_twice():
    table = TABLE.set_column(
        TABLE.schema.get_field_index("caption"), "caption", pa.array(["it's", "its", "'a'"])
    )
    for text, right in {"it''s": "100", "''a''": "001", r"it\s": "000"}.items():
        mask = Where(f"caption = '{text}'", SCHEMA).mask(table)
        assert "".join("01"[int(value)] for value in mask) == right


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("durations < 5", "no column 'durations'; did you mean 'duration'? there are path, size"),
        ("embedding = 1", "no column 'embedding'"),
        ("caption like dog", "no column 'dog'"),
        ("__import__('os').system('true')", "no column '__import__'"),
        ("path.__class__", "'path.__class__' is not known here"),
        ("len(path) > 3", "no column 'len'"),
        ("seconds <", "not a condition (invalid syntax)"),
        ("'dog", "not a condition (unterminated string literal"),
        ("", "not a condition"),
        ("1 < 2", "names no column"),
        ("seconds", "neither true nor false"),
        ("seconds + 1 > 2", "'seconds + 1' is not known here"),
        ("seconds < 'x'", "types that do not go together"),
        ("mtime > 'yesterday'", "'yesterday' is no date as 2026-01-31"),
        ("'a' in seconds", "'in' goes with a list of values, a text, tags or notes"),
        ("seconds is 5", "'is' goes with null, true and false only"),
        ("seconds = null", "write 'is null' or 'is not null'"),
        ("seconds between 1 and 5", "for between, write 1 <= seconds <= 5"),
        ("((seconds", "not a condition (EOF in multi-line statement)"),
        ("caption = r'rain'", "a text is written 'so'"),
        ("seconds = 1 and seconds", "types that do not go together"),
        ("(" * 300 + "seconds = 1" + ")" * 300, "not a condition"),
    ],
)
def test_what_is_no_condition(text, words):
    with pytest.raises(WsacError) as error:
        Where(text, SCHEMA)
    assert words in str(error.value)
    assert str(error.value).startswith("where ")
