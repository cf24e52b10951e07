"""``python -m tests.bench.scale``: analyses on 5,000 to 100,000 synthetic recordings.

Writes random sparse spikes (160 channels, 98 frames) with features to a temporary folder, measures time and
peak memory of what must not hold all of them at once, each in a process of its own, prints the table and
writes ``build/scale.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (5_000, 20_000, 100_000)
LIMIT_MIB = 4096
N_STEPS, N_BANDS, N_CHANNELS, N_WORDS = 98, 40, 160, 35
_RATE, _CLIPS_OF_SPEAKER, _BLOCK, _N_HELD = 0.12, 20, 256, 200
_SLOWER = 1.5  # a clip may cost this much more among 100,000 than among 20,000


def write(folder: Path, n: int) -> None:
    """Write recordings block by block, as a capture does."""
    from analysis.recordings import Point, RecordingWriter

    rng = np.random.default_rng(0)
    points = [Point("features", N_BANDS, False), Point("encoder", N_CHANNELS, True)]
    with RecordingWriter(
        folder / "recordings",
        name="scale",
        source="import",
        digest=f"scale-{n}",
        dataset="scale",
        class_names=[f"word{i}" for i in range(N_WORDS)],
        points=points,
        synthetic=True,
    ) as writer:
        for split, count in (("train", n), ("validation", _N_HELD)):
            clips = np.arange(count)
            writer.add_split(
                split,
                labels=rng.integers(N_WORDS, size=count),
                clip_ids=[f"{split}-{i}" for i in clips],
                speakers=[f"{split}{i}" for i in clips // _CLIPS_OF_SPEAKER],
                n_steps=N_STEPS,
            )
            for start in range(0, count, _BLOCK):
                rows = slice(start, min(start + _BLOCK, count))
                shape = (rows.stop - start, N_STEPS)
                spikes = rng.random((*shape, N_CHANNELS), np.float32) < _RATE
                writer.write(split, "encoder", rows, spikes)
                writer.write(split, "features", rows, rng.standard_normal((*shape, N_BANDS), np.float32))


def ridge(folder: Path, n: int) -> None:
    """Sum the normal equations of the ridge decoder with five lags, and solve them."""
    from analysis.decoders import ridge_weights

    ridge_weights(_opened(folder), "encoder", split="validation")


def pooling(folder: Path, n: int) -> None:
    """Pool counts in 10 windows."""
    from analysis.pooling import pooled

    assert pooled(_opened(folder).split("train"), "encoder").shape == (n, 10 * N_CHANNELS)


def fisher(folder: Path, n: int) -> None:
    """Measure the Fisher ratios of all clips with interval and null."""
    from analysis import separability_measures as measures

    recordings = _opened(folder)
    design = measures.Design.of(recordings.split("train"), N_WORDS, 0)
    found = measures.fisher(measures.principal_components(recordings, "train", "encoder", 0), design)
    assert found[measures.FISHER].n == n


def cka(folder: Path, n: int) -> None:
    """Measure the debiased CKA of all clips with interval and null."""
    from analysis import separability_measures as measures

    held = _opened(folder).split("train")
    found = measures.cka(held, "encoder", measures.Design.of(held, N_WORDS, 0))
    assert found[measures.CKA_LABELS].n == n


OPERATIONS: dict[str, Callable[[Path, int], None]] = {
    "write": write,
    "pooling": pooling,
    "fisher": fisher,
    "cka": cka,
    "ridge": ridge,
}


def _opened(folder: Path):
    from analysis.recordings import Recordings

    return Recordings(folder / "recordings")


def _in_this_process(operation: str, folder: Path, n: int) -> None:
    """Run one operation and print its time and the peak memory of the whole process."""
    start, used = time.perf_counter(), time.process_time()
    OPERATIONS[operation](folder, n)
    found = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - used}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    print(json.dumps({**found, "peak_mib": peak}))


def measure(operation: str, folder: Path, n: int) -> dict[str, Any]:
    """Return one row of the table, measured in a fresh process on one thread."""
    command = [sys.executable, "-m", "tests.bench.scale", "--run", operation, str(folder), str(n)]
    settings = {"OMP_NUM_THREADS": "1", "SPIKELENS_CACHE": str(folder / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | settings)
    if done.returncode:
        raise SystemExit(f"{operation} of {n} clips failed:\n{done.stderr}")
    row = {"operation": operation, "clips": n, **json.loads(done.stdout.splitlines()[-1])}
    per_clip = 1000 * row["cpu_seconds"] / n
    print(
        f"{operation:14s} {n:8,d} {row['seconds']:9.1f} s {row['cpu_seconds']:9.1f} s "
        f"{per_clip:8.3f} ms {row['peak_mib']:8.0f} MiB",
        flush=True,
    )
    return row


def shortfalls(rows: list[dict[str, Any]]) -> list[str]:
    """Return what does not hold: the memory limit, and time linear in clips from 20,000 on."""
    found = [
        f"{row['operation']} of {row['clips']:,} clips: {row['peak_mib']:.0f} MiB"
        for row in rows
        if row["peak_mib"] > LIMIT_MIB
    ]
    per_clip = {(row["operation"], row["clips"]): row["cpu_seconds"] / row["clips"] for row in rows}
    for (operation, clips), cost in per_clip.items():
        smaller = per_clip.get((operation, SIZES[1]))
        if clips > SIZES[1] and smaller is not None and cost > _SLOWER * smaller:
            found.append(
                f"{operation}: a clip of {clips:,} costs {cost / smaller:.1f} times one of {SIZES[1]:,}"
            )
    return found


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--only", nargs="+", default=list(OPERATIONS), choices=list(OPERATIONS))
    parser.add_argument("--run", nargs=3, metavar=("OPERATION", "FOLDER", "CLIPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        operation, folder, n = options.run
        _in_this_process(operation, Path(folder), int(n))
        return
    print(
        f"{'operation':14s} {'clips':>8s} {'elapsed':>11s} {'processor':>11s} {'a clip':>11s} {'peak':>12s}"
    )
    rows = []
    for n in options.clips:
        with tempfile.TemporaryDirectory() as folder:
            chosen = dict.fromkeys(["write", *options.only])  # nothing can be measured before it is written
            rows += [measure(name, Path(folder), n) for name in chosen]
    out = Path("build/scale.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {out}")
    for line in shortfalls(rows):
        print(f"falls short: {line}")


if __name__ == "__main__":
    main()
