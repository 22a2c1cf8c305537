import cv2
import numpy as np
import pytest

from xattn.analysis.interventions.pixels import (
    inpainted,
    moved,
    occluded,
    pasted,
    shift_to_free,
    widened,
)

RNG = np.random.default_rng(0)
FLAT = np.full((40, 50, 3), 150, np.uint8)
MASK = np.zeros((40, 50), bool)
MASK[10:16, 12:20] = True


def test_inpainting_takes_a_patch_away_and_touches_nothing_else():
    image = FLAT.copy()
    image[MASK] = (0, 255, 0)
    result = inpainted(image, MASK)
    assert np.abs(result.astype(int) - FLAT).max() <= 2
    noisy = RNG.integers(0, 256, FLAT.shape, dtype=np.uint8)
    away = ~widened(MASK)
    assert (inpainted(noisy, MASK)[away] == noisy[away]).all()


def test_a_mask_without_surroundings_cannot_be_filled():
    with pytest.raises(ValueError, match="covers all"):
        inpainted(FLAT, np.ones(MASK.shape, bool))


def test_pasting_brings_the_donors_pixels_inside_and_keeps_the_rest():
    donor = np.full_like(FLAT, 20)
    result = pasted(FLAT, donor, MASK)
    assert (result[MASK] < 50).all()
    assert (result[~widened(MASK, 6)] == 150).all()
    border = widened(MASK, 2) & ~MASK
    assert ((result[border] > 20) & (result[border] < 150)).any()  # blended, not cut
    assert FLAT.min() == 150


def test_occluding_paints_one_colour():
    result = occluded(FLAT, MASK, np.array([1.4, 2.0, 3.0]))
    assert (result[MASK] == (1, 2, 3)).all()
    assert (result[~MASK] == 150).all()


def test_widening_reaches_all_around():
    assert widened(MASK, 2).sum() > MASK.sum() + 4 * (6 + 8)
    assert (widened(MASK, 2) >= MASK).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_free_place_is_inside_and_really_free(seed):
    rng = np.random.default_rng(seed)
    free = cv2.GaussianBlur(rng.random(MASK.shape), (0, 0), 6) > 0.5
    shift = shift_to_free(MASK, free, rng, most_overlap=1.0)
    there = moved(MASK, shift)
    assert there.sum() == MASK.sum()
    assert (there & ~free).sum() == min(
        (~free[r : r + 6, c : c + 8]).sum() for r in range(35) for c in range(43)
    )
    rows, cols = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    assert (np.ptp(rows), np.ptp(cols)) == (5, 7)  # not wrapped around a border


def test_without_room_there_is_no_place():
    assert shift_to_free(MASK, np.zeros(MASK.shape, bool), RNG) is None
    assert shift_to_free(np.ones(MASK.shape, bool), np.ones(MASK.shape, bool), RNG) == (0, 0)
