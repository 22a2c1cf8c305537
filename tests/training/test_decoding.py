from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xattn.errors import XattnError
from xattn.images import Preprocessing, read_image
from xattn.splits.samples import Sample
from xattn.training.decoding import decode_images

PREPROCESSING = Preprocessing(size=(10, 12))


def write_images(folder: Path, n: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(n):
        path = folder / f"i{i}.png"
        Image.fromarray(rng.integers(0, 256, (14, 20, 3), dtype=np.uint8)).save(path)
        samples.append(Sample(f"i{i}", path, i % 2))
    return samples


@pytest.mark.parametrize("workers", [0, 3])
def test_rows_are_the_resized_images_in_order(tmp_path: Path, workers: int):
    samples = write_images(tmp_path, 9)
    images = decode_images(samples, PREPROCESSING, workers=workers)

    assert images.samples == tuple(samples)
    assert images.pixels.dtype == np.uint8
    for sample, pixels in zip(samples, images.pixels, strict=True):
        assert np.array_equal(pixels, PREPROCESSING.pixels(read_image(sample.file).image))
        assert images.hashes[sample.id] == hashlib.sha256(sample.file.read_bytes()).hexdigest()


def test_an_image_that_cannot_be_read_is_reported_and_the_others_go_on(tmp_path: Path):
    samples = write_images(tmp_path, 5)
    samples[1].file.write_bytes(b"")
    samples[3].file.write_bytes(samples[3].file.read_bytes()[:60])
    images = decode_images(samples, PREPROCESSING)

    assert [s.id for s in images.samples] == ["i0", "i2", "i4"]
    assert len(images.pixels) == 3
    assert np.array_equal(images.pixels[1], PREPROCESSING.pixels(read_image(samples[2].file).image))
    assert [f.file for f in images.failures] == [samples[1].file, samples[3].file]
    assert all(f.stage == "decode" and str(f.file) in str(f) for f in images.failures)


def test_a_thin_image_that_cannot_be_cropped_is_reported_too(tmp_path: Path):
    samples = write_images(tmp_path, 2)
    Image.new("RGB", (60000, 1)).save(samples[0].file)
    images = decode_images(samples, Preprocessing(size=(64, 64), mode="crop", resize=64))
    assert [f.file for f in images.failures] == [samples[0].file]


def test_no_readable_image_at_all_is_an_error(tmp_path: Path):
    with pytest.raises(XattnError, match="not one of 2 is: Expected a file"):
        decode_images([Sample(n, tmp_path / n, 0) for n in "ab"], PREPROCESSING)


def test_progress_counts_every_image(tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    samples = write_images(tmp_path, 4)
    samples[2].file.write_bytes(b"")
    decode_images(samples, PREPROCESSING, progress=lambda *what: told.append(what))
    assert told == [("decode", i, 4) for i in (1, 2, 3, 4)]


def test_more_images_than_memory_are_refused_with_the_way_out():
    samples = [Sample("a", Path("a.png"), 0)] * 100_000
    with pytest.raises(XattnError, match=r"lower `size`"):
        decode_images(samples, Preprocessing(size=(10**6, 10**6)))


def test_deep_images_keep_their_depth_and_those_of_8_bits_their_values(tmp_path: Path):
    samples = write_images(tmp_path, 4)
    deep = np.random.default_rng(1).integers(0, 65536, (14, 20), dtype=np.uint16)
    Image.fromarray(deep).save(samples[2].file)
    images = decode_images(samples, PREPROCESSING)

    assert images.pixels.dtype == np.float32
    for sample, pixels in zip(samples, images.pixels, strict=True):
        assert np.array_equal(pixels, PREPROCESSING.pixels(read_image(sample.file).levels))
    assert (images.pixels[2] != np.rint(images.pixels[2])).any()
