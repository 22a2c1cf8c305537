"""Where the work of a command is done: in its own process, or on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xattn.settings.declare import Settings, setting


@dataclass(frozen=True)
class RaySettings(Settings):
    """Where a command does its work; see `xattn.cluster`.

    Attributes:
        engine: this process, or a Ray cluster.
        address: of the cluster; default RAY_ADDRESS, else one that is started for the call.
        workers: each with a processor, and a GPU if models are on one; default all there are.
    """

    engine: Literal["local", "ray"] = setting(
        "local", "--engine", choices=("local", "ray"), recorded=False,
        help="Run in this process, or on a Ray cluster.",
    )  # fmt: skip
    address: str | None = setting(
        None, "--ray-address", dest="ray_address", recorded=False,
        help="Ray cluster; default RAY_ADDRESS, else one on this machine for the call.",
    )  # fmt: skip
    workers: int | None = setting(
        None, "--ray-workers", kind="integer", low=1, dest="ray_workers", recorded=False,
        help="Workers of Ray; default one per processor of the cluster, or per GPU.",
    )  # fmt: skip
