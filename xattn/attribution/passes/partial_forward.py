"""A forward pass through what follows the explained layer, with other outputs of that layer.

Every module that finished before the layer returns what it returned in one recorded pass, so that
only what is between them and the rest of the network are computed. Whether that is true to the
model is not assumed but tried on changed outputs; where it is not, the whole model runs again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xattn.models.interface import Model
from xattn.models.probing.forward import evaluating

Recording = dict[str, list[Any]]
"""Outputs by module, in the order of its calls."""


class PartialForward:
    """The network after its explained layer; made by `partial_forward`.

    Attributes:
        skips_trunk: whether the trunk is skipped, or the whole model runs again.
    """

    def __init__(self, model: Model, inputs: Tensor, trunk: list[str]) -> None:
        self._model = model
        self._inputs = inputs
        self._network = model.network
        self._layer = model.module.get_submodule(model.target_layer)
        self._recorded, self._outputs = _record(model, inputs, trunk)
        self.skips_trunk = self._matches_model()

    def scores(self, image: int, outputs: Tensor) -> Tensor:
        """Return scores (m, classes) of one image with m other outputs of the explained layer.

        Args:
            image: which of the inputs the trunk has seen.
            outputs: (m, ...), shaped as the layer's own.
        """
        return self._partial(image, outputs) if self.skips_trunk else self._full(image, outputs)

    def _partial(self, image: int, outputs: Tensor) -> Tensor:
        m = len(outputs)
        given = {
            name: [_of_image(output, image, m, len(self._inputs)) for output in calls]
            for name, calls in self._recorded.items()
        }
        given[self._model.target_layer] = [self._as_given(outputs, image)]
        if self._model.trunk is not None:
            known = self._model.trunk.giving({name: calls[0] for name, calls in given.items()})
        else:
            known = _replaced(self._model.module, given)
        with known:
            result: Tensor = self._network(_of_image(self._inputs, image, m))
        return result

    def _full(self, image: int, outputs: Tensor) -> Tensor:
        changed = self._as_given(outputs, image)
        handle = self._layer.register_forward_hook(lambda *_: changed)
        try:
            # Real copies: a model may change its input in place.
            repeated = _of_image(self._inputs, image, len(outputs)).clone()
            result: Tensor = self._network(repeated)
        finally:
            handle.remove()
        return result

    def _as_given(self, outputs: Tensor, image: int) -> Any:
        # Copied, for an in-place ReLU right after would overwrite the caller's.
        if isinstance(self._outputs, tuple):
            others = _of_image(self._outputs[1:], image, len(outputs), len(self._inputs))
            return (outputs.clone(), *others)
        return outputs.clone()

    def _matches_model(self) -> bool:
        """Compare with the whole model on outputs that are changed at every place."""
        first = self._outputs[0] if isinstance(self._outputs, tuple) else self._outputs
        changed = torch.cat([first[:1] * 0.5, first[:1].roll(1, -1)])
        try:
            found = self._partial(0, changed)
        except Exception:  # whatever a foreign forward makes of outputs that are shared views
            return False
        expected = self._full(0, changed)
        return torch.allclose(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


@contextmanager
def partial_forward(model: Model, inputs: Tensor) -> Iterator[PartialForward]:
    """Give the block a partial forward; the trunk has run once, on inputs (n, 3, height, width)."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(model.module))
        yield PartialForward(model, inputs, trunk_of(model))


def trunk_of(model: Model) -> list[str]:
    """Name the modules that finish before the explained layer and lie in no other such module.

    Of a copy whose trunk runs in an engine those of them whose output is taken after it.
    """
    target = model.target_layer
    if model.trunk is not None:
        return [name for name in model.trunk.needed if name != target]
    finished: dict[str, None] = {}
    for layer in model.seen:
        if layer.name == target:
            break
        if not layer.name.startswith(target + "."):
            finished[layer.name] = None
    return [name for name in finished if not any(_parents(name) & {*finished})]


def _parents(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:i]) for i in range(1, len(parts))}


def _record(model: Model, inputs: Tensor, trunk: list[str]) -> tuple[Recording, Any]:
    """Run the model once; keep what the trunk's modules and the explained layer return."""
    recorded: Recording = {name: [] for name in trunk}
    at_layer: list[Any] = []

    def record(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not at_layer:
                recorded[name].append(_copied(output))

        return hook

    def arrive(_module: nn.Module, _inputs: Any, output: Any) -> None:
        at_layer.append(_copied(output))

    with ExitStack() as stack:
        for name in trunk:
            part = model.module.get_submodule(name)
            stack.callback(part.register_forward_hook(record(name)).remove)
        layer = model.module.get_submodule(model.target_layer)
        stack.callback(layer.register_forward_hook(arrive).remove)
        model.module(inputs.clone())
    return recorded, at_layer[0]


def _copied(output: Any) -> Any:
    """Copy, for an operation in place may follow."""
    if isinstance(output, tuple):
        return tuple(_copied(o) for o in output)
    return output.clone() if isinstance(output, Tensor) else output


def _of_image(output: Any, image: int, m: int, n: int | None = None) -> Any:
    """Repeat one image's entry of an output m times, without copying it.

    Raises:
        ValueError: the output has not one entry per image.
    """
    if isinstance(output, tuple):
        return tuple(_of_image(o, image, m, n) for o in output)
    if not isinstance(output, Tensor):
        return output
    if n is not None and (output.ndim == 0 or len(output) != n):
        raise ValueError(f"Expected an entry per image, but got {tuple(output.shape)}")
    return output[image : image + 1].expand(m, *output.shape[1:])


@contextmanager
def _replaced(module: nn.Module, given: Recording) -> Iterator[None]:
    """Let modules return recorded outputs instead of running, for as many calls as there are."""
    with ExitStack() as stack:
        for name, outputs in given.items():
            part = module.get_submodule(name)
            stack.callback(_restore, part, part.__dict__.get("forward"))
            part.forward = _stub(part.forward, iter(outputs))
        yield


def _stub(forward: Any, outputs: Iterator[Any]) -> Any:
    def stub(*arguments: Any, **named: Any) -> Any:
        for output in outputs:
            return output
        return forward(*arguments, **named)

    return stub


def _restore(part: nn.Module, own: Any) -> None:
    if own is None:
        part.__dict__.pop("forward", None)
    else:
        part.__dict__["forward"] = own
