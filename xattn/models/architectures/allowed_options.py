"""What a checkpoint may say about how its architecture is built.

A checkpoint comes from anywhere. Its options reach a builder of another library, some of whose
arguments load files, fetch addresses, or ask for any amount of memory. Only those that shape the
network pass, within bounds.
"""

from __future__ import annotations

import inspect
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from xattn.errors import CheckpointError
from xattn.models.architectures.blocks import BLOCKS
from xattn.models.architectures.registry import ARCHITECTURES

Check = Callable[[Any], bool]


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value) and low <= value <= high

    return check


def _or_several(check: Check, most: int = 8) -> Check:
    def several(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return len(value) <= most and all(check(one) for one in value)
        return check(value)

    return several


def _flag(value: Any) -> bool:
    return type(value) is bool


def _word(value: Any) -> bool:
    """A name that the builder looks up in a list of its own: no path, no address."""
    return isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9_]{0,32}", value))


_BLOCK: dict[str, Check] = {
    "stages": _or_several(_whole(1, 16), 16),
    "heads": _whole(1, 128),
    "kernel": _whole(1, 63),
    "ratio": _whole(1, 128),
    "position": _word,
    "match": _word,
}
"""Options of hybrids and controls; what makes no sense within bounds their builder names."""

_RATES = ("drop_rate", "drop_path_rate", "attn_drop_rate", "proj_drop_rate", "pos_drop_rate",
          "patch_drop_rate", "dropout", "attention_dropout", "stochastic_depth_prob",
          "head_dropout")  # fmt: skip
_FLAGS = ("class_token", "no_embed_class", "dynamic_img_size", "dynamic_img_pad", "qkv_bias",
          "qk_norm", "fc_norm", "final_norm", "pre_norm", "strict_img_size", "always_partition",
          "ape", "patch_norm", "aux_logits", "transform_input", "init_weights",
          "head_norm_first", "scale_mlp_norm", "swiglu_mlp", "scale_mlp")  # fmt: skip
_WORDS = ("global_pool", "act_layer", "norm_layer", "pos_embed", "weight_init", "mlp_layer")

_LIBRARY: dict[str, Check] = {
    "img_size": _or_several(_whole(1, 2048), 2),
    "image_size": _whole(1, 2048),
    "patch_size": _or_several(_whole(1, 64), 2),
    "window_size": _or_several(_whole(1, 32), 2),
    "in_chans": _whole(3, 3),
    "output_stride": _whole(1, 32),
    "embed_dim": _or_several(_whole(1, 4096)),
    "depth": _whole(1, 64),
    "depths": _or_several(_whole(1, 64)),
    "dims": _or_several(_whole(1, 4096)),
    "num_heads": _or_several(_whole(1, 128)),
    "mlp_ratio": _or_several(_number(0.1, 16)),
    "reg_tokens": _whole(0, 16),
    "num_reg_tokens": _whole(0, 16),
    "swiglu_align_to": _whole(0, 512),
    **dict.fromkeys(_RATES, _number(0, 1)),
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_WORDS, _word),
}
"""Options of timm's and torchvision's builders."""


def check_options(architecture: str, options: Mapping[str, Any], source: object) -> None:
    """Make sure that options from a file only shape the network, within bounds.

    Args:
        architecture: a name as `build` takes it.
        options: as the file says them.
        source: the file, for the message.

    Raises:
        CheckpointError: an option is not among those that may come from a file, or its value is
            out of bounds.
    """
    allowed = _allowed(architecture)
    for name, value in options.items():
        if name not in allowed:
            raise CheckpointError(
                f"Expected options that shape {architecture} alone in {source}, but got {name!r}, "
                "which a checkpoint may not set; build the network yourself and pass it to "
                "`xattn.wrap`"
            )
        if not allowed[name](value):
            raise CheckpointError(
                f"Expected a value within bounds for the option {name!r} in {source}, but got "
                f"{reprlib.repr(value)}"
            )


def _allowed(architecture: str) -> Mapping[str, Check]:
    """Return the options that may come from a file for an architecture."""
    if architecture.rpartition("-")[2] in BLOCKS:
        return _BLOCK
    own = ARCHITECTURES.get(architecture)
    if own is None or own.build.__module__ == "xattn.models.architectures.zoo":
        return _LIBRARY
    # Somebody's own builder: what it names itself, with plain values.
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(own.build).parameters.values())[1:]
    return {one.name: _plain for one in parameters if one.kind in kinds}


def _plain(value: Any) -> bool:
    checks = (_flag, _word, _or_several(_number(-4096, 4096)))
    return value is None or any(check(value) for check in checks)
