"""Whatever stands in an annotation file, what is wrong with it is told by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from xattn.annotations import read_annotations
from xattn.annotations.read import check_annotations
from xattn.errors import AnnotationError

_ODD = (10**400, -(10**400), 2**64, float("nan"), float("inf"), "a.png", "", "\ud800", "a\0b", "/",
        "..", "a" * 5000)  # fmt: skip
_LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(_ODD))
_KEY = st.sampled_from(["id", "file", "masks", "size", "counts", "kind", "f", "", "\ud800", "a\0"])
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEY, inner, max_size=3)),
    max_leaves=6,
)
_RUNS = st.fixed_dictionaries(
    {"size": st.lists(_LEAF, max_size=3), "counts": st.one_of(_LEAF, st.lists(_LEAF, max_size=3))}
)
_ENTRY = st.fixed_dictionaries(
    {"id": st.one_of(st.just("a"), _LEAF), "file": st.one_of(st.just("a.png"), _LEAF)},
    optional={
        "label": _LEAF,
        "group": _LEAF,
        "lesion": st.one_of(_TREE, _RUNS),
        "masks": st.one_of(_TREE, st.dictionaries(_KEY, _RUNS, max_size=2)),
        "values": st.one_of(_TREE, st.dictionaries(_KEY, _LEAF, max_size=3)),
    },
)
_FILE = st.fixed_dictionaries(
    {"images": st.lists(st.one_of(_ENTRY, _TREE), max_size=3)},
    optional={
        "labels": st.one_of(_TREE, st.lists(_LEAF, max_size=3)),
        "features": st.one_of(_TREE, st.dictionaries(_KEY, _TREE, max_size=2)),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(_TREE, _FILE))
def test_any_json_is_read_or_is_problems_that_can_be_printed(tmp_path: Path, content: Any):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    (tmp_path / "x.json").write_text(json.dumps(content))
    problems = check_annotations(tmp_path / "x.json")
    try:
        annotations = read_annotations(tmp_path / "x.json")
    except AnnotationError as err:
        assert problems
        str(err).encode()
    else:
        for image in annotations.images:
            for feature in annotations.features:
                annotations.presence(image.id, feature)
    for problem in problems:
        str(problem).encode()


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_400_digits_is_a_problem_of_its_image_and_the_others_go_on(tmp_path, sign):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    entry = '{"id": "%s", "file": "a.png", "values": {"ruler": %s}}'
    images = ", ".join([entry % ("good", 1), entry % ("bad", f"{sign}1{400 * '0'}")])
    (tmp_path / "x.json").write_text(
        f'{{"features": {{"ruler": {{"kind": "artifact"}}}}, "images": [{images}]}}'
    )
    annotations = read_annotations(tmp_path / "x.json")
    assert [image.id for image in annotations.images] == ["good"]
    problem = str(annotations.problems[0])
    assert "image bad, key values.ruler: Expected a finite number" in problem
    assert len(problem) < 200


def test_brackets_as_deep_as_the_parser_goes_are_shown_in_brief(tmp_path):
    deep = "[" * 900 + "]" * 900
    (tmp_path / "x.json").write_text(f'{{"images": [{{"id": "a", "file": {deep}}}]}}')
    with pytest.raises(AnnotationError, match="Expected a text"):
        read_annotations(tmp_path / "x.json")
