from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xattn.errors import XattnError
from xattn.images import Preprocessing, read_image
from xattn.splits.samples import Sample
from xattn.training.data import Batches, ImageCache, balanced, decode_all, shuffled

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
    cache = decode_all(samples, PREPROCESSING, workers=workers)

    assert cache.samples == tuple(samples)
    assert cache.pixels.dtype == np.uint8
    for sample, pixels in zip(samples, cache.pixels, strict=True):
        assert np.array_equal(pixels, PREPROCESSING.pixels(read_image(sample.file).image))
        assert cache.hashes[sample.id] == hashlib.sha256(sample.file.read_bytes()).hexdigest()


def test_an_image_that_cannot_be_read_is_reported_and_the_others_go_on(tmp_path: Path):
    samples = write_images(tmp_path, 5)
    samples[1].file.write_bytes(b"")
    samples[3].file.write_bytes(samples[3].file.read_bytes()[:60])
    cache = decode_all(samples, PREPROCESSING)

    assert [s.id for s in cache.samples] == ["i0", "i2", "i4"]
    assert len(cache.pixels) == 3
    assert np.array_equal(cache.pixels[1], PREPROCESSING.pixels(read_image(samples[2].file).image))
    assert [f.file for f in cache.failures] == [samples[1].file, samples[3].file]
    assert all(f.stage == "decode" and str(f.file) in str(f) for f in cache.failures)


def test_a_thin_image_that_cannot_be_cropped_is_reported_too(tmp_path: Path):
    samples = write_images(tmp_path, 2)
    Image.new("RGB", (60000, 1)).save(samples[0].file)
    cache = decode_all(samples, Preprocessing(size=(64, 64), mode="crop", resize=64))
    assert [f.file for f in cache.failures] == [samples[0].file]


def test_no_readable_image_at_all_is_an_error(tmp_path: Path):
    with pytest.raises(XattnError, match="not one of 2 is: Expected a file"):
        decode_all([Sample(n, tmp_path / n, 0) for n in "ab"], PREPROCESSING)


def test_progress_counts_every_image(tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    samples = write_images(tmp_path, 4)
    samples[2].file.write_bytes(b"")
    decode_all(samples, PREPROCESSING, progress=lambda *what: told.append(what))
    assert told == [("decode", i, 4) for i in (1, 2, 3, 4)]


def test_more_images_than_memory_are_refused_with_the_way_out():
    samples = [Sample("a", Path("a.png"), 0)] * 100_000
    with pytest.raises(XattnError, match=r"lower `size`"):
        decode_all(samples, Preprocessing(size=(10**6, 10**6)))


def numbered_cache(n: int) -> ImageCache:
    pixels = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 3), np.uint8)
    samples = tuple(Sample(f"i{i}", Path(), i % 3) for i in range(n))
    return ImageCache(samples, pixels, {}, ())


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 120), size=st.integers(2, 40))
def test_batches_hold_every_row_once_and_never_a_single_one(n: int, size: int):
    rows = np.random.default_rng(n).permutation(n)
    batches = Batches(numbered_cache(n), rows, size)
    drawn = [(pixels[:, 0, 0, 0].tolist(), labels.tolist()) for pixels, labels in batches]

    assert len(drawn) == len(batches)
    assert [row for part, _ in drawn for row in part] == rows.tolist()
    assert [label for _, part in drawn for label in part] == (rows % 3).tolist()
    assert all(min(n, 2) <= len(part) <= max(size, 3) for part, _ in drawn)


def test_batches_are_bytes_with_channels_first_stored_last():
    pixels, labels = next(iter(Batches(numbered_cache(4), np.arange(4), 4)))
    assert pixels.shape == (4, 3, 2, 4)
    assert pixels.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_the_order_of_an_epoch_follows_from_seed_and_epoch_alone():
    rows = np.arange(40)
    assert np.array_equal(shuffled(rows, 1, 2), shuffled(rows, 1, 2))
    assert sorted(shuffled(rows, 1, 2)) == list(rows)
    orders = {tuple(shuffled(rows, *place)) for place in ((1, 2), (1, 3), (2, 2), (2, 1))}
    assert len(orders) == 4


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 9),
)
def test_balanced_epochs_hold_every_class_alike_and_waste_no_image(counts, seed, epoch):
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = np.random.default_rng(0).permutation(1000)[: len(labels)]
    drawn = balanced(rows, labels, seed, epoch)

    assert len(drawn) == len(rows)
    label = dict(zip(rows.tolist(), labels.tolist(), strict=True))
    shares = np.bincount([label[row] for row in drawn.tolist()], minlength=len(counts))
    assert shares.max() - shares.min() <= 1
    times = np.array([(drawn == row).sum() for row in rows])
    for one in range(len(counts)):  # no image comes again before all of its class came
        assert np.ptp(times[labels == one]) <= 1
    assert np.array_equal(drawn, balanced(rows, labels, seed, epoch))


def test_another_epoch_takes_other_images_of_a_frequent_class():
    rows, labels = np.arange(100), (np.arange(100) >= 90).astype(int)
    first, second = (set(balanced(rows, labels, 0, epoch).tolist()) for epoch in (0, 1))
    assert first != second
    assert set(range(90, 100)) <= first & second


@settings(deadline=None, max_examples=40)
@given(n=st.integers(6, 60), batch_size=st.integers(2, 20), world=st.integers(1, 3))
def test_processes_share_every_batch_and_lose_none(n, batch_size, world):
    samples = tuple(Sample(f"i{i}", Path(), 0) for i in range(n))
    pixels = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 2, 3))
    cache = ImageCache(samples, np.ascontiguousarray(pixels), {}, ())
    parts = [list(Batches(cache, np.arange(n), batch_size, r, world)) for r in range(world)]
    whole = [
        np.concatenate([part[:, 0, 0, 0].numpy() for part, _ in together])
        for together in zip(*parts, strict=True)  # as many batches in every process
    ]
    assert np.concatenate(whole).tolist() == list(range(n))
    assert min(len(labels) for part in parts for _, labels in part) >= 2
    assert np.ptp([len(one) for one in whole]) <= 1
