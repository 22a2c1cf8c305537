import csv
import filecmp
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from tests.analysis.trained import fabricate_study
from tests.figures.populated import FEATURES, complete_run, populated_run
from xattn.analysis.comparison.compare import compare
from xattn.analysis.groups.found import found_first
from xattn.cli.report import figures_command
from xattn.errors import RunError, UsageError
from xattn.figures.tables import save_tables
from xattn.figures.tables.cells import Basis, Cell, Head, Sheet
from xattn.figures.tables.papers import Paper, printed_of_runs
from xattn.figures.tables.side_by_side import side_by_side
from xattn.figures.tables.writers import WRITERS, as_csv, as_latex, as_markdown, latex, markdown
from xattn.runs import TABLES, RunFolder
from xattn.runs.tables.verdicts import BRIEF_VERDICTS, COMES_WITH

NASTY = {"a_b & 50%": "artifact", "<i>x</i> | $y$ #1": "structure", "new\nline": "artifact"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of features with names that mean something to LaTeX, Markdown and HTML."""
    root = tmp_path_factory.mktemp("tables")
    features = {"pigment_network": "structure", **NASTY}
    return [named_run(root, name, i, features) for i, name in enumerate(("first", "second"))]


def named_run(root, name, seed=0, features=FEATURES):
    made = populated_run(root / "made", n=6, methods=("gradcam",), seed=seed, features=features)
    return RunFolder.open(made.path.rename(root / name))


@pytest.fixture(scope="module")
def tables(runs):
    """What save_tables wrote of them: one folder each, and that of both."""
    save_tables(runs)
    return [*(run.path / "tables" for run in runs), runs[0].path.parent / "tables"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    root = tmp_path_factory.mktemp("compared")
    skills = {"resnet18": 0.5, "resnet18-ga": 2.5}
    trained = fabricate_study(root / "trained", skills, (0, 1, 2), sizes={"test": 60, "ood": 60})
    folder = compare(trained, root / "comparison").folder
    save_tables(folder)
    return folder


def of_csv(path):
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def test_every_table_of_a_run_is_there_in_every_format(tables):
    written = {path.name for path in tables[0].iterdir()}
    assert written == {
        f"{name}.{ending}"
        for name in ("performance", "confusion", "alignment", "feature_usage", "bias")
        for ending in WRITERS
    }


def test_a_run_with_every_table_gets_them_all_printed(tmp_path):
    run = complete_run(tmp_path, n=6)
    words = {"feature": "sex", "kind": "metadata", "metric": "equalized_odds_ratio"}
    row = dict.fromkeys(TABLES["fairness"].promised, 0.5) | words | {"categories": "f; m"}
    run.write_table("fairness", pd.DataFrame([row]))
    assert {path.stem for path in save_tables(run, formats="tex")} == set(printed_of_runs())


def test_the_command_writes_figures_and_tables_or_what_is_asked_for(runs, tmp_path):
    for only, folder in ((["tables"], "a"), (["bias"], "b"), (["tables", "bias"], "c")):
        chosen = [word for name in only for word in ("--only", name)]
        where = tmp_path / folder
        call = [str(runs[0].path), *chosen, "--out", str(where), "--json"]
        found = CliRunner().invoke(figures_command, call, catch_exceptions=False)
        written = json.loads(found.stdout)
        assert [Path(path).name for path in written["figures"]] == ["bias.png"] * ("bias" in only)
        assert (str(where / "bias.tex") in written["tables"]) == ("tables" in only)


def test_the_same_runs_give_the_same_bytes(runs, tables, tmp_path):
    again = save_tables([run.path for run in runs], out=tmp_path)
    assert len(again) == sum(len(list(folder.iterdir())) for folder in tables)
    for path in again:
        own = tables[2] if path.parent == tmp_path else path.parent
        folder = {"first": tables[0], "second": tables[1]}.get(own.name, tables[2])
        assert filecmp.cmp(path, folder / path.name, shallow=False)


@pytest.mark.parametrize("name", ["performance", "alignment", "feature_usage", "bias"])
@pytest.mark.parametrize("folder", [0, 2])
def test_latex_is_whole(tables, folder, name):
    text = (tables[folder] / f"{name}.tex").read_text(encoding="utf-8")
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    bare = re.sub(r"\\[\\{}%&_#$]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    body = re.search(r"\\begin{(?:tabular|longtable)}{([lr]+)}(.*?)\\end{", text, re.DOTALL)
    columns, rows = len(body[1]), re.findall(r"^[^%\n]*&.*$", body[2], re.MULTILINE)
    assert rows
    for row in rows:
        spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d+)}", row))
        assert len(re.findall(r"(?<!\\)&", row)) + spans == columns - 1
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{", r"\label{tab:"):
        assert rule in text
    text.encode("utf-8")
    assert "�" not in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
def test_latex_compiles(tables, tmp_path):
    names = [f"{folder}/{name}.tex" for folder in tables[::2] for name in ("bias", "feature_usage")]
    page = "".join(rf"\input{{{name}}}" for name in names)
    head = r"\documentclass{article}\usepackage{booktabs,graphicx,longtable}\begin{document}"
    (tmp_path / "page.tex").write_text(head + page + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_a_name_stays_what_it_is_wherever_it_is_written():
    assert latex("a_b & 50%") == r"a\_b \& 50\%"
    assert latex("{x}~^\\") == r"\{x\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert latex("a--b") == "a-{}-b"
    assert latex("−0.5 ≤ 1 × 2") == r"$-$0.5 $\leq$ 1 $\times$ 2"
    assert markdown("a_b | *c* <i>") == r"a\_b \| \*c\* \<i\>"


def test_features_of_any_name_reach_the_files(tables):
    found = of_csv(tables[0] / "feature_usage.csv")
    assert list(found["feature"]) == ["pigment_network", *NASTY, "control-noise"]
    text = (tables[0] / "feature_usage.tex").read_text(encoding="utf-8")
    assert r"a b \& 50\% & artifact" in text
    assert r"$<$i$>$x$<$/i$>$ \textbar{} \$y\$ \#1" in text
    rows = (tables[0] / "feature_usage.md").read_text(encoding="utf-8").splitlines()
    rows = [row for row in rows if row.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert r"\<i\>x\</i\> \| \$y\$ \#1" in rows[4]


def test_csv_holds_the_rounded_numbers_with_their_intervals(runs, tables):
    table, found = runs[0].table("bias"), of_csv(tables[0] / "bias.csv")
    table = found_first(table, "gap", 0.05)
    for name in ("gap", "gap_low", "gap_high"):
        assert found[name].to_numpy() == pytest.approx(table[name].to_numpy(), abs=0.0051)
        assert all(len(str(abs(v))) <= 6 for v in found[name])
    assert list(found["metric"]) == list(table["metric"])


def test_markdown_latex_and_csv_show_the_same_numbers(tables):
    (text,) = re.findall(r"^\| pigment network .*$", read(tables[0], "feature_usage.md"), re.M)
    (line,) = re.findall(r"^pigment network .*$", read(tables[0], "feature_usage.tex"), re.M)
    row = next(csv.DictReader(io.StringIO(read(tables[0], "feature_usage.csv"))))
    for key in ("effect_bits", "effect_low", "effect_high", "rank_effect"):
        shown = row[key].replace("-", "−")
        assert shown in text
        assert shown.replace("−", "$-$") in line


def read(folder, name):
    return (folder / name).read_text(encoding="utf-8")


def test_models_stand_beside_each_other(runs, tables):
    found = of_csv(tables[2] / "feature_usage.csv")
    assert len(found) == len(NASTY) + 2
    for run, name in zip(runs, ("first", "second"), strict=True):
        own = run.table("feature_usage")["effect_bits"]
        assert found[f"none ({name}): effect_bits"].to_numpy() == pytest.approx(
            own.to_numpy(), abs=0.0051
        )
    text = read(tables[2], "feature_usage.tex")
    assert r"\multicolumn{1}{c}{none (first)}" in text
    assert r"\cmidrule(lr){3-3} \cmidrule(lr){4-4}" in text


def test_of_several_tests_of_a_feature_the_surest_stands_beside_the_other_models(runs, tmp_path):
    copies = [named_run(tmp_path, name) for name in ("a", "b")]
    twice = copies[0].table("feature_usage")
    sure = twice.assign(test="rank(area)", effect_bits=0.5, p_adjusted=1e-4, p_value=1e-4)
    copies[0].write_table("feature_usage", pd.concat([twice, sure]))
    save_tables(copies, only="feature_usage", out=tmp_path / "out")
    found = of_csv(tmp_path / "out" / "feature_usage.csv")
    assert set(found["none (a): effect_bits"]) == {0.5}
    assert "Of several tests of a feature the one of least p." in read(
        tmp_path / "out", "feature_usage.md"
    )
    assert len(of_csv(tmp_path / "out" / "a" / "feature_usage.csv")) == 2 * len(found)


def sheet_of(**models):
    """Models with one value per metric, as one-row sheets side by side."""
    heads = [Head("metric", numeric=False), Head("value")]
    return {
        name: Sheet(
            "performance",
            heads,
            [
                [Cell(m, m, {"metric": m}), Cell(f"{v:.2f} [0, 1]", v, {"value": str(v)})]
                for m, v in values.items()
            ],
            len(values),
        )
        for name, values in models.items()
    }


def test_bold_is_the_best_of_the_models_by_the_direction_of_the_metric():
    models = sheet_of(a={"auc": 0.91, "ece": 0.02}, b={"auc": 0.75, "ece": 0.01}, c={"auc": 0.8})
    made = side_by_side(models, ["metric"], ["value"], better="metric")
    assert [[cell.best for cell in row[1:]] for row in made.rows] == [
        [True, False, False],
        [False, True, False],
    ]


def test_what_looks_the_same_is_as_good_and_a_single_model_is_not_the_best():
    alike = side_by_side(
        sheet_of(a={"auc": 0.901}, b={"auc": 0.902}), ["metric"], ["value"], better="metric"
    )
    assert [cell.best for cell in alike.rows[0][1:]] == [True, True]
    alone = side_by_side(sheet_of(a={"auc": 0.9}), ["metric"], ["value"], better="metric")
    assert not alone.rows[0][1].best


def test_nothing_is_bold_where_no_direction_is_known(tables):
    assert r"\textbf" in read(tables[2], "bias.tex")
    assert r"\textbf" in read(tables[2], "performance.tex")
    for name in ("alignment", "feature_usage"):
        assert r"\textbf" not in read(tables[2], f"{name}.tex")
    assert r"\textbf" not in "".join(read(tables[0], f"{n}.tex") for n in ("bias", "performance"))


@pytest.mark.parametrize(
    ("p", "alpha", "mark"),
    [(0.0005, 0.05, "***"), (0.005, 0.05, "**"), (0.04, 0.05, "*"), (0.05, 0.05, ""),
     (np.nan, 0.05, ""), (0.04, 0.1, "*"), (0.007, 0.005, ""), (0.002, 0.005, "*")],
)  # fmt: skip
def test_marks_follow_the_adjusted_p_and_the_level(p, alpha, mark):
    assert Basis(None, alpha).mark({"p_adjusted": p}, "p_adjusted") == mark


def test_marks_are_explained_below_the_table_that_has_some(runs, tmp_path):
    for i, p in enumerate((0.004, 0.9)):
        run = named_run(tmp_path, str(i))
        run.write_table("bias", run.table("bias").assign(p_adjusted=p))
        save_tables(run, only="bias")
        text = read(run.path / "tables", "bias.tex")
        assert ("$^{**}$ &" in text) == (p < 0.01)
        plain = text.replace("{*}", "*")  # a star may follow a line's end, where it has a meaning
        assert (r"Marks: adjusted p * $<$ 0.05, ** $<$ 0.01, *** $<$ 0.001." in plain) == (p < 0.01)


def test_chance_stands_below_or_beside_every_value(tables):
    assert "Effect, bits: 95 % interval; chance: 0." in read(tables[2], "feature_usage.md").replace(
        "\\", ""
    )
    assert "by chance" in read(tables[2], "performance.md")
    assert "chance lift" in read(tables[2], "alignment.md")
    assert "control-noise" in read(tables[2], "feature_usage.md")


def test_a_long_table_goes_over_several_pages():
    rows = [[Cell(f"f{i}", f"f{i}"), Cell("1", 1.0)] for i in range(80)]
    sheet = Sheet("bias", [Head("feature", numeric=False), Head("n")], rows, 80)
    long = as_latex(Paper(sheet, "A table.", ("A note",), "bias"))
    assert r"\begin{longtable}{lr}" in long
    assert long.count(r"\toprule") == 2  # the head is repeated on every page
    assert r"\begin{table}" not in long


def test_a_table_without_a_value_has_no_number_there():
    cell = Cell("–", 1e300, {"gap": ""})
    paper = Paper(Sheet("bias", [Head("gap")], [[cell]], 1), "A table.", (), "bias")
    assert as_csv(paper) == 'gap\n""\n'
    assert "| – |" in as_markdown(paper)
    assert "\n-- \\\\\n" in as_latex(paper)


def test_seeds_make_the_performance_of_a_comparison(compared):
    found = of_csv(compared.path / "tables" / "performance.csv")
    runs = compared.table("comparison_runs")
    runs = runs[(runs["metric"] == "balanced_accuracy") & (runs["split"] == "test")]
    own = runs[runs["model"] == "resnet18-ga"]["value"]
    row = found[found["split"] == "test"].iloc[0]
    assert row["resnet18-ga: mean"] == pytest.approx(own.mean(), abs=0.005)
    low, high = row["resnet18-ga: low"], row["resnet18-ga: high"]
    assert high - low == pytest.approx(2 * 4.3027 * own.std() / 3**0.5, abs=0.02)
    text = read(compared.path / "tables", "performance.md")
    assert re.search(r"\*\*0\.\d+ \\\[.*\*\*\\\*", text)  # best, and told from the baseline
    assert "number of seeds: resnet18 3, resnet18-ga 3" in text
    assert "against resnet18" in text


def test_the_tests_of_a_comparison_are_printed_one_a_row(compared):
    found = of_csv(compared.path / "tables" / "comparison.csv")
    table = compared.table("comparison")
    assert list(found["test"]) == list(table["test"])
    assert list(found["verdict"]) == list(table["verdict"])
    assert "McNemar, over images" in read(compared.path / "tables", "comparison.tex")


def test_long_verdicts_are_brief_on_paper_spelt_out_below_and_whole_in_the_csv(tmp_path):
    run = complete_run(tmp_path)
    verdicts = run.table("verdicts")
    verdicts["verdict"] = np.resize([*BRIEF_VERDICTS, COMES_WITH], len(verdicts))
    run.write_table("verdicts", verdicts)
    save_tables(run, only="verdicts")
    assert set(of_csv(run.path / "tables" / "verdicts.csv")["verdict"]) <= set(verdicts["verdict"])
    table, notes = read(run.path / "tables", "verdicts.md").rsplit("\n\n", 1)
    for whole in verdicts["verdict"].unique():
        brief = BRIEF_VERDICTS.get(whole, whole)
        assert f"| {brief} |" in table
        assert (f"\u201c{brief}\u201d: {whole}" in notes) == (brief != whole)


def test_what_is_not_known_is_refused(runs, tmp_path):
    with pytest.raises(UsageError, match=r"Unknown table 'usage'.*feature_usage"):
        save_tables(runs, only="usage")
    with pytest.raises(UsageError, match="Unknown table format 'latex'"):
        save_tables(runs, formats="latex")
    with pytest.raises(RunError, match=r"no run\.json"):
        save_tables(tmp_path)


def test_a_folder_that_was_not_measured_gets_no_tables(tmp_path):
    run = populated_run(tmp_path, n=6, methods=("gradcam",), labels=False)
    for table in ("alignment", "feature_usage", "bias"):
        (run.path / f"{table}.csv").unlink()
    assert save_tables(run) == []
    assert not (run.path / "tables").exists()
