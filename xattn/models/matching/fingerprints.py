"""Architectures by the shapes of their weights: which of some 1,400 a checkpoint can be of.

Building all of them takes a quarter of an hour, so that what is known of their shapes is kept in
`fingerprints.json`; `python -m xattn.models.matching.fingerprints` writes it anew for the installed
versions of timm and torchvision. What is found in it is built and compared before it is named.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from xattn.models.architectures.registry import ARCHITECTURES, in_libraries
from xattn.models.checkpoints.containers import is_averaged
from xattn.models.matching.heads import classifier_of
from xattn.models.matching.keys import is_derived
from xattn.models.matching.state import skeleton

FILE = Path(__file__).with_name("fingerprints.json")
ENOUGH = 8
"""Convolutions from which their shapes alone tell a network, whatever its classifier is."""
_CLASSES = 1009
"""Of the networks that are built for their shapes; no other matrix has so many rows."""

Shape = tuple[int, ...]


def candidates(state: Mapping[str, Tensor]) -> list[str]:
    """Return the names of architectures whose weights have these shapes, the classifier aside.

    Prefixes do not matter, nor does a classifier of up to two layers.
    """
    shapes = list(_shapes(state))
    by_hash = _known()
    found: dict[str, None] = {}
    for subset in (shapes, *_without_head(shapes)):
        found |= dict.fromkeys(by_hash.get(_hash(subset), ()))
    convolutions = [shape for shape in shapes if len(shape) > 2]
    if len(convolutions) >= ENOUGH:
        found |= dict.fromkeys(by_hash.get(_hash(convolutions), ()))
    return list(found)


def _shapes(state: Mapping[str, Tensor]) -> Iterator[Shape]:
    """Yield the shapes of matrices and filters; position embeddings vary with the input size."""
    for key, value in state.items():
        last = key.rpartition(".")[2]
        position = last.startswith(("pos_emb", "relative_position_bias"))
        if value.ndim > 1 and not (is_derived(key) or is_averaged(key) or position):
            yield tuple(value.shape)


def _without_head(shapes: list[Shape]) -> Iterator[list[Shape]]:
    """Yield what is left when one matrix, or two, are the head.

    Of two, one reads the other, or both read the same: a head of its own for each teacher.
    """
    count = Counter(shape for shape in shapes if len(shape) == 2)
    matrices = list(count)
    for last in matrices:
        rest = list(shapes)
        rest.remove(last)
        yield rest
        for first in matrices:
            if first in rest and (first[0] == last[1] or (first == last and count[last] == 2)):
                fewer = list(rest)
                fewer.remove(first)
                yield fewer


def _hash(shapes: Iterable[Shape]) -> str:
    return hashlib.sha256(repr(sorted(shapes)).encode()).hexdigest()[:12]


def _hashes(name: str) -> list[str]:
    """Return the fingerprints of an architecture: of all weights, and of its convolutions."""
    module = skeleton(name, _CLASSES)
    own = f"{classifier_of(module)}."
    state = {k: v for k, v in module.state_dict().items() if not k.startswith(own)}
    shapes = [shape for shape in _shapes(state) if shape[0] != _CLASSES]
    convolutions = [shape for shape in shapes if len(shape) > 2]
    return [_hash(shapes)] + [_hash(convolutions)] * (len(convolutions) >= ENOUGH)


@lru_cache(maxsize=1)
def _known() -> dict[str, list[str]]:
    stored: dict[str, list[str]] = json.loads(FILE.read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for name, hashes in stored.items():
        for one in hashes:
            found.setdefault(one, []).append(name)
    return found


def write(path: Path = FILE) -> None:
    """Write the fingerprints of every architecture that can be built."""
    found = {}
    for name in (*ARCHITECTURES, *in_libraries()):
        try:
            found[name] = _hashes(name)
        except Exception as err:  # some need packages that are not installed
            logging.getLogger(__name__).warning("%s: %s", name, err)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write()
