"""Checkpoints by a name of a hub, as timm writes them: `hf-hub:ORGANISATION/NAME`, `local-dir:`."""

from __future__ import annotations

import re
from pathlib import Path

from xattn.errors import CheckpointError
from xattn.models.checkpoints.image_processors import FILES

_LOCAL = re.compile(r"local-dir:(?P<path>.+)")
_HUB = re.compile(r"hf[-_]hub:/?(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_WANTED = ("config.json", *FILES, "*.safetensors", "*.safetensors.index.json", "pytorch_model.bin")
"""What is fetched of a repository: configurations and weights, no code."""


def resolve(path: Path) -> Path:
    """Return the folder or file that is meant; of a hub's name, what is fetched or in the cache.

    >>> resolve(Path("local-dir:models/derma")), resolve(Path("model.pt"))
    (PosixPath('models/derma'), PosixPath('model.pt'))

    Raises:
        CheckpointError: the repository is neither to be had nor in the cache.
    """
    if path.exists():
        return path
    name = path.as_posix()
    if local := _LOCAL.fullmatch(name):
        return Path(local["path"])
    found = _HUB.fullmatch(name)
    return path if found is None else _fetch(found["name"], found["revision"])


def is_by_name(path: str) -> bool:
    """Whether a path is a hub's name rather than one of this machine."""
    return _HUB.fullmatch(path) is not None or _LOCAL.fullmatch(path) is not None


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_WANTED)))
    except Exception as err:  # no network, no such repository, no leave to read it
        what = type(err).__name__
        raise CheckpointError(
            f"Expected to fetch {name} from the Hugging Face hub, or to find it in its cache, but "
            f"got {what}; where there is a network: hf download {name}, then name the folder"
        ) from err
