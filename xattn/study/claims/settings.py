"""[[claims]] in the recipe of a study: what somebody says, in terms that a study can answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from xattn.errors import UsageError
from xattn.settings import Settings, setting

Says = Literal["used", "not used", "no gain", "maps add nothing"]

USED, NOT_USED, NO_GAIN, NO_MORE = "used", "not used", "no gain", "maps add nothing"
SAYS = (USED, NOT_USED, NO_GAIN, NO_MORE)


@dataclass(frozen=True)
class Claim(Settings):
    """One claim.

    Attributes:
        claim: the sentence.
        source: who says it.
        says: what it comes to: features are "used", or "not used"; models have "no gain" over what
            they are compared with; "maps add nothing" to those of another method.
        features: names, or patterns such as "*_asymmetry".
        models: names of recipes, or patterns such as "*-ga"; all if omitted.
        any: of "used": that one of the features is used suffices.
        matters: of "no gain" the difference of the metric that would be one.
        method, against: of "maps add nothing" the two methods of attribution.
    """

    claim: str = setting("")
    source: str = setting("")
    says: Says = setting(USED, choices=SAYS)
    features: Sequence[str] = setting((), several=True)
    models: Sequence[str] = setting(("*",), several=True)
    any: bool = setting(False, kind="switch")
    matters: float = setting(0.02, kind="number", low=0, high=1)
    method: str = setting("attention")
    against: str = setting("gradcam")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.claim:
            raise UsageError("Expected a sentence as claim, but got none")
        if self.says != NO_GAIN and not self.features:
            raise UsageError(f"Expected features of the claim {self.claim!r}, but got none")


def matching(pattern: str, known: Collection[str]) -> list[str]:
    """Return the names that a name, or a pattern such as "*-ga", stands for."""
    return [name for name in known if fnmatchcase(name, pattern)]
