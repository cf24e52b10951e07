"""Learning rules side by side: what is gathered, what is refused, and which epoch stands for BPTT."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from analysis.learning_rules import LearningRules, learning_rules
from analysis.matched_weights import another_seed
from analysis.rule_arms import families, rule_label
from analysis.rule_representations import compare_representations
from analysis.rule_result import RuleRepresentations
from models.checkpoint import CONFIG, HISTORY, METRICS, load_checkpoint, read_info, write_json
from models.config import LearningConfig, Recipe
from models.errors import SpikelensError
from models.paths import arms_folder
from models.training import train
from tests.conftest import make_tones
from tests.models.test_training import TINY

OWN = {"train.epochs": 3, "backbone.hidden": [11]}  # no other test trains this
DFA = {"learning.rule": "dfa-d1"}


@pytest.fixture(scope="module", autouse=True)
def _trained(tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        base = Recipe.from_dict(TINY).override(OWN)
        for name, changes, kept in (
            ("rule-bptt-s1", {"seed": 1}, 1),
            ("rule-bptt-s2", {"seed": 2}, 0),
            ("rule-d1-s1", {"seed": 1, **DFA}, 0),
            ("rule-d1-s2", {"seed": 2, **DFA}, 0),
            ("rule-slow-s1", {"seed": 1, **DFA, "train.lr": 0.001}, 0),
        ):
            train(base.override(changes), tones, arms_folder() / name, snapshot_every=kept)
        others = make_tones({"train": 24, "validation": 12, "test": 12}, seed=5)
        train(base.override({"train.epochs": 1, **DFA}), others, arms_folder() / "rule-elsewhere")
        yield
        for folder in arms_folder().glob("rule-*"):
            shutil.rmtree(folder)


def edited(name, new, accuracy):
    """Copy a checkpoint that claims another final accuracy on validation."""
    folder = arms_folder() / new
    shutil.copytree(arms_folder() / name, folder, dirs_exist_ok=True)
    metrics = dict(read_info(folder).metrics)
    metrics["validation"] = metrics["validation"] | {"accuracy": accuracy}
    write_json(folder / METRICS, metrics)
    return load_checkpoint(new)


def test_histories_are_gathered_by_rule_and_seed():
    result = learning_rules(["rule-d1", "rule-bptt"])
    assert [arm.label for arm in result.arms] == ["BPTT", "D1"]
    bptt, d1 = result.arms
    assert (d1.rule, d1.encoder_credit, d1.error, d1.seeds) == ("D1", "transport", "clip", [1, 2])
    assert (bptt.encoder_credit, bptt.error) == ("", "")
    first = result.of(d1)[0]
    history = load_checkpoint("rule-d1-s1").history
    np.testing.assert_allclose(first.accuracy, [100 * row["validation_accuracy"] for row in history])
    wanted = [row.get("cosine_layer1_input") for row in history]
    np.testing.assert_allclose(first.cosines["layer1_input"], wanted)
    assert set(first.angles) == {"layer1"} and not result.of(bptt)[0].cosines
    finals = [training.final.value for training in result.of(d1)]
    assert d1.mean == pytest.approx(np.mean(finals)) and d1.sd == pytest.approx(np.std(finals, ddof=1))
    assert first.final.low <= first.final.value <= first.final.high
    assert not any("more than the rule" in caveat for caveat in result.caveats)


def test_the_table_is_tidy_and_json_gives_it_back():
    result = learning_rules(["rule-d1", "rule-bptt-s1"])
    table = result.to_table()
    rows = table[(table.training == "rule-d1-s2") & (table.quantity == "cosine layer1_recurrent")]
    assert list(rows.epoch) == [1, 2, 3] and set(rows.unit) == {"1"}
    assert (table.quantity == "final validation accuracy").sum() == 3
    assert table[table.quantity == "final validation accuracy"].low.notna().all()
    pd.testing.assert_frame_equal(LearningRules.from_json(result.to_json()).to_table(), table)
    assert "±" in result.summary()["validation accuracy (%)"][1]


def test_what_differs_besides_the_rule_is_said():
    result = learning_rules(["rule-bptt", "rule-slow-s1"])
    assert [arm.label for arm in result.arms] == ["BPTT", "D1, lr 0.001"]
    assert any(
        "unlike BPTT in more than the rule: D1, lr 0.001 (train.lr 0.001, not " in caveat
        for caveat in result.caveats
    )
    assert any("one seed only: D1" in caveat for caveat in result.caveats)
    assert np.isnan(result.arms[1].sd)
    alone = learning_rules(["rule-d1"])
    assert any("no training by BPTT" in caveat for caveat in alone.caveats)


def test_a_tensor_without_a_cosine_in_some_epoch_is_a_gap():
    folder = arms_folder() / "rule-gap"
    shutil.copytree(arms_folder() / "rule-d1-s1", folder)
    history = pd.read_csv(folder / HISTORY)
    history.loc[2, "cosine_layer1_leak"] = np.nan
    history.to_csv(folder / HISTORY, index=False)
    result = LearningRules.from_json(learning_rules(["rule-gap"]).to_json())
    leak = result.trainings[0].cosines["layer1_leak"]
    assert np.isnan(leak[2]) and np.isfinite(leak[:2]).all()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["rule-d1", "rule-elsewhere"], "different data"),
        (["rule-nothing"], "rule-nothing"),
        ([], "at least one"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(names, message):
    with pytest.raises(SpikelensError, match=message) as caught:
        learning_rules(names)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_a_history_is_named():
    folder = arms_folder() / "rule-mute"
    shutil.copytree(arms_folder() / "rule-d1-s1", folder)
    (folder / HISTORY).unlink()
    with pytest.raises(SpikelensError, match="rule-mute: .* no history"):
        learning_rules(["rule-mute"])
    shutil.rmtree(folder)


def test_variants_of_a_rule_are_told_apart_in_words():
    assert rule_label(LearningConfig()) == "BPTT"
    assert rule_label(LearningConfig("dfa-d0", encoder="frozen")) == "D0, encoder frozen"
    label = rule_label(LearningConfig("dfa-d2", "frame", "feedback", 10.0))
    assert label == "D2, encoder by a matrix of its own, an error a frame, feedback × 10"


def test_a_family_holds_what_compares_and_begins_with_what_differs_in_the_rule_alone(tones):
    family = next(f for f in families() if "rule-d1-s1" in f.names)
    assert family.arms == {
        "BPTT": ["rule-bptt"],
        "D1": ["rule-d1"],
        "D1, lr 0.001": ["rule-slow-s1"],
    }
    assert family.usual == ["BPTT", "D1"]
    assert "rule-elsewhere" not in family.names  # other recordings


# --- representations


@pytest.fixture(scope="module")
def compared(_trained, tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        history = load_checkpoint("rule-bptt-s1").history
        checkpoint = edited("rule-d1-s1", "rule-d1-copy", history[1]["validation_accuracy"])
        yield compare_representations(checkpoint, tones, against="rule-bptt-s1", control="rule-bptt-s2")


def test_bptt_stands_at_its_earliest_kept_epoch_that_is_as_accurate(compared):
    history = load_checkpoint("rule-bptt-s1").history
    target = history[1]["validation_accuracy"]
    first = next(int(row["epoch"]) for row in history if row["validation_accuracy"] >= target)
    rule, matched, *controls = compared.systems
    assert compared.reached and (rule.label, rule.epoch) == ("D1", None)
    assert (matched.label, matched.epoch) == (f"BPTT, epoch {first}", first)
    assert matched.accuracy.value == pytest.approx(100 * history[first - 1]["validation_accuracy"])
    assert [system.label for system in controls] == [
        "BPTT, final, seed 2",
        "BPTT, final, seed 1",
        "untrained",
    ]
    assert f"epoch {first} of rule-bptt-s1" in compared.sentence
    assert any("final weights" in caveat for caveat in compared.caveats)  # seed 2 kept no epochs
    assert any("began from the same weights" in caveat for caveat in compared.caveats)
    assert matched.rates["layer1"] == pytest.approx(history[first - 1]["rate_layer1"], rel=1e-5)
    assert matched.snr_db == pytest.approx(history[first - 1]["snr_db"], rel=1e-5)
    assert matched.steps["dc"] == pytest.approx(history[first - 1]["encoder_dc"], rel=1e-5)


def test_every_point_is_read_beside_its_null_and_every_pair_beside_chance(compared):
    points = {"encoder", "layer1"}
    labels = [system.label for system in compared.systems]
    assert {(row.system, row.point) for row in compared.readings} == {(s, p) for s in labels for p in points}
    for row in compared.readings:
        assert (row.null is not None) == (row.system in labels[:2])
        assert (row.rule_minus is None) == (row.system == "D1")
    best = compared.readings[0]
    assert best.accuracy.value > 60 > best.null.value  # the chirps are easy, chance is a third
    pairs = {(pair.first, pair.second) for pair in compared.likenesses}
    assert (labels[0], labels[1]) in pairs and (labels[3], labels[2]) in pairs  # final with final
    for pair in compared.likenesses:
        assert pair.permuted < 0.3
        assert pair.within_words < pair.cka.value + 0.05
    again = RuleRepresentations.from_json(compared.to_json())
    assert len(again.to_table()) == len(compared.to_table())


def test_a_system_is_like_itself(tones):
    checkpoint = edited("rule-d1-s1", "rule-d1-copy", 0.0)
    same = dataclasses.replace(load_checkpoint("rule-d1-s1").recipe, learning=LearningConfig())
    folder = arms_folder() / "rule-same"
    shutil.copytree(arms_folder() / "rule-d1-s1", folder, dirs_exist_ok=True)
    config = read_info(folder)  # the weights of D1 under a recipe that says BPTT
    body = json.loads((config.folder / CONFIG).read_text())
    write_json(folder / CONFIG, body | {"recipe": same.to_dict()})
    result = compare_representations(checkpoint, tones, against="rule-same", n_nulls=1)
    own = [pair for pair in result.likenesses if pair.second == "BPTT, final"]
    assert [pair.cka.value for pair in own] == pytest.approx([1.0, 1.0])
    assert all(row.rule_minus.value == 0 for row in result.readings if row.system == "BPTT, final")
    assert any("kept no epochs" in caveat for caveat in result.caveats)
    assert any("no other seed" in caveat for caveat in result.caveats)
    shutil.rmtree(folder)


def test_an_accuracy_that_bptt_never_reached_is_said(tones):
    checkpoint = edited("rule-d1-s1", "rule-d1-copy", 1.1)
    result = compare_representations(checkpoint, tones, against="rule-bptt-s1", n_nulls=0)
    assert not result.reached and "No kept epoch of BPTT reaches this" in result.sentence
    scores = {int(r["epoch"]): r["validation_accuracy"] for r in load_checkpoint("rule-bptt-s1").history}
    assert scores[result.systems[1].epoch] == max(scores.values())


def test_another_seed_is_one_of_the_same_recipe():
    assert another_seed("rule-bptt-s1") == "rule-bptt-s2"
    assert another_seed("rule-bptt-s2") == "rule-bptt-s1"
    assert another_seed("rule-slow-s1") is None


@pytest.mark.parametrize(
    ("name", "against", "message"),
    [
        ("rule-bptt-s1", "rule-bptt-s2", "name: rule-bptt-s1 was trained by bptt"),
        ("rule-d1-s1", "rule-d1-s2", "against: rule-d1-s2 was trained by dfa-d1; allowed: bptt"),
        ("rule-d1-s1", "rule-none", "rule-none"),
    ],
)
def test_only_a_rule_with_feedback_is_held_against_bptt(tones, name, against, message):
    with pytest.raises(SpikelensError, match=message):
        compare_representations(load_checkpoint(name), tones, against=against)
