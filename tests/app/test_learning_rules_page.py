"""The page on learning rules and its command, from the first DFA training to representations side by side."""

import json
import shutil
import sys

import pytest

from app import session
from app.cli import main
from models.config import Recipe
from models.data import open_dataset
from models.training import train
from tests.app.conftest import LEARNED, charts, clean, commands, page

D1, BPTT = "tones-dfa-tiny", "tones-bptt-tiny"


@pytest.fixture(scope="module")
def rules_folder(workbench_folders, private_folders, tmp_path_factory):
    """Return a folder of checkpoints in which some learned by feedback alignment."""
    root = tmp_path_factory.mktemp("rules") / "checkpoints"
    shutil.copytree(workbench_folders["SPIKELENS_CHECKPOINTS"], root)
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in {**private_folders, **workbench_folders}.items():
            patch.setenv(name, str(folder))
        for name, seed, rule in (
            (f"{D1}-s1", 1, "dfa-d1"),
            (f"{BPTT}-s1", 1, "bptt"),
            (f"{BPTT}-s2", 2, "bptt"),
        ):
            recipe = {
                "name": name,
                "seed": seed,
                "data": {"name": "tones"},
                "encoder": {"name": "residual"},
                "backbone": {"name": "rlif", "hidden": [10]},
                "train": {"epochs": 3, "batch_size": 12},
                "learning": {"rule": rule},
            }
            folder = root / "_arms" / name
            train(Recipe.from_dict(recipe), open_dataset("tones"), folder, snapshot_every=rule == "bptt")
    return root


@pytest.fixture
def rules(workbench, rules_folder, monkeypatch):
    """Open the page with these checkpoints."""
    monkeypatch.setenv("SPIKELENS_CHECKPOINTS", str(rules_folder))
    return lambda **choices: page(workbench, "learning_rules", **choices)


def test_without_a_dfa_checkpoint_the_page_says_how_to_train_one(workbench):
    opened = page(workbench, "learning_rules", checkpoint=LEARNED)
    assert opened.title[0].value == "Learning rules"
    assert opened.markdown[0].value.endswith("?")
    assert opened.caption[0].value.startswith("What would fool you")
    assert "direct feedback alignment" in opened.info[0].value
    (command,) = commands(opened)
    assert command.startswith("spikelens train spoken35-residual-35k --set 'learning.rule=\"dfa-d1\"'")
    assert not charts(opened) and not opened.button


def test_curves_come_from_the_stored_histories_in_one_colour_a_rule(rules):
    opened = rules(checkpoint=LEARNED)
    accuracy, cosines, angles = charts(opened)
    colour = {}
    for chart in (accuracy, cosines, angles):
        for trace in chart["data"]:
            if trace.get("name"):
                colour.setdefault(trace["legendgroup"], set()).add(trace["line"]["color"])
    assert {label: len(found) for label, found in colour.items()} == {"BPTT": 1, "D1": 1}
    assert colour["BPTT"] != colour["D1"]
    titles = [note["text"] for note in cosines["layout"]["annotations"]]
    assert "encoder" in titles and "layer1: recurrent weights" in titles
    table = opened.dataframe[0].value
    assert list(table["learning rule"]) == ["BPTT", "D1"] and "±" in table["validation accuracy (%)"][0]
    assert any("0 is the null" in words.value for words in opened.caption)
    assert any("90°, the dotted line" in words.value for words in opened.caption)
    assert f"spikelens rules {BPTT} {D1}-s1" in commands(opened)


def test_arms_are_chosen_and_none_is_no_error(rules):
    opened = rules()
    chooser = opened.multiselect[0]
    assert chooser.value == ["BPTT", "D1"]
    opened = clean(chooser.set_value(["BPTT"]).run())
    assert len(charts(opened)) == 1
    assert any("BPTT alone" in box.value for box in opened.info)
    opened = clean(opened.multiselect[0].set_value([]).run())
    assert not charts(opened) and "at least one" in opened.info[0].value


def test_representations_wait_for_their_button_and_then_stay(rules):
    opened = rules()
    assert opened.selectbox(key="rules-name").value == f"{D1}-s1"
    assert opened.selectbox(key="rules-against").value == f"{BPTT}-s1"  # the same seed
    opened = clean(opened.button(key="rules-compare").click().run())
    probes, likeness = charts(opened)[3:]
    assert "permuted labels" in [trace["name"] for trace in probes["data"]]
    assert {trace["name"] for trace in likeness["data"]} >= {"CKA", "clips permuted", "permuted within words"}
    assert any("on validation" in words.value for words in opened.markdown)
    wanted = (
        f"spikelens rules {D1}-s1 --data tones --split validation --against {BPTT}-s1 --control {BPTT}-s2"
    )
    assert any(line.startswith(wanted) for line in commands(opened))
    assert len(charts(rules())) == 5  # nothing is asked twice


def test_without_the_recordings_the_curves_stay_and_the_rest_says_why(rules, monkeypatch):
    monkeypatch.setattr(session, "is_here", lambda data: False)
    opened = rules()
    assert len(charts(opened)) == 3 and not opened.button
    assert any("not on this machine" in box.value for box in opened.info)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["spikelens", "rules", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, capsys.readouterr()


def test_the_command_prints_the_table_or_one_json_object(rules, monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, f"{D1}-s1", BPTT)
    assert not code and "D1" in said.out and "one seed only" in said.out
    code, said = run(monkeypatch, capsys, f"{D1}-s1", BPTT, "--json")
    body = json.loads(said.out)
    assert not code and body["kind"] == "LearningRules"
    assert body["provenance"]["command"] == f"spikelens rules {D1}-s1 {BPTT} --json"


def test_the_command_compares_with_against(rules, monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, f"{D1}-s1", "--against", f"{BPTT}-s1", "--json")
    body = json.loads(said.out)
    assert not code and body["kind"] == "RuleRepresentations"
    assert body["provenance"]["config"]["control"] == f"{BPTT}-s2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody",), "nobody"),
        ((f"{D1}-s1", BPTT, "--against", f"{BPTT}-s1"), "give one NAME"),
        ((f"{BPTT}-s2", "--against", f"{BPTT}-s1"), "allowed: a DFA rule"),
    ],
)
def test_a_mistake_is_one_line(rules, monkeypatch, capsys, arguments, message):
    code, said = run(monkeypatch, capsys, *arguments)
    assert code == 2 and message in said.err and len(said.err.strip().splitlines()) == 1
