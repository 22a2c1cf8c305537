from __future__ import annotations

import numpy as np
import pytest

from xattn.stats.seeds import generator_for
from xattn.synthetic.noise import attached, fractal, ramp


@pytest.mark.parametrize("octaves", [1, 3])
def test_fields_have_mean_near_zero_and_deviation_near_one(octaves):
    fields = np.stack([fractal(generator_for(s), (96, 128), 12, octaves) for s in range(20)])
    assert fields.shape == (20, 96, 128)
    assert fields.dtype == np.float32
    assert abs(fields.mean()) < 0.1
    assert 0.8 < fields.std() < 1.2


def test_an_attached_field_is_a_function_of_the_coordinates_alone():
    x, y = np.meshgrid(np.linspace(-1, 1, 33), np.linspace(-1, 1, 17))
    x, y = x.astype(np.float32), y.astype(np.float32)
    whole = attached(generator_for(1), x, y, (9, 7), 2)
    part = attached(generator_for(1), x[3:9, 20:], y[3:9, 20:], (9, 7), 2)
    turned = attached(generator_for(1), x.T.copy(), y.T.copy(), (9, 7), 2)
    assert np.allclose(part, whole[3:9, 20:], atol=1e-5)
    assert np.allclose(turned, whole.T, atol=1e-5)


def test_a_ramp_rises_from_low_to_high_and_falls_if_they_are_swapped():
    values = np.array([-9, 1, 2, 3, 9], np.float32)
    assert ramp(values, 1, 3).tolist() == [0, 0, 0.5, 1, 1]
    assert ramp(values, 3, 1).tolist() == [1, 1, 0.5, 0, 0]
