"""The last block of a transformer, for the tokens alone that the logits are read at.

After its attention no token of the last block sees another, so its perceptron, two thirds of its
work, is wasted on every token but the class token. Part of the private copy that `fast_copy` makes
and compares with the model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from xattn.models.interface import Model


def shorten_last_block(copied: Model) -> bool:
    """Let the last block pass on the tokens that are read, and no others.

    Args:
        copied: a copy of which nobody else knows; its last block's forward is replaced.

    Returns:
        Whether there was such a block: one of timm's or torchvision's ViT whose class token is
        read, and whose perceptron comes after the explained layer.
    """
    layers = copied.attention_layers
    if not layers or not (read := layers[-1].readout) or read != tuple(range(len(read))):
        return False
    name, _, _ = layers[-1].name.rpartition(".")
    block = copied.module.get_submodule(name)
    short, norm = _BLOCKS.get(f"{type(block).__module__}.{type(block).__name__}", (None, ""))
    order = [layer.name for layer in copied.seen]
    explained, later = copied.target_layer, f"{name}.{norm}"
    if short is None or not {explained, later} <= {*order}:
        return False
    if order.index(explained) >= order.index(later):
        return False
    block.forward = partial(short, block, len(read))
    return True


def _timm(block: Any, read: int, x: Tensor, *arguments: Any, **named: Any) -> Tensor:
    """As `timm.models.vision_transformer.Block.forward`."""
    x = x + block.drop_path1(block.ls1(block.attn(block.norm1(x), *arguments, **named)))
    x = x[:, :read]
    result: Tensor = x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))
    return result


def _torchvision(block: Any, read: int, x: Tensor) -> Tensor:
    """As `torchvision.models.vision_transformer.EncoderBlock.forward`."""
    normed = block.ln_1(x)
    attended, _ = block.self_attention(normed, normed, normed, need_weights=False)
    x = (block.dropout(attended) + x)[:, :read]
    result: Tensor = x + block.mlp(block.ln_2(x))
    return result


_BLOCKS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "timm.models.vision_transformer.Block": (_timm, "norm2"),
    "torchvision.models.vision_transformer.EncoderBlock": (_torchvision, "ln_2"),
}
