"""Carry out the runs of a sweep side by side, on this machine or on a cluster; report what failed."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.data import open_dataset
from models.errors import SpikelensError
from models.sweep import Run
from models.sweep_run import LOGS, Outcome, carry_out, find_done, left_over, restricted

BACKENDS = ("loky", "dask")
_MAX_DEATHS = 3  # of a run's worker, before the run counts as failed
_log = logging.getLogger("spikelens")


def run_sweep(
    runs: Sequence[Run],
    out: Path,
    data: str,
    *,
    workers: int = 2,
    backend: str = "loky",
    dask_address: str | None = None,
    score_test: bool = False,
    tell: Callable[[str], None] = print,
) -> list[Outcome]:
    """Train what is not done yet; a killed sweep is called again and goes on from each run's last epoch.

    Parameters
    ----------
    runs : sequence of Run
    out : Path
        Folder of the checkpoints; each run's epochs are told in ``_logs/NAME.log`` there.
    data : str
        Name or folder of the data set.
    workers : int
        Local processes, one torch thread each.
    backend : {"loky", "dask"}
    dask_address : str, optional
        Scheduler of a cluster, whose workers see the same folders and have one thread each; by default a
        cluster of `workers` local processes.
    score_test : bool
        Score the test split of every finished run that lacks it.
    tell : callable
        Takes one line a run begun and one a run ended.

    Returns
    -------
    list of Outcome
        Of the runs that were not done before, as they ended. A run that fails stops no other.

    Raises
    ------
    SpikelensError
        A checkpoint of a planned name that is another training's, an unknown backend, or no Dask.
    """
    if backend not in BACKENDS:
        raise SpikelensError(f"--backend: {backend!r} is not one of {', '.join(BACKENDS)}")
    dataset = open_dataset(data)
    tasks = []
    for run in runs:
        folder = find_done(run, out, restricted(dataset, run.recipe).digest)
        if folder is None or left_over(folder, score_test):
            tasks.append((run, folder or out / run.checkpoint))
    tell(f"{len(runs)} runs, {len(runs) - len(tasks)} done before, {len(tasks)} to do")
    if not tasks:
        return []
    pool = _Pool(data, score_test, workers, backend, dask_address)
    clock = _Clock([run for run, _ in tasks], workers, tell)
    return [clock.ended(outcome) for outcome in pool.outcomes(tasks, clock.begun)]


class _Clock:
    """Tells what begins and ends, and how long the rest will take by the epochs there are."""

    def __init__(self, runs: Sequence[Run], workers: int, tell: Callable[[str], None]):
        self._left = {run.checkpoint: run.recipe.train.epochs for run in runs}
        self._total, self._workers, self._tell = len(runs), workers, tell
        self._began, self._epochs = time.monotonic(), 0

    def begun(self, run: Run) -> None:
        self._tell(f"begun {run.checkpoint}")

    def ended(self, outcome: Outcome) -> Outcome:
        name = outcome.run.checkpoint
        self._epochs += self._left.pop(name, 0)
        if outcome.status == "failed":
            words = f"failed {name}: {outcome.reason}"
        elif outcome.status == "elsewhere":
            words = f"left {name}: another process trains it (see {LOGS}/{name}.log)"
        else:
            words = f"finished {name}: {outcome.accuracy:.2%} on validation"
        pace = (time.monotonic() - self._began) / max(1, self._epochs)  # all workers together
        left = pace * sum(self._left.values()) / 60
        ahead = f", about {left:.0f} min left" if self._left else ""
        done = self._total - len(self._left)
        self._tell(f"{words}; {outcome.minutes:.1f} min; {done} of {self._total}{ahead}")
        return outcome


@dataclass(frozen=True)
class _Pool:
    """Where runs are carried out."""

    data: str
    score_test: bool
    workers: int
    backend: str
    address: str | None

    def outcomes(self, tasks: Sequence[tuple[Run, Path]], begun: Callable[[Run], None]) -> Iterator[Outcome]:
        """Yield outcomes as they come; a worker that is killed takes its run back to the end of the queue."""
        queue, deaths = {run.checkpoint: (run, folder) for run, folder in tasks}, Counter[str]()
        while queue:
            running: dict[str, Run] = {}
            try:
                for outcome in self._once(list(queue.values()), running, begun):
                    queue.pop(outcome.run.checkpoint)
                    running.pop(outcome.run.checkpoint, None)
                    yield outcome
            except BrokenProcessPool:
                _log.warning("a worker was killed or ran out of memory; going on with the others")
                for name, run in running.items():
                    deaths[name] += 1
                    queue[name] = queue.pop(name)
                    if deaths[name] == _MAX_DEATHS:
                        del queue[name]
                        yield Outcome(run, "failed", reason=f"its worker was killed {_MAX_DEATHS} times")

    def _once(
        self, tasks: Sequence[tuple[Run, Path]], running: dict[str, Run], begun: Callable[[Run], None]
    ) -> Iterator[Outcome]:
        from joblib import Parallel, delayed, parallel_config

        def dispatched() -> Iterator[Any]:  # one is drawn whenever a worker is free
            for run, folder in tasks:
                running[run.checkpoint] = run
                begun(run)
                yield delayed(carry_out)(run, folder, self.data, self.score_test)

        options = {"pre_dispatch": "n_jobs", "batch_size": 1, "return_as": "generator_unordered"}
        if self.backend == "loky":
            with parallel_config("loky", n_jobs=self.workers, inner_max_num_threads=1):
                yield from Parallel(**options)(dispatched())
            return
        with _dask_client(self.workers, self.address) as client:
            n_jobs = max(1, len(client.nthreads()))
            with parallel_config("dask", n_jobs=n_jobs):
                yield from Parallel(**options)(dispatched())


def _dask_client(workers: int, address: str | None) -> Any:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise SpikelensError(
            '--backend: dask needs the package distributed: pip install "spikelens[sweep]"'
        ) from None
    if address is not None:
        try:
            return Client(address, timeout=10)
        except (OSError, ValueError) as error:
            raise SpikelensError(f"--dask-address: {address}: no scheduler answers ({error})") from None
    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)
    client.cluster = cluster
    return client
