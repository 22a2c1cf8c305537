"""A private, faster copy of a model for one run.

Batch norms are folded into the convolutions before them and weights are laid out channels last; a
ViT's last block goes on with the class token alone. All are exact but for rounding, and that is not
taken on trust: logits, activations and gradients of a probing batch are compared with the model's
own, and where they deviate the model itself is used. Names of layers stay.
"""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.engines.choose import NONE, TORCH, Wanted, accelerated, engine_for
from xattn.attribution.passes.engines.registry import Engine
from xattn.attribution.passes.partial_forward import trunk_of
from xattn.attribution.passes.short_vit import shorten_last_block
from xattn.errors import MethodError
from xattn.models.averaging import Ensemble
from xattn.models.interface import Model
from xattn.models.probing.forward import model_dtype

TOLERANCE = 1e-4
"""Largest deviation of the copy, as a fraction of the largest value that is compared."""
FEW_CONVOLUTIONS = 3
"""A network with no more convolutions (a ViT's patches) gains nothing from folding."""


def make_fast_copy(
    model: Model, *, amp: bool = False, compiled: bool = False, wanted: Wanted | None = None
) -> Model:
    """Copy a model for speed, or return it as it is where no copy is faster and true.

    Args:
        model: stays as it is.
        amp: compute in half precision where torch deems it safe; on CUDA alone, elsewhere ignored.
        compiled: let torch.compile have the modules before the explained layer; CUDA alone too.
        wanted: the engine for these layers; default torch.

    Returns:
        A model of the same classes, layers and results: to 1e-4, with `amp` to about 1e-2. Its
        `engine` says what it runs in, and why not in another.

    Raises:
        UsageError: the engine that is wanted is unknown or not installed.
    """
    wanted = wanted or Wanted()
    if isinstance(model, Ensemble):
        members = [
            make_fast_copy(member, amp=amp, compiled=compiled, wanted=wanted)
            for member in model.members
        ]
        made = model.with_members(members)
        made.engine = ", ".join(dict.fromkeys(one.engine or NONE for one in members))
        made.engine_note = "; ".join(dict.fromkeys(filter(None, (m.engine_note for m in members))))
        return made
    if wanted.accelerate == NONE:
        return model
    engine, why_not = engine_for(wanted, model, partial(_probe_batch, model))
    if engine is not None:
        copied, why_not = _in_engine(model, engine, wanted.batch)
        if copied is not None:
            return copied
    copied = _in_torch(model, amp=amp, compiled=compiled)
    if copied is not model:
        copied.engine = TORCH
    if why_not:
        copied = copy.copy(copied) if copied is model else copied
        copied.engine_note = why_not
    return copied


def _in_engine(model: Model, engine: Engine, batch: int) -> tuple[Model | None, str]:
    """Return a copy that runs in an engine; None, and why not, where that is not true to it."""
    try:
        copied = private_copy(model)
    except MethodError as err:  # no layer to explain, but predictions
        return None, str(err)
    if copied is None:
        return None, "the network cannot be copied"
    shorten_last_block(copied)
    if _has_convolutions(copied.module):  # for passes that the engine cannot do
        _fold_all(copied)
    if why_not := accelerated(copied, engine, _probe_batch(model, batch)):
        return None, f"{engine.name}: {why_not}"
    if not _agrees(copied, model, attention=True):
        if copied.trunk.refused:
            return None, f"{engine.name}: {copied.trunk.refused}"
        return None, f"{engine.name}: results differ by more than {TOLERANCE:g}"
    copied.engine = engine.name
    return copied, ""


def _in_torch(model: Model, *, amp: bool, compiled: bool) -> Model:
    """Return a folded copy, or the model itself."""
    on_cuda = model.device.type == "cuda"
    folding, wanted = _has_convolutions(model.module), on_cuda and (amp or compiled)
    if not (folding or wanted or model.attention_layers):
        return model
    copied = private_copy(model)
    if copied is None:
        return model
    shortened = shorten_last_block(copied)
    if not (folding or wanted or shortened):
        return model
    if folding:
        _fold_all(copied)
    if not _agrees(copied, model):
        return model
    if on_cuda and compiled:
        for name in trunk_of(copied):
            copied.module.get_submodule(name).compile()
    if on_cuda and amp:
        copied.module.forward = torch.autocast("cuda")(copied.module.forward)
        if not copied.outputs.plain:
            copied.outputs = replace(copied.outputs, full=True)
    return copied


def _fold_all(copied: Model) -> None:
    for convolution, norm in _pairs(copied):
        _fold(copied.module, convolution, norm)
    copied.module.to(memory_format=torch.channels_last)


def _has_convolutions(module: nn.Module) -> bool:
    count = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    return count > FEW_CONVOLUTIONS


