"""Programs opened: networks of modules that do what an ONNX graph or a `torch.export` program does.

Layers can be looked into, and gradients pass. That the network does the same is not taken on trust:
its outputs are compared with the program's own.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from xattn.errors import CheckpointError
from xattn.models.checkpoints.programs import ExportedNetwork, OnnxNetwork, Program
from xattn.models.probing.grey import in_grey
from xattn.models.probing.probe import PASSIVE, mark_passive

TOLERANCE = 1e-4
"""Largest deviation of an opened network's outputs, as a fraction of the largest (at least 1)."""
KNOWN_OPERATORS = 17
"""Newest set of ONNX operators that onnx2torch knows as a whole."""


def open_program(program: Program, size: tuple[int, int]) -> nn.Module:
    """Make a network of modules of a program.

    Args:
        program: an ONNX graph or a program of `torch.export`.
        size: (height, width) of the images on which both are compared.

    Returns:
        The network, in evaluation mode, with the program's own outputs to `TOLERANCE`.

    Raises:
        CheckpointError: it cannot be made, or its outputs are others; the message says why.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of converters, on what they do inside
            if isinstance(program, OnnxNetwork):
                opened = _converted(program)
            elif isinstance(program, ExportedNetwork):
                opened = _unflattened(program)
            else:
                raise CheckpointError(f"no way is known to open {program.called}")
    except CheckpointError:
        raise
    except Exception as err:  # whatever a converter makes of operations that it does not know
        raise CheckpointError(_first_line(err)) from err
    opened.eval()
    # Of the slices of onnx2torch, in every forward pass to come.
    warnings.filterwarnings("ignore", message="Using a non-tuple sequence for multidimensional")
    _require_same(program, opened, size)
    return opened


def _first_line(err: Exception) -> str:
    first = (str(err).splitlines() or [""])[0][:160]
    return f"{type(err).__name__}: {first}" if first else type(err).__name__


@torch.no_grad()
def _require_same(program: Program, opened: nn.Module, size: tuple[int, int]) -> None:
    """Compare outputs for three images at once, which the program may take one by one."""
    taken = int(getattr(program, "channels", 3))
    channels = 3 if taken == 1 else taken
    x = torch.randn(3, channels, *size, generator=torch.Generator().manual_seed(0))
    theirs = tree_leaves(program(x))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = tree_leaves(opened(x))
    except Exception as err:  # a number of images that is written into its operations
        how_many = f"it is for {program.batch} at once; export it for any number of images"
        how_many = how_many if program.batch else ""
        raise CheckpointError(how_many or _first_line(err)) from err
    for one, other in zip(ours, theirs, strict=True):
        if not isinstance(other, Tensor):
            continue
        if not isinstance(one, Tensor) or one.shape != other.shape:
            raise CheckpointError("the converted network gives outputs of another shape")
        scale = max(1.0, float(other.abs().max()))
        difference = float((one - other).abs().max())
        if not difference <= TOLERANCE * scale:
            raise CheckpointError(f"the converted network's outputs differ by {difference:.2g}")


class Converted(nn.Module):
    """A converted graph, called with colour images, and its outputs by name.

    Args:
        graph: takes (n, channels, height, width).
        channels: how many it takes; 1 of images in grey.
        names: of its outputs.
    """

    def __init__(self, graph: nn.Module, channels: int, names: Sequence[str]) -> None:
        super().__init__()
        self.graph = graph
        self._channels, self._names = channels, tuple(names)

    def forward(self, x: Tensor) -> Any:
        """Return what the graph gives: a tensor, or several by name."""
        found = self.graph(in_grey(x) if self._channels == 1 else x)
        if len(self._names) == 1:
            return found
        return dict(zip(self._names, found, strict=True))


def _converted(program: OnnxNetwork) -> nn.Module:
    """Convert a graph by onnx2torch: as the runtime simplifies it, else as it is."""
    try:
        from onnx2torch import convert
    except ImportError as err:
        raise CheckpointError("pip install onnx2torch for its layers and gradients") from err
    try:
        graph = convert(_known(_simplified(program.path), program.batch))
    except Exception:  # what the runtime made of it
        graph = convert(_known(_read(program.path), program.batch))
    graph.float()
    for part in graph.modules():
        if isinstance(part, nn.LayerNorm):  # of tensors whose shape the graph does not say
            part.normalized_shape = tuple(part.weight.shape)
    _mark_projections(graph)
    if program.channels == 3 and len(program.outputs) == 1:
        whole: nn.Module = graph
        return whole
    return Converted(graph, program.channels, program.outputs)


def _read(path: Path) -> Any:
    import onnx

    return onnx.load(str(path))


def _simplified(path: Path) -> Any:
    """Return the graph without constants that are computed and copies, as the runtime writes it."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(str(file))
    given = {one.domain: one.version for one in onnx.load(str(path), load_external_data=False)
             .opset_import}  # fmt: skip
    del graph.opset_import[:]  # the runtime adds all that it knows
    graph.opset_import.extend(onnx.helper.make_opsetid(*one) for one in given.items())
    return graph


