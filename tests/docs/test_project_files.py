"""What stands at the root for those who carry on says what the rest of the repository says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_citation_names_the_study_as_the_readme_does():
    study = read("CITATION.cff")["references"][0]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert study["title"] in readme
    assert study["url"] in readme
    names = re.search(r"\(([\w, ]+); VISAPP 2024", readme)[1].split(", ")
    assert [author["family-names"] for author in study["authors"]] == names


def test_the_hooks_before_a_commit_are_commands_of_make_check():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = re.search(r"^check:.*?\n\n", makefile, re.MULTILINE | re.DOTALL)[0]
    for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"]:
        command = hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude")
        assert f"$(BIN)/{command}" in check


def test_the_workflow_runs_what_every_change_must_pass():
    steps = read(".github/workflows/ci.yml")["jobs"]["run"]["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]
    assert (ROOT / ".ci" / "run").is_file()


@pytest.mark.parametrize("name", ["bug.md", "idea.md"])
def test_an_issue_template_has_a_name_and_says_what_it_is_for(name):
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert head["name"]
    assert head["about"]
