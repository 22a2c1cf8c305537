"""The traps that other tools fall into; their details are tested beside the parts."""

from __future__ import annotations

import gc
import json
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image
from torch import Tensor, nn

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import (
    CLASSES,
    SIZE,
    Brightness,
    Conv,
    plain,
    swin,
    vit,
    with_statistics,
    wrapped,
)
from xattn.attribution.passes.capture import capture
from xattn.attribution.registry import METHODS, Needs
from xattn.attribution.run.pipeline import explain
from xattn.errors import MethodError
from xattn.images.cells import Cells
from xattn.images.overlay import draw_overlay
from xattn.models import Model, wrap

ROOT = Path(__file__).parents[2]
CAM = [name for name, m in METHODS.items() if m.card.family == "cam"]


def made(name: str, model: Model, x: Tensor, targets: Tensor) -> Tensor:
    return METHODS[name].maps(model, capture(model, x, targets, activations=True))


def write(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def spot(box: tuple[int, int, int, int], size: tuple[int, int] = SIZE, level: int = 255):
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = level
    return pixels


def test_trap_1_frozen_weights_under_no_grad():
    """For every method in test_registry; here all at once, end to end."""
    model = wrapped(with_statistics(Conv()).eval().requires_grad_(False))
    x, targets = torch.randn(2, 3, *SIZE), torch.tensor([0, 1])
    with torch.no_grad():
        assert all(torch.isfinite(made(name, model, x, targets)).all() for name in CAM)


@pytest.mark.parametrize("name", CAM)
def test_trap_2_an_in_place_relu_after_the_layer(name):
    net = with_statistics(Conv()).eval()
    twin = Conv().eval()
    twin.load_state_dict(net.state_dict())
    twin.relu = nn.ReLU()
    x, targets = torch.randn(3, 3, *SIZE), torch.tensor([0, 1, 0])
    expected = made(name, wrapped(twin, target_layer="bn2"), x, targets)
    torch.testing.assert_close(made(name, wrapped(net, target_layer="bn2"), x, targets), expected)


class Broken(Conv):
    armed = False

    def forward(self, x: Tensor) -> Tensor:
        if self.armed:
            self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
            raise RuntimeError("out of luck")
        return super().forward(x)


class TestTrap3TheModelComesBackAsItWas:
    def rgb(self, folder: Path) -> Path:
        rng = np.random.default_rng(0)
        for i in range(3):
            write(folder / f"{i}.png", rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
        return folder

    def names(self, model: Model) -> list[str]:
        """All methods that make sense for the model."""
        found = []
        for name, each in METHODS.items():
            try:
                each.check(model)
            except MethodError:
                continue
            found.append(name)
        return found

    @pytest.mark.parametrize("net", [Conv, vit], ids=["convolutional", "transformer"])
    def test_after_a_run_of_every_method(self, net, tmp_path):
        model = wrapped(net())
        names = self.names(model)
        unsettle(model.module)
        before = Snapshot(model.module)
        explain(model, self.rgb(tmp_path / "i"), methods=names, out=tmp_path / "run", target="all")
        before.check(model.module)

    @pytest.mark.parametrize("name", list(METHODS))
    def test_after_a_target_that_does_not_exist(self, name):
        model = wrapped(vit())
        if name not in self.names(model):
            model = wrapped(Conv())
        captured = capture(
            model, torch.randn(2, 3, *SIZE), attention=model.attention_layers, activations=True
        )
        unsettle(model.module)
        before = Snapshot(model.module)
        captured.targets = torch.tensor([99, 99])
        if Needs.MODEL in METHODS[name].needs:
            with pytest.raises((RuntimeError, IndexError, AssertionError)):
                METHODS[name].maps(model, captured)
        else:
            METHODS[name].maps(model, captured)
        before.check(model.module)

    @pytest.mark.parametrize("name", [n for n, m in METHODS.items() if Needs.MODEL in m.needs])
    def test_after_a_module_that_raises(self, name):
        model = wrapped(Broken())
        captured = capture(model, torch.randn(2, 3, *SIZE), activations=True)
        unsettle(model.module)
        model.module.armed = True
        before = Snapshot(model.module)
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        with pytest.raises((RuntimeError, MethodError)):
            METHODS[name].maps(model, captured)
        before.check(model.module)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == modes

    @pytest.mark.parametrize("name", list(METHODS))
    def test_no_hook_and_no_tensor_is_left_behind(self, name):
        model = wrapped(vit())
        if name not in self.names(model):
            model = wrapped(Conv().eval())
        x, targets = torch.randn(1, 3, *SIZE), torch.tensor([0])
        attention = model.attention_layers

        def alive(n: int) -> int:
            for _ in range(n):
                captured = capture(model, x, targets, attention=attention, activations=True)
                METHODS[name].maps(model, captured)
                del captured
            gc.collect()
            return sum(issubclass(type(o), Tensor) for o in gc.get_objects())

        first = alive(2)
        assert alive(4) == first

    def test_memory_does_not_grow_over_1000_batches(self):
        import resource

        model = wrapped(Conv().eval())
        x = torch.randn(2, 3, *SIZE)

        def peak(batches: int) -> int:
            for _ in range(batches):
                captured = capture(model, x)
                for name in ("gradcam", "gradcam++", "layercam", "eigencam"):
                    METHODS[name].maps(model, captured)
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        before = peak(100)
        # 1000 batches of activations alone would be 9 MB; the unit is kB.
        assert peak(1000) - before < 3000


def test_trap_4_a_layer_that_gives_zero_by_construction_names_the_one_to_use(tmp_path):
    """ViT that reads its class token: patch gradients are zero at the last block's norm2."""
    write(tmp_path / "a.png", spot((8, 8, 16, 16)))
    for layer in ("blocks.1", "blocks.1.norm2", "norm"):
        with pytest.raises(MethodError, match=r"would be zero.*use 'blocks\.1\.norm1'"):
            explain(wrapped(vit(), target_layer=layer), tmp_path, out=tmp_path / "run")
    found = capture(wrapped(vit()), torch.randn(2, 3, *SIZE))
    assert found.gradients.abs().amax((1, 2, 3)).min() > 0


@pytest.mark.parametrize("name", [name for name in CAM if name != "scorecam"])
@pytest.mark.parametrize("net", ["swin", "registers"])
def test_trap_5_channels_last_and_register_tokens(name, net):
    """The map of a swapped image is the swapped map, which a wrong layout would not give."""
    torch.manual_seed(0)
    if net == "swin":
        model = wrapped(swin(), (32, 32))
        assert model.target_layout.kind == "channels-last"
    else:
        model = wrapped(vit(reg_tokens=3, pos_embed="none"))
        assert model.target_layout.prefix == 4
    x = torch.randn(1, 3, *model.preprocessing.size)
    maps = made(name, model, x, torch.tensor([0]))
    assert maps.shape == (1, *model.target_layout.grid)
    assert maps.abs().max() > 0
    if net == "registers":  # without position embeddings patches are a set
        swapped = x.clone()
        swapped[..., :8, :8], swapped[..., 8:16, 16:24] = x[..., 8:16, 16:24], x[..., :8, :8]
        expected = maps.clone()
        expected[0, 0, 0], expected[0, 1, 2] = maps[0, 1, 2], maps[0, 0, 0]
        found = made(name, model, swapped, torch.tensor([0]))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * float(maps.abs().max()))


def test_trap_6_fused_attention_is_read_without_a_change_of_the_logits():
    model = wrapped(vit())
    assert all(b.attn.fused_attn for b in model.module.blocks)
    x = torch.randn(2, 3, *SIZE)
    found = capture(model, x, attention=model.attention_layers)
    assert torch.equal(found.logits, capture(model, x).logits)
    assert METHODS["attention"].maps(model, found).sum() > 0
    assert all(b.attn.fused_attn for b in model.module.blocks)


def test_trap_7_every_image_of_a_batch_has_its_own_attention():
    model = wrapped(vit())
    x = torch.randn(3, 3, *SIZE)
    together = METHODS["attention"].maps(model, capture(model, x, attention=model.attention_layers))
    for i in range(3):
        alone = capture(model, x[i : i + 1], attention=model.attention_layers)
        torch.testing.assert_close(METHODS["attention"].maps(model, alone)[0], together[i])
    assert (together[0] - together[1]).abs().max() > 1e-6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_trap_8_exif_orientation_keeps_map_and_image_in_step(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = spot((8, 8, 16, 16), (40, 64))
    path = write(tmp_path / "a.png", stored, exif=exif)
    with Image.open(path) as image:
        from PIL import ImageOps

        upright = np.asarray(ImageOps.exif_transpose(image))
    run = explain(wrapped(Brightness()), path, out=tmp_path / "run", overlay="none")
    row, column = np.unravel_index(run.maps("gradcam")[0].argmax(), (4, 6))
    ys, xs = np.nonzero(upright[..., 0])
    assert int(ys.mean() / upright.shape[0] * 4) == row
    assert int(xs.mean() / upright.shape[1] * 6) == column


def test_trap_9_maps_are_enlarged_bilinearly_without_aligned_corners():
    values = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    view = plain().view(48, 32)
    cells = Cells.spread(values.shape, (view.height, view.width))
    drawn = draw_overlay(
        np.zeros((32, 48, 3), np.uint8), values, cells, view, (48, 32), strength=1.0
    )
    scaled = torch.from_numpy(values / values.max())[None, None]
    import cv2

    def coloured(**options: object) -> np.ndarray:
        large = F.interpolate(scaled, (32, 48), **options)[0, 0].numpy()
        levels = (large * 255 + 0.5).astype(np.uint8)
        return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)

    def off(**options: object) -> float:
        return float(np.abs(drawn.astype(int) - coloured(**options)).mean())

    assert off(mode="bilinear", align_corners=False) < 0.5
    assert off(mode="bilinear", align_corners=True) > 5
    assert off(mode="nearest") > 5


@pytest.mark.parametrize("name", ["gradcam", "hirescam", "layercam", "xgradcam"])
def test_trap_10_magnitudes_are_kept_and_empty_maps_flagged(tmp_path, name):
    for level in (0, 60, 120):
        write(tmp_path / "i" / f"{level:03}.png", spot((8, 8, 16, 16), level=level))
    write(tmp_path / "i" / "white.png", spot((0, 0, 48, 32)))
    run = explain(wrapped(Brightness()), tmp_path / "i", out=tmp_path / "run", methods=[name])
    assert list(run.predictions[f"degenerate_{name}"]) == ["zero", "", "", "constant"]
    maps = run.maps(name)
    assert maps[2].max() == pytest.approx(2 * maps[1].max(), rel=1e-4)
    for image_id, grey in (("000", True), ("060", False), ("white", True)):
        with Image.open(run.path / "overlays" / name / f"{image_id}.png") as image:
            drawn = np.asarray(image)
        assert (drawn == drawn[..., :1]).all() == grey


class NoGradient(torch.autograd.Function):
    """Passes on; its gradient is NaN where a value above 0.9 was."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.where(x > 0.9, torch.nan, gradient)


class Faulty(Brightness):
    def forward(self, x: Tensor) -> Tensor:
        mean = NoGradient.apply(self.cells(x)).mean((1, 2, 3))
        return torch.stack([mean, -mean], 1)


def test_trap_10_nan_and_all_negative_maps_are_stored_as_they_are_and_flagged(tmp_path):
    write(tmp_path / "i" / "nan.png", spot((8, 8, 16, 16)))
    rng = np.random.default_rng(0)
    write(tmp_path / "i" / "noise.png", rng.integers(9, 200, (*SIZE, 3), dtype=np.uint8))
    model = wrap(Faulty(), classes=CLASSES, preprocessing=plain())
    run = explain(
        model, tmp_path / "i", out=tmp_path / "run", methods=["hirescam"], target="malignant"
    )
    assert list(run.predictions["degenerate_hirescam"]) == ["nan", "negative"]
    assert np.isnan(run.maps("hirescam")[0]).any()
    assert run.maps("hirescam")[1].max() < 0


@pytest.mark.parametrize("size", [(32, 48), (48, 32)])
@pytest.mark.parametrize("name", ["gradcam", "occlusion", "saliency", "scorecam"])
def test_trap_11_height_and_width_are_not_swapped(name, size, tmp_path):
    model = wrapped(Brightness(), size)
    pixels = spot((size[1] - 8, 0, size[1], 8), size)
    run = explain(model, write(tmp_path / "a.png", pixels), out=tmp_path / "run", methods=[name])
    values = run.maps(name)[0]
    assert values.shape[0] * size[1] == values.shape[1] * size[0]
    if name != "saliency":  # of a linear network it is the same everywhere
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert row < values.shape[0] / 4
        assert column >= values.shape[1] * 0.7


def test_trap_12_red_stays_red(tmp_path):
    class Redness(Brightness):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x[:, :1].expand(-1, 3, -1, -1))

    red, blue = np.zeros((2, *SIZE, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    write(tmp_path / "i" / "blue.png", blue)
    write(tmp_path / "i" / "red.png", red)
    run = explain(wrapped(Redness()), tmp_path / "i", out=tmp_path / "run")
    assert run.predictions["logit_benign"].tolist() == pytest.approx([0, 1], abs=1e-5)


def test_trap_13_only_the_headless_opencv_is_asked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = json.dumps([project["dependencies"], project["optional-dependencies"]])
    assert "opencv-python-headless" in asked
    assert "opencv-python>" not in asked
    installed = {d.name.lower() for d in distributions() if "opencv" in (d.name or "").lower()}
    assert installed == {"opencv-python-headless"}
