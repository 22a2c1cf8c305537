"""How far a study is: of each step whether it is done, unfinished, new, or to be done again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xattn.errors import UsageError, XattnError
from xattn.runs.identity import differences
from xattn.study.steps import Records, Step

DONE, UNFINISHED, NEW, AGAIN, LATER = "done", "unfinished", "new", "again", "later"
_MOST_CAUSES = 3


@dataclass(frozen=True)
class Standing:
    """How far a step is.

    Attributes:
        state: "done"; "unfinished", a call was stopped or failed in it; "new"; "again": what it
            left is of other settings or inputs, or was changed since, and goes if the step is done;
            or "later": it is done, and whether it holds is seen once what it needs is.
        why: in which way, where the cause lies in the step itself.
    """

    state: str
    why: str = ""


def standing_of(steps: Sequence[Step], records: Records) -> dict[str, Standing]:
    """Say of each step how far it is, from the records and the files that they name.

    Args:
        steps: of a plan.
        records: of the study.
    """
    found = dict[str, Standing]()
    for step in steps:
        record = records.read(step.name)
        before = [found[name].state for name in (*step.needs, *step.gathers)]
        if not record:
            found[step.name] = Standing(NEW)
        elif not record.get("done") and any(state != DONE for state in before):
            found[step.name] = Standing(UNFINISHED)
        elif AGAIN in before:
            found[step.name] = Standing(AGAIN)
        elif any(state != DONE for state in before):
            found[step.name] = Standing(LATER)
        else:
            found[step.name] = standing(step, (*step.needs, *step.gathers), records)
    return found


def standing(step: Step, taken: tuple[str, ...], records: Records) -> Standing:
    """Say how far a step is whose inputs are all done.

    Args:
        step: the step.
        taken: the steps whose results it takes.
        records: of the study.
    """
    record = records.read(step.name)
    if not record:
        return Standing(NEW)
    try:
        then, now = record.get("facts") or {}, records.facts(step, taken)
    except XattnError as err:
        return Standing(UNFINISHED, str(err))
    if record.get("failed"):
        return Standing(UNFINISHED, "it failed before")
    if then != now:
        return Standing(AGAIN, _what_differs(then, now))
    if not record.get("done"):
        return Standing(UNFINISHED)
    if changed := records.changed_files(record):
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return Standing(AGAIN, f"{changed[0]}{more} not as it was written")
    if step.stands is not None and not step.stands():
        return Standing(UNFINISHED, "its images lie elsewhere now")
    return Standing(DONE)


def require_leave(steps: Sequence[Step], found: Mapping[str, Standing]) -> None:
    """Refuse to throw away what takes long to make.

    Raises:
        UsageError: steps are to be done again, other than those that gather what others made.
    """
    lost = [step for step in steps if found[step.name].state == AGAIN and not step.cheap]
    if not lost:
        return
    causes = [f"{one.name} ({why})" for one in lost if (why := found[one.name].why)]
    more = len(causes) - _MOST_CAUSES
    named = "; ".join(causes[:_MOST_CAUSES]) + (f"; and {more} more" if more > 0 else "")
    raise UsageError(
        f"Expected the settings and inputs of the steps that are done, but got others for "
        f"{named or lost[0].name}: {len(lost)} step{'s' * (len(lost) > 1)} would be done again and "
        "what they wrote be lost; --redo does so, --out names another folder"
    )


def _what_differs(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the settings that differ, else the inputs, else the steps with another result."""
    for part in ("settings", "outside", "steps"):
        rows = list(differences(then.get(part) or {}, now.get(part) or {}))
        if not rows:
            continue
        if part == "settings":
            place, was, is_now = rows[0]
            more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            return f"{place} {_short(was)}, now {_short(is_now)}{more}"
        names = list(dict.fromkeys(place.partition(".")[0] for place, *_ in rows))
        more = f" and {len(names) - 1} more" if len(names) > 1 and part == "steps" else ""
        if part == "outside":
            return f"other {' and '.join(names)}"
        return f"another result of {names[0]}{more}"
    return ""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."
