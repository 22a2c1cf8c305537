"""Options of a vision transformer that its weights tell need not be said."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from timm.layers import SwiGLU, SwiGLUPacked

from tests.models.kinds.kind import lively
from tests.models.nets import CLASSES
from xattn.models import load
from xattn.models.matching.perceptrons import _ratio
from xattn.models.matching.shape_options import in_words, shape_options

ARCH = "vit_tiny_patch16_224"
BUILT: dict[str, dict[str, Any]] = {
    "average and a norm after it": {"global_pool": "avg"},
    "registers": {"reg_tokens": 4},
    "registers without places": {"reg_tokens": 4, "no_embed_class": True},
    "no class token": {"class_token": False, "global_pool": "avg"},
    "scaled layers": {"init_values": 1e-4},
    "no bias of queries": {"qkv_bias": False},
    "normalised queries": {"qk_norm": True},
    "a norm before": {"pre_norm": True},
    "wider perceptron": {"mlp_ratio": 2.0},
    "gate and values apart": {"mlp_layer": SwiGLU, "mlp_ratio": 8 / 3},
    "gate and values in one": {"mlp_layer": SwiGLUPacked, "mlp_ratio": 16 / 3},
    "a gate and a norm": {"mlp_layer": SwiGLU, "scale_mlp_norm": True},
    "a norm in the perceptron": {"scale_mlp_norm": True},
    "several at once": {"reg_tokens": 2, "global_pool": "avg", "init_values": 1e-4},
}


@pytest.mark.parametrize("what", BUILT)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_options_are_read_from_the_weights(what, prefix, tmp_path):
    torch.manual_seed(0)
    net = timm.create_model(ARCH, num_classes=2, depth=2, img_size=64, **BUILT[what])
    lively(net)
    state = {prefix + key: value for key, value in net.state_dict().items()}
    torch.save(state, tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=ARCH, classes=CLASSES)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), net(x), atol=1e-5, rtol=1e-5)
    assert any("read from its keys and shapes" in note for note in model.source["notes"])
    assert model.options["depth"] == 2


def test_an_architecture_as_it_is_published_needs_none(tmp_path):
    torch.save(timm.create_model(ARCH, num_classes=2).state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=ARCH, classes=CLASSES)
    assert not model.options
    assert not any("keys and shapes" in note for note in model.source["notes"])


SWIN = "swin_tiny_patch4_window7_224"
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "other windows": (SWIN, {"window_size": 4, "img_size": 128, "depths": (1, 1, 1, 1)}),
    "other width, depth and heads": (
        SWIN, {"embed_dim": 16, "depths": (1, 1, 2, 1), "num_heads": (1, 1, 2, 2)}
    ),
    "other stages": ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)}),
    "a norm before the pooling": ("convnext_atto", {"head_norm_first": True}),
}  # fmt: skip


@pytest.mark.parametrize("what", STAGES)
def test_stages_and_windows_are_read_from_the_weights(what, tmp_path):
    arch, options = STAGES[what]
    torch.manual_seed(0)
    net = lively(timm.create_model(arch, num_classes=2, **options))
    torch.save({f"net.{k}": v for k, v in net.state_dict().items()}, tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=arch, classes=CLASSES)
    assert model.preprocessing.size == ((128, 128) if "window_size" in options else (224, 224))
    x = torch.randn(1, 3, *model.preprocessing.size)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), net(x), atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")  # of timm's own resampling
def test_windows_that_are_resampled_are_said(tmp_path):
    net = timm.create_model(SWIN, num_classes=2, window_size=4, img_size=128, depths=(1, 1, 1, 1))
    torch.save(net.state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=SWIN, classes=CLASSES, size=(64, 64))
    assert any(
        "relative positions resampled from 49 to 9" in note for note in model.source["notes"]
    )


@pytest.mark.parametrize(
    ("arch", "namesake"),
    [
        ("vit_tiny_patch16_224", "vit_b_16"),
        ("swin_tiny_patch4_window7_224", "swin_t"),
        ("convnext_atto", "convnext_tiny"),
    ],
)
def test_classes_of_torchvision_of_the_same_name_have_none(arch, namesake):
    with torch.device("meta"):
        timms, module = timm.create_model(arch), getattr(torchvision.models, namesake)()
    assert type(module).__name__ == type(timms).__name__
    assert shape_options([timms.state_dict()], module) == {}


def test_buffers_that_older_versions_stored_do_not_matter(tmp_path):
    net = timm.create_model("swin_tiny_patch4_window7_224", num_classes=2)
    weights = net.state_dict()
    for path, module in net.named_modules():
        for name in ("relative_position_index", "attn_mask"):
            if isinstance(buffer := getattr(module, name, None), torch.Tensor):
                weights[f"{path}.{name}"] = buffer
    torch.save(weights, tmp_path / "swin.pt")
    model = load(tmp_path / "swin.pt", arch="swin_tiny_patch4_window7_224", classes=CLASSES)
    batch = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(batch), net.eval()(batch), atol=1e-4, rtol=0)


EVA: dict[str, tuple[str, dict[str, Any]]] = {
    "DINOv3 with a gate": ("vit_small_patch16_dinov3", {"swiglu_mlp": True, "swiglu_align_to": 8}),
    "DINOv3 with a packed gate": ("vit_small_patch16_dinov3", {"swiglu_mlp": True}),
    "DINOv3 with a gate and a norm": (
        "vit_small_patch16_dinov3", {"swiglu_mlp": True, "scale_mlp": True}
    ),
    "EVA-02 without a gate": ("eva02_tiny_patch14_224", {"swiglu_mlp": False, "mlp_ratio": 2.0}),
    "EVA-02 with another width": ("eva02_tiny_patch14_224", {"mlp_ratio": 3.3}),
}  # fmt: skip


@pytest.mark.parametrize("what", EVA)
def test_gates_of_eva_and_dinov3_are_read_from_the_weights(what, tmp_path):
    arch, options = EVA[what]
    torch.manual_seed(0)
    net = lively(timm.create_model(arch, num_classes=2, depth=2, **options)).eval()
    torch.save(net.state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=arch, classes=CLASSES)
    x = torch.randn(1, 3, *model.preprocessing.size)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), net(x), atol=1e-5, rtol=1e-5)


def test_the_ratio_gives_the_hidden_width_again():
    for width in (7, 49, 192, 384):
        for hidden in range(1, 5 * width):
            assert int(width * _ratio(hidden, width)) == hidden


def test_the_gate_is_said_to_be_a_guess():
    told = in_words({"mlp_layer": "swiglu_packed", "mlp_ratio": 2.0})
    assert "read from its keys and shapes; the gate of its perceptrons taken as SiLU" in told
