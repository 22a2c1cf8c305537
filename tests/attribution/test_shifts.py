"""Maps of shifted images, put together: against a slow twin, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import xattn
from tests.attribution.on_disk import noise
from tests.models.nets import SIZE, Conv, swin, vit, with_statistics, wrapped
from xattn.attribution.attribute import attribute
from xattn.attribution.methods.cam import GradCam
from xattn.attribution.registry import METHODS, method
from xattn.attribution.shifts import CamMethod, shifted
from xattn.errors import MethodError, UsageError
from xattn.models import ensemble

CAMS = [name for name, each in METHODS.items() if isinstance(each, CamMethod)]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def conv(seed=0):
    torch.manual_seed(seed)
    return wrapped(with_statistics(Conv()).eval())


def by_place(model, x, finer, target):
    """Put every cell of every pass where it looked: a dictionary from (y, x) to values (n,)."""
    cells, found, (height, width) = model.cells(), {}, x.shape[2:]
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), (16, 16), (16, 16)), mode="reflect")
    for down, right in itertools.product(*finer.offsets(model)):
        moved = wide[:, :, 16 + down : 16 + down + height, 16 + right : 16 + right + width]
        maps = attribute(model, torch.from_numpy(moved.copy()), finer.card.name, target).numpy()
        for (i, y), (j, z) in itertools.product(enumerate(cells.y), enumerate(cells.x)):
            found[y + down, z + right] = maps[:, i, j]
    return found


@pytest.mark.parametrize("name", ["gradcam", "hirescam", "layercam"])
@pytest.mark.parametrize("make", [conv, lambda: wrapped(vit())])
def test_each_cell_of_the_joined_map_is_that_of_the_pass_that_looked_there(name, make):
    model, x = make(), torch.rand(2, 3, *SIZE)
    finer = method(f"{name}[shifts=4]")
    whole, cells = attribute(model, x, finer, 1).numpy(), finer.cells(model)
    assert whole.shape[1:] == cells.grid == tuple(2 * n for n in model.cells().grid)
    slow = by_place(model, x, finer, 1)
    assert len(slow) == whole[0].size
    for (i, y), (j, z) in itertools.product(enumerate(cells.y), enumerate(cells.x)):
        np.testing.assert_allclose(whole[:, i, j], slow[y, z], atol=1e-5 * whole.max())


@pytest.mark.parametrize("name", CAMS)
def test_every_method_of_the_cam_family_can_be_made_finer(name):
    if name.startswith("pytorch-grad-cam/fem"):
        pytest.importorskip("pytorch_grad_cam")
    model, x = conv(), torch.rand(1, 3, *SIZE)
    plain, whole = (attribute(model, x, n, 0) for n in (name, f"{name}[shifts=4]"))
    assert whole.shape == (1, 16, 24)
    down, right = method(f"{name}[shifts=4]").offsets(model)
    own = whole[:, down.index(0) :: 2, right.index(0) :: 2]
    torch.testing.assert_close(own, plain, atol=1e-5, rtol=1e-4)


def test_a_bright_dot_is_found_nearer_to_where_it_is():
    """Cells of a patch network look at 8 x 8 pixels: the finer map knows a quarter of one."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 8, 8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(2, 2),
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.zero_()
        net[4].weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    model, far = wrapped(net.eval()), {}
    for name in ("gradcam", "gradcam[shifts=4]", "gradcam[shifts=16]"):
        rng, distances = np.random.default_rng(0), []
        for _ in range(30):
            y, z = rng.integers(4, 28), rng.integers(4, 44)
            x = torch.zeros(1, 3, *SIZE)
            x[..., y - 2 : y + 2, z - 2 : z + 2] = 1
            found = attribute(model, x, name, 1, upsample=True)[0].double()
            total = found.sum()
            centre = (found.sum(1) @ torch.arange(32.0).double() / total,
                      found.sum(0) @ torch.arange(48.0).double() / total)  # fmt: skip
            distances.append(np.hypot(float(centre[0]) - y + 0.5, float(centre[1]) - z + 0.5))
        far[name] = float(np.mean(distances))
    assert far["gradcam[shifts=16]"] < 0.75 * far["gradcam[shifts=4]"] < 0.75 * far["gradcam"]


