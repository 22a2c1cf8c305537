from __future__ import annotations

import numpy as np

from xattn.stats.seeds import generator_for, seed_for


def test_a_generator_is_the_same_for_the_same_keys_and_another_for_others():
    first = generator_for(3, "image", 7, "hair").random(4)
    assert np.array_equal(first, generator_for(3, "image", 7, "hair").random(4))
    for other in [(4, "image", 7, "hair"), (3, "lesion", 7, "hair"), (3, "image", 8, "hair")]:
        assert not np.any(first == generator_for(*other).random(4))


def test_the_generator_of_texts_is_the_same_in_every_process():
    assert generator_for(3, "hair").integers(2**32) == 2474687049


def test_seeds_of_different_places_are_unrelated():
    places = [(), (0,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (1,)]
    seeds = {seed_for(seed, *place) for seed in (0, 1) for place in places}
    assert len(seeds) == 2 * len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_for(3, 1, 2) == seed_for(3, 1, 2)
