"""Types of arrays, by what stands in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
SampleWeights = NDArray[np.float32]
"""How often each row counts, such as in bootstrap replicates."""
Codes = NDArray[np.intp]
"""Numbers of labels, groups, bins or rows."""
Ints = NDArray[np.int64]
