"""A sweep trains what is missing, once, survives a kill, and lets no failure stop the others."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from models.checkpoint import read_checkpoint, write_json
from models.errors import SpikelensError
from models.sweep import Sweep, plan
from models.sweep_pool import run_sweep
from models.sweep_run import LOGS, carry_out, difference, find_done
from models.training import RESUME
from tests.conftest import TONES_RECIPE

ROOT = Path(__file__).resolve().parents[2]
SWEEP = """
base = "{base}"
checkpoint = "t-{{row}}-s{{seed}}"
[[row]]
name = "learned"
seeds = [1, 2]
[[row]]
name = "frozen"
set = {{ encoder = {{ name = "sf2-init" }}, "train.epochs" = {epochs} }}
"""


@pytest.fixture
def sweep_file(tmp_path):
    """Write a sweep of three runs; return how to."""

    def write(epochs=2):
        base = tmp_path / "base.toml"
        base.write_text(TONES_RECIPE.format(epochs=2))
        (tmp_path / "tiny.toml").write_text(SWEEP.format(base=base, epochs=epochs))
        return tmp_path / "tiny.toml"

    return write


@pytest.fixture
def runs(sweep_file):
    return plan(Sweep.open(str(sweep_file())), 3)


def test_it_trains_what_is_missing_and_a_second_call_does_nothing(runs, tones_folder, tmp_path):
    lines = []
    outcomes = run_sweep(runs, tmp_path / "out", tones_folder, workers=1, tell=lines.append)
    assert [(o.run.checkpoint, o.status) for o in outcomes] == [(r.checkpoint, "done") for r in runs]
    for run, outcome in zip(runs, outcomes, strict=True):
        stored = read_checkpoint(tmp_path / "out" / run.checkpoint)
        assert stored.recipe == run.recipe
        assert stored.metrics["validation"]["accuracy"] == outcome.accuracy
        assert "test" not in stored.metrics  # asked for separately
    card = (tmp_path / "out" / "t-frozen-s1" / "README.md").read_text()
    assert "spikelens train base.toml" in card and "sf2-init" in card and "--name t-frozen-s1" in card
    assert lines[0] == "3 runs, 0 done before, 3 to do"
    assert lines[1] == "begun t-learned-s1" and re.match(r"finished t-learned-s1: .* 1 of 3, about", lines[2])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    assert run_sweep(runs, tmp_path / "out", tones_folder, workers=1, tell=lines.append) == []
    assert lines[-1] == "3 runs, 3 done before, 0 to do"
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}


def test_the_test_split_is_scored_once_and_only_when_asked(runs, tones_folder, tmp_path):
    (run,) = runs[2:]
    run_sweep([run], tmp_path, tones_folder, workers=1)
    (outcome,) = run_sweep([run], tmp_path, tones_folder, workers=1, score_test=True)
    metrics = tmp_path / run.checkpoint / "metrics.json"
    stored = json.loads(metrics.read_text())
    assert outcome.status == "done" and stored["test"]["n"] == 36
    assert "--score-test" in (tmp_path / run.checkpoint / "README.md").read_text()
    stored["test"]["accuracy"] = 0.123  # were it scored again, this would be overwritten
    write_json(metrics, stored)
    assert run_sweep([run], tmp_path, tones_folder, workers=1, score_test=True) == []
    assert json.loads(metrics.read_text())["test"]["accuracy"] == 0.123


def test_another_training_of_that_name_is_refused_before_anything_is_trained(
    runs, tones_folder, tmp_path, tones
):
    run_sweep(runs[2:], tmp_path, tones_folder, workers=1)
    other = plan(
        Sweep.from_dict(
            {
                "name": "other",
                "base": runs[0].base,
                "checkpoint": "t-{row}-s{seed}",
                "row": [{"name": "learned"}, {"name": "frozen", "set": {"train.epochs": 3}}],
            }
        ),
        3,
    )
    with pytest.raises(
        SpikelensError, match=r"t-frozen-s1 exists with another recipe: .*encoder.name is sf2"
    ):
        run_sweep(other, tmp_path, tones_folder, workers=1)
    assert not (tmp_path / "t-learned-s1").exists()
    with pytest.raises(SpikelensError, match="t-frozen-s1 exists, trained on other data"):
        find_done(runs[2], tmp_path, "another digest")


def test_the_difference_of_recipes_leaves_names_out(runs):
    first, second, frozen = (run.recipe for run in runs)
    assert difference(first, first.override({"name": "x"})) == ""
    assert difference(first, second) == "seed is 1, the sweep has 2"
    assert "encoder.name is residual, the sweep has sf2-init" in difference(first, frozen)


def test_a_failing_run_is_reported_and_stops_no_other(runs, tones_folder, tmp_path):
    (tmp_path / "t-learned-s1").mkdir()
    (tmp_path / "t-learned-s1" / RESUME).write_bytes(b"torn")
    lines = []
    outcomes = run_sweep(runs, tmp_path, tones_folder, workers=1, tell=lines.append)
    found = {o.run.checkpoint: o for o in outcomes}
    assert {name: o.status for name, o in found.items()} == {
        "t-learned-s1": "failed",
        "t-learned-s2": "done",
        "t-frozen-s1": "done",
    }
    assert "cannot be read" in found["t-learned-s1"].reason
    assert any(line.startswith("failed t-learned-s1: ") for line in lines)
    assert "cannot be read" in (tmp_path / LOGS / "t-learned-s1.log").read_text()


_SWEEP = """
import sys
from pathlib import Path
from models.sweep import Sweep, plan
from models.sweep_pool import run_sweep
file, out, data, workers = sys.argv[1:]
if __name__ == "__main__":
    outcomes = run_sweep(plan(Sweep.open(file), 3), Path(out), data, workers=int(workers))
    sys.exit(any(outcome.status == "failed" for outcome in outcomes))
