"""Classifiers that a training put in the place of the architecture's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError


class ConcatPool(nn.Module):
    """Maximum and average over all positions side by side, as fastai pools before its heads."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool (n, C, h, w) to (n, 2 C)."""
        return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)


@dataclass(frozen=True)
class Head:
    """A classifier found in a state dict.

    Attributes:
        n_classes: outputs of its last layer.
        layers: what stands in place of the architecture's classifier; None where it is one linear
            layer and only the keys differ.
        state: its tensors, by key within it.
        used: keys in the state dict that it was made of.
        doubled: whether it reads twice as many features, pooled in two ways.
    """

    n_classes: int
    layers: nn.Sequential | None
    state: dict[str, Tensor]
    used: frozenset[str]
    doubled: bool = False

    def put_into(self, module: nn.Module, classifier: str) -> None:
        """Replace the classifier of `module` by this one, without its weights."""
        if self.layers is not None:
            module.set_submodule(classifier, self.layers)
        if self.doubled:
            pool = next(name for name in _POOLS if hasattr(module, name))
            module.set_submodule(pool, ConcatPool())

    def describe(self) -> str:
        """Name the layers."""
        parts = [] if self.layers is None else list(self.layers)
        return ", ".join(_short(part) for part in parts if not isinstance(part, nn.Identity))


_POOLS = ("global_pool", "avgpool")


def _short(part: nn.Module) -> str:
    if isinstance(part, nn.Linear):
        return f"Linear({part.in_features}, {part.out_features})"
    return type(part).__name__


def classifier_of(module: nn.Module) -> str | None:
    """Return the path of the layer that gives the logits; None if there is none.

    It is the one that timm names, else the last linear layer, else the last convolution of single
    positions.
    """
    named = getattr(module, "pretrained_cfg", None)
    given = named.get("classifier") if isinstance(named, Mapping) else None
    widths = {name: width for name, part in module.named_modules() if (width := width_of(part))}
    for name in [given] if isinstance(given, str) else list(given or ()):
        if name in widths:
            return str(name)
    linear = [name for name in widths if isinstance(module.get_submodule(name), nn.Linear)]
    last = linear or list(widths)
    return last[-1] if last else None


def width_of(layer: nn.Module) -> int | None:
    """Return how many features a layer reads that can be a classifier; None if it cannot."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1:
        return layer.in_channels
    return None


def find_head(
    loose: Mapping[str, Tensor], classifier: str, features: int, module: nn.Module, wanted: int
) -> Head | None:
    """Find the classifier among the tensors that no layer of the architecture takes.

    Args:
        loose: tensors by key, in the file's order.
        classifier: path of the architecture's own.
        features: how many features it reads.
        module: the architecture.
        wanted: number of classes that the user named; 0 if none are named.

    Raises:
        CheckpointError: several layers could be it.
    """
    layers = _layers(loose)
    widths = [features]
    if any(hasattr(module, name) for name in _POOLS):
        widths.append(2 * features)
    chains: list[tuple[list[str], int]] = []
    for width in widths:
        for start in layers:
            if _may_begin(layers, start):
                chain = _chain(layers, start, width)
                if chain and not any(set(chain) <= set(other) for other, _ in chains):
                    chains.append((chain, width))
        if chains:
            break
    own = [c for c in chains if all(f"{p}.".startswith(classifier + ".") for p in c[0])]
    fitting = [c for c in chains if wanted in _outputs(layers, c[0])]
    chosen = own or (fitting if len(chains) > 1 and fitting else chains)
    if not chosen:
        return None
    if len(chosen) > 1:
        names = ", ".join(chain[-1] for chain, _ in chosen)
        raise CheckpointError(
            f"Expected one classifier of {features} features, but got {len(chosen)}: {names}; "
            "build the network yourself and pass it to `xattn.wrap`"
        )
    chain, width = chosen[0]
    return _build(layers, chain, doubled=width != features)


Layers = dict[str, dict[str, Tensor]]


def _layers(loose: Mapping[str, Tensor]) -> Layers:
    """Gather tensors by the layer they belong to; only linear layers and norms have such."""
    found: Layers = {}
    for key, value in loose.items():
        path, _, name = key.rpartition(".")
        found.setdefault(path, {})[name] = value
    known = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    return {
        path: parts
        for path, parts in found.items()
        if set(parts) <= known and "weight" in parts and parts["weight"].ndim in (1, 2)
    }


def _may_begin(layers: Layers, start: str) -> bool:
    """Whether a layer is not the continuation of one before it, beside it.

    Where layers are numbered they follow one another; named ones do where widths fit.
    """
    paths = list(layers)
    i = paths.index(start)
    parent, _, end = start.rpartition(".")
    if not i or paths[i - 1].rpartition(".")[0] != parent:
        return True
    if end.isdecimal():
        return False
    before = layers[paths[i - 1]]["weight"]
    return bool(before.shape[0] != layers[start]["weight"].shape[-1])


def _chain(layers: Layers, start: str, width: int) -> list[str]:
    """Follow layers beside `start` in the file's order, as long as each takes what the last gives.

    Empty if it holds no linear layer, or does not begin with `width` features.
    """
    parent = start.rpartition(".")[0]
    paths = list(layers)
    chain: list[str] = []
    for path in paths[paths.index(start) :]:
        weight = layers[path]["weight"]
        if path.rpartition(".")[0] != parent or weight.shape[-1] != width:
            if chain:
                break
            return []
        chain.append(path)
        width = weight.shape[0]
    while chain and layers[chain[-1]]["weight"].ndim == 1:  # a norm after the logits is none
        chain.pop()
    return chain


def _outputs(layers: Layers, chain: Sequence[str]) -> set[int]:
    return {layers[chain[-1]]["weight"].shape[0]}


def _build(layers: Layers, chain: Sequence[str], doubled: bool) -> Head:
    used = frozenset(f"{path}.{name}" for path in chain for name in layers[path])
    last = layers[chain[-1]]["weight"]
    if len(chain) == 1 and not doubled:
        state = dict(layers[chain[0]])
        state.setdefault("bias", torch.zeros(len(last), dtype=last.dtype))
        return Head(len(last), None, state, used)
    parts: list[nn.Module] = []
    state = {}
    ends = [path.rpartition(".")[2] for path in chain]
    numbers = [int(end) for end in ends] if all(e.isdecimal() for e in ends) else None
    linear_before, active = False, False
    for i, path in enumerate(chain):
        tensors = layers[path]
        is_linear = tensors["weight"].ndim == 2
        if numbers is not None:
            gap = min(max(numbers[i] - numbers[i - 1] - 1, 0), 8) if i else 0
        else:  # named one by one: an activation stands before each next linear layer
            gap = int(is_linear and linear_before)
        for _ in range(gap):
            # The first layer without weights after a linear one is its activation.
            act = linear_before and not active
            parts.append(nn.ReLU() if act else nn.Identity())
            active = active or act
        state |= {f"{len(parts)}.{name}": value for name, value in tensors.items()}
        parts.append(_make(tensors))
        if is_linear:
            linear_before, active = True, False
    return Head(len(last), nn.Sequential(*parts), state, used, doubled)


def _make(tensors: Mapping[str, Tensor]) -> nn.Module:
    weight = tensors["weight"]
    if weight.ndim == 2:
        return nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in tensors)
    if "running_mean" in tensors:
        return nn.BatchNorm1d(len(weight))
    return nn.LayerNorm(len(weight))
