"""Engines by registration: each turns a part of a network into something faster.

To add one, write a function of an `Extract` and an example, in a file of this package:

    @engine("my-engine", package="my_package", extra="fast")
    def build(extract, example): ...

One that names `precisions` beside float32 is given `precision="bf16"` too, where that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor, nn

from xattn.attribution.passes.engines.library_warnings import quiet_libraries
from xattn.registry import Registry, meaning_of

Run = Callable[[Tensor], list[Tensor]]
"""Inputs (n, channels, height, width), n as in the example, to the outputs that were asked for."""


class EngineError(Exception):
    """An engine cannot take a network; the text says why, in a line."""


class Extract(nn.Module):
    """Some outputs inside a network, of its input.

    Args:
        module: the network, in evaluation mode.
        names: paths of modules whose outputs are wanted, each of which runs once.
    """

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module, self.names = module, tuple(names)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, in the order of the names."""
        found: dict[str, Tensor] = {}

        def note(name: str) -> Callable[..., None]:
            def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
                # Kept from what follows, which may work in place.
                found[name] = output.clone()

            return hook

        hooks = [
            self.module.get_submodule(name).register_forward_hook(note(name)) for name in self.names
        ]
        try:
            self.module(x)
        finally:
            for hook in hooks:
                hook.remove()
        return tuple(found[name] for name in self.names)


Build = Callable[..., Run]
"""An `Extract` and an example, and a `precision` other than \"32\", to what computes it."""


@dataclass(frozen=True)
class Engine:
    """A named engine.

    Attributes:
        name: as on the command line.
        package: that it needs, "" for none.
        extra: of xattn, that installs it.
        seconds: that compiling takes, of the order of; `auto` sets them against what is saved.
        saves: fraction of torch's time that is saved, of the order of.
        build: makes it.
        meaning: one line.
        precisions: that it takes beside "32"; its outputs are float32 in any case.
    """

    name: str
    package: str
    extra: str
    seconds: float
    saves: float
    build: Build
    meaning: str
    precisions: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return not self.package or find_spec(self.package) is not None


ENGINES: Registry[Engine] = Registry("engine", package="xattn.attribution.passes.engines")


def engine(
    name: str,
    *,
    package: str = "",
    extra: str = "",
    seconds: float,
    saves: float,
    meaning: str = "",
    precisions: tuple[str, ...] = (),
) -> Callable[[Build], Build]:
    """Register an engine, which says nothing while it compiles; see `Engine` for the arguments."""
    return ENGINES.register(
        name,
        lambda build: Engine(
            name, package, extra, seconds, saves, quiet_libraries()(build),
            meaning_of(build, meaning), precisions,
        ),
    )  # fmt: skip
