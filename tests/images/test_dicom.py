"""DICOM files are shown as viewers show them, or refused in one line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from xattn.annotations.headers import read_header
from xattn.errors import ImageError
from xattn.images import find_images, read_image

STORED = np.linspace(0, 4095, 10 * 14).reshape(10, 14).round().astype(np.uint16)


def write(path: Path, pixels: np.ndarray | None = STORED, bits: int = 12, **keys) -> Path:
    """Write a film of 12 bits; further keys are set as they are."""
    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    if pixels is not None:
        data.Rows, data.Columns = pixels.shape[:2]
        colour = pixels.ndim == 3
        data.SamplesPerPixel = 3 if colour else 1
        data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            data.PlanarConfiguration = 0
        data.BitsAllocated = pixels.dtype.itemsize * 8
        data.BitsStored, data.HighBit = bits, bits - 1
        data.PixelRepresentation = int(pixels.dtype.kind == "i")
        data.PixelData = pixels.tobytes()
    for key, value in keys.items():
        setattr(data, key, value)
    data.save_as(path, enforce_file_format=True)
    return path


def grey(path: Path, window=None) -> np.ndarray:
    return np.asarray(read_image(path, window=window).image)[..., 0].astype(float)


def deep(path: Path, window=None) -> np.ndarray:
    levels = read_image(path, window=window).levels
    assert isinstance(levels, np.ndarray)
    return levels


def test_without_a_window_all_that_the_bits_hold_is_shown(tmp_path):
    path = write(tmp_path / "a.dcm")
    assert np.abs(deep(path) - STORED / 4095 * 255).max() <= 1e-4
    assert read_image(path).note == "grey, DICOM, all of 12 bits".removeprefix("grey, ")
    assert read_header(path).size == (14, 10)


def test_rescale_and_the_window_of_the_file_are_applied(tmp_path):
    stored = (STORED.astype(np.int32) - 1000).clip(-1000, 3000).astype(np.int16)
    path = write(
        tmp_path / "ct.dcm", stored, 16, RescaleSlope=2, RescaleIntercept=-24, WindowCenter=[40, 9],
        WindowWidth=[400, 9],
    )  # fmt: skip
    units = stored * 2.0 - 24
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * (ymax - ymin)
    expected = np.clip((units - 39.5) / 399 + 0.5, 0, 1) * 255
    assert np.abs(deep(path) - expected).max() <= 1e-4
    assert read_image(path).note == "DICOM, window of the file"
    given = np.clip((units + 1000) / 2000, 0, 1) * 255
    assert np.abs(deep(path, (-1000.0, 1000.0)) - given).max() <= 1e-4


def test_monochrome1_is_inverted_with_every_window(tmp_path):
    plain = write(tmp_path / "a.dcm")
    turned = write(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1")
    for window in (None, "auto", (100.0, 3000.0)):
        assert np.array_equal(deep(turned, window), 255 - deep(plain, window))
    assert "MONOCHROME1 inverted" in read_image(turned).note


def test_other_functions_of_the_window(tmp_path):
    keys = {"WindowCenter": 2000, "WindowWidth": 1000}
    exact = write(tmp_path / "e.dcm", VOILUTFunction="LINEAR_EXACT", **keys)
    assert np.abs(deep(exact) - np.clip((STORED - 1500.0) / 1000, 0, 1) * 255).max() <= 1e-4
    curve = write(tmp_path / "s.dcm", VOILUTFunction="SIGMOID", **keys)
    assert np.abs(deep(curve) - 255 / (1 + np.exp(-4 * (STORED - 2000.0) / 1000))).max() <= 1e-4


def test_colours_are_read(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    path = write(tmp_path / "derm", colours, 8)
    assert np.array_equal(np.asarray(read_image(path).image), colours)
    assert [one.id for one in find_images(tmp_path)] == ["derm"]  # without an ending


def test_it_is_read_from_a_zip_too(tmp_path):
    import zipfile

    path = write(tmp_path / "a.dcm")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(path, "p10/a.dcm")
    (found,) = find_images(tmp_path / "x.zip")
    assert np.array_equal(deep(found.path), deep(path))
    assert read_header(found.path).size == (14, 10)


def test_what_is_no_single_image_is_refused_by_name(tmp_path):
    path = write(tmp_path / "cine.dcm", NumberOfFrames=40)
    for read in (read_image, read_header):
        with pytest.raises(ImageError, match=r"of one image, but got 40 frames in .*cine\.dcm"):
            read(path)
    report = write(tmp_path / "report.dcm", None)
    with pytest.raises(ImageError, match=r"with pixels in .*report\.dcm, but got one without \("):
        read_image(report)
    (tmp_path / "text.dcm").write_text("no image\n" * 50)
    with pytest.raises(ImageError, match=r"text\.dcm"):
        read_image(tmp_path / "text.dcm")
    whole = path.read_bytes()
    (tmp_path / "torn.dcm").write_bytes(write(tmp_path / "a.dcm").read_bytes()[:-50])
    with pytest.raises(ImageError, match=r"torn\.dcm, but"):
        read_image(tmp_path / "torn.dcm")
    assert io.BytesIO(whole).read(132)[128:] == b"DICM"


def test_without_pydicom_the_way_out_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"pip install 'xattn\[dicom\]'"):
        read_image(path)
