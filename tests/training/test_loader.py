from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xattn.splits.samples import Sample
from xattn.training.decoding import DecodedImages
from xattn.training.loader import BatchLoader, balanced, shuffled


def numbered_images(n: int) -> DecodedImages:
    pixels = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 3), np.uint8)
    samples = tuple(Sample(f"i{i}", Path(), i % 3) for i in range(n))
    return DecodedImages(samples, pixels, {}, ())


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 120), size=st.integers(2, 40))
def test_batches_hold_every_row_once_and_never_a_single_one(n: int, size: int):
    rows = np.random.default_rng(n).permutation(n)
    batches = BatchLoader(numbered_images(n), rows, size)
    drawn = [(pixels[:, 0, 0, 0].tolist(), labels.tolist()) for pixels, labels in batches]

    assert len(drawn) == len(batches)
    assert [row for part, _ in drawn for row in part] == rows.tolist()
    assert [label for _, part in drawn for label in part] == (rows % 3).tolist()
    assert all(min(n, 2) <= len(part) <= max(size, 3) for part, _ in drawn)


def test_batches_are_bytes_with_channels_first_stored_last():
    pixels, labels = next(iter(BatchLoader(numbered_images(4), np.arange(4), 4)))
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
    counted = np.bincount([label[row] for row in drawn.tolist()], minlength=len(counts))
    assert counted.max() - counted.min() <= 1
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
    images = DecodedImages(samples, np.ascontiguousarray(pixels), {}, ())
    parts = [list(BatchLoader(images, np.arange(n), batch_size, r, world)) for r in range(world)]
    whole = [
        np.concatenate([part[:, 0, 0, 0].numpy() for part, _ in together])
        for together in zip(*parts, strict=True)  # as many batches in every process
    ]
    assert np.concatenate(whole).tolist() == list(range(n))
    assert min(len(labels) for part in parts for _, labels in part) >= 2
    assert np.ptp([len(one) for one in whole]) <= 1