def _known(graph: Any, batch: int) -> Any:
    """Write a graph in operators that the converter knows, and for any number of images.

    Args:
        graph: is changed.
        batch: number of images that it was written for; 0 for any.
    """
    from onnx import numpy_helper, version_converter

    shapes = {name for node in graph.graph.node if node.op_type == "Reshape"
              for name in node.input[1:]}  # fmt: skip
    for one in graph.graph.initializer:
        sides = numpy_helper.to_array(one).copy() if one.name in shapes and batch else np.zeros(0)
        if len(sides) > 1 and sides[0] == batch:
            sides[0] = 0  # as many as there are
            one.CopyFrom(numpy_helper.from_array(sides, one.name))

    for node in graph.graph.node:
        # Set by torch, for shapes that have no zero; where one has, the outputs are others.
        kept = [one for one in node.attribute if one.name != "allowzero"]
        del node.attribute[:]
        node.attribute.extend(kept)
    versions = [one.version for one in graph.opset_import if one.domain in ("", "ai.onnx")]
    if max(versions, default=0) <= KNOWN_OPERATORS:
        return graph
    return version_converter.convert_version(graph, KNOWN_OPERATORS)


def _mark_projections(graph: Any) -> None:
    """Mark products of a tensor and weights, with their bias: linear layers, spelled out."""
    moved: set[Any] = set()  # by the image
    products: set[Any] = set()
    for node in graph.graph.nodes:
        inputs = set(node.all_input_nodes)
        if node.op == "placeholder" or inputs & moved:
            moved.add(node)
        if node.op != "call_module" or not inputs - moved:
            continue
        part = graph.get_submodule(node.target)
        kind = type(part).__name__
        if kind == "OnnxMatMul" or (kind == "OnnxBinaryMathOperation" and inputs & products):
            products.add(node)
            mark_passive(part)


def _unflattened(program: ExportedNetwork) -> nn.Module:
    """Lay a program out in the modules that it was exported from."""
    network = torch.export.unflatten(program.exported)
    network.check_input_constraints = False  # compared instead, on another number of images
    classes = _classes(network)
    for name, part in network.named_modules():
        parents = [name[:i] for i, letter in enumerate(name) if letter == "."]
        inside = any(_attends(classes.get(parent, "")) for parent in parents)
        if inside or classes.get(name, "").rpartition(".")[2] in PASSIVE:
            mark_passive(part)
    return network


def _classes(network: nn.Module) -> dict[str, str]:
    """Return which class each module was of, as the nodes of the program remember."""
    found: dict[str, str] = {}
    for part in network.modules():
        for node in getattr(getattr(part, "graph", None), "nodes", ()):
            for path, kind in node.meta.get("nn_module_stack", {}).values():
                found[path] = kind if isinstance(kind, str) else kind.__name__
    return found


def _attends(kind: str) -> bool:
    return any(word in kind.rpartition(".")[2] for word in ("Attention", "Attn"))
