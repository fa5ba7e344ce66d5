"""The same computations with torch and with NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from miniatures import array_work
from wsac.arrays import numpy_functions as numpy_tensors

TESTS = Path(__file__).parents[1]
LOOSE = ("logprob", "confidence", "calibration", "features", "log_mel", "spectrum")


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[dict, dict]:
    """The results with torch, here, and with NumPy, in a process that may not import torch."""
    path = tmp_path_factory.mktemp("arrays") / "results.npz"
    environment = {**os.environ, "WSAC_ARRAYS": "numpy", "PYTHONPATH": os.pathsep.join(sys.path)}
    script = TESTS / "miniatures" / "array_work.py"
    done = subprocess.run(
        [sys.executable, script, path], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(path) as stored:
        return array_work.results(), dict(stored)


def test_both_libraries_give_the_same(both):
    with_torch, with_numpy = both
    assert with_torch.keys() == with_numpy.keys()
    for name, expected in with_torch.items():
        actual = with_numpy[name]
        assert expected.shape == actual.shape, name
        if expected.dtype.kind in "iub":
            assert np.array_equal(expected, actual), name
        else:
            tolerance = 1e-4 if name.startswith(LOOSE) else 1e-5
            np.testing.assert_allclose(actual, expected, atol=tolerance, rtol=1e-4, err_msg=name)


def test_random_numbers_are_those_of_torch():
    for seed in (0, 7, 2**40 + 3):
        ours = numpy_tensors.Generator().manual_seed(seed)
        theirs = torch.Generator().manual_seed(seed)
        expected = torch.rand((3, 5), generator=theirs), torch.randperm(1000, generator=theirs)
        assert np.array_equal(expected[0], numpy_tensors.rand((3, 5), generator=ours))
        assert np.array_equal(expected[1], numpy_tensors.randperm(1000, ours))


@pytest.mark.parametrize("k", [1, 3, 60])
def test_topk_and_sort_fall(k):
    values = np.random.default_rng(0).standard_normal((4, 60)).astype(np.float32)
    best, place = numpy_tensors.as_tensor(values).topk(k)
    expected = torch.from_numpy(values).topk(k)
    assert np.array_equal(best, expected.values)
    assert np.array_equal(place, expected.indices)
    rising = numpy_tensors.as_tensor(values).sort().values
    assert np.array_equal(rising, torch.from_numpy(values).sort().values)


def test_arrays_are_shared_and_not_copied():
    array = np.zeros(3, np.float32)
    numpy_tensors.from_numpy(array).fill_(2)
    assert array.tolist() == [2, 2, 2]
    assert type(numpy_tensors.from_numpy(array).numpy()) is np.ndarray
