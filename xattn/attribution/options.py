"""Methods with options: `attention[layer=3,head=1]`, as they are typed and stored."""

from __future__ import annotations

import re
from collections.abc import Mapping

from xattn.errors import UsageError, near
from xattn.models.attention import AttentionLayer
from xattn.models.interface import Model

OPTIONS = ("layer", "head")
_WITH_OPTIONS = re.compile(r"([^\[\]@]+)\[([^\[\]@]*)\](@.*)?")


def split_options(name: str) -> tuple[str, dict[str, str]]:
    """Split a method's name from its options; without `[...]` there are none.

    Raises:
        UsageError: an option is unknown, there twice, or without a value.
    """
    found = _WITH_OPTIONS.fullmatch(name)
    if found is None:
        return name, {}
    options: dict[str, str] = {}
    for part in found[2].split(","):
        key, _, value = (text.strip() for text in part.partition("="))
        if key not in OPTIONS:
            raise UsageError(f"Unknown option {key!r} of method {name!r}{near(key, OPTIONS)}")
        if not value or key in options:
            raise UsageError(f"Expected {key}=VALUE once in {name!r}; such as attention[layer=3]")
        options[key] = value
    return found[1], options


def join_options(name: str, options: Mapping[str, str]) -> str:
    """Return the name under which maps of a method with these options are stored."""
    parts = [f"{key}={options[key]}" for key in OPTIONS if key in options]
    return f"{name}[{','.join(parts)}]" if parts else name


def expand(model: Model, name: str) -> list[str]:
    """Write `layer=all` and `head=all` out as one name for each.

    Raises:
        UsageError: as `split_options` and `find_layer`.
    """
    plain, options = split_options(name)
    if "all" not in options.values() or not model.attention_layers:
        return [name]
    target = name.partition("]")[2]
    layers = [options.get("layer")]
    if options.get("layer") == "all":
        layers = [str(i) for i in range(len(model.attention_layers))]
    found = []
    for layer in layers:
        heads = [options.get("head")]
        if options.get("head") == "all":
            of = model.attention_layers[find_layer(model, layer)]
            heads = [str(i) for i in range(of.heads)]
        for head in heads:
            given = {k: v for k, v in (("layer", layer), ("head", head)) if v is not None}
            found.append(join_options(plain, given) + target)
    return found


def find_layer(model: Model, layer: str | None) -> int:
    """Return the index of an attention layer by its path or index; the last one if None.

    Raises:
        UsageError: there is none of this name.
    """
    names = [each.name for each in model.attention_layers]
    if layer is None:
        return len(names) - 1
    if layer in names:
        return names.index(layer)
    if layer.isdecimal() and int(layer) < len(names):
        return int(layer)
    raise UsageError(
        f"Unknown attention layer {layer!r}{near(layer, names)}; by index 0 to {len(names) - 1}"
    )


def find_head(layer: AttentionLayer, head: str) -> int:
    """Return the index of a head.

    Raises:
        UsageError: the layer has fewer.
    """
    if not (head.isdecimal() and int(head) < layer.heads):
        raise UsageError(
            f"Expected a head from 0 to {layer.heads - 1} of {layer.name!r}, but got {head!r}"
        )
    return int(head)
