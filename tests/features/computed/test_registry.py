import json

import numpy as np
import pytest

from tests.features.computed.shapes import comma, disc, on_skin
from xattn.features.computed import MEASURES, measure_all


@pytest.mark.parametrize("card", MEASURES.values(), ids=list(MEASURES))
def test_every_card_is_complete_and_its_range_holds(card):
    assert card.kind == "computed"
    assert card.needs_lesion
    assert card.unit
    assert card.source
    assert card.meaning
    assert card.function.__doc__
    json.dumps(card.to_dict(), allow_nan=False)
    rng = np.random.default_rng(0)
    noisy = on_skin(comma())
    noisy.pixels[:] = np.clip(noisy.pixels + rng.normal(0, 12, noisy.pixels.shape), 0, 255)
    for subject in (on_skin(disc(60)), on_skin(comma()), noisy):
        assert card.low <= card(subject) <= card.high


def test_what_cannot_be_measured_is_nan_with_a_reason():
    values, reasons = measure_all(on_skin(disc(60, shift=(90.0, 0.0))))
    assert set(values) == set(MEASURES)
    unknown = {name for name, value in values.items() if np.isnan(value)}
    assert unknown == set(reasons) == {name for name, card in MEASURES.items() if card.whole}


def test_the_same_picture_gives_the_same_numbers():
    assert measure_all(on_skin(comma())) == measure_all(on_skin(comma()))
