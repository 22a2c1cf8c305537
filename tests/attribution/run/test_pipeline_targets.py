"""Of which class, or classes, a run's maps are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from tests.attribution.on_disk import bright, noise, tables
from tests.models.nets import CLASSES, Brightness, Conv, plain, with_statistics, wrapped
from xattn.attribution.run.pipeline import explain
from xattn.errors import UsageError
from xattn.models import Model, wrap
from xattn.runs import RunFolder


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
        noise(images / "unlisted.png")
        run = explain(
            bright(), images, annotations=annotations, out=images.parent / "run", overlay="none"
        )
        assert len(run.predictions) == 8
        assert run.predictions.set_index("image_id")["label"].isna().to_dict()["unlisted"]

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
        _ = model.attention_layers, model.cells()
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