"""


def start(file, out, data, workers):
    """Start a sweep in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _SWEEP, *map(str, (file, out, data, workers))],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def epochs_of(log):
    return [int(number) for number in re.findall(r"^epoch (\d+)/", log.read_text(), re.MULTILINE)]


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(sweep_file, tones_folder, tmp_path):
    file, out, n_epochs = sweep_file(epochs=40), tmp_path / "out", 40
    begun = start(file, out, tones_folder, workers=2)
    log = out / LOGS / "t-frozen-s1.log"
    deadline = time.monotonic() + 100
    while not (log.exists() and len(epochs_of(log)) >= 2):
        assert begun.poll() is None and time.monotonic() < deadline, begun.communicate()[1]
        time.sleep(0.01)
    os.killpg(begun.pid, signal.SIGKILL)  # the sweep and its workers, as a shutdown would
    begun.wait(timeout=60)
    assert (out / "t-frozen-s1" / RESUME).exists()
    done_before = len(epochs_of(log))
    outcomes = run_sweep(plan(Sweep.open(str(file)), 3), out, tones_folder, workers=1)
    assert outcomes[-1].status == "done" and "t-frozen-s1" in [o.run.checkpoint for o in outcomes]
    after = epochs_of(log)[done_before:]
    assert after == list(range(after[0], n_epochs + 1)) and 1 < after[0] <= done_before + 1
    assert not (out / "t-frozen-s1" / RESUME).exists()


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_no_run_with_it(sweep_file, tones_folder, tmp_path):
    out, killed = tmp_path / "out", threading.Event()

    def kill_once():
        log = out / LOGS / "t-frozen-s1.log"
        while not (log.exists() and epochs_of(log)):
            time.sleep(0.01)
        os.kill(int(re.search(r"process (\d+)", log.read_text())[1]), signal.SIGKILL)
        killed.set()

    runs = plan(Sweep.open(str(sweep_file(epochs=25))), 3, rows=["frozen"])
    runs += plan(Sweep.open(str(sweep_file(epochs=25))), 3, rows=["learned"])
    threading.Thread(target=kill_once, daemon=True).start()
    outcomes = run_sweep(runs, out, tones_folder, workers=2)
    assert killed.is_set()
    assert sorted(o.run.checkpoint for o in outcomes) == sorted(run.checkpoint for run in runs)
    assert {o.status for o in outcomes} == {"done"}


@pytest.mark.slow
def test_two_sweeps_on_one_folder_train_no_run_twice(sweep_file, tones_folder, tmp_path):
    file, out = sweep_file(), tmp_path / "out"
    both = [start(file, out, tones_folder, workers=1) for _ in range(2)]
    for process in both:
        assert process.wait(timeout=100) == 0, process.stderr.read()
    for name in ("t-learned-s1", "t-learned-s2", "t-frozen-s1"):
        assert epochs_of(out / LOGS / f"{name}.log") == [1, 2]
        read_checkpoint(out / name)


def test_a_run_in_other_hands_is_left_alone_and_a_dead_owner_holds_nothing(runs, tones_folder, tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom filelock import FileLock\n"
            "with FileLock(sys.argv[1]):\n  print('held', flush=True)\n  time.sleep(60)",
            str(tmp_path / LOGS / "t-frozen-s1.lock"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    assert carry_out(runs[2], tmp_path / "t-frozen-s1", tones_folder).status == "elsewhere"
    holder.kill()
    holder.wait()
    assert carry_out(runs[2], tmp_path / "t-frozen-s1", tones_folder).status == "done"


@pytest.mark.slow
def test_a_local_dask_cluster_does_the_same(runs, tones_folder, tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'spikelens[sweep]'")
    outcomes = run_sweep(runs[1:], tmp_path / "out", tones_folder, workers=2, backend="dask")
    assert {o.run.checkpoint: o.status for o in outcomes} == {"t-learned-s2": "done", "t-frozen-s1": "done"}


def test_dask_and_backends_are_named_where_they_are_missing(runs, tones_folder, tmp_path, monkeypatch):
    with pytest.raises(SpikelensError, match=r"--backend: 'ray' is not one of loky, dask"):
        run_sweep(runs, tmp_path, tones_folder, backend="ray")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SpikelensError, match=r"pip install \"spikelens\[sweep\]\""):
        run_sweep(runs, tmp_path, tones_folder, backend="dask")
