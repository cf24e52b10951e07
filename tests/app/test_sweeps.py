"""``spikelens sweep`` as a user meets it."""

import json
import sys

import pandas as pd
import pytest

from app.cli import main
from models.training import RESUME
from tests.conftest import TONES_RECIPE


@pytest.fixture
def sweep(monkeypatch, capsys, tones_folder, tmp_path):
    """Call ``spikelens sweep`` on two tiny runs; return (exit code, standard output, standard error)."""
    (tmp_path / "base.toml").write_text(TONES_RECIPE.format(epochs=1))
    (tmp_path / "tiny.toml").write_text(
        f'title = "Two tiny runs"\nbase = "{tmp_path / "base.toml"}"\ncheckpoint = "cli-{{row}}-s{{seed}}"\n'
        '[[row]]\nname = "learned"\n[[row]]\nname = "direct"\nset = {encoder = {name = "direct"}}\n'
    )

    def call(*more):
        given = [
            "sweep",
            tmp_path / "tiny.toml",
            "--data",
            tones_folder,
            "--out",
            tmp_path / "out",
            "--workers",
            1,
        ]
        monkeypatch.setattr(sys, "argv", ["spikelens", *map(str, [*given, *more])])
        with pytest.raises(SystemExit) as stopped:
            main()
        out = capsys.readouterr()
        return int(stopped.value.code or 0), out.out, out.err

    return call


def test_list_train_score_and_table(sweep, tmp_path):
    code, out, err = sweep("--dry-run")
    assert code == 0, err
    assert out.count("to do") == 2 and not (tmp_path / "out").exists()
    code, out, err = sweep("--rows", "learned")
    assert code == 0, err
    assert "Two tiny runs" in out and "begun cli-learned-s1" in err and "finished cli-learned-s1" in err
    table = tmp_path / "out" / "_tables" / "tiny"
    assert list(pd.read_csv(f"{table}.csv").checkpoint) == ["cli-learned-s1"]
    code, out, err = sweep("--no-train", "--json", "--table", tmp_path / "kept.csv")
    assert code == 0, err
    body = json.loads(out)
    assert body["missing"] == ["cli-direct-s1"] and body["kind"] == "SweepTable"
    assert json.loads((tmp_path / "kept.json").read_text()) == body
    code, out, err = sweep("--score-test")
    assert code == 0, err
    assert pd.read_csv(f"{table}.csv").test.notna().all()
    assert list(pd.read_csv(f"{table}-summary.csv").seeds) == [1, 1]
    assert sweep("--dry-run")[1].count("done") == 2


def test_mistakes_and_failures_are_one_line(sweep, tmp_path):
    code, out, err = sweep("--rows", "nobody")
    assert (code, out) == (2, "") and "--rows: 'nobody'" in err and len(err.splitlines()) == 1
    code, out, err = sweep("--no-train")
    assert (code, out) == (2, "") and "no run of tiny is done yet" in err
    torn = tmp_path / "out" / "cli-direct-s1" / RESUME
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    code, out, err = sweep()
    assert code == 1 and "learned" in out  # the table of what there is
    assert err.splitlines()[-1].startswith("spikelens: 1 of 2 runs failed: cli-direct-s1: ")
    assert "Traceback" not in err
