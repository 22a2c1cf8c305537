"""The computational graph of an attention block, recorded while it runs.

The block itself is the only source: every call of a submodule or of a torch function becomes a
step, in the order of the calls, with what it was given and the shape of what it gave. `run_again`
runs the steps on another input, so a test can tell that they are the whole of the block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xattn.models.architectures import local_attention

Shape = tuple[int, ...]

_WHOLE = ((local_attention, "attend"),)
"""Functions that are one step, whatever they call inside."""


@dataclass(frozen=True)
class Ref:
    """What an earlier step gave, by its number."""

    step: int


@dataclass(frozen=True)
class Step:
    """One node of the graph.

    Attributes:
        kind: "input", "parameter", "module" or "function".
        name: dotted name in the block, of a function its own name.
        call: what was called, None for inputs and parameters.
        args, kwargs: what with; tensors are `Ref`s.
        shape: of the result.
    """

    kind: str
    name: str
    call: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: Shape

    @property
    def inputs(self) -> list[int]:
        """Numbers of the steps whose results it takes, in order."""
        return [ref.step for ref in _flat((self.args, self.kwargs)) if isinstance(ref, Ref)]


@dataclass
class Trace:
    """The steps of one pass, the last of them giving the output."""

    steps: list[Step] = field(default_factory=list)

    def run_again(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Run the steps on another input (n, C, h, w) with these parameters."""
        results: list[Tensor] = []
        for step in self.steps:
            if step.call is None:
                results.append(x if step.kind == "input" else parameters[step.name])
                continue
            args, kwargs = _mapped((step.args, step.kwargs), Ref, lambda ref: results[ref.step])
            results.append(step.call(*args, **kwargs))
        return results[-1]


def trace(block: nn.Module, x: Tensor) -> Trace:
    """Run a block on x (n, C, h, w) and record its steps.

    Raises:
        ValueError: a submodule or parameter took no part, or a step took a tensor that no step
            gave: the graph would not be that of the block.
    """
    recorder = _Recorder(block)
    with torch.no_grad(), ExitStack() as stack:
        for module, name in _WHOLE:
            stack.enter_context(_replaced(module, name, recorder.whole(getattr(module, name))))
        for name, part in _leaves(block):
            before = part.register_forward_pre_hook(recorder.enter)
            after = part.register_forward_hook(partial(recorder.leave, name), with_kwargs=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        given = recorder.add("input", "x", None, (), {}, x)
        with recorder:
            result = block(x)
    last = recorder.number.get(id(result))
    if last is None or last == given or last != len(recorder.trace.steps) - 1:
        raise ValueError(f"Expected the last step of {type(block).__name__} to give its output")
    used = {step.name for step in recorder.trace.steps}
    wanted = {name for name, _ in _leaves(block)} | set(_own_parameters(block).values())
    if missing := wanted - used:
        raise ValueError(
            f"Expected every part of {type(block).__name__} to take part, but got no use of "
            f"{', '.join(sorted(missing))}"
        )
    return recorder.trace


class _Recorder(TorchFunctionMode):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.trace = Trace()
        self.number: dict[int, int] = {}
        self._kept: list[Tensor] = []  # a tensor that is gone could leave its id to another
        self._parameters = _own_parameters(block)
        self._depth = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self._depth and isinstance(result, Tensor):
            self.add("function", func.__name__, func, args, kwargs, result)
        return result

    def whole(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Make one step of a function."""

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Tensor:
            self._depth += 1
            result = function(*args, **kwargs)
            self._depth -= 1
            self.add("function", function.__name__, function, args, kwargs, result)
            return result

        return called

    def enter(self, module: nn.Module, args: Any) -> None:
        self._depth += 1

    def leave(self, name: str, module: nn.Module, args: Any, kwargs: Any, result: Tensor) -> None:
        self._depth -= 1
        self.add("module", name, module, args, kwargs, result)

    def add(
        self,
        kind: str,
        name: str,
        call: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Tensor,
    ) -> int:
        args, kwargs = _mapped((args, kwargs), Tensor, self._ref)
        self.trace.steps.append(Step(kind, name, call, args, kwargs, tuple(result.shape)))
        # What a module changes in place, or hands through, is from now on its own result.
        self.number[id(result)] = len(self.trace.steps) - 1
        self._kept.append(result)
        return len(self.trace.steps) - 1

    def _ref(self, tensor: Tensor) -> Ref:
        number = self.number.get(id(tensor))
        if number is None:
            name = self._parameters.get(id(tensor))
            if name is None:
                raise ValueError("Expected tensors of recorded steps, but got one from elsewhere")
            number = self.add("parameter", name, None, (), {}, tensor)
        return Ref(number)


def _leaves(block: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(n, m) for n, m in block.named_modules() if n and not list(m.children())]


def _own_parameters(block: nn.Module) -> dict[int, str]:
    """Return the parameters that belong to no leaf, id -> name."""
    inside = {id(p) for _, leaf in _leaves(block) for p in leaf.parameters()}
    return {id(p): name for name, p in block.named_parameters() if id(p) not in inside}


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(one, kind, change) for key, one in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(_mapped(one, kind, change) for one in value)
    return value


@contextmanager
def _replaced(module: Any, name: str, other: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, other)
    try:
        yield
    finally:
        setattr(module, name, before)


VIEWS = frozenset(
    {"reshape", "view", "transpose", "permute", "flatten", "__getitem__", "contiguous", "to", "T"}
)
"""Steps that only arrange values anew; they are drawn as the shape that arrives."""


@dataclass(frozen=True)
class Edge:
    """What flows from one node to another, in the shape in which it arrives."""

    source: int
    target: int
    shape: Shape


def without_views(trace: Trace) -> tuple[list[int], list[Edge]]:
    """Return the steps that compute something, and what flows between them."""

    def origin(step: int) -> int:
        while trace.steps[step].name in VIEWS and trace.steps[step].kind == "function":
            (step,) = trace.steps[step].inputs
        return step

    nodes = [i for i in range(len(trace.steps)) if origin(i) == i]
    edges = [
        Edge(origin(given), i, trace.steps[given].shape)
        for i in nodes
        for given in trace.steps[i].inputs
    ]
    return nodes, edges


def layers_of(nodes: Sequence[int], edges: Sequence[Edge]) -> dict[int, int]:
    """Give each node its layer: below all that it takes, sources just above where they go."""
    layer: dict[int, int] = {}
    for node in nodes:  # steps come in the order of the calls
        given = [layer[e.source] for e in edges if e.target == node]
        layer[node] = 1 + max(given, default=-1)
    for node in nodes:
        if not any(e.target == node for e in edges) and node != nodes[0]:
            layer[node] = min(layer[e.target] for e in edges if e.source == node) - 1
    return layer