def private_copy(model: Model) -> Model | None:
    """Copy a model with what is known of its layers; None if some module cannot be copied.

    Raises:
        MethodError: no layer of the model can be explained.
    """
    try:
        # The layer is found, and complained about, on the model itself.
        seen, layer = model.seen, model.target_layer
        with torch.inference_mode(False):
            module = copy.deepcopy(model.module).eval().requires_grad_(False)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError):
        return None  # some modules cannot be copied
    copied = Model(
        module,
        model.classes,
        model.preprocessing,
        architecture=model.architecture,
        options=model.options,
        target_layer=layer,
        source=model.source,
    )
    copied.seen, copied.outputs = seen, model.outputs
    copied.unfused = True
    return copied


def _pairs(copied: Model) -> list[tuple[str, str]]:
    """Name each convolution whose output a batch norm takes, both run once in a probing pass.

    Whether something else takes it too only the comparison of the results can tell.
    """
    names = {part: name for name, part in copied.module.named_modules()}
    given: list[tuple[Tensor, str]] = []
    calls: Counter[str] = Counter()
    pairs: list[tuple[str, str]] = []

    def gave(part: nn.Module, _inputs: Any, output: Tensor) -> None:
        calls[names[part]] += 1
        given.append((output, names[part]))  # held, so that its identity stays its own

    def takes(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls[names[part]] += 1
        pairs.extend((name, names[part]) for output, name in given if output is inputs[0])

    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for part in names:
            if type(part).__name__ in ("Conv2d", "Conv2dSame") and isinstance(part, nn.Conv2d):
                stack.callback(part.register_forward_hook(gave).remove)
            elif _is_plain_norm(part):
                stack.callback(part.register_forward_pre_hook(takes).remove)
        copied.module(_probe_batch(copied)[:1])
    target = copied.target_layer
    return [
        (convolution, norm)
        for convolution, norm in pairs
        if calls[convolution] == calls[norm] == 1 and convolution != target
    ]


def _is_plain_norm(part: nn.Module) -> bool:
    """Batch norm with statistics of its own; timm's may drop and activate after it."""
    known = type(part) is nn.BatchNorm2d or type(part).__name__ == "BatchNormAct2d"
    return known and getattr(part, "running_mean", None) is not None


class _After(nn.Module):
    """What is left of timm's batch norm with activation once the norm is folded away."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.drop = norm.drop
        self.act = norm.act

    def forward(self, x: Tensor) -> Tensor:
        """Activate."""
        result: Tensor = self.act(self.drop(x))
        return result


def _fold(module: nn.Module, convolution_name: str, norm_name: str) -> None:
    """Scale and shift a convolution as the norm after it would, and take the norm away."""
    convolution: Any = module.get_submodule(convolution_name)
    norm: Any = module.get_submodule(norm_name)
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.weight is not None:
        scale, shift = scale * norm.weight.double(), shift * norm.weight.double()
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    weight = convolution.weight
    bias = 0 if convolution.bias is None else convolution.bias.double()
    folded = weight.double() * scale[:, None, None, None]
    convolution.weight = nn.Parameter(folded.to(weight.dtype), requires_grad=False)
    shifted = (bias * scale + shift).to(weight.dtype)
    convolution.bias = nn.Parameter(shifted, requires_grad=False)
    parent, _, name = norm_name.rpartition(".")
    rest = nn.Identity() if type(norm) is nn.BatchNorm2d else _After(norm)
    setattr(module.get_submodule(parent), name, rest.eval())


def _agrees(copied: Model, model: Model, *, attention: bool = False) -> bool:
    """Compare logits, and activations and gradients of the explained layer, on noise.

    Args:
        copied: the copy.
        model: the user's.
        attention: whether to compare what attention layers give, too.
    """
    batch, layers = _probe_batch(model), model.attention_layers if attention else ()
    try:
        theirs = capture(model, batch, attention=layers)
        # What it explains must not depend on the rounding of two equal logits.
        ours = capture(copied, batch, theirs.targets, attention=layers)
        received = [
            (mine.received(), other.received())
            for mine, other in zip(ours.attention.values(), theirs.attention.values(), strict=True)
        ]
    except Exception:  # whatever a foreign forward makes of a norm that is gone
        return False
    pairs = [(ours.logits, theirs.logits), *zip(ours.at_layer(), theirs.at_layer(), strict=True)]
    return all(_close(mine, other) for mine, other in (*pairs, *received))


def _close(ours: Tensor, theirs: Tensor) -> bool:
    scale = theirs.abs().max()
    return bool(torch.isfinite(theirs).all() and (ours - theirs).abs().max() <= TOLERANCE * scale)


def _probe_batch(model: Model, n: int = 2) -> Tensor:
    dtype, device = model_dtype(model.module)
    seen = model.preprocessing
    noise = torch.randn(n, seen.channels, *seen.size, generator=torch.Generator().manual_seed(0))
    return noise.to(device, dtype)
