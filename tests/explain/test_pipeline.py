"""`explain` end to end: in register, through bad files, kills and second calls."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torch import Tensor, nn

from tests.models.nets import (
    CLASSES,
    SIZE,
    Brightness,
    Conv,
    Tokens,
    plain,
    vit,
    with_statistics,
    wrapped,
)
from xattn.errors import MethodError, RunError, UsageError, XattnError
from xattn.explain import batch
from xattn.explain.pipeline import explain
from xattn.images import Preprocessing
from xattn.models import Model, wrap
from xattn.runs import RunFolder
from xattn.runs.writer import RunWriter

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)


def bright(**preprocessing: Any) -> Model:
    return wrap(Brightness(), classes=CLASSES, preprocessing=plain(**preprocessing))


def noise(path: Path, size: tuple[int, int] = (60, 40), seed: int = 0) -> Path:
    """Write an image of (width, height) noise."""
    pixels = np.random.default_rng(seed).integers(1, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def spot(
    path: Path, size: tuple[int, int], box: tuple[int, int, int, int], level: int = 255
) -> Path:
    """Write a black image of (width, height) with one bright box (left, top, right, bottom)."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = level
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def images(tmp_path) -> Path:
    for i in range(7):
        noise(tmp_path / "images" / f"img_{i}.png", (60, 40 + i), seed=i)
    return tmp_path / "images"


def tables(run: RunFolder) -> dict[str, bytes]:
    """The bytes of all that later stages read, and of the overlays."""
    files = [run.path / "predictions.parquet", run.path / "errors.csv"]
    files += [p for p in (run.path / "maps.zarr").rglob("*") if p.is_file()]
    files += [p for p in (run.path / "overlays").rglob("*") if p.is_file()]
    return {str(file.relative_to(run.path)): file.read_bytes() for file in sorted(files)}


