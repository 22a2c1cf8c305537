"""A private, faster copy of a model for one run.

Batch norms are folded into the convolutions before them and weights are laid out channels last; a
ViT's last block goes on with the class token alone. All are exact but for rounding, and that is not
taken on trust: logits, activations and gradients of a probing batch are compared with the model's
own, and where they deviate the model itself is used. Names of layers stay. In a precision below 32
a private copy is used in any case, and compared less strictly (`passes.precision`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.engines.choose import NONE, TORCH, Wanted, accelerated, engine_for
from xattn.attribution.passes.engines.registry import Engine
from xattn.attribution.passes.fold_norms import fold_norms, has_convolutions, probe_batch
from xattn.attribution.passes.partial_forward import trunk_of
from xattn.attribution.passes.precision import TOLERANCES, UNROUNDED, lower
from xattn.attribution.passes.short_vit import shorten_last_block
from xattn.errors import MethodError
from xattn.models.averaging import Ensemble
from xattn.models.interface import Model
from xattn.settings.precision import FULL


def make_fast_copy(model: Model, *, compiled: bool = False, wanted: Wanted | None = None) -> Model:
    """Copy a model for speed, or return it as it is where no copy is faster and true.

    Args:
        model: stays as it is.
        compiled: let torch.compile have the modules before the explained layer; on CUDA alone,
            elsewhere ignored.
        wanted: the engine for these layers, and their precision; default torch in float32.

    Returns:
        A model of the same classes, layers and results, to `TOLERANCES`. Its `engine` says what it
        runs in, and why not in another; its `precision` likewise.

    Raises:
        UsageError: the engine that is wanted is unknown or not installed.
    """
    wanted = wanted or Wanted()
    if isinstance(model, Ensemble):
        members = [make_fast_copy(one, compiled=compiled, wanted=wanted) for one in model.members]
        made = model.with_members(members)
        made.engine = _joined(", ", (one.engine or NONE for one in members))
        made.engine_note = _joined("; ", (one.engine_note for one in members))
        made.precision = _joined(", ", (one.precision for one in members))
        made.precision_note = _joined("; ", (one.precision_note for one in members))
        return made
    if wanted.accelerate == NONE:
        return model if wanted.precision == FULL else _lowered(model, model, wanted.precision)
    engine, why_not = engine_for(wanted, model, partial(probe_batch, model))
    if engine is not None:
        copied, why_not = _in_engine(model, engine, wanted)
        if copied is not None:
            return copied
    copied = _in_torch(model, wanted.precision)
    if wanted.precision != FULL:
        copied = _lowered(copied, model, wanted.precision)
    if copied is not model:
        copied.engine = TORCH
    if why_not:
        copied = copy.copy(copied) if copied is model else copied
        copied.engine_note = why_not
    if compiled and model.device.type == "cuda":
        copied = _compiled(copied, model)
    return copied


def _joined(by: str, texts: Iterable[str]) -> str:
    return by.join(dict.fromkeys(filter(None, texts)))


def _in_engine(model: Model, engine: Engine, wanted: Wanted) -> tuple[Model | None, str]:
    """Return a copy that runs in an engine; None, and why not, where that is not true to it."""
    try:
        copied = private_copy(model)
    except MethodError as err:  # no layer to explain, but predictions
        return None, str(err)
    if copied is None:
        return None, "the network cannot be copied"
    shorten_last_block(copied)
    if has_convolutions(copied.module):  # for passes that the engine cannot do
        fold_norms(copied)
        copied.module.to(memory_format=torch.channels_last)
    example, precision = probe_batch(model, wanted.batch), wanted.precision
    if why_not := accelerated(copied, engine, example, precision):
        return None, f"{engine.name}: {why_not}"
    if why_not := _deviates(copied, model, precision, attention=True):
        return None, f"{engine.name}: {copied.trunk.refused or why_not}"
    copied.engine, copied.precision = engine.name, precision
    return copied, ""


def _in_torch(model: Model, precision: str) -> Model:
    """Return a copy that is folded, but for a low precision, or the model itself.

    A norm that is folded leaves its shift to the convolution's bias, whose rounding is the same at
    all places and adds up: logits of a trained EfficientNet-Lite0 in bf16 are off by 1.8 times as
    much.
    """
    folding = has_convolutions(model.module)
    if not (folding or model.attention_layers):
        return model
    copied = private_copy(model)
    if copied is None:
        return model
    shortened = shorten_last_block(copied)
    if not (folding or shortened):
        return model
    if folding and precision == FULL:
        fold_norms(copied)
    if folding:
        copied.module.to(memory_format=torch.channels_last)
    return model if _deviates(copied, model) else copied


def _lowered(copied: Model, model: Model, precision: str) -> Model:
    """Let a copy compute in low precision; in float32 still, and with a note, if that fails.

    Args:
        copied: the copy, or the model itself: then a copy of it is made.
        model: the user's.
        precision: "bf16" or "16".
    """
    why_not = ""
    if copied is model:
        try:
            found = private_copy(model)
            why_not = "" if found else "the network cannot be copied"
        except MethodError as err:  # no layer to explain, but predictions
            found, why_not = None, str(err)
        copied = found or copy.copy(model)
    if not why_not and not lower(copied, precision):
        why_not = "no layer with weights comes before the explained one"
    why_not = why_not or _deviates(copied, model, precision)
    if not why_not:
        copied.precision = precision
    elif copied.lowered is not None:
        copied.lowered.paused = True
    copied.precision_note = why_not
    return copied


def _compiled(copied: Model, model: Model) -> Model:
    """Let torch.compile have the layers before the explained one of a copy, if there is one."""
    if copied.module is model.module:
        found = private_copy(model)
        if found is None:
            return copied
        found.engine, found.engine_note = TORCH, copied.engine_note
        found.precision_note = copied.precision_note
        copied = found
    for name in trunk_of(copied):
        copied.module.get_submodule(name).compile()
    return copied


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


def _deviates(
    copied: Model, model: Model, precision: str = FULL, *, attention: bool = False
) -> str:
    """Compare logits, and activations and gradients of the explained layer, on noise.

    Below 32 logits and activations alone, which must be rounded: what an engine or torch computes
    in float32 all the same is no low precision.

    Args:
        copied: the copy.
        model: the user's.
        precision: that the copy is to have.
        attention: whether to compare what attention layers give, too.

    Returns:
        In what they deviate; "" if in nothing.
    """
    batch, layers = probe_batch(model), model.attention_layers if attention else ()
    tolerance = TOLERANCES[precision]
    try:
        theirs = capture(model, batch, attention=layers)
        # What it explains must not depend on the rounding of two equal logits.
        ours = capture(copied, batch, theirs.targets, attention=layers)
        pairs = [
            (ours.logits, theirs.logits),
            *zip(ours.at_layer(), theirs.at_layer(), strict=True),
        ]
        if precision != FULL:
            pairs = pairs[:2]
        else:
            pairs += [
                (mine.received(), other.received())
                for mine, other in zip(
                    ours.attention.values(), theirs.attention.values(), strict=True
                )
            ]
    except Exception as err:  # whatever a foreign forward makes of a norm that is gone
        return f"{type(err).__name__}: {(str(err).splitlines() or [''])[0]}"
    found = [_deviation(mine, other) for mine, other in pairs]
    if not all(one <= tolerance for one in found):
        return f"results differ by more than {tolerance:g}"
    if precision != FULL and max(found) < UNROUNDED:
        return f"computes in float32 where {precision} is wanted"
    return ""


def _deviation(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest deviation as a fraction of the largest value; NaN where that is none."""
    if not torch.isfinite(theirs).all():
        return float("nan")
    most, scale = float((ours - theirs).abs().max()), float(theirs.abs().max())
    return most / scale if scale else (0.0 if most == 0 else float("inf"))
