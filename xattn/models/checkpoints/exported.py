"""The weights in a file of `torch.export`, read without its program.

Reading the program evaluates expressions from the file; its weights lie beside it as plain bytes.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xattn.errors import CheckpointError

_CONFIG = "_weights_config.json"
_TYPES = {5: torch.int64, 6: torch.float16, 7: torch.float32, 8: torch.float64, 13: torch.bfloat16}
"""Numbers by which the format names types (`torch._export.serde.schema.ScalarType`)."""
_PLAIN = ("serialized_state_dict.pt", "serialized_state_dict.json")
"""Where files before 2.8 keep them, as `torch.save` writes."""


def is_exported(path: Path) -> bool:
    """Whether a file is of `torch.export`."""
    try:
        with zipfile.ZipFile(path) as archive:
            ends = {name.rpartition("/")[2] for name in archive.namelist()}
    except Exception:  # no archive, or a damaged one
        return False
    return bool({"serialized_exported_program.json", "archive_format"} & ends)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights by the keys of the network that was exported.

    Raises:
        CheckpointError: they are packed in another way, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            config = next((name for name in names if name.endswith(_CONFIG)), None)
            if config is None:
                return _older(archive, names)
            said = json.loads(archive.read(config))["config"]
            folder = config.rpartition("/")[0]
            return {
                str(key): _tensor(archive, folder, one)
                for key, one in said.items()
                if isinstance(one, Mapping)
            }
    except CheckpointError:
        raise
    except Exception as err:  # damaged bytes, or a layout of another version
        raise CheckpointError(
            f"Expected weights in {path}, which torch.export wrote, but they cannot be read "
            f"({type(err).__name__}); save `model.state_dict()` where it was made"
        ) from err


def _tensor(archive: zipfile.ZipFile, folder: str, said: Mapping[str, Any]) -> Tensor:
    meta = said["tensor_meta"]
    if said.get("use_pickle") or meta is None:
        raise CheckpointError(
            f"Expected plain weights in {archive.filename}, but {said['path_name']} is pickled; "
            "save `model.state_dict()` where it was made"
        )
    kind = _TYPES[meta["dtype"]]
    sizes, strides = ([int(one["as_int"]) for one in meta[name]] for name in ("sizes", "strides"))
    offset = int(meta["storage_offset"]["as_int"])
    raw = archive.read(f"{folder}/{said['path_name']}")
    if not raw or not math.prod(sizes):
        return torch.zeros(sizes, dtype=kind)
    flat = torch.frombuffer(bytearray(raw), dtype=kind)
    return flat.as_strided(sizes, strides, offset).clone()


def _older(archive: zipfile.ZipFile, names: list[str]) -> dict[str, Tensor]:
    name = next(name for name in names if name.endswith(_PLAIN))
    content = torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True)
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
