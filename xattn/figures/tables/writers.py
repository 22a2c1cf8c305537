"""A table of a paper as LaTeX, Markdown or CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby

from xattn.figures.tables.cells import Cell, Head
from xattn.figures.tables.papers import Paper
from xattn.runs.csv_text import csv_text

MOST_ON_A_PAGE = 45
"""Rows of a LaTeX table that fit a page; longer ones go over several."""

_CHARACTERS_A_LINE = {r"\small": 90, r"\footnotesize": 105}

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after the end of a row it would be read as a distance
    "]": "{]}",
    "*": "{*}",
    '"': "''",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{REPLACEMENT CHARACTER}": "?",
    "\N{NO-BREAK SPACE}": "~",
    **{c: "\\" + c for c in "&%$#_"},
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~&#$^]|:(?=\w+:))")


def as_latex(paper: Paper) -> str:
    """Write a table of the package booktabs, made smaller where it is wider than the text.

    One that is longer than a page is a longtable, in smaller text where its rows are long.
    """
    heads, rows = paper.sheet.heads, paper.sheet.rows
    caption = rf"\caption{{{latex(paper.caption)}}}\label{{tab:{_label(paper.label)}}}"
    columns = "".join("r" if head.numeric else "l" for head in heads)
    top = [r"\toprule", *_latex_heads(heads), r"\midrule"]
    body = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in rows]
    body = _spaced(body, [row[0].text for row in rows])
    notes = rf"{{\footnotesize {latex(_sentences(paper))}\par}}"
    narrow = r"\setlength{\tabcolsep}{4pt}"
    if len(rows) > MOST_ON_A_PAGE:
        lines = [
            "% needs the packages booktabs and longtable",
            r"\begingroup",
            _size(paper),
            narrow,
            rf"\begin{{longtable}}{{{columns}}}",
            caption + r"\\",
            *top,
            r"\endfirsthead",
            *top,
            r"\endhead",
            r"\bottomrule",
            r"\endfoot",
            *body,
            r"\end{longtable}",
            notes,
            r"\endgroup",
        ]
    else:
        lines = [
            "% needs the packages booktabs and graphicx",
            r"\begin{table}",
            r"\centering",
            r"\small",
            narrow,
            caption,
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            *top,
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            "",
            r"\smallskip",
            notes,
            r"\end{table}",
        ]
    return "\n".join(lines) + "\n"


def as_markdown(paper: Paper) -> str:
    """Write the same as a table of Markdown, caption above and notes below."""
    heads, rows = paper.sheet.heads, paper.sheet.rows
    titles = [f"{head.model}: {head.title}" if head.model else head.title for head in heads]
    lines = [
        f"**{markdown(paper.caption)}**",
        "",
        _markdown_row([markdown(title) for title in titles]),
        _markdown_row(["--:" if head.numeric else ":--" for head in heads]),
        *(_markdown_row([_markdown_cell(cell) for cell in row]) for row in rows),
    ]
    return "\n".join([*lines, "", markdown(_sentences(paper))]) + "\n"


def as_csv(paper: Paper) -> str:
    """Write the numbers as they are rounded, intervals and p-values in columns of their own."""
    rows = paper.sheet.rows
    merged = [{k: v for cell in row for k, v in cell.parts.items()} for row in rows]
    names = list(dict.fromkeys(name for row in merged for name in row))
    return csv_text([names, *([row.get(name, "") for name in names] for row in merged)])


WRITERS: dict[str, Callable[[Paper], str]] = {
    "csv": as_csv,
    "tex": as_latex,
    "md": as_markdown,
}
"""Ending of a file -> what writes it."""


def latex(text: str) -> str:
    """Escape a text, so that LaTeX prints it as it is.

    >>> print(latex("a_b & 50%"))
    a\\_b \\& 50\\%
    """
    escaped = "".join(_LATEX.get(c, c) for c in _one_line(text).replace("--", "-\0-"))
    return escaped.replace("\0", "{}")  # two hyphens would become one long dash


def markdown(text: str) -> str:
    """Escape a text, so that Markdown shows it as it is.

    >>> print(markdown("a_b | <c>"))
    a\\_b \\| \\<c\\>
    """
    return _MARKDOWN.sub(r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else "�" for c in text)


def _sentences(paper: Paper) -> str:
    return " ".join(f"{note}." for note in paper.notes)


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _latex_heads(heads: list[Head]) -> Iterator[str]:
    """Give the line of titles; above it one of models, where there are several."""
    if any(head.model for head in heads):
        groups, rules, place = [], [], 1
        for model, own in groupby(heads, key=lambda head: head.model):
            width = len(list(own))
            kind = "c" if model else "l"
            groups.append(rf"\multicolumn{{{width}}}{{{kind}}}{{{latex(model)}}}")
            rules += [rf"\cmidrule(lr){{{place}-{place + width - 1}}}"] if model else []
            place += width
        yield " & ".join(groups) + r" \\"
        yield " ".join(rules)
    titles = [
        rf"\multicolumn{{1}}{{r}}{{{latex(head.title)}}}" if head.numeric else latex(head.title)
        for head in heads
    ]
    yield " & ".join(titles) + r" \\"


def _size(paper: Paper) -> str:
    """Return the text size at which the longest row fits some 170 mm."""
    columns = zip(*([c.text + c.mark for c in row] for row in paper.sheet.rows), strict=True)
    titles = [head.title for head in paper.sheet.heads]
    pairs = zip(titles, columns, strict=True)
    characters = sum(max(map(len, (title, *column))) for title, column in pairs)
    fitting = (size for size, most in _CHARACTERS_A_LINE.items() if characters <= most)
    return next(fitting, r"\scriptsize")


def _spaced(body: list[str], first: list[str]) -> list[str]:
    """Set rows apart where the first cell changes, if that makes groups of several rows."""
    groups = len(list(groupby(first)))
    if not 1 < groups <= len(body) / 2:
        return body
    spaced = [body[0]] if body else []
    for line, before, here in zip(body[1:], first, first[1:], strict=False):
        spaced += [line] if before == here else [r"\addlinespace", line]
    return spaced


def _latex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{latex(cell.text)}}}" if cell.best else latex(cell.text)
    return text + (rf"$^{{{cell.mark}}}$" if cell.mark else "")


def _markdown_cell(cell: Cell) -> str:
    text = f"**{markdown(cell.text)}**" if cell.best else markdown(cell.text)
    return text + markdown(cell.mark)


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
