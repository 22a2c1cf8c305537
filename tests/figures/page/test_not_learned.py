"""The report says before its verdicts that the model is not shown to tell the label."""

import json

import pytest

from tests.figures.populated import complete_run
from xattn.figures.page.performance import held_out_performance
from xattn.figures.page.summary import Summary, summarise
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder


@pytest.fixture
def judged(tmp_path) -> RunFolder:
    return complete_run(tmp_path)


def said(run: RunFolder) -> Summary:
    sources = RunSources(run)
    scores = held_out_performance(run.predictions.assign(label=sources.labels), run.classes)
    return summarise(sources, scores, {})


def test_that_the_label_was_not_learnt_stands_before_the_verdicts_and_once(judged):
    record, note = judged.path / "analysis.json", "On these 24 images the model is not shown to"
    facts = {"alpha": 0.05, "notes": [note], "label_auc": {"note": note}}
    record.write_text(json.dumps(facts))
    told = said(judged)
    says = [str(finding) for finding in told.findings]
    first = next(i for i, line in enumerate(says) if "correctly" not in line)
    assert says[first] == f"{note}."
    assert f"{note}." not in told.caveats
    record.write_text(json.dumps({"alpha": 0.05, "label_auc": {"note": ""}}))
    assert not any(note in str(finding) for finding in said(judged).findings)
