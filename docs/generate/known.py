"""The tables of docs/known-answers.md and the lines of README.md, from docs/known-answers.csv.

`python docs/generate/known.py` writes what stands between a line `<!-- known answers: NAME -->` and
a line `<!-- end of known answers -->` anew; a test compares. The CSV file is known_answers.csv of
a study of `analysis/known-answers.toml`. Without it no page has a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "known-answers.csv"
PAGES = (ROOT / "README.md", ROOT / "docs" / "known-answers.md")

MARKED = re.compile(
    r"(<!-- known answers: ([\w-]+) -->\n)(.*?)(<!-- end of known answers -->)", re.DOTALL
)
NOT_YET = "The study has not been run in full yet: no number stands here.\n"
LEAST_RECALL, MOST_FALSE_ALARMS = 0.95, 0.05
OFTEN = 0.1
"""False alarms of a feature that are shown to be more often are said first."""

_USED, _DECIDES = "verdict: used", "verdict: changes decisions"
_BY_FEATURE = ("dependence", "map: gradcam", "edit, 0.2 sd or more", "dose", _USED, _DECIDES)
_ASKED = {
    "of what is used, found": ("recall", "used"),
    "of shortcuts that are used": ("recall", "used shortcuts"),
    "false alarms, easy": ("false alarms", "easy null"),
    "false alarms, correlates": ("false alarms", "hard null"),
}
_LINES = {
    "Dependence": ("dependence", "which of two that go together is used it does not say"),
    "Given the others": ("given the others", "what is held fixed is what is annotated"),
    "Maps": ("map: gradcam", "where a map lies is not what a decision hangs on"),
    "Edits": ("edit, 0.2 sd or more", "a smaller change counts for nothing, however certain"),
}


def percent(rows: pd.DataFrame) -> str:
    """Return the one rate of some rows with its interval, "-" if there is none."""
    if rows.empty:
        return "-"
    one = rows.iloc[0]
    return f"{100 * one['rate']:.0f} % ({100 * one['low']:.0f} to {100 * one['high']:.0f})"


def chosen(table: pd.DataFrame, **values: str) -> pd.DataFrame:
    """Return the rows with these values; of all networks where nothing else is said."""
    for column, value in {"half": "all", "by": "all", "level": "all", **values}.items():
        table = table[table[column].astype(str) == value]
    return table


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def kinds(table: pd.DataFrame) -> list[str]:
    """Return the kinds of evidence, in the order of the file."""
    return [str(kind) for kind in dict.fromkeys(table["evidence"].dropna())]


def evidence(table: pd.DataFrame) -> str:
    """Return recall and false alarms of each kind of evidence."""
    return _asked_of(table, kinds(table), lambda kind: {"evidence": kind}, "evidence")


def halves(table: pd.DataFrame) -> str:
    """Return the same of the verdicts, half by half."""
    found = [half for half in dict.fromkeys(table["half"]) if half != "all"]
    pairs = [f"{half}, {kind}" for half in found for kind in (_USED, _DECIDES)]
    return _asked_of(
        table, pairs, lambda pair: dict(zip(("half", "evidence"), pair.split(", "), strict=True)),
        "half, evidence",
    )  # fmt: skip


def groups(table: pd.DataFrame) -> str:
    """Return the same of the verdict, by number of images, architecture and the like."""
    rows = table[~table["by"].isin(["all", "feature"]) & (table["evidence"] == _USED)]
    found = list(dict.fromkeys(f"{by}: {level}" for by, level in zip(rows["by"], rows["level"],
                                                                    strict=True)))  # fmt: skip
    return _asked_of(
        table,
        found,
        lambda one: {**dict(zip(("by", "level"), one.split(": "), strict=True)), "evidence": _USED},
        "group",
    )


def features(table: pd.DataFrame) -> str:
    """Return what each kind of evidence says of each feature where it is not used."""
    alarms = table[(table["by"] == "feature") & (table["question"] == "false alarms")]
    alarms = alarms[alarms["of"] == "easy null"]
    kinds_ = [kind for kind in _BY_FEATURE if kind in set(alarms["evidence"])]
    rows = []
    for feature in sorted(set(alarms["level"])):
        own = alarms[alarms["level"] == feature]
        rows.append([feature, *(percent(own[own["evidence"] == kind]) for kind in kinds_)])
    return markdown(["false alarms, easy", *kinds_], rows)


def _asked_of(
    table: pd.DataFrame, names: Sequence[str], values: Callable[[str], dict[str, str]], head: str
) -> str:
    rows = [
        [name, *(percent(chosen(table, question=question, of=of, **values(name)))
                 for question, of in _ASKED.values())]
        for name in names
    ]  # fmt: skip
    return markdown([head, *_ASKED], rows)


def strengths(table: pd.DataFrame) -> str:
    """Return the recall of each kind of evidence by the size of the true effect."""
    bands = ("0.1 to 0.2", "0.2 to 0.5", "0.5 to 1", "1 or more")
    rows = [
        [kind, *(percent(chosen(table, evidence=kind, question="recall", of=b)) for b in bands)]
        for kind in kinds(table)
    ]
    return markdown(["evidence", *(f"{band} sd" for band in bands)], rows)


def calibration(table: pd.DataFrame) -> str:
    """Return how small p-values are where nothing is used, and how often "used" is right."""
    asked = {f"p at most {level:g}": ("easy null", f"p at most {level:g}")
             for level in (0.01, 0.05, 0.2)}  # fmt: skip
    asked |= {"correlates, p at most 0.05": ("hard null", "p at most 0.05")}
    asked |= {f"right, {of}": (of, "right") for of in ("all", "p from 0 to 0.001",
                                                      "p from 0.01 to 0.05")}  # fmt: skip
    rows = [
        [kind, *(percent(chosen(table, evidence=kind, question=q, of=of))
                 for of, q in asked.values())]
        for kind in kinds(table)
    ]  # fmt: skip
    return markdown(["evidence", *asked], rows)


def networks(table: pd.DataFrame) -> str:
    """Return how many networks learned, and whether the shortcut is gone without the plant."""
    rows = []
    for _, one in table[table["question"] == "learned"].iterrows():
        hits = round(one["rate"] * one["n"])
        rows.append([f"{one['level']}, {one['of']}", f"{hits} of {one['n']}"])
    for of in ("below 0.1", "below 0.2", "below 0.5"):
        found = chosen(table, question="not used without the plant", of=of)
        rows.append([f"shortcuts used, retrained without the plant: {of} sd", percent(found)])
    return markdown(["networks that learned", ""], rows)


def first(table: pd.DataFrame) -> str:
    """Return what was asked for beforehand, what is not met before what is."""
    found = [*_limits(table), *_same(table)]
    lines = [f"- **Not met.** {said}\n" for met, said in found if not met]
    lines += [f"- **Not asked for, and not good.** {said}\n" for said in _alarms(table)]
    return "".join(lines + [f"- Met. {said}\n" for met, said in found if met])


def _alarms(table: pd.DataFrame) -> Iterable[str]:
    """Say of which features verdicts are often wrong where nothing is used."""
    asked = {"question": "false alarms", "of": "easy null"}
    often = []
    for feature in sorted(set(table["level"][table["by"] == "feature"])):
        own = chosen(table, by="feature", level=feature, evidence=_USED, **asked)
        if len(own) and own["low"].iloc[0] > OFTEN:
            decides = chosen(table, by="feature", level=feature, evidence=_DECIDES, **asked)
            often.append(f"{feature} {percent(own)}, changing decisions {percent(decides)}")
    if often:
        whole, most = (percent(chosen(table, evidence=kind, **asked)) for kind in (_USED, _DECIDES))
        yield (
            f"Of what is not used and goes with nothing that is, verdicts call {whole} used, "
            f"{most} changing decisions. It is by feature: {'; '.join(often)}."
        )


def _limits(table: pd.DataFrame) -> Iterable[tuple[bool, str]]:
    recall = chosen(table, evidence=_USED, question="recall", of="used shortcuts")
    yield (
        not recall.empty and recall["rate"].iloc[0] >= LEAST_RECALL,
        "Of shortcuts that move the score by half a standard deviation or more, the verdict calls "
        f"{percent(recall)} used; asked for: 95 % or more.",
    )
    alarms = chosen(table, evidence=_DECIDES, question="false alarms", of="hard null")
    yield (
        not alarms.empty and alarms["rate"].iloc[0] <= MOST_FALSE_ALARMS,
        "Of correlates that are not used, the verdict says of "
        f"{percent(alarms)} that they change decisions; asked for: 5 % or less.",
    )


def _same(table: pd.DataFrame) -> Iterable[tuple[bool, str]]:
    """Say whether halves differ: whether the interval of the difference leaves out zero.

    It is Newcombe's, from Wilson's of each (Statistics in Medicine 17, 1998, method 10).
    """
    names = [half for half in dict.fromkeys(table["half"]) if half != "all"]
    for kind, question, of in (
        (_USED, "recall", "used shortcuts"),
        (_DECIDES, "false alarms", "hard null"),
    ):
        parts = [chosen(table, half=half, evidence=kind, question=question, of=of)
                 for half in names]  # fmt: skip
        rows = [part.iloc[0] for part in parts if len(part)]
        inside = len(rows) == 2 and _difference_holds_zero(*rows)
        figures = ", ".join(f"{half} {percent(part)}" for half, part in
                            zip(names, parts, strict=True))  # fmt: skip
        yield inside, f"Halves give the same within their intervals, {question} of {of}: {figures}."


def _difference_holds_zero(a: pd.Series, b: pd.Series) -> bool:
    difference = a["rate"] - b["rate"]
    low = difference - np.hypot(a["rate"] - a["low"], b["high"] - b["rate"])
    high = difference + np.hypot(a["high"] - a["rate"], b["rate"] - b["low"])
    return bool(low <= 0 <= high)


def trust(table: pd.DataFrame) -> str:
    """Return the section of the README: one line a kind of evidence."""
    lines = [
        "\n## How far to trust which evidence\n\nIn small networks of which it is known what they "
        "use ([known answers](docs/known-answers.md)), with 95 % intervals:\n\n"
    ]
    asked = [(question, of) for question, of in _ASKED.values() if "shortcuts" not in of]
    for name, (kind, but) in _LINES.items():
        found, easy, hard = (
            percent(chosen(table, evidence=kind, question=question, of=of))
            for question, of in asked
        )
        lines.append(
            f"- **{name}** find{'s' * (name[-1] != 's')} {found} of what is used, and call"
            f"{'s' * (name[-1] != 's')} used {easy} of what is not, {hard} of correlates; {but}.\n"
        )
    return "".join(lines) + "\n"


PARTS: dict[str, Callable[[pd.DataFrame], str]] = {
    "first": first,
    "evidence": evidence,
    "strengths": strengths,
    "halves": halves,
    "groups": groups,
    "features": features,
    "calibration": calibration,
    "networks": networks,
    "trust": trust,
}


def renewed(page: str, source: Path = SOURCE) -> str:
    """Return a page with its parts written anew; without the CSV file they hold no number."""
    table = pd.read_csv(source) if source.is_file() else None

    def part(found: re.Match[str]) -> str:
        if table is not None:
            text = PARTS[found[2]](table)
        else:
            text = "" if found[2] == "trust" else NOT_YET
        return f"{found[1]}{text}{found[4]}"

    return MARKED.sub(part, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
