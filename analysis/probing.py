"""Can the word be read off linearly? One probe a recording point, beside the controls that could fool it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.linear_probe import LinearProbe, check_splits, fit_probe
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_mean

LEARNED, SHUFFLED, UNTRAINED, CHANCE = "learned", "shuffled", "untrained", "chance"
RAW_POINT = "features"  # the raw log-mel, read in every result that has it
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ProbeRow:
    """One probe.

    Attributes
    ----------
    point : str
        ``features`` is the raw log-mel; empty for chance, which is the same at every point.
    condition : {"learned", "shuffled", "untrained", "chance"}
        The recordings themselves; their training labels permuted (null); the untrained twin; the commonest
        word of the training split.
    accuracy : Estimate
        Fraction of clips.
    cross_entropy : Estimate
        Nats a clip.
    c : float or None
        Inverse L2 penalty chosen; the null takes that of the true labels.
    dim : int or None
        Inputs of the probe.
    """

    point: str
    condition: str
    accuracy: Estimate
    cross_entropy: Estimate
    c: float | None = None
    dim: int | None = None


@dataclass(frozen=True)
class ProbeResult(Result):
    """Probes in the order of `rows`.

    Attributes
    ----------
    rows : list of ProbeRow
    correct : np.ndarray [shape=(n_rows, n_clips)]
        1 where the probe names the word: what a paired comparison of two results needs.
    chosen_on : str
        The clips that decided C.
    axes : mapping of str to str
    """

    rows: list[ProbeRow]
    correct: Array
    chosen_on: str
    axes: Mapping[str, str]

    def find(self, point: str, condition: str = LEARNED) -> int | None:
        """Return the index of a row, None where there is none."""
        found = [i for i, row in enumerate(self.rows) if (row.point, row.condition) == (point, condition)]
        return found[0] if found else None

    def to_table(self) -> pd.DataFrame:
        """Return one row a probe."""
        return pd.DataFrame(
            {
                "point": row.point,
                "condition": row.condition,
                "accuracy": row.accuracy.value,
                "low": row.accuracy.low,
                "high": row.accuracy.high,
                "n": row.accuracy.n,
                "cross_entropy_nats": row.cross_entropy.value,
                "C": row.c,
                "dim": row.dim,
            }
            for row in self.rows
        )


def probe(
    recordings: Recordings,
    *,
    points: Sequence[str] | None = None,
    split: str = "validation",
    twin: Recordings | None = None,
    pooling: str = "windows",
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> ProbeResult:
    """Probe recording points for the word, with chance, null, untrained twin and raw log-mel.

    The probe is multinomial logistic regression with an L2 penalty on standardised activity (after Alain and
    Bengio 2016), fitted on the training split. C is chosen on the validation split when `split` is the test
    split, else on a speaker-disjoint fifth of train, after which the probe is fitted again on all of train.

    Parameters
    ----------
    recordings : Recordings
        With a training split.
    points : sequence of str, optional
        Every point, stream and ``residual`` by default.
    split : {"validation", "test"}
    twin : Recordings, optional
        Of the untrained twin.
    pooling : {"counts", "windows", "trace", "full"}
        See `analysis.pooling.pooled`.

    Raises
    ------
    SpikelensError
        An unknown point or pooling, the split the probe is fitted on, or a training split with one word.
    """
    held, train = check_splits(recordings, split)
    points = list(held.points if points is None else points)
    if RAW_POINT in held.points and RAW_POINT not in points:
        points.insert(0, RAW_POINT)
    twin_points = () if twin is None else twin.split(split).points
    jobs: list[tuple[str, str]] = []
    for point in points:
        jobs += [(point, LEARNED), (point, SHUFFLED)] + [(point, UNTRAINED)] * (point in twin_points)
    found: dict[tuple[str, str], LinearProbe] = {}
    for i, (point, condition) in enumerate(jobs):
        if progress is not None:
            progress(i / len(jobs), f"probing {point} ({condition})")
        source = recordings if condition != UNTRAINED or twin is None else twin
        null_c = found[point, LEARNED].c if condition == SHUFFLED else None
        found[point, condition] = fit_probe(
            source, point, split=split, pooling=pooling, seed=seed, shuffled_at=null_c
        )
    rows = [
        ProbeRow(*key, *_estimates(p.correct, p.cross_entropy, held, seed), p.c, p.dim)
        for key, p in found.items()
    ]
    correct, entropy = _chance(train, held, len(recordings.class_names))
    rows.append(ProbeRow("", CHANCE, *_estimates(correct, entropy, held, seed)))
    return ProbeResult(
        provenance=recordings.provenance(split, command, points=points, pooling=pooling, seed=seed),
        rows=rows,
        correct=np.stack([*(p.correct for p in found.values()), correct]),
        chosen_on=next(iter(found.values())).chosen_on,
        axes={
            "accuracy": f"accuracy on {split} | fraction of clips",
            "correct": f"probe, clip of {split} | 1 where the word is right",
        },
    )


def _estimates(
    correct: np.ndarray, entropy: np.ndarray, held: SplitRecordings, seed: int
) -> tuple[Estimate, Estimate]:
    groups = held.groups
    return bootstrap_mean(correct, groups, seed=seed), bootstrap_mean(entropy, groups, seed=seed)


def _chance(train: SplitRecordings, held: SplitRecordings, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what saying the commonest training word, or its share, gives on each clip."""
    counts = np.bincount(train.labels, minlength=n_classes)
    entropy = -np.log(np.maximum(counts / counts.sum(), 1e-12))[held.labels]
    return (held.labels == counts.argmax()).astype(np.uint8), entropy
