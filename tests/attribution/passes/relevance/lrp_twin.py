"""A slow, obvious AttnLRP of timm's ViT: relevance itself, contribution by contribution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def linear(x: Tensor, weight: Tensor, bias: Tensor, r: Tensor, gamma: float) -> Tensor:
    """Relevance (..., in) of the inputs of a layer, given that of its outputs (..., out)."""
    parts = torch.cat([x[..., None, :] * weight, bias[:, None].expand(*x.shape[:-1], -1, 1)], -1)
    signs = parts.sum(-1, keepdim=True).sign()
    parts = parts + gamma * (parts * signs).clamp(min=0) * signs
    return (parts / parts.sum(-1, keepdim=True) * r[..., None])[..., :-1].sum(-2)


def product(a: Tensor, b: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Relevance of both factors of a @ b: half of each term for each."""
    terms = a[..., :, :, None] * b[..., None, :, :]  # (..., i, k, j)
    of_terms = terms / (a @ b)[..., :, None, :] * r[..., :, None, :]
    return of_terms.sum(-1) / 2, of_terms.sum(-3) / 2


def softmax(x: Tensor, r: Tensor) -> Tensor:
    return x * (r - x.softmax(-1) * r.sum(-1, keepdim=True))


def norm(x: Tensor, part: nn.LayerNorm, r: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (x.var(-1, unbiased=False, keepdim=True) + part.eps).sqrt() * part.weight
    r = scaled / (scaled + part.bias) * r
    width = x.shape[-1]
    mixing = torch.eye(width).to(x) - 1 / width
    return (mixing * x[..., None, :] / centred[..., None] * r[..., None]).sum(-2)


def summed(a: Tensor, b: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    return a / (a + b) * r, b / (a + b) * r


def heads(x: Tensor, n: int) -> Tensor:
    return x.reshape(len(x), n, -1).transpose(0, 1)


@torch.no_grad()
def relevance_of_vit(net: nn.Module, image: Tensor, target: int, gamma: float, conv: float):
    """Relevance (3, h, w) of one image (3, h, w)."""
    patches = F.unfold(image[None], 8, stride=8)[0].T
    kernel = net.patch_embed.proj.weight.flatten(1)
    embedded = patches @ kernel.T + net.patch_embed.proj.bias
    cut = torch.cat([net.cls_token[0], embedded])
    position = net.pos_embed[0]
    x, kept = cut + position, []
    for block in net.blocks:
        first = x
        normed = block.norm1(first)
        q, k, v = (heads(part, block.attn.num_heads) for part in block.attn.qkv(normed).chunk(3, 1))
        logits = q @ k.transpose(1, 2) * block.attn.scale
        mixed = logits.softmax(-1) @ v
        joined = mixed.transpose(0, 1).flatten(1)
        attended = block.attn.proj(joined)
        second = first + attended
        hidden = block.mlp.fc1(block.norm2(second))
        out = block.mlp.fc2(F.gelu(hidden))
        kept.append((block, first, normed, q, k, v, logits, joined, attended, second, hidden, out))
        x = second + out
    last, read = x, net.norm(x)[0]
    scores = net.head(read)

    r = torch.zeros_like(scores)
    r[target] = scores[target]
    r = linear(read, net.head.weight, net.head.bias, r, gamma)
    of_last = torch.zeros_like(last)
    of_last[0] = norm(last[:1], net.norm, r[None])[0]
    r = of_last
    for block, first, normed, q, k, v, logits, joined, attended, second, hidden, out in kept[::-1]:
        r, branch = summed(second, out, r)
        fc1, fc2, attn = block.mlp.fc1, block.mlp.fc2, block.attn
        branch = linear(F.gelu(hidden), fc2.weight, fc2.bias, branch, gamma)
        branch = linear(block.norm2(second), fc1.weight, fc1.bias, branch, gamma)
        r = r + norm(second, block.norm2, branch)
        r, branch = summed(first, attended, r)
        branch = linear(joined, attn.proj.weight, attn.proj.bias, branch, gamma)
        of_weights, of_v = product(logits.softmax(-1), v, heads(branch, attn.num_heads))
        of_q, of_k = product(q, k.transpose(1, 2), softmax(logits, of_weights))
        parts = [of_q, of_k.transpose(1, 2), of_v]
        branch = torch.cat([part.transpose(0, 1).flatten(1) for part in parts], 1)
        branch = linear(normed, attn.qkv.weight, attn.qkv.bias, branch, gamma)
        r = r + norm(first, block.norm1, branch)
    r, _ = summed(cut, position, r)
    r = linear(patches, kernel, net.patch_embed.proj.bias, r[1:], conv)
    return F.fold(r.T[None], image.shape[1:], 8, stride=8)[0]
