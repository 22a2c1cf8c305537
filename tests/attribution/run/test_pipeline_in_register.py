"""Maps and overlays lie where the images' pixels lie, however these are turned or cropped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.attribution.on_disk import bright, noise, read_pixels, spot
from tests.models.nets import Conv, wrapped
from xattn.attribution.run.pipeline import explain
from xattn.images import Preprocessing

CASES = {
    "squash, wide image": ((120, 40), {"size": (32, 48)}),
    "squash, tall image": ((40, 120), {"size": (48, 32)}),
    "crop, wide image": ((120, 40), {"size": (32, 32), "mode": "crop"}),
    "crop, tall image": ((40, 120), {"size": (32, 32), "mode": "crop", "resize": 40}),
    "crop, wide input": ((120, 80), {"size": (32, 48), "mode": "crop", "resize": 56}),
}
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
         4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
         6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_270}  # fmt: skip


class TestRegister:
    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("place", [(0.3, 0.3), (0.6, 0.4), (0.55, 0.7)])
    def test_a_spot_lights_its_own_cell_and_its_own_place_in_the_overlay(
        self, tmp_path, case, place
    ):
        (width, height), preprocessing = CASES[case]
        box_view = Preprocessing(**preprocessing).view(width, height).box
        x = box_view[0] + place[0] * (box_view[2] - box_view[0])
        y = box_view[1] + place[1] * (box_view[3] - box_view[1])
        left, top = round(x) - 2, round(y) - 2
        spot(tmp_path / "a.png", (width, height), (left, top, left + 4, top + 4))

        run = explain(bright(**preprocessing), tmp_path / "a.png", out=tmp_path / "run")
        values = run.maps("gradcam")[0]
        rows, cols = preprocessing["size"][0] // 8, preprocessing["size"][1] // 8
        row, col = np.unravel_index(values.argmax(), values.shape)
        assert values.shape == (rows, cols)
        assert (row, col) == (int(place[1] * rows), int(place[0] * cols))

        drawn = read_pixels(tmp_path / "run/overlays/gradcam/a.png").astype(int).sum(2)
        ys, xs = np.nonzero(drawn > 0.95 * drawn.max())
        assert abs(xs.mean() + 0.5 - (left + 2)) <= 2
        assert abs(ys.mean() + 0.5 - (top + 2)) <= 2

    def test_a_view_in_the_run_is_the_region_of_the_map(self, tmp_path):
        noise(tmp_path / "a.png", (120, 40))
        model = bright(size=(32, 32), mode="crop")
        run = explain(model, tmp_path / "a.png", out=tmp_path / "run")
        assert run.view(0) == model.preprocessing.view(120, 40)
        assert run.view(0).box == (40, 0, 80, 40)

    def test_each_exif_orientation_gives_the_upright_images_results(self, tmp_path):
        upright = Image.fromarray(read_pixels(noise(tmp_path / "upright.png", (60, 40))))
        (tmp_path / "images").mkdir()
        upright.save(tmp_path / "images" / "1.png")
        for orientation, turn in TURNS.items():
            exif = Image.Exif()
            exif[ExifTags.Base.Orientation] = orientation
            upright.transpose(turn).save(tmp_path / "images" / f"{orientation}.png", exif=exif)
        run = explain(wrapped(Conv().eval()), tmp_path / "images", out=tmp_path / "run")
        rows, maps = run.predictions, run.maps("gradcam")
        assert len(rows) == 8
        assert set(rows["width"]) == {60}
        assert set(rows["height"]) == {40}
        for i in range(1, 8):
            assert rows["logit_benign"][i] == rows["logit_benign"][0]
            np.testing.assert_array_equal(maps[i], maps[0])
        images = [p.read_bytes() for p in (run.path / "overlays/gradcam").iterdir()]
        assert len(set(images)) == 1
