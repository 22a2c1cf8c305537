"""What `report` can be told beside the runs."""

from __future__ import annotations

from dataclasses import dataclass

from xattn.settings import Settings, setting


@dataclass(frozen=True)
class ReportSettings(Settings):
    """How a page is made; see `report` for what each setting means."""

    gallery: int = setting(
        96, "--gallery", kind="integer", low=0, help="Images shown; fewer where they are large."
    )
