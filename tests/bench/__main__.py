"""``python -m tests.bench``: run every table, print it, write ``build/bench.json``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.bench import PEERS, arms, frames
from tests.bench.epochs import epoch_rows
from tests.bench.measure import in_turns, matmul_gflops, peak_mb
from tests.bench.problem import Problem, Shape, dense_flop, make_problem
from tests.bench.rules import rule_rows

MAIN = Shape(64, 100, 512)
SHAPES = (MAIN, Shape(64, 100, 128), Shape(128, 100, 112), Shape(1, 100, 512), Shape(64, 500, 512))
OUT = Path("build/bench.json")
_POLICY = "OMP_WAIT_POLICY"
Row = dict[str, Any]


def row(
    name: str, shape: Shape, rate: float, threads: int, ms: float | None, ratio: float | None, **more
) -> Row:
    """Return one line of the table, and print it."""
    found = {"name": name, "B": shape.b, "T": shape.t, "H": shape.h, "rate": round(rate, 4)}
    found |= {"threads": threads, "ms": ms, "ratio_to_plain": ratio, **more}
    shown = f"{name:34s} {shape.b:4d} {shape.t:4d} {shape.h:5d} {rate:6.3f} {threads:2d}"
    shown += "" if ms is None else f" {ms:10.3f} ms"
    shown += "" if ratio is None else f" {ratio:7.2f} x"
    print(shown + "".join(f"  {key} {value:.4g}" for key, value in more.items()), flush=True)
    return found


def built(made: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """Return the steps of those arms whose package is here; say which are not."""
    steps = {}
    for name, make in made.items():
        try:
            steps[name] = make(problem)
        except ImportError as error:
            print(f"{name}: skipped, {error} (make bench-peers)")
    return steps


def training_rows(shapes: tuple[Shape, ...], budget_s: float) -> list[Row]:
    """Compare one training step with every peer, on one and two threads."""
    rows = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        gflops = matmul_gflops()
        print(f"\nsgemm 2048: {gflops:.0f} GFLOP/s on {threads} thread(s)")
        for shape in shapes:
            problem = make_problem(shape)
            floor = 1000 * dense_flop(shape) / gflops / 1e9
            timed = in_turns(built(arms.ARMS, problem), budget_s)
            rows += [row(name, shape, problem.rate, threads, *found) for name, found in timed.items()]
            ratio = timed["plain"][0] / floor
            rows.append(row("dense matmul floor", shape, problem.rate, threads, floor, ratio, gflops=gflops))
    return rows


def thread_rows(budget_s: float) -> list[Row]:
    """Compare two threads with one, on an idle machine and beside a busy process.

    One thread stands against itself as well: what that leaves of 1 is what the machine cannot tell apart.
    Measured under the setting that the command line makes before torch is imported, and that peers do not
    make: idle threads sleep. Where it is not made yet, a process of its own makes it.
    """
    if os.environ.get(_POLICY) != "passive":
        command = [sys.executable, "-m", "tests.bench", "threads", "--budget", str(budget_s)]
        subprocess.run(command, env=os.environ | {_POLICY: "passive"}, check=True)
        return json.loads(OUT.read_text(encoding="utf-8"))
    rows = []
    problem = make_problem(MAIN)
    step = arms.spikelens(problem)

    def on(threads: int):
        def run() -> None:
            torch.set_num_threads(threads)
            step()

        return run

    for busy in (False, True):
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
        try:
            timed = in_turns({"1": on(1), "2": on(2), "1 again": on(1)}, budget_s)
        finally:
            if neighbour is not None:
                neighbour.kill()
        for threads, (ms, ratio) in timed.items():
            name = f"spikelens, {'busy neighbour' if busy else 'idle machine'}"
            name += ", again" if threads == "1 again" else ""
            rows.append(row(name, MAIN, problem.rate, int(threads[0]), ms, None, ratio_to_one_thread=ratio))
    torch.set_num_threads(1)
    return rows


def kind_rows(budget_s: float) -> list[Row]:
    """Compare surrogates and resets with the plain loop of the same kind."""
    rows = []
    for reset in ("soft", "hard"):
        problem = make_problem(MAIN, reset)
        for name in ("boxcar", "triangle", "atan", "fast_sigmoid"):
            steps = {"plain": arms.plain(problem, name, reset), "ours": arms.spikelens(problem, name, reset)}
            ms, ratio = in_turns(steps, budget_s)["ours"]
            rows.append(row(f"spikelens {name} {reset}", MAIN, problem.rate, 1, ms, ratio))
    return rows


def sweep_rows(budget_s: float) -> list[Row]:
    """Follow time against firing rate, T and B, beside the plain loop."""
    shapes = [replace(MAIN, rate=rate) for rate in (0.02, 0.05, 0.1, 0.2)]
    shapes += [replace(MAIN, t=t) for t in (50, 200, 400)] + [replace(MAIN, b=b) for b in (8, 32, 128)]
    rows = []
    for shape in shapes:
        problem = make_problem(shape)
        timed = in_turns({"plain": arms.plain(problem), "spikelens": arms.spikelens(problem)}, budget_s)
        for name, found in timed.items():
            rows.append(row(f"sweep {name}", shape, problem.rate, 1, *found, support=problem.support))
    return rows


def memory_rows() -> list[Row]:
    """Compare the peak memory of one training step."""
    rows = []
    for t in (100, 500, 1000):
        shape = replace(MAIN, t=t)
        for name in ("plain", "spikelens"):
            peak = peak_mb(name, shape.b, t, shape.h)
            rows.append(row(f"memory {name}", shape, shape.rate, 1, None, None, peak_mb=peak))
    return rows


def frame_rows(budget_s: float) -> list[Row]:
    """Compare one streamed frame with readout."""
    rows = []
    for h in (512, 128):
        problem = make_problem(Shape(1, 100, h))
        timed = in_turns(built(frames.FRAMES, problem), budget_s, calls=300)
        for name, (ms, ratio) in timed.items():
            shape = Shape(1, 1, h)
            rows.append(row(f"frame {name}", shape, problem.rate, 1, ms, ratio, us=1000 * ms))
    return rows


def main() -> None:
    """Run the tables that were asked for."""
    tables = {
        "training": lambda: training_rows(SHAPES, options.budget),
        "threads": lambda: thread_rows(options.budget),
        "kinds": lambda: kind_rows(options.budget),
        "sweeps": lambda: sweep_rows(options.budget),
        "memory": memory_rows,
        "frames": lambda: frame_rows(options.budget),
        "rules": lambda: [row(*given, None, **more) for *given, more in rule_rows(options.budget)],
        "epochs": lambda: [row(*given, **more) for given, more in epoch_rows()],
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(tables)}; all by default")
    parser.add_argument("--budget", type=float, default=8.0, help="seconds for each comparison")
    options = parser.parse_args()
    if unknown := set(options.tables) - set(tables):
        parser.error(f"unknown table {unknown.pop()!r}: choose from {', '.join(tables)}")
    if not PEERS.is_dir():
        print("peers are absent and left out: make bench-peers installs them")
    print(f"{'name':34s}    B    T     H   rate thr    median ms  x plain")
    rows: list[Row] = []
    for name, table in tables.items():
        if not options.tables or name in options.tables:
            print(f"\n{name}")
            torch.set_num_threads(1)
            rows += table()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"\nwrote {OUT}")


if __name__ == "__main__":
    main()
