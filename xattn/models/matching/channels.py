"""Networks of other channel counts than one and three: found from the first layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from xattn.errors import UsageError
from xattn.images.channels import COLOURS
from xattn.images.preprocessing import Preprocessing
from xattn.models.matching.one_channel import runs
from xattn.models.probing.forward import model_dtype


def first_layer(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[str, int] | None:
    """Return the key of the first layer's weight and its channels, if those alone are other.

    Args:
        state: weights of a file, by the architecture's keys.
        expected: those of the architecture, for three channels, without its classifier.
    """
    unlike = [k for k, v in expected.items() if k in state and state[k].shape != v.shape]
    if len(unlike) == 1:
        have, want = state[unlike[0]].shape, expected[unlike[0]].shape
        same = len(have) == 4 and have[0] == want[0] and have[2:] == want[2:]
        if same and want[1] == COLOURS and have[1] > 1:
            return unlike[0], have[1]
    return None


def take_channels(module: nn.Module, key: str, channels: int) -> None:
    """Give the first layer of a network a weight for so many channels, empty.

    Args:
        module: changed in place.
        key: of the weight.
        channels: how many.
    """
    path, _, name = key.rpartition(".")
    layer = module.get_submodule(path)
    weight: Tensor = getattr(layer, name)
    shape = (weight.shape[0], channels, *weight.shape[2:])
    setattr(layer, name, nn.Parameter(weight.new_empty(shape)))
    layer.in_channels = channels  # type: ignore[assignment]


@torch.no_grad()
def channels_of(module: nn.Module, size: tuple[int, int]) -> int:
    """Return how many channels a network takes: 3, unless it runs with its first layer's alone.

    Args:
        module: stays as it is.
        size: (height, width) of an input.
    """
    first = next((p for p in module.parameters() if p.ndim == 4), None)
    if first is None or first.shape[1] in (1, COLOURS):
        return COLOURS
    dtype, device = model_dtype(module)
    for channels in (COLOURS, first.shape[1]):
        if runs(module, torch.zeros(1, channels, *size, dtype=dtype, device=device)):
            return int(channels)
    return COLOURS


def of_channels(given: Preprocessing, channels: int) -> Preprocessing:
    """Return a preprocessing that a caller gives, one number for all channels spread over them.

    Raises:
        UsageError: it is for another number of channels than the network takes.
    """
    if given.channels not in (1, channels):
        raise UsageError(
            f"Expected a preprocessing of {channels} channels, as the network takes, but got one "
            f"of {given.channels}: mean and std have a number for each"
        )
    return with_channels(given, channels)[0]


def with_channels(
    found: Preprocessing, channels: int, **said: tuple[float, ...] | None
) -> tuple[Preprocessing, bool]:
    """Return a preprocessing of so many channels, and whether its mean or deviation is a guess.

    What nobody says of other channels than red, green and blue is 0 and 1: none.

    Args:
        found: of any number of channels.
        channels: how many the network takes.
        said: `mean` and `std` as the user gives them, one number for each channel or for all.

    Raises:
        UsageError: another number of numbers.
    """
    plain = {"mean": (0.0,) * channels, "std": (1.0,) * channels}
    values, guessed = {}, False
    for name, otherwise in plain.items():
        given = said.get(name)
        if given is not None and len(given) not in (1, channels):
            raise UsageError(
                f"Expected 1 number or {channels} for --{name}, as the network takes {channels} "
                f"channels, but got {len(given)}"
            )
        if given is not None:
            values[name] = given * (channels // len(given))
        elif found.channels in (1, channels):
            values[name] = getattr(found, name) * (channels // found.channels)
        else:
            values[name], guessed = otherwise, True
    return replace(found, mean=values["mean"], std=values["std"]), guessed
