"""What libraries say while they compile is of code that is not the user's, and not told."""

from __future__ import annotations

import logging
import shutil
import warnings

import pytest
import torch
from torch import Tensor

from tests.models.nets import Conv
from xattn.attribution.passes.engines.registry import ENGINES, Extract
from xattn.attribution.passes.engines.with_openvino import held_back

BATCH = 2


class Talks(Conv):
    """Warns and logs, as libraries do of what they find while they compile."""

    def forward(self, x: Tensor) -> Tensor:
        warnings.warn("a hint for developers", stacklevel=1)
        logging.getLogger("torch.utils.cpp_extension").warning("No CUDA runtime is found")
        return super().forward(x)


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow if one == "compile" else ()) for one in ENGINES],
)
def test_libraries_say_nothing_while_an_engine_compiles(name, capsys):
    if not ENGINES[name].installed:
        pytest.skip(f"{ENGINES[name].package} is not installed")
    if name == "openvino" and held_back():
        pytest.skip(held_back())
    if name == "compile" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("torch.compile needs a C++ compiler, and none is installed")
    talking, batch = Talks().eval(), torch.rand(BATCH, 3, 32, 48)
    level = logging.getLogger("torch").level
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        ENGINES[name].build(Extract(talking, ["conv1"]), batch)
    assert [str(one.message) for one in warned] == []
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("torch").level == level
    with pytest.warns(UserWarning, match="a hint for developers"):
        talking(batch)
    assert "No CUDA runtime is found" in capsys.readouterr().err
