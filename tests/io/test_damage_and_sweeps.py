"""A sweep that meets a new temporary name, and damage to the list of unchecked keys."""

import pytest

from wsac.io import locks
from wsac.io.checked_json import read_record, write_record
from wsac.io.files import read_json, write_json
from wsac.types import ModelError


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("gone", [False, True])
def test_a_name_that_a_sweep_holds_is_not_given(tmp_path, monkeypatch, gone, folder):
    real, seen = locks._open, []

    def swept(path):
        seen.append(path)
        if len(seen) > 1:
            return real(path)
        descriptor = real(path)
        path.rmdir() if folder else path.unlink()
        if gone:
            locks._close(descriptor)
            return None
        return descriptor

    monkeypatch.setattr(locks, "_open", swept)
    path, mark = locks.temporary_beside(tmp_path / "x.json", folder=folder)
    locks._close(mark)
    assert path.exists()
    assert path == seen[1]


@pytest.mark.parametrize("damage", [5, [5], None, ["a.b"], "x", {"a": 1}])
def test_damage_to_the_unchecked_keys_is_an_error_of_one_line(tmp_path, damage):
    path = tmp_path / "r.json"
    write_record(path, {"a": 1})
    write_json(path, read_json(path) | {"unchecked": damage})
    with pytest.raises(ModelError, match="damaged or changed by hand"):
        read_record(path)