class TestWhatIsWritten:
    def test_follows_the_contract(self, images):
        model = wrapped(vit())
        run = explain(model, images, out=images.parent / "run")
        rows = run.predictions
        assert list(rows.columns[:6]) == [
            "image_id",
            "file",
            "width",
            "height",
            "label",
            "predicted",
        ]
        assert list(rows["image_id"]) == [f"img_{i}" for i in range(7)]
        assert list(rows["file"]) == [f"images/img_{i}.png" for i in range(7)]
        assert list(rows["height"]) == [40 + i for i in range(7)]
        assert rows["label"].isna().all()
        logits = rows[[f"logit_{c}" for c in CLASSES]].to_numpy()
        probabilities = rows[[f"prob_{c}" for c in CLASSES]].to_numpy()
        np.testing.assert_allclose(probabilities, torch.tensor(logits).softmax(1), rtol=1e-12)
        assert [CLASSES[i] for i in logits.argmax(1)] == list(rows["predicted"])
        assert list(rows["explained"]) == list(rows["predicted"])
        assert run.methods == ["gradcam", "attention"]
        for method in run.methods:
            assert run.maps(method).shape == (7, 4, 6)
            drawn = sorted((run.path / "overlays" / method).iterdir())
            assert [p.name for p in drawn] == [f"img_{i}.png" for i in range(7)]
            assert picture(drawn[3]).shape == (43, 60, 3)
        assert run.settings["counts"] == {"images": 7, "done": 7, "skipped": 0}
        assert (run.path / "errors.csv").read_text() == "file,stage,error\n"
        assert run.image_path(2).read_bytes() == (images / "img_2.png").read_bytes()

    def test_logits_are_those_of_the_model_on_each_image_alone(self, images):
        model = wrapped(Conv().eval())
        run = explain(model, images, out=images.parent / "run", batch_size=3, overlay="none")
        for i, row in run.predictions.iterrows():
            with torch.no_grad():
                alone = model.logits(model.preprocess(picture(images / f"img_{i}.png"))[None])[0]
            found = torch.tensor([row[f"logit_{c}"] for c in CLASSES], dtype=torch.float32)
            torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)

    def test_maps_keep_their_magnitudes(self, tmp_path):
        for level in (50, 100, 200):
            spot(tmp_path / "images" / f"{level:03}.png", (48, 32), (8, 8, 16, 16), level)
        maps = explain(bright(), tmp_path / "images", out=tmp_path / "run").maps("gradcam")
        np.testing.assert_allclose(maps.max((1, 2)) / maps[0].max(), [1, 2, 4], rtol=1e-5)

    @pytest.mark.parametrize(("overlay", "names"), [("jpeg", {"img_0.jpg"}), ("none", set())])
    def test_overlays_can_be_other_or_none(self, images, overlay, names):
        run = explain(bright(), images / "img_0.png", out=images.parent / "run", overlay=overlay)
        folder = run.path / "overlays" / "gradcam"
        assert {p.name for p in folder.glob("*")} == names

    def test_attention_alone_can_be_asked_for(self, images):
        run = explain(wrapped(vit()), images, out=images.parent / "run", methods=["attention"])
        assert run.methods == ["attention"]
        assert "degenerate_gradcam" not in run.predictions

    def test_progress_is_told_from_the_start_to_the_end(self, images):
        told: list[tuple[int, int]] = []
        explain(
            bright(), images, out=images.parent / "run", batch_size=3,
            progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip
        assert told == [(0, 7), (3, 7), (6, 7), (7, 7)]

    def test_the_model_comes_back_as_it_was(self, images):
        net = Conv().train()
        before = {k: v.clone() for k, v in net.state_dict().items()}
        explain(wrapped(net), images, out=images.parent / "run")
        assert all(part.training for part in net.modules())
        assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
        assert all(p.grad is None and p.requires_grad for p in net.parameters())
        assert not any(part._forward_hooks for part in net.modules())

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_the_callers_mode_does_not_matter(self, images, mode):
        model = wrapped(Conv().eval())
        plainly = explain(model, images, out=images.parent / "a", target="malignant")
        with mode():
            found = explain(model, images, out=images.parent / "b", target="malignant")
        assert tables(found) == tables(plainly)


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

        drawn = picture(tmp_path / "run/overlays/gradcam/a.png").astype(int).sum(2)
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
        upright = Image.fromarray(picture(noise(tmp_path / "upright.png", (60, 40))))
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
        pictures = [p.read_bytes() for p in (run.path / "overlays/gradcam").iterdir()]
        assert len(set(pictures)) == 1


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
        good = Image.fromarray(picture(noise(folder / "good.png")))
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
            "images/sub/good.png": ("find", "'good' is also images/good.png"),
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
            "good": "", "whole": "", "cmyk": "CMYK", "palette": "palette", "alpha": "alpha",
            "grey": "grey", "sixteen": "16-bit grey", "moving": "palette, animated, first frame",
        }  # fmt: skip
        assert run.settings["counts"] == {"images": 14, "done": 8, "skipped": 6}
        assert run.maps("gradcam").shape[0] == 8

    def test_are_explained_as_the_plain_image_where_only_the_mode_differs(self, folder):
        run = explain(bright(), folder, out=folder.parent / "run")
        rows = run.predictions.set_index("image_id")["logit_benign"]
        assert rows["alpha"] == rows["good"]
        assert rows["sixteen"] == rows["grey"]
        for name in ("cmyk", "palette", "whole"):
            assert abs(rows[name] - rows["good"]) < 0.02

    def test_keep_the_company_of_a_batch_as_it_is(self, tmp_path):
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
        _ = model.attention_layers
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

    def test_an_empty_directory_says_what_was_looked_for_and_writes_nothing(self, tmp_path):
        (tmp_path / "images").mkdir()
        with pytest.raises(XattnError, match="found none; endings looked for"):
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
        assert picture(run.path / "overlays/gradcam/thin.png").shape == (1, 512, 3)


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

    def test_a_map_without_a_picture_is_flagged_and_drawn_grey(self, tmp_path):
        spot(tmp_path / "images" / "black.png", (48, 32), (0, 0, 0, 0))
        spot(tmp_path / "images" / "spot.png", (48, 32), (8, 8, 16, 16))
        spot(tmp_path / "images" / "white.png", (48, 32), (0, 0, 48, 32))
        run = explain(bright(), tmp_path / "images", out=tmp_path / "run")
        assert list(run.predictions["degenerate_gradcam"]) == ["zero", "", "constant"]
        drawn = picture(run.path / "overlays/gradcam/black.png")
        assert (drawn == drawn[..., :1]).all()
        drawn = picture(run.path / "overlays/gradcam/spot.png")
        assert not (drawn == drawn[..., :1]).all()


