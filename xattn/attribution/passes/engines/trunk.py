"""A private copy whose layers up to the explained one run in an engine.

The trunk's modules then return what the engine computed instead of running, and the rest of the
forward pass, with its gradient, is torch's. Of the trunk only those modules are computed whose
output the rest takes, and those with a hook; the others return a placeholder of the right shape.
Where a hook inside waits for what the engine cannot give, or the pass records a graph from the
beginning, the copy's own layers run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xattn.attribution.passes.capture import GraphStart
from xattn.attribution.passes.engines.registry import Build, Engine, EngineError, Extract, Run
from xattn.attribution.passes.partial_forward import trunk_of
from xattn.attribution.passes.precision import Lowered
from xattn.models.interface import Model
from xattn.models.probing.forward import evaluating
from xattn.settings.precision import FULL

_PROGRAMS = 3
"""So many programs are kept: of other numbers of images, or of other outputs."""


class Trunk:
    """Runs a copy's layers up to the explained one in an engine.

    Attributes:
        needed: paths of the modules whose output is taken after the trunk, the explained one last.
        refused: why the engine did not take what it was asked for last, if so; torch did it, in
            float32.

    Args:
        model: a private copy, on the CPU; its modules are changed.
        engine: what computes the trunk.
        batch: images of a pass; one of fewer is filled up, one of more is cut.
        precision: "32", or another that the engine takes.

    Raises:
        EngineError: the model is not built so that its trunk could be taken out.
    """

    def __init__(self, model: Model, engine: Engine, batch: int, precision: str = FULL) -> None:
        self.model, self.engine, self.batch = model, engine, batch
        self.build: Build = engine.build
        if precision != FULL:
            model.lowered = Lowered(precision)
            self.build = partial(engine.build, precision=precision)
        self.module = model.module
        self.layer = model.target_layer
        calls = {one.name: one.calls for one in model.seen}
        # One that runs more than once, such as a ReLU for all, runs on the others' placeholders.
        self.trunk = [name for name in trunk_of(model) if calls.get(name) == 1]
        if calls.get(self.layer) != 1 or not self.trunk:
            raise EngineError("the explained layer runs more than once, or first of all")
        self._inner = _inner_of(self.module, [*self.trunk, self.layer])
        self._own = self.module.forward
        self._given: Mapping[str, Tensor] | None = None
        self._shapes = self._probe_shapes()
        self._programs: dict[tuple[tuple[str, ...], tuple[int, ...]], Run] = {}
        self._without: set[tuple[str, ...]] = set()
        self.refused = ""
        self.needed: tuple[str, ...] = ()
        self._laid_out = False
        self.needed = self._find_needed()
        self.module.forward = self.forward

    def forward(self, x: Tensor, *others: Any, **named: Any) -> Any:
        """Run the network; the trunk in the engine where that is possible."""
        hooked = self._hooked()
        # A pass that records from the beginning wants gradients of what lies before; one in
        # float32 wants no layers of another precision.
        lowered = self.model.lowered
        recording = torch.is_grad_enabled() or (lowered is not None and lowered.paused)
        if others or named or recording or hooked is None or self._given is not None:
            return self._own(x, *others, **named)
        # Modules of the trunk themselves run, as stubs, and with them their hooks.
        own = [name for name in self.trunk if self.module.get_submodule(name)._forward_hooks]
        given = tuple(dict.fromkeys([*self.needed, *own]))
        names = (*given, *hooked)
        if names in self._without:
            return self._own(x)
        try:
            found = dict(zip(names, self._compute(names, x), strict=True))
        except EngineError as err:
            self.refused = str(err)
            self._without.add(names)
            return self._own(x)
        with self.giving({name: found[name] for name in given}):
            for name in hooked:  # their hooks run as if they had
                _tell(self.module.get_submodule(name), found[name])
            return self._own(x)

    def __deepcopy__(self, _memo: Any) -> Trunk:
        """Stay one: who copies the network for its layers has no use for the engine's programs."""
        return self

    @contextmanager
    def giving(self, outputs: Mapping[str, Tensor]) -> Iterator[None]:
        """Let the trunk's modules return these outputs in the block, and nothing be computed.

        Args:
            outputs: by the names in `needed`, an entry for each image of the pass; modules of the
                trunk that are not among them return a placeholder.
        """
        self._given = outputs
        n = len(next(iter(outputs.values())))
        try:
            with ExitStack() as stack:
                for name in (*self.trunk, self.layer):
                    part = self.module.get_submodule(name)
                    output = outputs[name] if name in outputs else self._placeholder(name, n)
                    stack.callback(part.__dict__.pop, "forward")
                    part.forward = partial(_give, output)
                yield
        finally:
            self._given = None

    def _compute(self, names: tuple[str, ...], x: Tensor) -> list[Tensor]:
        parts = [self._program(names, part)(part) for part in self._cut(x)]
        columns = zip(*parts, strict=True)
        whole = [torch.cat(outputs) if len(parts) > 1 else outputs[0] for outputs in columns]
        # Attention in windows has an entry for each, those of an image side by side.
        n = len(parts) * self.batch
        return [output[: len(output) // n * len(x)] for output in whole]

    def _cut(self, x: Tensor) -> list[Tensor]:
        """Cut inputs into passes of the engine's size, the last one filled up."""
        lack = -len(x) % self.batch
        if lack:
            x = torch.cat([x, x[:1].expand(lack, *x.shape[1:])])
        return list(torch.split(x, self.batch))

    def _program(self, names: tuple[str, ...], part: Tensor) -> Run:
        key = (names, tuple(part.shape))
        if key not in self._programs:
            if len(self._programs) >= _PROGRAMS:
                self._programs.pop(next(iter(self._programs)))
            with self._as_it_was():
                # Of other values than the batch by which the results are checked: what a tracer
                # takes for a constant must show there.
                example = 0.5 * torch.randn(part.shape, generator=torch.Generator().manual_seed(1))
                self._programs[key] = self.build(Extract(self.module, names), example)
        return self._programs[key]

    @contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """Let an engine see the copy without this trunk, and without anybody's hooks."""
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
            stack.enter_context(evaluating(self.module))
            own = self.module.__dict__.pop("forward")
            stack.callback(setattr, self.module, "forward", own)
            for part in self.module.modules():
                for kind in ("_forward_hooks", "_forward_pre_hooks"):
                    stack.callback(setattr, part, kind, getattr(part, kind))
                    setattr(part, kind, OrderedDict())
            yield

    def _placeholder(self, name: str, n: int) -> Tensor:
        shape = (n, *self._shapes[name][1:])
        if self._laid_out:
            return torch.full(shape, torch.nan)
        return torch.full((1,), torch.nan).expand(shape)

    def _probe_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {one.name: one.shape for one in self.model.seen}
        lacking = [name for name in (*self.trunk, self.layer) if name not in shapes]
        if lacking:
            raise EngineError(f"the output of {lacking[0]} is no tensor")
        return shapes

    def _find_needed(self) -> tuple[str, ...]:
        """Name the modules whose output the network after the explained layer takes.

        Each in turn returns nothing but NaN: where that reaches the scores it is needed.
        """
        channels, size = self.model.preprocessing.channels, self.model.preprocessing.size
        noise = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))
        names = (*self.trunk, self.layer)
        with torch.no_grad(), evaluating(self.module):
            true = dict(zip(names, Extract(self.module, names)(noise), strict=True))
            if any(len(output) != len(noise) for output in true.values()):
                raise EngineError("an output before the explained layer has no entry per image")
            needed = tuple(name for name in names if self._is_needed(name, true, noise))
        if self.layer not in needed:
            raise EngineError(f"the logits do not depend on {self.layer}")
        return needed

    def _is_needed(self, name: str, true: Mapping[str, Tensor], noise: Tensor) -> bool:
        given = {other: output.clone() for other, output in true.items() if other != name}
        try:
            with self.giving(given):
                return bool(torch.isnan(self.model.network(noise)).any())
        except Exception as err:  # whatever a foreign forward makes of a placeholder
            if not self._laid_out:  # an operation in place needs numbers of its own
                self._laid_out = True
                return self._is_needed(name, true, noise)
            raise EngineError(f"{type(err).__name__} without the output of {name}") from err

    def _hooked(self) -> tuple[str, ...] | None:
        """Name the modules inside the trunk whose outputs hooks wait for.

        None where a hook waits for something else than an output, or a graph is to begin there.
        """
        found = []
        trunk = [self.module.get_submodule(name) for name in self.trunk]
        if any(_starts_graph(part) for part in (*trunk, *self._inner.values())):
            return None
        for name, part in self._inner.items():
            if part._forward_pre_hooks or part._backward_hooks:
                return None
            if part._forward_hooks:
                if part._forward_hooks_with_kwargs or part._forward_hooks_always_called:
                    return None
                found.append(name)
        return tuple(found)


def _inner_of(module: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Return the modules inside some modules, by their paths; these themselves run as stubs."""
    return {
        f"{name}.{path}": part
        for name in names
        for path, part in module.get_submodule(name).named_modules()
        if path
    }


def _starts_graph(part: nn.Module) -> bool:
    owners = (getattr(hook, "__self__", None) for hook in part._forward_hooks.values())
    return any(isinstance(one, GraphStart) and one.recording for one in owners)


def _give(output: Tensor, *_arguments: Any, **_named: Any) -> Tensor:
    return output


def _tell(part: nn.Module, output: Tensor) -> None:
    """Run the hooks of a module on an output that it did not make itself."""
    for hook in list(part._forward_hooks.values()):
        hook(part, (), output)
