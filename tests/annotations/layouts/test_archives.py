"""A data set that is still in its archive is read there: tables, images and masks."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.cli.miniatures import MINIATURES, draw, ids
from xattn.annotations import build_annotations, check_annotations
from xattn.errors import AnnotationError


def data(tmp_path: Path, layout: str) -> Path:
    mini = MINIATURES[layout]
    labels = {one: mini.classes[i % 2] for i, one in enumerate(ids(6))}
    draw(tmp_path / "data", mini, labels, tmp_path / "masks")
    mini.write(tmp_path / "data", labels)
    return tmp_path / "data"


def packed(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.mark.parametrize("layout", ["isic_archive", "ham10000", "isic2019", "imagefolder"])
def test_a_zip_with_its_tables_is_a_data_set(tmp_path, layout):
    root = data(tmp_path, layout)
    plain = build_annotations(None, root, tmp_path / "a.json")
    archive = packed(root)
    shutil.rmtree(root)
    built = build_annotations(None, archive, tmp_path / "b.json")
    assert check_annotations(built.path) == []
    assert f"layout: {layout}, as the folder looks" in built.notes
    assert built.labels == plain.labels
    assert [(i.id, i.label, i.group, i.values) for i in built.images] == [
        (i.id, i.label, i.group, i.values) for i in plain.images
    ]


def test_a_folder_in_an_archive_may_be_named_and_masks_may_lie_in_another(tmp_path):
    root = data(tmp_path, "imagefolder")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, Path("export") / path.relative_to(root))
    masks = packed(tmp_path / "masks")
    built = build_annotations(
        None, tmp_path / "x.zip" / "export", tmp_path / "a.json",
        lesion_masks=masks / "segmentation",
    )  # fmt: skip
    plain = build_annotations(
        None, root, tmp_path / "b.json", lesion_masks=tmp_path / "masks" / "segmentation"
    )
    assert built.labels == plain.labels == ("mel", "nv")
    for image in built.images:
        assert np.array_equal(built.mask(image.id, "lesion"), plain.mask(image.id, "lesion"))
    with pytest.raises(AnnotationError, match=r"masks of lesion at .*nowhere, but got nothing"):
        build_annotations(
            None, root, tmp_path / "c.json", lesion_masks=tmp_path / "x.zip" / "nowhere"
        )


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(Exception, match=r"archive of images in .*x\.zip, but opening it failed"):
        build_annotations(None, tmp_path / "x.zip", tmp_path / "a.json")