class TestTheTarget:
    @pytest.fixture
    def annotations(self, images) -> Path:
        labels = ["benign", "malignant", None, "benign", "malignant", "malignant", "benign"]
        entries = [{"id": f"img_{i}", "file": f"images/img_{i}.png"} for i in range(7)]
        for entry, label in zip(entries, labels, strict=True):
            if label:
                entry["label"] = label
        path = images.parent / "isic_attributes.json"
        content = {"schema": "xattn-annotations/1", "labels": CLASSES, "features": {}}
        path.write_text(json.dumps({**content, "images": entries}))
        return path

    @pytest.mark.parametrize(
        ("target", "explained"),
        [("benign", "benign"), ("malignant", "malignant"), ("1", "malignant"), ("0", "benign")],
    )
    def test_can_be_a_class(self, images, target, explained):
        run = explain(bright(), images, out=images.parent / "run", target=target)
        assert set(run.predictions["explained"]) == {explained}
        assert (run.maps("gradcam").max() > 0) == (explained == "benign")

    def test_can_be_the_label_and_is_the_predicted_class_without_one(self, images, annotations):
        run = explain(
            bright(), annotations=annotations, out=images.parent / "run", target="label",
            batch_size=3,
        )  # fmt: skip
        rows = run.predictions
        assert list(rows["explained"]) == [
            "benign", "malignant", "benign", "benign", "malignant", "malignant", "benign",
        ]  # fmt: skip
        assert rows["label"].isna().tolist() == [False, False, True, *[False] * 4]
        assert (run.maps("gradcam").max((1, 2)) > 0).tolist() == [
            e == "benign" for e in rows["explained"]
        ]

    def test_is_predicted_if_not_told_though_there_are_labels(self, images, annotations):
        run = explain(bright(), annotations=annotations, out=images.parent / "run")
        assert set(run.predictions["explained"]) == {"benign"}
        assert list(run.predictions["label"].dropna().unique()) == CLASSES

    def test_annotations_give_labels_to_images_that_are_named(self, images, annotations):
        noise(images / "stranger.png")
        run = explain(
            bright(), images, annotations=annotations, out=images.parent / "run", overlay="none"
        )
        assert len(run.predictions) == 8
        assert run.predictions.set_index("image_id")["label"].isna().to_dict()["stranger"]

    def test_label_without_annotations_is_refused_before_anything_is_written(self, images):
        with pytest.raises(UsageError, match="annotations with labels for target 'label'"):
            explain(bright(), images, out=images.parent / "run", target="label")
        assert not (images.parent / "run").exists()

    def test_unknown_is_refused_before_anything_is_written(self, images):
        with pytest.raises(UsageError, match="Unknown target 'melanoma'"):
            explain(bright(), images, out=images.parent / "run", target="melanoma")
        assert not (images.parent / "run").exists()


class TestSeveralTargets:
    METHODS = ("gradcam", "hirescam", "eigencam")

    @pytest.fixture
    def annotations(self, images) -> Path:
        entries = [
            {"id": f"img_{i}", "file": f"images/img_{i}.png", "label": CLASSES[i % 2]}
            for i in range(7)
        ]
        path = images.parent / "isic_attributes.json"
        content = {"schema": "xattn-annotations/1", "labels": CLASSES, "features": {}}
        path.write_text(json.dumps({**content, "images": entries}))
        return path

    def run(self, model: Model, annotations: Path, out: str, *targets: str) -> RunFolder:
        return explain(
            model, annotations=annotations, out=annotations.parent / out, target=targets,
            methods=self.METHODS, batch_size=3,
        )  # fmt: skip

    def test_give_the_maps_that_each_gives_alone(self, annotations):
        model = wrapped(with_statistics(Conv()).eval())
        together = self.run(model, annotations, "both", "predicted", "label", "malignant")
        for target in ("predicted", "label", "malignant"):
            alone = self.run(model, annotations, target, target)
            for method in ("gradcam", "hirescam"):
                name = method if target == "predicted" else f"{method}@{target}"
                np.testing.assert_array_equal(together.maps(name), alone.maps(method))
                assert len(list((together.path / "overlays" / name).iterdir())) == 7
                assert f"degenerate_{name}" in together.predictions
        assert "eigencam@label" not in together.methods
        assert list(together.predictions["explained@label"]) == [CLASSES[i % 2] for i in range(7)]
        assert together.settings["targets"] == ["predicted", "label", "malignant"]

    def test_share_the_forward_pass(self, annotations):
        passes: list[int] = []

        class Counting(Conv):
            def forward(self, x: Tensor) -> Tensor:
                passes.append(len(x))
                return super().forward(x)

        model = wrapped(Counting().eval())
        _ = model.attention_layers
        passes.clear()
        explain(model, annotations=annotations, out=annotations.parent / "run", target="all",
                methods=["gradcam", "layercam"], batch_size=7)  # fmt: skip
        assert passes == [7]

    def test_are_made_again_from_the_names_in_the_run_folder(self, annotations):
        model = wrapped(with_statistics(Conv()).eval())
        run = self.run(model, annotations, "run", "predicted", "malignant")
        before = tables(run)
        again = explain(model, annotations=annotations, out=run.path, methods=run.methods,
                        target=run.settings["target"], batch_size=3)  # fmt: skip
        assert tables(again) == before

    def test_of_classes_with_odd_names_are_stored_by_index(self, images):
        model = wrap(Brightness(), classes=["a/b", "../c"], preprocessing=plain())
        run = explain(model, images, out=images.parent / "run", target="all")
        assert run.methods == ["gradcam", "gradcam@0", "gradcam@1"]
        assert sorted(p.name for p in (run.path / "overlays").iterdir()) == run.methods


