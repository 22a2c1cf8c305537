"""`explain` end to end: what it writes, and what it refuses."""

from __future__ import annotations

import filecmp

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.attribution.on_disk import bright, read_pixels, spot, tables
from tests.models.nets import CLASSES, SIZE, Brightness, Conv, Tokens, vit, wrapped
from xattn.attribution.run.pipeline import explain
from xattn.errors import MethodError, UsageError


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
            assert read_pixels(drawn[3]).shape == (43, 60, 3)
        assert run.settings["counts"] == {"images": 7, "done": 7, "skipped": 0}
        assert (run.path / "errors.csv").read_text() == "file,stage,error\n"
        assert filecmp.cmp(run.image_path(2), images / "img_2.png", shallow=False)

    def test_logits_are_those_of_the_model_on_each_image_alone(self, images):
        model = wrapped(Conv().eval())
        run = explain(model, images, out=images.parent / "run", batch_size=3, overlay="none")
        for i, row in run.predictions.iterrows():
            with torch.no_grad():
                alone = model.logits(model.preprocess(read_pixels(images / f"img_{i}.png"))[None])[
                    0
                ]
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
