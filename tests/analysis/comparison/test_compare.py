import filecmp
import json
import re

import numpy as np
import pandas as pd
import pytest

import xattn
import xattn.cli
from tests.analysis.trained import (
    fabricate_study,
    fabricate_training,
    make_images,
    make_logits,
    prediction_table,
)
from xattn.errors import RunError, UsageError, XattnError
from xattn.runs import TABLES, ComparisonFolder
from xattn.runs.atomic import read_record

SKILLS = {"resnet18": 1.0, "resnet18-la": 1.9, "resnet18-ela": 1.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return fabricate_study(tmp_path_factory.mktemp("study"), SKILLS, per_group=2)


@pytest.fixture(scope="module")
def compared(study, tmp_path_factory):
    return xattn.compare(study, tmp_path_factory.mktemp("out") / "comparison")


def rows(result, test="welch", split="test"):
    table = result.pairs
    return table[(table["test"] == test) & (table["split"] == split)].set_index("a")


def test_a_planted_difference_is_found_and_none_where_there_is_none(compared):
    for test in ("welch", "bayes", "mcnemar", "delong"):
        for split in ("test", "ood"):
            said = rows(compared, test, split)["verdict"]
            assert said["resnet18-la"] == "better", (test, split)
            assert said["resnet18-ela"] == "undecided", (test, split)


def test_the_baseline_is_the_plain_network_wherever_it_is_named(study, tmp_path):
    result = xattn.compare(study[::-1], tmp_path)
    assert set(result.pairs["b"]) == {"resnet18"}


def test_the_tables_are_on_disk_as_they_are_returned(compared):
    folder = ComparisonFolder.open(compared.folder.path)
    for name, table in (
        ("comparison", compared.pairs),
        ("comparison_runs", compared.runs),
        ("ranks", compared.ranks),
    ):
        stored = folder.table(name)
        assert tuple(stored.columns[: len(TABLES[name].promised)]) == TABLES[name].promised
        assert len(stored) == len(table)
    assert folder.settings["sentences"] == list(compared.sentences)
    assert folder.settings["models"] == {m: [0, 1, 2, 3, 4] for m in SKILLS}


def test_a_folder_without_a_comparison_is_refused(study):
    with pytest.raises(RunError, match=r"no comparison\.json there; make one with `xattn compare"):
        ComparisonFolder.open(study[0])


def test_comparison_runs_holds_every_metric_of_every_network(compared, study):
    table = compared.runs
    assert len(table) == len(study) * 2 * table["metric"].nunique()
    assert {"balanced_accuracy", "auc", "average_precision", "ece"} <= set(table["metric"])
    one = table[(table["run"] == "resnet18-2") & (table["metric"] == "accuracy")]
    said = pd.read_parquet(study[2] / "predictions.parquet")
    own = said[said["split"] == "ood"]
    expected = (own["label"] == own["predicted"]).mean()
    assert one.loc[one["split"] == "ood", "value"].item() == pytest.approx(expected)


def test_differences_over_images_are_the_means_over_seeds(compared):
    for test, metric in (("mcnemar", "accuracy"), ("delong", "auc")):
        means = compared.runs[compared.runs["metric"] == metric].groupby(["split", "model"])
        means = means["value"].mean()
        got = rows(compared, test)["difference"]["resnet18-la"]
        assert got == pytest.approx(means["test", "resnet18-la"] - means["test", "resnet18"])


def test_holm_runs_over_all_rows_of_a_test(compared):
    own = compared.pairs[compared.pairs["test"] == "welch"]
    assert len(own) == 4
    least = own["p_value"].idxmin()
    assert own["p_adjusted"][least] == pytest.approx(4 * own["p_value"][least])
    assert (own["p_adjusted"] >= own["p_value"]).all()


def test_a_sentence_says_what_the_seeds_tell_and_what_they_could_have_shown(compared):
    better, same = (s for s in compared.sentences if "on test" in s)
    assert "resnet18-la is better, and would be expected to be if trained again" in better
    assert "not enough seeds to tell" in same
    stated = float(re.search(r"show a difference of (\d\.\d+) with 80 % power", same)[1])
    assert stated == pytest.approx(rows(compared)["smallest"]["resnet18-ela"], abs=5e-4)
    stored = rows(compared)["conclusion"]
    assert stored["resnet18-ela"] == same


def test_equivalence_is_said_where_the_region_holds_the_posterior(study, tmp_path):
    result = xattn.compare(study, tmp_path, rope=0.3, split=["test"])
    assert rows(result, "bayes")["verdict"]["resnet18-ela"] == "equivalent"
    said = next(s for s in result.sentences if s.startswith("resnet18-ela"))
    assert "equivalent for practical purposes, within 0.3" in said


def test_lower_is_better_for_losses(study, tmp_path):
    result = xattn.compare(study, tmp_path, metric=["log_loss"], split=["test"])
    row = rows(result).loc["resnet18-la"]
    assert row["difference"] < 0
    assert row["verdict"] == "better"
    bayes = rows(result, "bayes").loc["resnet18-la"]
    assert bayes["p_better"] > 0.95 > bayes["p_worse"]


def test_all_pairs_are_compared_if_asked_for(study, tmp_path):
    result = xattn.compare(study, tmp_path, all_pairs=True, split=["test"])
    pairs = result.pairs[["a", "b"]].drop_duplicates()
    assert len(pairs) == 3
    assert result.folder.settings["baseline"] is None


def test_ranks_need_three_models_and_two_shared_seeds(study, compared, tmp_path):
    table = compared.ranks[compared.ranks["split"] == "test"].set_index("model")
    assert table["rank"].idxmin() == "resnet18-la"
    assert table["blocks"].eq(5).all()
    few = xattn.compare([*study[:2], *study[5:7]], tmp_path / "two")
    assert few.ranks.empty
    apart = xattn.compare([*study[:2], *study[5:7], *study[12:14]], tmp_path / "apart")
    assert apart.ranks.empty
    assert any("No ranks" in note for note in apart.notes)


def test_one_seed_each_still_compares_the_networks_and_says_what_it_cannot_tell(study, tmp_path):
    result = xattn.compare([study[0], study[5]], tmp_path)
    assert rows(result)["verdict"]["resnet18-la"] == "untestable"
    assert rows(result, "bayes")["verdict"]["resnet18-la"] == "untestable"
    assert rows(result, "mcnemar")["verdict"]["resnet18-la"] == "better"
    assert "one seed each cannot resolve" in result.sentences[0]
    assert "trained networks of resnet18-la lead in" in result.sentences[0]
    assert any(note.startswith("Only one seed of") for note in result.notes)


def test_same_runs_same_bytes(study, compared, tmp_path):
    again = xattn.compare(study, tmp_path)
    for name in ("comparison.csv", "comparison_runs.csv", "ranks.csv"):
        assert filecmp.cmp(tmp_path / name, compared.folder.path / name, shallow=False)
    assert again.sentences == compared.sentences


def test_options_tell_models_of_one_architecture_apart(tmp_path):
    rng = np.random.default_rng(0)
    images = make_images(rng, {"test": 60})
    runs = [
        fabricate_training(
            tmp_path / f"{k}-{seed}", images, make_logits(rng, images, 1.0),
            architecture="resnet18-la", options={"k": k, "heads": 4}, seed=seed,
        )
        for k in (3, 7) for seed in (0, 1)
    ]  # fmt: skip
    result = xattn.compare(runs, tmp_path / "out")
    assert set(result.runs["model"]) == {"resnet18-la (k=3)", "resnet18-la (k=7)"}


def test_runs_can_be_given_other_names(study, tmp_path):
    result = xattn.compare(
        [study[0], study[1], f"mine={study[5]}", f"mine={study[6]}"], tmp_path, split=["test"]
    )
    assert set(result.pairs["a"]) == {"mine"}


def test_more_than_two_classes(tmp_path):
    rng = np.random.default_rng(1)
    classes = ("a", "b", "c")
    images = make_images(rng, {"test": 150})
    truth = rng.integers(0, 3, 150)
    images = type(images)(images.split, truth, images.hardness, images.group)
    runs = []
    for model, skill in (("resnet18", 1.0), ("resnet18-ga", 2.5)):
        for seed in range(3):
            logits = rng.normal(size=(150, 3)) + skill * np.eye(3)[truth]
            path = tmp_path / f"{model}-{seed}"
            runs.append(
                fabricate_training(
                    path, images, logits, architecture=model, seed=seed, classes=classes
                )
            )
    result = xattn.compare(runs, tmp_path / "out")
    assert rows(result, "delong")["verdict"]["resnet18-ga"] == "better"
    assert rows(result, "mcnemar")["verdict"]["resnet18-ga"] == "better"


def test_a_run_folder_of_evaluate_is_read_as_a_training_folder_is(study, tmp_path):
    as_run = tmp_path / "run"
    as_run.mkdir()
    facts = read_record(study[0] / "train.json")
    settings = {
        "architecture": "resnet18",
        "options": {},
        "classes": facts["classes"],
        "training": {"recipe": facts["recipe"], "splits_sha256": facts["splits_sha256"]},
    }
    (as_run / "run.json").write_text(json.dumps(settings))
    pd.read_parquet(study[0] / "predictions.parquet").to_parquet(as_run / "predictions.parquet")
    one = xattn.compare(study, tmp_path / "a")
    other = xattn.compare([as_run, *study[1:]], tmp_path / "b")
    assert one.sentences == other.sentences


def test_predictions_without_splits_are_compared_as_they_are(study, tmp_path):
    paths = []
    for i in (0, 1, 5, 6):
        path = tmp_path / study[i].name
        path.mkdir()
        (path / "train.json").write_bytes((study[i] / "train.json").read_bytes())
        table = pd.read_parquet(study[i] / "predictions.parquet")
        table.drop(columns=["split", "group"]).to_parquet(path / "predictions.parquet")
        paths.append(path)
    result = xattn.compare(paths, tmp_path / "out")
    assert set(result.pairs["split"]) == {"all"}


def test_what_makes_a_comparison_doubtful_is_said(tmp_path):
    rng = np.random.default_rng(2)
    images = make_images(rng, {"test": 60})

    def add(name, **facts):
        return fabricate_training(tmp_path / name, images, make_logits(rng, images, 1.0), **facts)

    runs = [
        add("a0", seed=0),
        add("a1", seed=1, lr=0.5),
        add("b0", architecture="resnet18-ga", seed=0, splits_sha256="1" * 64),
    ]
    notes = " ".join(xattn.compare(runs, tmp_path / "out").notes)
    assert "seeds of resnet18 differ in more than the seed: train.lr" in notes
    assert "not all trained with the same splits.csv" in notes


def refused(tmp_path, change):
    """Write two runs, the second of other images or so, and return them."""
    rng = np.random.default_rng(3)
    images = make_images(rng, {"test": 40, "ood": 40})
    logits = make_logits(rng, images, 1.0)
    first = fabricate_training(tmp_path / "first", images, logits)
    other = {"architecture": "resnet18-ga"}
    if change == "classes":
        other["classes"] = ("benign", "melanoma")
    if change == "twice":
        other = {}
    second = fabricate_training(tmp_path / "second", images, logits, **other)
    table = prediction_table(images, logits)
    if change == "images":
        table = table[3:]
    if change == "labels":
        table.loc[0, "label"] = "benign" if table.loc[0, "label"] == "malignant" else "malignant"
    if change == "one class":
        table = table[table["label"] == "benign"]
        table.to_parquet(first / "predictions.parquet")
    if change == "no column":
        table = table.drop(columns="logit_benign")
    if change == "split":
        table = table[table["split"] == "test"]
    if change != "classes":
        table.to_parquet(second / "predictions.parquet")
    if change == "no predictions":
        (second / "predictions.parquet").unlink()
    if change == "unfinished":
        (second / "train.json").unlink()
    return [first, second]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("images", XattnError, "lacks 3 of the 40"),
        ("labels", XattnError, "same labels in all runs, but 1 differ"),
        ("classes", XattnError, "same classes in all runs"),
        ("twice", XattnError, "both hold resnet18 with seed 0; tell them apart as NAME="),
        ("one class", XattnError, "got none of malignant"),
        ("no column", RunError, "columns logit_benign"),
        ("no predictions", RunError, "repeat `xattn train .*/second-again`"),
        ("unfinished", RunError, "no train.json or run.json"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_with_a_reason(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        xattn.compare(refused(tmp_path, change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_split_that_a_run_lacks_is_left_out_unless_it_is_asked_for(tmp_path):
    runs = refused(tmp_path, "split")
    assert set(xattn.compare(runs, tmp_path / "out").pairs["split"]) == {"test"}
    with pytest.raises(UsageError, match=r"'ood', but .*second has none"):
        xattn.compare(runs, tmp_path / "out", split=["ood"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "resnet81"}, "did you mean 'resnet18'"),
        ({"metric": ["balanced"]}, "did you mean 'balanced_accuracy'"),
        ({"metric": []}, "at least one metric"),
        ({"split": ["tset"]}, "did you mean 'test'"),
        ({"alpha": 0.0}, "alpha in"),
        ({"rope": -1.0}, "rope of at least 0"),
    ],
)
def test_wrong_words_are_usage_errors(study, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        xattn.compare(study, tmp_path, **options)


def test_one_model_alone_is_nothing_to_compare(study, tmp_path):
    with pytest.raises(UsageError, match="at least two models"):
        xattn.compare(study[:5], tmp_path)


def test_the_command_prints_sentences_and_writes_the_tables(study, tmp_path, capsys):
    out = tmp_path / "comparison"
    assert xattn.cli.main(["compare", *map(str, study), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "resnet18-la is better" in said
    assert "not enough seeds to tell" in said
    assert (out / "comparison.csv").is_file()
    words = ["compare", *map(str, study), "--out", str(out), "--json", "--split", "test"]
    assert xattn.cli.main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["sentences"]) == 2


def test_the_command_names_its_mistakes_in_one_line(study, tmp_path, capsys):
    words = ["compare", str(study[0]), str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]
    assert xattn.cli.main(words) == 1
    assert "Expected a training or a run folder" in capsys.readouterr().err
