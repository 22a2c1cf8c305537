"""MedMNIST is read from its .npz file, an image a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xattn.annotations import build_annotations, check_annotations
from xattn.errors import AnnotationError
from xattn.images import find_images, read_image


def write(path: Path, n: int = 12, labels: int = 1, shape: tuple[int, ...] = (28, 28)) -> Path:
    arrays = {}
    path.parent.mkdir(exist_ok=True)
    for k, part in enumerate(("train", "val", "test")):
        rng = np.random.default_rng(k)
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        truth = np.arange(n)[:, None] % 3 if labels == 1 else rng.integers(0, 2, (n, labels))
        arrays[f"{part}_labels"] = truth.astype(np.uint8)
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_images_have_their_numbers_as_classes_and_their_part(tmp_path, shape):
    path = write(tmp_path / "d" / "xmnist.npz", shape=shape)
    built = build_annotations(None, path.parent, tmp_path / "a.json")
    assert "layout: medmnist, as the folder looks" in built.notes
    assert check_annotations(built.path) == []
    assert built.labels == ("0", "1", "2")
    one = built.by_id["xmnist_val_07"]
    assert (one.label, one.values["official_split"]) == ("1", "val")
    expected = np.load(path)["val_images"][7]
    found = np.asarray(read_image(one.file).image)
    assert np.array_equal(found if len(shape) == 3 else found[..., 0], expected)
    assert len(find_images(path)) == 36


def test_several_labels_are_findings(tmp_path):
    path = write(tmp_path / "d" / "chestmnist.npz", labels=14)
    built = build_annotations(None, path.parent, tmp_path / "a.json")
    truth = np.load(path)["test_labels"]
    assert built.labels == tuple(str(i) for i in range(14))
    assert built.by_id["chestmnist_test_03"].findings == tuple(map(str, np.flatnonzero(truth[3])))


def test_volumes_are_refused(tmp_path):
    path = write(tmp_path / "d" / "organmnist3d.npz", shape=(28, 28, 28))
    with pytest.raises(AnnotationError, match="volumes are to be saved as slices"):
        build_annotations(None, path.parent, tmp_path / "a.json")
