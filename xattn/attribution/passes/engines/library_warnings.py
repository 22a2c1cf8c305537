"""Libraries that compile say nothing of what they find in code that is not the user's."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_TORCH = "torch"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep warnings, and what torch logs below an error, from the user within the block.

    Loggers of torch whose level somebody chose (TORCH_LOGS) keep it.
    """
    logger = logging.getLogger(_TORCH)
    before = logger.level
    logger.setLevel(max(before, logging.ERROR))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
