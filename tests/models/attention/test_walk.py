"""A walk over timm: whatever attends there is read, or is named as what it is."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from torch import nn

from xattn.models.attention import is_attention
from xattn.models.attention.registry import class_path
from xattn.models.probing.attention_layers import find_unread_attention

UNREAD = {
    "layers.attention2d": "MultiQueryAttention2d",
    "layers.halo_attn": "HaloAttn",
    "models.cait": "TalkingHeadAttn",
    "models.coat": "FactorAttnConvRelPosEnc",
    "models.convit": "GPSA MHSA",
    "models.cpubone": "ConvAttention",
    "models.crossvit": "CrossAttention",
    "models.davit": "ChannelAttention WindowAttention",
    "models.edgenext": "CrossCovarianceAttn",
    "models.efficientformer": "Attention",
    "models.efficientformer_v2": "Attention2d Attention2dDownsample",
    "models.efficientvim": "HSMSSD",
    "models.efficientvit_msra": "CascadedGroupAttention",
    "models.gcvit": "WindowAttentionGlobal",
    "models.gemma4_vit": "Gemma4Attention",
    "models.hiera": "MaskUnitAttention",
    "models.hieradet_sam2": "MultiScaleAttention",
    "models.iformer": "SHMA",
    "models.levit": "Attention AttentionDownsample",
    "models.lowformer": "ConvAttention",
    "models.metaformer": "Attention",
    "models.mvitv2": "MultiScaleAttention",
    "models.nest": "Attention",
    "models.nextvit": "EfficientAttention",
    "models.pvt_v2": "Attention",
    "models.shvit": "SHSA",
    "models.tiny_vit": "Attention",
    "models.tnt": "Attention",
    "models.twins": "GlobalSubSampleAttn LocallyGroupedAttn",
    "models.visformer": "Attention",
    "models.vision_transformer_sam": "Attention",
    "models.volo": "Attention ClassAttention OutlookAttention",
    "models.xcit": "XCA",
}
"""Kinds that attend, and that no reader understands; docs/models.md says why."""


def smallest(module: str) -> str:
    """Name the model of one of timm's files that is likely to be small."""
    small = (
        "nano|atto|tiny|xxs|xxt|pico|femto|_small|_s_|_xs|zepto|pwee|xxsmall|_t_|_b0|_t0|ti16|_0"
    )
    names = timm.list_models(module=module)
    return min(names, key=lambda n: ("test_" not in n, not re.search(small, n), len(n)))


@pytest.mark.slow
def test_every_kind_of_attention_in_timm_is_read_or_named():
    """On the meta device, where a forward pass has shapes alone."""
    found: set[str] = set()
    for module in timm.list_modules():
        try:
            with torch.device("meta"):
                net = timm.create_model(smallest(module)).eval()
                size = net.default_cfg["input_size"][1:]
                names = find_unread_attention(net, size, _read(net))
        except (RuntimeError, NotImplementedError, TypeError):  # not everything is on meta
            continue
        found |= {class_path(net.get_submodule(name)).removeprefix("timm.") for name in names}
    expected = {f"{file}.{kind}" for file, kinds in UNREAD.items() for kind in kinds.split()}
    assert found == expected


def _read(net: nn.Module) -> list[str]:
    return [name for name, part in net.named_modules() if is_attention(part)]
