"""What the Triton server runs: the ONNX file beside it through onnxruntime, in one thread.

Flows in: requests of several clients, gathered by the server. Flows out: their answers, in order. The stack copies this
file into each version's folder of the model repository that it generates.

Arrays pass by DLPack. The backend's own way is compiled for numpy 1: with numpy 2 it takes every array's items to be of
no size, so it reads the first one again and again and answers with nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    """The interface of Triton's Python backend."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._input, self._output = config["input"][0]["name"], config["output"][0]["name"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        tensors = (triton.get_input_tensor_by_name(request, self._input) for request in requests)
        batches = [np.from_dlpack(tensor) for tensor in tensors]
        answers = self._session.run([self._output], {self._input: np.concatenate(batches)})[0]
        parts = np.split(answers, np.cumsum([len(batch) for batch in batches])[:-1])
        # They are read after this returns, and keep no memory alive themselves.
        self._read = [onnxruntime.OrtValue.ortvalue_from_numpy(part) for part in parts]
        return [triton.InferenceResponse([triton.Tensor.from_dlpack(self._output, part)]) for part in self._read]
