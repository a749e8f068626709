"""The network as one ONNX file. Needs the torch extra."""

from __future__ import annotations

import logging
import warnings

import onnx
import torch

from consumers.ai.network import UNet
from consumers.ai.repository import Tensors

INPUT, OUTPUT = "image", "probability"


def onnx_of(network: UNet, tensors: Tensors) -> bytes:
    """The file, weights included: any number of images in a batch, and nothing of the machine that made it."""
    image = torch.zeros(2, 3, tensors.pixels, tensors.pixels)
    batch = torch.export.Dim("batch", min=1)
    # The exporter says which operators of other packages it did not find.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (image,),
            dynamo=True,
            external_data=False,
            input_names=[tensors.input],
            output_names=[tensors.output],
            dynamic_shapes=({0: batch},),
            verbose=False,
        )
    assert program is not None, "the exporter gives a program unless it is given a file"  # noqa: S101
    model = program.model_proto
    _strip(model)
    file: bytes = model.SerializeToString(deterministic=True)
    return file


def _strip(model: onnx.ModelProto) -> None:
    """Notes of the exporter name files and lines of this machine."""
    graph = model.graph
    del model.metadata_props[:]
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
