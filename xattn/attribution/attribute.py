"""Attribution in memory: what the methods need, one pass that captures it, and their maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xattn.attribution.ensembles import attribute_ensemble
from xattn.attribution.passes.capture import Captured, capture_each
from xattn.attribution.registry import ANY_ATTENTION, Method, Needs, maps_of
from xattn.attribution.registry import method as method_of
from xattn.attribution.shifts import attribute_shifted
from xattn.attribution.targets import class_index, require_exclusive
from xattn.errors import MethodError, UsageError, near
from xattn.images.cells import upsample as to_pixels
from xattn.models.averaging import Ensemble
from xattn.models.checkpoints.published import published_by
from xattn.models.interface import Model
from xattn.models.probing.forward import evaluating, model_dtype
from xattn.models.wrapping import wrap
from xattn.paths import kind_of

if TYPE_CHECKING:
    from PIL import Image

Target = int | str | None
"""A class to explain: its index, its name, or None for the predicted one."""


def attribute(
    model: Model | nn.Module,
    batch: Tensor | NDArray[Any] | Image.Image | Sequence[Image.Image | NDArray[Any]],
    method: str | Method = "gradcam",
    target: Target | Sequence[Target] | Tensor = None,
    *,
    upsample: bool = False,
) -> Tensor:
    """Attribute the score of a class to the places of each image, in memory.

    One forward pass, and what the method costs beyond it (`xattn.methods()`). The model comes back
    as it was. Each call on a network that is no `Model` looks for its layers anew: wrap it once
    for several calls.

    Args:
        model: from `xattn.load` or `xattn.wrap`; or a classifier of one tensor of logits, whose
            classes then have no names and whose input is as large as the batch.
        batch: n inputs as the model takes them, a float Tensor (n, 3, H, W); or, for a `Model`,
            images that are preprocessed first: one or several of what `Model.preprocess` takes.
        method: a name, such as "gradcam" or "attention[layer=3]", or a method itself, such as
            `Attention(layer=3)`.
        target: the class to explain, by index or name; one for all images or one for each. None is
            the predicted one.
        upsample: return the maps at the resolution of the input, each cell where its layer looks,
            linear in between.

    Returns:
        Maps (n, h, w) at the resolution of the method's layer, (n, H, W) with `upsample`; detached,
        unnormalised, on the model's device. The CAM family is in units of the logit, attention in
        fractions of 1.

    Raises:
        UsageError: the method, an option or a target is unknown; targets or inputs do not fit; or
            the model's outputs are independent, and no target is given.
        MethodError: the method makes no sense for the model.
        ImageError: an image is of a depth that cannot be shown.

    Examples:
        >>> import torch, xattn
        >>> from torch import nn
        >>> pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), *pool, nn.Linear(4, 2))
        >>> model = xattn.wrap(net, classes=["benign", "malignant"])
        >>> maps = xattn.attribute(model, torch.rand(5, 3, 224, 224), "gradcam", "malignant")
        >>> maps.shape
        torch.Size([5, 28, 28])
    """
    if not isinstance(model, Model):
        model = _wrapped(model, batch)
    inputs = _inputs(model, batch)
    chosen = method if isinstance(method, Method) else method_of(method)
    targets = _indices(model, target, len(inputs))
    chosen.check(model)
    _, maps = attribute_each(model, inputs, {chosen.name: (chosen, 0)}, [targets])
    found = maps[chosen.name].detach()
    if not upsample:
        return found
    cells = chosen.cells(model)
    if found.shape[1:] != cells.grid:
        raise MethodError(
            f"Expected maps of {chosen.name!r} of {cells.grid[0]} x {cells.grid[1]} cells, as its "
            f"layer has, but got {found.shape[1]} x {found.shape[2]}; its map_layer must name "
            "another layer"
        )
    return torch.from_numpy(to_pixels(found.to("cpu", torch.float32).numpy(), cells)).to(found)


def attribute_each(
    model: Model,
    inputs: Tensor,
    jobs: Mapping[str, tuple[Method, int]],
    targets: Sequence[Tensor | None],
) -> tuple[list[Captured], dict[str, Tensor]]:
    """Make several methods' maps of a batch, for several targets, from one forward pass.

    Methods with shifts take further passes, see `xattn.attribution.shifts`.

    Args:
        model: stays as it is.
        inputs: (n, 3, height, width).
        jobs: by a name of the caller's, a method that makes sense for the model, and the index of
            the target that it explains.
        targets: class index per image, (n,); the predicted one where it is -1, or if None.

    Returns:
        What was captured for each target, and the maps (n, h, w) by name.

    Raises:
        MethodError: as `capture`.
    """
    return attribute_shifted(model, inputs, jobs, targets, _attribute_in_one_pass)


def _attribute_in_one_pass(
    model: Model,
    inputs: Tensor,
    jobs: Mapping[str, tuple[Method, int]],
    targets: Sequence[Tensor | None],
) -> tuple[list[Captured], dict[str, Tensor]]:
    """Do what `attribute_each` does, without shifts."""
    if isinstance(model, Ensemble):
        return attribute_ensemble(model, inputs, jobs, targets, _attribute_in_one_pass)
    needs = reduce(or_, (each.needs for each, _ in jobs.values()), Needs(0))
    attention = model.attention_layers if needs & ANY_ATTENTION else ()
    captured = capture_each(
        model,
        inputs,
        targets,
        gradients=Needs.GRADIENTS in needs,
        activations=Needs.ACTIVATIONS in needs,
        attention=attention if Needs.ALL_ATTENTION in needs else attention[-1:],
    )
    return captured, {name: maps_of(each, model, captured[i]) for name, (each, i) in jobs.items()}


def _wrapped(module: nn.Module, batch: Any) -> Model:
    """Wrap a network whose classes have no names, for inputs of the batch's size."""
    if not isinstance(module, nn.Module):
        raise UsageError(f"Expected a model or a torch.nn.Module, but got {kind_of(module)}")
    if not isinstance(batch, Tensor) or batch.ndim != 4:
        raise UsageError(
            "Expected a Tensor (n, 3, height, width) beside a network without a preprocessing, but "
            f"got {_shape_of(batch)}; xattn.wrap says how images become its inputs"
        )
    dtype, device = model_dtype(module)
    with torch.inference_mode(False), torch.no_grad(), evaluating(module):
        logits = module(batch[:1].to(device, dtype))
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise UsageError(
            f"Expected a network of logits (n, classes), but it returns {_shape_of(logits)}; "
            "xattn.wrap takes others"
        )
    read, _ = published_by("custom", module)
    height, width = batch.shape[2:]
    classes = [str(i) for i in range(max(2, logits.shape[1]))]
    return wrap(module, classes=classes, preprocessing=read.at((height, width)))