class TestTheOrderAndTheWorkers:
    def test_do_not_change_a_byte(self, images):
        model = wrapped(Conv().eval())
        (images / "zero.png").write_bytes(b"")
        expected = tables(explain(model, images, out=images.parent / "0", workers=0, batch_size=3))
        for workers in (1, 4):
            out = images.parent / str(workers)
            assert (
                tables(explain(model, images, out=out, workers=workers, batch_size=3)) == expected
            )

    def test_rows_come_in_the_order_of_the_images(self, images):
        order = [images / f"img_{i}.png" for i in (3, 0, 6, 1)]
        run = explain(bright(), order, out=images.parent / "run", batch_size=2)
        assert list(run.predictions["image_id"]) == ["img_3", "img_0", "img_6", "img_1"]


class TestASecondCall:
    def test_on_a_finished_folder_does_nothing(self, images):
        model = wrapped(Conv().eval())
        (images / "zero.png").write_bytes(b"")
        out = images.parent / "run"
        explain(model, images, out=out, batch_size=3)
        before = {p: (p.read_bytes(), p.stat().st_ino) for p in out.rglob("*") if p.is_file()}
        passes = []
        model.module.register_forward_pre_hook(lambda *_: passes.append(1))
        explain(model, images, out=out, batch_size=3)
        assert passes == []
        now = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
        assert now == {p: data for p, (data, _) in before.items()}

    def test_after_a_stop_ends_with_the_same_bytes(self, images):
        (images / "img_2.png").write_bytes(b"")
        model = wrapped(Conv().eval())
        expected = tables(explain(model, images, out=images.parent / "whole", batch_size=2))

        def stop(done: int, total: int) -> None:
            if done >= 4:
                raise KeyboardInterrupt

        out = images.parent / "stopped"
        with pytest.raises(KeyboardInterrupt):
            explain(model, images, out=out, batch_size=2, progress=stop)
        with pytest.raises(RunError, match="go on where it stopped"):
            RunFolder.open(out)
        told: list[int] = []
        run = explain(model, images, out=out, batch_size=2, progress=lambda d, _: told.append(d))
        assert told[0] == 4
        assert tables(run) == expected

    def test_adds_images_that_are_new(self, images):
        model = wrapped(Conv().eval())
        out = images.parent / "run"
        first = explain(model, images, out=out)
        before, maps = first.predictions, first.maps("gradcam")
        noise(images / "a_new_one.png", seed=9)
        run = explain(model, images, out=out)
        assert list(run.predictions["image_id"]) == [*before["image_id"], "a_new_one"]
        assert run.predictions.iloc[:7].equals(before)
        np.testing.assert_array_equal(run.maps("gradcam")[:7], maps)
        assert (out / "overlays/gradcam/a_new_one.png").is_file()

    def test_does_not_let_two_images_have_one_id(self, images):
        out = images.parent / "run"
        explain(bright(), images, out=out)
        noise(images.parent / "more" / "img_3.png", seed=9)
        noise(images.parent / "more" / "other.png", seed=9)
        run = explain(bright(), images.parent / "more", out=out)
        assert run.predictions["image_id"].is_unique
        assert list(run.predictions["image_id"])[-1] == "other"
        assert "'img_3' is also images/img_3.png" in run.table("errors")["error"][0]

    def test_does_not_take_its_own_overlays_for_images(self, images, monkeypatch):
        monkeypatch.chdir(images)
        model = wrapped(vit())
        run = explain(model, ".")
        assert run.path == Path("xattn-run")
        before = tables(run)
        assert tables(explain(model, ".")) == before
        assert list(run.predictions["file"]) == [f"img_{i}.png" for i in range(7)]

    @pytest.mark.parametrize(
        ("change", "key"),
        [
            (lambda: {"model": wrapped(Conv())}, "checkpoint_sha256"),
            (lambda: {"methods": ["gradcam"]}, "methods"),
            (lambda: {"target": "malignant"}, "target"),
            (lambda: {"model": bright(size=(40, 48))}, "preprocessing"),
        ],
        ids=["checkpoint", "methods", "target", "preprocessing"],
    )
    def test_with_other_settings_is_refused_and_loses_nothing(self, images, change, key):
        torch.manual_seed(1)
        attending = wrapped(vit())
        model = bright() if key != "methods" else attending
        out = images.parent / "run"
        before = tables(explain(model, images, out=out))
        with pytest.raises(RunError, match=f"Expected {key} .*; name another folder with --out"):
            explain(**{"model": model, "images": images, "out": out, **change()})
        assert tables(RunFolder.open(out)) == before

    def test_counts_on_overlays_for_a_batch_is_done_only_with_its_pictures(
        self, images, monkeypatch
    ):
        out = images.parent / "run"
        paint, commit = batch.write_picture, RunWriter.commit
        checked: list[str] = []

        def slowly(path: Path, drawn: np.ndarray) -> None:
            time.sleep(0.02)
            paint(path, drawn)

        def checking(self: RunWriter, rows: Any, *rest: Any) -> None:
            for row in rows:
                assert (out / "overlays/gradcam" / f"{row['image_id']}.png").is_file()
                checked.append(row["image_id"])
            commit(self, rows, *rest)

        monkeypatch.setattr(batch, "write_picture", slowly)
        monkeypatch.setattr(RunWriter, "commit", checking)
        explain(bright(), images, out=out, batch_size=3, workers=1)
        assert len(checked) == 7

    def test_survives_sigkill_in_the_middle(self, images):
        """A real kill of a real process, by itself, while batches are in flight."""
        script = textwrap.dedent(f"""
            import os, signal, sys
            import torch
            from nets import Brightness, wrapped
            from xattn.explain.pipeline import explain

            def stop(done, total):
                if done >= 4:
                    os.kill(os.getpid(), signal.SIGKILL)

            explain(wrapped(Brightness()), {str(images)!r}, out={str(images.parent / "killed")!r},
                    batch_size=2, progress=stop)
        """)
        # From beside its module: some libraries install a package named tests that hides ours.
        beside = ROOT / "tests" / "models"
        done = subprocess.run([sys.executable, "-c", script], cwd=beside, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
        assert not (images.parent / "killed" / "predictions.parquet").exists()
        model = wrapped(Brightness())
        expected = explain(model, images, out=images.parent / "whole", batch_size=2)
        again = explain(model, images, out=images.parent / "killed", batch_size=2)
        assert tables(again) == tables(expected)


class TestWhatIsRefusedBeforehand:
    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"methods": ["gradcm"]}, UsageError, "Unknown method 'gradcm'; did you mean"),
            ({"methods": ["attention"]}, MethodError, "needs attention layers"),
            ({"overlay": "gif"}, UsageError, "Unknown overlay 'gif'"),
            ({"batch_size": 0}, UsageError, "batch_size of at least 1"),
            ({"images": None}, UsageError, "images or annotations"),
            ({"images": "nowhere/"}, UsageError, "nowhere"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_in_one_line_and_nothing_is_written(self, images, options, error, words):
        out = images.parent / "run"
        with pytest.raises(error, match=words) as caught:
            explain(**{"model": bright(), "images": images, "out": out, **options})
        assert "\n" not in str(caught.value)
        assert not out.exists()

    def test_is_a_model_whose_head_is_still_zero(self, images):
        net = Conv()
        nn.init.zeros_(net.fc.weight)
        with pytest.raises(MethodError, match="head is still zero"):
            explain(wrapped(net), images, out=images.parent / "run")


def test_a_model_that_changes_its_input_in_place_is_given_it_once(images):
    class Normalising(Brightness):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.mul_(0.5))

    run = explain(wrapped(Normalising()), images, out=images.parent / "run")
    expected = explain(wrapped(Brightness()), images, out=images.parent / "plain")
    np.testing.assert_allclose(
        run.predictions["logit_benign"], expected.predictions["logit_benign"] / 2, rtol=1e-6
    )


def test_every_kind_of_model_goes_through(images):
    for i, net in enumerate((Conv(), Tokens(), vit(), Brightness())):
        run = explain(wrapped(net.eval()), images, out=images.parent / str(i), overlay="none")
        assert np.isfinite(run.maps("gradcam")).all()
        assert run.settings["preprocessing"]["size"] == list(SIZE)
