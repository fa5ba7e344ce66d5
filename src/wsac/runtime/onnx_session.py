"""ONNX graphs, run by onnxruntime. Weights may come from elsewhere, so graphs are small."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wsac.arrays import Tensor, torch

from .cpus import usable_cpus

NO_GRAPHS = "no graphs for onnxruntime; write them where torch is: wsac export RUN --light"


class Session:
    """A graph: tensors in, tensors out.

    weights: of a graph that ``without_weights`` wrote, by name. Raises ValueError when they do not
    fit, OSError when there is no such file.
    """

    def __init__(self, path: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        # from 1.32 on, it reports its use to its makers otherwise
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        graph, options = path.read_bytes(), onnxruntime.SessionOptions()
        options.intra_op_num_threads = onnx_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors
        if weights is not None:
            names = [name for name in weights if _named(name) in graph]
            arrays = [np.ascontiguousarray(weights[name].numpy()) for name in names]
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays]
            options.add_external_initializers(names, values)
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # classes of its own, derived from Exception alone
            raise ValueError(f"{path.name}: {str(error).splitlines()[0]}") from error
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        values = {name: value.numpy() for name, value in zip(self._inputs, inputs, strict=True)}
        return [torch.from_numpy(out) for out in self._session.run(None, values)]


def onnx_threads() -> int:
    """$OMP_NUM_THREADS, else a thread for each processor."""
    return int(os.environ.get("OMP_NUM_THREADS") or usable_cpus())


def _named(name: str) -> bytes:
    """A tensor's name as a graph has it: field 8 of TensorProto, with its length."""
    return b"\x42" + bytes([len(name)]) + name.encode()
