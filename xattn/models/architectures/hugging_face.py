"""Classifiers of the package transformers, as a `config.json` describes them.

The file comes from anywhere: it chooses among the classifiers of the installed package and shapes
one, within bounds. No code that it names is run, and nothing that it names is fetched.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from xattn.errors import CheckpointError

LIBRARY = "transformers"
_ELSEWHERE = ("backbone", "use_pretrained_backbone", "backbone_config", "quantization_config")
"""Keys with which a configuration asks for other networks, or for packed weights."""
_DROPPED = (
    "auto_map", "_attn_implementation", "attn_implementation", "dtype", "torch_dtype",
    "fusion_config", "transformers_weights", "_name_or_path", "distributed_config",
)  # fmt: skip
"""Keys that say how to run it, or which code of its own would."""
_LARGEST, _DEEPEST = 1_000_000, 512


@dataclass(frozen=True)
class HuggingFace:
    """A classifier that a configuration describes.

    Attributes:
        kind: its class in transformers.
        config: the configuration, of that package's class.
    """

    kind: Any
    config: Any

    @property
    def name(self) -> str:
        """Return the architecture's name for the record."""
        return f"{LIBRARY}/{self.kind.__name__}"

    def skeleton(self) -> nn.Module:
        """Build the network for its keys and shapes alone."""
        with torch.device("meta"):
            module: nn.Module = self.kind(self.config)
        return module

    def classes(self) -> tuple[list[str], bool]:
        """Return the names in the order of the logits, and whether somebody gave them."""
        names = [str(self.config.id2label[i]) for i in range(self.config.num_labels)]
        return names, not all(re.fullmatch(r"LABEL_\d+", name) for name in names)


def is_described(content: Any) -> bool:
    """Whether the content of a `config.json` is of a network of transformers' own.

    Its wrapper of timm is not: such a folder names an architecture of timm.
    """
    kind = content.get("model_type") if isinstance(content, Mapping) else None
    return isinstance(kind, str) and kind != "timm_wrapper"


def read_config(content: Mapping[str, Any], source: object) -> HuggingFace:
    """Find the classifier that a configuration describes.

    Args:
        content: of a `config.json`.
        source: the file, for the messages.

    Raises:
        CheckpointError: transformers is not installed or does not know it, it is no image
            classifier, or it asks for more than a network of its own.
    """
    named = content.get("architectures") or []
    said = named[0] if isinstance(named, list) and named else content["model_type"]
    try:
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    except ImportError as err:
        raise CheckpointError(
            f"Expected the package transformers for {said}, which {source} describes, but it is "
            "not installed; pip install 'xattn[hf]'"
        ) from err
    asked = next((key for key in _ELSEWHERE if content.get(key)), None)
    if asked is not None:
        raise CheckpointError(
            f"Expected a network of its own in {source}, but its {asked!r} asks for another or for "
            "packed weights; load it with transformers and pass it to `xattn.wrap`"
        )
    _check_bounds(content, source)
    given = {k: v for k, v in content.items() if k not in _DROPPED}
    kind = given.pop("model_type")
    try:
        config = AutoConfig.for_model(kind, **given)
    except Exception as err:  # an unknown type, or values that its class refuses
        first = (str(err).splitlines() or [""])[0][:120]
        raise CheckpointError(
            f"Expected a configuration that transformers knows in {source}, but got: {first}"
        ) from err
    known = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING.get(type(config), ())
    kinds = known if isinstance(known, tuple) else (known,)
    chosen = next((one for one in kinds if one.__name__ == said), None)
    if chosen is None:
        here = " or ".join(one.__name__ for one in kinds)
        raise CheckpointError(
            f"Expected an image classifier{f', {here},' if here else ''} in {source}, but it "
            f"describes {said}, which gives no classes; wrap it with a classifier by `xattn.wrap`"
        )
    if "spatial_shapes" in inspect.signature(chosen.forward).parameters:
        raise CheckpointError(
            f"Expected a network of images (n, 3, height, width) in {source}, but {said} takes "
            "lists of patches with their places; cut them of an image by "
            "xattn.wrap(..., forward=...)"
        )
    return HuggingFace(chosen, config)


def _check_bounds(content: Mapping[str, Any], source: object, within: str = "") -> None:
    """Refuse numbers with which building even an empty network would not end."""
    for key, value in content.items():
        layers = "layer" in f"{within}{key}" or "depth" in f"{within}{key}"
        most = _DEEPEST if layers and "width" not in key else _LARGEST
        listed = value if isinstance(value, list) else [value]
        if any(type(one) in (int, float) and abs(one) > most for one in listed):
            raise CheckpointError(
                f"Expected a value within bounds for {key!r} in {source}, but got {value}"
            )
        if isinstance(value, Mapping):
            _check_bounds(value, source, f"{key}.")