def test_the_class_is_that_of_the_image_as_it_is():
    model, x = conv(), torch.rand(3, 3, *SIZE)
    predicted = model.logits(x).argmax(1)
    both = [attribute(model, x, "gradcam[shifts=4]", t) for t in (None, predicted)]
    torch.testing.assert_close(*both)


def test_shifted_inputs_are_mirrored_at_the_border():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert shifted(x, 0, 1)[0, 0].tolist() == [[1, 2, 1], [4, 5, 4]]
    assert shifted(x, -1, 0)[0, 0].tolist() == [[3, 4, 5], [0, 1, 2]]


def test_a_run_records_the_finer_cells_beside_the_plain_ones(tmp_path):
    for i in range(3):
        noise(tmp_path / "images" / f"{i}.png", seed=i)
    names = ["gradcam", "gradcam[shifts=4]", "gradcam[shifts=4]@malignant", "gradcam[shifts=9]"]
    run = xattn.explain(conv(), tmp_path / "images", methods=names, out=tmp_path / "run")
    assert run.maps("gradcam[shifts=4]").shape == (3, 16, 24)
    assert run.cells("gradcam").grid == (8, 12)
    assert run.cells("gradcam[shifts=4]@malignant").grid == (16, 24)
    assert run.cells("gradcam[shifts=9]").grid == (24, 36)
    steps = np.diff(run.cells("gradcam[shifts=9]").y)
    assert set(steps) == {1.0, 2.0}  # 4 pixels in three parts, whole pixels each
    assert (tmp_path / "run/overlays/gradcam[shifts=4]").is_dir()


def test_an_ensemble_of_one_layer_is_made_finer_through_the_average():
    both = ensemble([conv(0), conv(1)])
    x = torch.rand(1, 3, *SIZE)
    for name in ("gradcam", "ablationcam", "layercam[stages=2]"):
        finer = name.replace("]", ",shifts=4]") if "[" in name else f"{name}[shifts=4]"
        plain, whole = (attribute(both, x, n, 0) for n in (name, finer))
        assert whole.shape[1:] == tuple(2 * n for n in plain.shape[1:])


@pytest.mark.parametrize(
    ("name", "make", "error", "message"),
    [
        ("gradcam[shifts=2]", conv, UsageError, r"Expected 1, 4, 9, 16, .* but got 2"),
        ("gradcam[shifts=0]", conv, UsageError, r"but got 0"),
        ("gradcam[shifts=25]", conv, MethodError, "cells of its layer are 4 pixels wide"),
        ("gradcam[shifts=4]", lambda: ensemble([conv(), wrapped(vit())]), MethodError, "share"),
        ("layercam[stages=2]", lambda: wrapped(vit()), MethodError, "one grid, of 4 x 6 cells"),
        ("layercam[stages=4]", conv, MethodError, r"layercam\[stages=4\].* has 2;"),
        ("layercam[stages=0]", conv, UsageError, "at least 1 as stages"),
    ],
)
def test_what_cannot_be_made_finer_is_named(name, make, error, message):
    with pytest.raises(error, match=message):
        attribute(make(), torch.rand(1, 3, *SIZE), name, 0)


def test_options_of_shifts_are_fields():
    assert method("gradcam[shifts=4]") == GradCam(shifts=4)
    assert method("gradcam[shifts=1]").name == "gradcam"
    assert method("layercam[stages=2,shifts=4]").name == "layercam[shifts=4,stages=2]"


def test_stages_of_a_transformer_in_stages_are_found():
    model = wrapped(swin(), (32, 32))
    found = attribute(model, torch.rand(1, 3, 32, 32), "layercam[stages=2]", 0)
    assert found.shape == (1, 8, 8)
