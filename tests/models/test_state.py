"""Keys of a state dict against those of an architecture."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from xattn.models import build
from xattn.models.state import (
    CANDIDATES,
    best_reading,
    compare,
    count_classes,
    likely_architecture,
    readings,
)

ONE = torch.ones(1)


class TestReadings:
    def test_begin_with_the_keys_as_they_are(self):
        assert readings({"fc.weight": ONE}) == [{"fc.weight": ONE}]

    def test_take_nested_prefixes_off_in_any_order(self):
        for key in ("model.module.fc", "module.model.fc"):
            assert {"fc": ONE} in readings({key: ONE, "loss.weight": ONE})

    def test_leave_out_what_does_not_carry_the_prefix(self):
        found = readings({"model.fc": ONE, "ema.fc": ONE})
        assert [set(reading) for reading in found] == [{"model.fc", "ema.fc"}, {"fc"}]

    def test_of_nothing_are_nothing(self):
        assert readings({}) == [{}]

    def test_are_chosen_by_what_agrees_not_by_majority(self):
        """As in volo, whose own modules are called `network`."""
        expected = {"network.0": ONE, "network.1": ONE, "stem": ONE}
        assert best_reading(expected, expected) == expected
        assert best_reading({"model." + k: ONE for k in expected}, expected) == expected


class TestComparing:
    def test_finds_each_kind_of_misfit(self):
        match = compare(
            {"a": torch.ones(2), "b": torch.ones(3), "x": ONE},
            {"a": torch.ones(2), "b": torch.ones(4), "c": ONE},
        )
        assert match.missing == ("c",)
        assert match.unexpected == ("x",)
        assert match.reshaped == ("b: (3,) instead of (4,)",)
        assert match.agreeing == 1
        assert not match.perfect

    def test_does_not_miss_batch_counters(self):
        assert compare({"a": ONE}, {"a": ONE, "bn.num_batches_tracked": ONE}).perfect

    def test_names_four_keys_at_most(self):
        match = compare({}, {str(i): ONE for i in range(6)})
        assert match.describe() == "6 missing (0, 1, 2, 3, ...); 0 agree"


class TestTheLikelyArchitecture:
    def test_does_not_depend_on_the_number_of_classes(self):
        for n in (2, 1000):
            state = torchvision.models.resnet18(num_classes=n).state_dict()
            assert likely_architecture(state) == "resnet18"

    def test_is_seen_through_prefixes(self):
        state = build("efficientnet_b0", 2).state_dict()
        assert likely_architecture({"model.net." + k: v for k, v in state.items()}) == (
            "efficientnet_b0"
        )

    @pytest.mark.slow
    def test_tells_a_hybrid_from_its_backbone(self):
        assert likely_architecture(build("resnet18-ga", 2).state_dict()) == "resnet18-ga"

    @pytest.mark.slow
    def test_is_none_for_a_net_of_ones_own(self):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
        assert likely_architecture(net.state_dict()) is None

    @pytest.mark.slow
    @pytest.mark.parametrize("name", CANDIDATES)
    def test_is_found_among_all_candidates(self, name):
        with torch.device("meta"):
            state = build(name, 2).state_dict()
        assert likely_architecture(state) == name


class TestCountingClasses:
    @pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "torchvision/efficientnet_b0",
                                      "vit_tiny_patch16_224", "torchvision/vit_b_16"])  # fmt: skip
    def test_reads_the_last_linear_layer(self, name):
        with torch.device("meta"):
            net = build(name, 7)
        assert count_classes(net.state_dict(), net) == 7

    def test_is_none_without_one(self):
        assert count_classes({}, nn.Linear(2, 2)) is None
        assert count_classes({"0.weight": torch.ones(())}, nn.Sequential(nn.Linear(2, 2))) is None
        assert count_classes({"weight": ONE}, nn.Conv2d(3, 2, 1)) is None
