"""Timing in turns: every arm once a round, so that a busy moment of the machine hits all alike."""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

Step = Callable[[], None]


def in_turns(steps: dict[str, Step], budget_s: float, calls: int = 1) -> dict[str, tuple[float, float]]:
    """Time each step once a round, for as many rounds as the budget holds (3 to 25).

    Returns
    -------
    dict of str to (ms, ratio)
        Median time of a call, and median over rounds of the first arm's time over this one's.
    """
    for step in steps.values():
        step()  # compilation, allocation
    times: dict[str, list[float]] = {name: [] for name in steps}
    began = time.perf_counter()
    for done in range(25):
        if done >= 3 and time.perf_counter() - began > budget_s:
            break
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(calls):
                step()
            times[name].append((time.perf_counter() - start) / calls)
    first = next(iter(times.values()))
    return {
        name: (
            1000 * statistics.median(own),
            statistics.median(a / b for a, b in zip(first, own, strict=True)),
        )
        for name, own in times.items()
    }


def matmul_gflops(size: int = 2048) -> float:
    """Return the machine's best rate of a large single-precision matrix product, in this thread count."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = torch.empty(size, size)
    best = min(_seconds(lambda: torch.mm(a, b, out=out)) for _ in range(6))
    return 2 * size**3 / best / 1e9


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_mb(arm: str, b: int, t: int, h: int) -> float:
    """Return what one training step of the arm adds to the peak memory of a fresh process (Linux)."""
    command = [sys.executable, "-m", "tests.bench.measure", arm, str(b), str(t), str(h)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _print_peak(arm: str, b: int, t: int, h: int) -> None:
    from tests.bench.arms import ARMS
    from tests.bench.problem import Shape, make_problem

    torch.set_num_threads(1)
    make = ARMS[arm]
    make(make_problem(Shape(2, 5, h)))()  # loads libraries and compiled code
    step = make(make_problem(Shape(b, t, h)))
    ctypes.CDLL(None).malloc_trim(0)  # what the set-up freed must not hide what the step needs
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status_mb("VmRSS")
    step()
    print(_status_mb("VmHWM") - before)


def _status_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    _print_peak(sys.argv[1], *map(int, sys.argv[2:5]))
