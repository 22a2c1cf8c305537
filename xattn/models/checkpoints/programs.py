"""Networks that come as programs: ONNX graphs, and what `torch.export` writes.

They run, and their weights may be those of an architecture that is known. Layers to look into they
show none, so that where no architecture fits they predict, and nothing more.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.models.probing.grey import in_grey

_TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
}  # fmt: skip


class Program(nn.Module):
    """A network that runs and shows no layers.

    Attributes:
        called: what it is, for messages.
        size: (height, width) of its input, where it takes no other.
        differentiable: whether gradients pass from its outputs to its input.
    """

    called = "a program"
    size: tuple[int, int] | None = None
    differentiable = True


def shows_no_layers(module: nn.Module) -> str | None:
    """Name the kind of network of which no layer can be looked into; None of all others."""
    if isinstance(module, torch.jit.ScriptModule):
        return "TorchScript"
    return module.called if isinstance(module, Program) else None


def passes_gradients(module: nn.Module) -> bool:
    """Whether a network can be differentiated by its input."""
    return not isinstance(module, Program) or module.differentiable


def ways_without_layers(module: nn.Module) -> str:
    """Name the methods that need no layers of a network, for messages."""
    return "occlusion" + (", saliency or integrated-gradients" if passes_gradients(module) else "")


class OnnxNetwork(Program):
    """A graph that the ONNX runtime executes, on the CPU.

    Attributes:
        path: its file.
        batch: number of images that it takes at once; 0 for any.
        channels: how many it takes; 1 of images in grey.
        outputs: names of what it gives.
    """

    called = "an ONNX graph"
    differentiable = False

    def __init__(self, session: Any, path: Path) -> None:
        super().__init__()
        self._session, self.path = session, path
        given = session.get_inputs()
        images = given[0]
        shape = list(images.shape)
        whole = [side if isinstance(side, int) else 0 for side in shape]
        named = ", ".join(f"{one.name} {_shown(one.shape)}" for one in given)
        fits = len(given) == 1 and len(shape) == 4
        if not fits or images.type not in _TYPES:
            raise CheckpointError(
                "Expected an ONNX graph of one input (n, channels, height, width) of "
                f"floating-point numbers in {path}, but it takes {named} ({images.type}); wrap a "
                "network that makes them of an image"
            )
        self._input, self._type = images.name, _TYPES[images.type]
        self.outputs = [one.name for one in session.get_outputs()]
        self.batch, self.channels = whole[0], whole[1] or 3
        self.size = (whole[2], whole[3]) if whole[2] and whole[3] else None

    def forward(self, x: Tensor) -> Any:
        """Return what the graph gives: a tensor, or several by name."""
        if self.channels == 1:
            x = in_grey(x)
        step = self.batch or len(x)
        parts = [self._run(x[i : i + step], step) for i in range(0, len(x), step)]
        found = [torch.cat([part[k] for part in parts]) for k in range(len(self.outputs))]
        return found[0] if len(found) == 1 else dict(zip(self.outputs, found, strict=True))

    def _run(self, x: Tensor, step: int) -> list[Tensor]:
        given = _filled_up(x, step).detach().cpu().numpy().astype(self._type)
        made = self._session.run(self.outputs, {self._input: given})
        return [torch.from_numpy(np.asarray(one)).to(x.dtype)[: len(x)] for one in made]


def _shown(shape: Any) -> str:
    return f"({', '.join(str(side) for side in shape)})"


def read_onnx(path: Path) -> tuple[OnnxNetwork, dict[str, Tensor], dict[str, Any]]:
    """Read an ONNX graph: the network, its weights by name, and what it says of itself.

    Raises:
        CheckpointError: the packages are not installed, the file is damaged, or its input is no
            image.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as err:
        raise CheckpointError(
            f"Expected the package {err.name} for the ONNX graph {path}, but it is not installed; "
            "pip install 'xattn[onnx]'"
        ) from err
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        graph = onnx.load(str(path))
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:  # damaged bytes, or operations that the runtime does not know
        first = (str(err).splitlines() or [""])[0][:160]
        raise CheckpointError(
            f"Expected an ONNX graph that can be run in {path}, but got: {first}"
        ) from err
    state = {}
    for one in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(one, base_dir=str(path.parent))
        if values.dtype.kind in "fiu":
            state[one.name] = torch.from_numpy(np.array(values))
    said = {one.key: _plain(one.value) for one in graph.metadata_props}
    return OnnxNetwork(session, path), state, said


def _plain(text: str) -> Any:
    """Read a value that was written as Python or JSON writes it; text otherwise."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


class ExportedNetwork(Program):
    """A program of `torch.export`.

    Attributes:
        batch: number of images that it takes at once; 0 for any.
        exported: the program itself.
    """

    called = "a program of torch.export"

    def __init__(self, program: Any, path: Path) -> None:
        super().__init__()
        # Not a part of this module: a program refuses to be put into evaluation mode.
        self._held = (program.module(),)
        self.exported = program
        given = program.graph_signature.user_inputs
        nodes = [node for node in program.graph.nodes if node.name in given]
        shapes = [tuple(getattr(node.meta.get("val"), "shape", ())) for node in nodes]
        if len(shapes) != 1 or len(shapes[0]) != 4:
            named = ", ".join(f"{n.name} {_shown(s)}" for n, s in zip(nodes, shapes, strict=True))
            raise CheckpointError(
                f"Expected a program of one input (n, 3, height, width) in {path}, but it takes "
                f"{named}; wrap a network that makes them of an image"
            )
        whole = [side if type(side) is int else 0 for side in shapes[0]]
        self.batch = whole[0]
        self.size = (whole[2], whole[3]) if whole[2] and whole[3] else None

    def forward(self, x: Tensor) -> Any:
        """Return what the program gives; one exported for so many images takes them so."""
        (program,) = self._held
        if self.batch in (0, len(x)):
            return program(x)
        parts = []
        for i in range(0, len(x), self.batch):
            part = x[i : i + self.batch]
            made = program(_filled_up(part, self.batch))
            if not isinstance(made, Tensor):
                raise CheckpointError(
                    f"Expected a tensor from a program for {self.batch} images at once, but got a "
                    f"{type(made).__name__}; export it for any number of images"
                )
            parts.append(made[: len(part)])
        return torch.cat(parts)


def _filled_up(x: Tensor, n: int) -> Tensor:
    """Repeat the first image until there are `n`."""
    lacking = n - len(x)
    return torch.cat([x, x[:1].expand(lacking, -1, -1, -1)]) if lacking else x


def read_program(path: Path) -> ExportedNetwork:
    """Read a program of `torch.export` as torch does, which may run code from the file.

    Raises:
        CheckpointError: torch cannot read it.
    """
    try:
        program = torch.export.load(str(path))
    except Exception as err:  # whatever a file from anywhere makes it raise
        first = (str(err).splitlines() or [""])[0][:160]
        raise CheckpointError(
            f"Expected a program of torch.export in {path}, but got: {first}"
        ) from err
    return ExportedNetwork(program, path)
