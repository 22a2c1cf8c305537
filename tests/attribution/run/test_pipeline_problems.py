"""Bad files and numbers that are none: told, and the others go on."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.attribution.on_disk import bright, noise, read_pixels, spot, tables
from tests.models.nets import Brightness, wrapped
from xattn.attribution.run.pipeline import explain
from xattn.errors import RunError, UsageError, XattnError


def bomb(path: Path) -> None:
    """A PNG whose header claims 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")))


class TestBadFiles:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        folder = tmp_path / "images"
        good = Image.fromarray(read_pixels(noise(folder / "good.png")))
        good.save(folder / "whole.jpg")
        data = (folder / "whole.jpg").read_bytes()
        (folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
        (folder / "zero.png").write_bytes(b"")
        (folder / "text.png").write_text("this is no image")
        (folder / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
        bomb(folder / "bomb.png")
        (folder / "dir.png").mkdir()
        noise(folder / "sub" / "good.png", seed=5)
        good.convert("CMYK").save(folder / "cmyk.jpg")
        good.convert("P").save(folder / "palette.png")
        good.convert("RGBA").save(folder / "alpha.png")
        good.convert("L").save(folder / "grey.png")
        wide = np.asarray(good.convert("L")).astype(np.uint16) * 257
        Image.fromarray(wide).save(folder / "sixteen.png")
        good.save(folder / "moving.gif", save_all=True, append_images=[good.rotate(90)])
        return folder

    @pytest.mark.parametrize("batch_size", [1, 4, 32])
    def test_each_has_its_line_and_the_good_are_done(self, folder, batch_size):
        run = explain(bright(), folder, out=folder.parent / "run", batch_size=batch_size)
        errors = run.table("errors").set_index("file")
        expected = {
            "images/truncated.jpg": ("decode", "decoding failed"),
            "images/zero.png": ("decode", "zero bytes"),
            "images/text.png": ("decode", "no known format"),
            "images/corrupt.png": ("decode", "images/corrupt.png"),
            "images/bomb.png": ("decode", "decompression bomb"),
        }
        assert set(errors.index) == set(expected)
        for file, (stage, words) in expected.items():
            assert errors["stage"][file] == stage
            assert words in errors["error"][file]
            assert "\n" not in errors["error"][file]
        converted = dict(
            zip(run.predictions["image_id"], run.predictions["converted"], strict=True)
        )
        assert converted == {
            "good": "", "sub__good": "", "whole": "", "cmyk": "CMYK", "palette": "palette",
            "alpha": "alpha", "grey": "grey", "sixteen": "16-bit grey",
            "moving": "palette, animated, first frame",
        }  # fmt: skip
        assert run.settings["counts"] == {"images": 14, "done": 9, "skipped": 5}
        assert run.maps("gradcam").shape[0] == 9

    def test_are_explained_as_the_plain_image_where_only_the_mode_differs(self, folder):
        run = explain(bright(), folder, out=folder.parent / "run")
        rows = run.predictions.set_index("image_id")["logit_benign"]
        assert rows["alpha"] == rows["good"]
        assert abs(rows["sixteen"] - rows["grey"]) < 1e-3  # which is rounded as it is resampled
        for name in ("cmyk", "palette", "whole"):
            assert abs(rows[name] - rows["good"]) < 0.02

    def test_leave_the_rest_of_the_batch_as_it_is(self, tmp_path):
        """Cut by files asked for: what fails does not draw others into its batch."""
        for name in "acdef":
            noise(tmp_path / "images" / f"{name}.png")
        (tmp_path / "images" / "b.png").write_bytes(b"")
        sizes: list[int] = []

        class Counting(Brightness):
            def forward(self, x: Tensor) -> Tensor:
                sizes.append(len(x))
                return super().forward(x)

        model = wrapped(Counting())
        _ = model.attention_layers, model.cells()
        sizes.clear()
        explain(model, tmp_path / "images", out=tmp_path / "run", batch_size=3)
        assert sizes == [2, 3]

    def test_alone_leave_a_list_and_a_line(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "zero.png").write_bytes(b"")
        with pytest.raises(
            RunError, match=r"Not one image could be done, see .*errors\.csv: .*zero"
        ):
            explain(bright(), tmp_path / "images", out=tmp_path / "run")
        assert "images/zero.png,decode" in (tmp_path / "run" / "errors.csv").read_text()

    def test_names_of_files_may_be_odd(self, tmp_path):
        odd = ['ü, "q"', "two  blanks ", "a;b", "NA", "x.y.z", "-1", "#hash", "line\nbreak"]
        for name in odd:
            noise(tmp_path / "im, ages" / f"{name}.png")
            (tmp_path / "im, ages" / f"bad {name}.png").write_bytes(b"")
        run = explain(bright(), tmp_path / "im, ages", out=tmp_path / "run")
        assert set(run.predictions["image_id"]) == set(odd)
        assert set(run.table("errors")["file"]) == {f"im, ages/bad {name}.png" for name in odd}
        before = tables(run)
        assert tables(explain(bright(), tmp_path / "im, ages", out=tmp_path / "run")) == before
        for i in range(len(odd)):
            assert run.image_path(i).is_file()

    def test_a_name_that_is_no_utf8_is_a_line_and_the_others_are_done(self, tmp_path):
        good = noise(tmp_path / "images" / "good.png")
        odd = os.fsencode(tmp_path / "images") + b"/caf\xe9.png"
        Path(os.fsdecode(odd)).write_bytes(Path(good).read_bytes())
        run = explain(bright(), tmp_path / "images", out=tmp_path / "run")
        assert run.predictions["image_id"].tolist() == ["good"]
        (row,) = run.table("errors").to_dict("records")
        assert row["file"] == "images/caf\\udce9.png"
        assert "Expected a file name in UTF-8" in row["error"]
        again = explain(bright(), tmp_path / "images", out=tmp_path / "run")
        assert again.settings["counts"] == {"images": 2, "done": 1, "skipped": 1}

    def test_an_empty_directory_says_so_and_writes_nothing(self, tmp_path):
        (tmp_path / "images").mkdir()
        with pytest.raises(XattnError, match="but found none"):
            explain(bright(), tmp_path / "images", out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_an_image_too_thin_to_crop_is_one_line(self, tmp_path):
        Image.new("RGB", (60_000, 1)).save(tmp_path / "thin.png")
        noise(tmp_path / "good.png")
        model = bright(size=(224, 224), mode="crop", resize=256)
        run = explain(model, [tmp_path / "thin.png", tmp_path / "good.png"], out=tmp_path / "run")
        assert list(run.predictions["image_id"]) == ["good"]
        assert "use mode 'squash'" in run.table("errors")["error"][0]

    def test_an_image_too_thin_to_see_is_drawn_all_the_same(self, tmp_path):
        Image.new("RGB", (4000, 2), (9, 9, 9)).save(tmp_path / "thin.png")
        model = bright(size=(32, 32), mode="crop")
        run = explain(model, tmp_path / "thin.png", out=tmp_path / "run")
        assert read_pixels(run.path / "overlays/gradcam/thin.png").shape == (1, 512, 3)


class Fussy(Brightness):
    """Gives NaN for images whose mean brightness is above 0.3."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return torch.where(logits[:, :1] > 0.3, torch.nan, logits)


class TestNumbersThatAreNone:
    def test_nan_logits_are_an_error_of_that_image(self, tmp_path):
        for name, level in (("a", 100), ("b", 200), ("c", 50)):
            spot(tmp_path / "images" / f"{name}.png", (48, 32), (0, 0, 24, 32), level)
        run = explain(wrapped(Fussy()), tmp_path / "images", out=tmp_path / "run")
        assert list(run.predictions["image_id"]) == ["a", "c"]
        assert run.maps("gradcam")[0].max() == pytest.approx(2 * run.maps("gradcam")[1].max())
        errors = run.table("errors")
        assert list(errors["file"]) == ["images/b.png"]
        assert list(errors["stage"]) == ["predict"]
        assert "NaN or infinity" in errors["error"][0]
        assert not (run.path / "overlays/gradcam/b.png").exists()

    def test_a_map_that_cannot_be_drawn_is_flagged_and_drawn_grey(self, tmp_path):
        spot(tmp_path / "images" / "black.png", (48, 32), (0, 0, 0, 0))
        spot(tmp_path / "images" / "spot.png", (48, 32), (8, 8, 16, 16))
        spot(tmp_path / "images" / "white.png", (48, 32), (0, 0, 48, 32))
        run = explain(bright(), tmp_path / "images", out=tmp_path / "run")
        assert list(run.predictions["degenerate_gradcam"]) == ["zero", "", "constant"]
        drawn = read_pixels(run.path / "overlays/gradcam/black.png")
        assert (drawn == drawn[..., :1]).all()
        drawn = read_pixels(run.path / "overlays/gradcam/spot.png")
        assert not (drawn == drawn[..., :1]).all()


@pytest.mark.parametrize("name", ["images", "images/", "../images/../images"])
def test_the_folder_of_the_images_is_no_run_folder(images, name, monkeypatch):
    (images.parent / "here").mkdir()
    monkeypatch.chdir(images.parent / ("here" if name.startswith("..") else "."))
    before = sorted(images.iterdir())
    with pytest.raises(UsageError, match=r"a folder of its own for the run.*name another"):
        explain(bright(), str(images), out=name)
    assert sorted(images.iterdir()) == before


def test_images_that_lie_in_a_run_folder_are_told_why_they_are_none(images):
    (images / "run.json").write_text("{}")
    with pytest.raises(XattnError, match=r"found none; .* holds run\.json, and what lies in a run"):
        explain(bright(), images, out=images.parent / "run")