def _inputs(model: Model, batch: Any) -> Tensor:
    """Return inputs (n, 3, height, width) of the model's type and size."""
    if not isinstance(batch, Tensor):
        several = isinstance(batch, Sequence) or (isinstance(batch, np.ndarray) and batch.ndim > 3)
        images = list(batch) if several else [batch]
        if not images:
            raise UsageError("Expected an image, but got none")
        return torch.stack([model.preprocess(image) for image in images])
    expected = (model.preprocessing.channels, *model.preprocessing.size)
    if batch.ndim != 4 or tuple(batch.shape[1:]) != expected or not batch.is_floating_point():
        raise UsageError(
            f"Expected inputs (n, {', '.join(map(str, expected))}) of floats, as the model takes "
            f"them, but got {_shape_of(batch)}; images that are not preprocessed are given as PIL "
            f"images or arrays (H, W, {expected[0]})"
        )
    dtype, device = model_dtype(model.module)
    return batch.detach().to(device, dtype)


def _shape_of(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return kind_of(value)


def _indices(model: Model, target: Any, n: int) -> Tensor:
    """Return the index of each image's class, (n,); -1 for the predicted one."""
    if isinstance(target, Tensor | np.ndarray):
        target = target.tolist()
    if not isinstance(target, Sequence) or isinstance(target, str):
        target = [target] * n
    if len(target) != n:
        raise UsageError(f"Expected a target for each of {n} images, but got {len(target)}")
    return torch.tensor([_index(model, one) for one in target], dtype=torch.long)


def _index(model: Model, target: Any) -> int:
    if target is None or (target == "predicted" and target not in model.classes):
        require_exclusive(model, "predicted")
        return -1
    count = len(model.classes)
    if isinstance(target, int | np.integer) and not isinstance(target, bool):
        if not 0 <= int(target) < count:
            raise UsageError(f"Expected a class from 0 to {count - 1}, but got {target}")
        return int(target)
    index = class_index(model, target) if isinstance(target, str) else None
    if index is None:
        raise UsageError(f"Unknown target {target!r}{near(str(target), model.classes)}")
    return index
