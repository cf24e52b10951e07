"""Two learning rules at equal accuracy: do their layers hold the same? Beside two seeds of one rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.capture import recorded
from analysis.learning_rules import accuracy_in_percent
from analysis.linear_probe import N_COMPONENTS, N_NULLS, fit_probe, make_folds, reduced
from analysis.matched_weights import Comparison, Weights, weights_to_compare
from analysis.pooling import pooled
from analysis.result import Estimate, Provenance
from analysis.rule_result import Likeness, PointReading, RuleRepresentations, System
from analysis.similarity import CkaSums, debiased_hsic, gram, jackknife
from analysis.stats import bootstrap_difference, bootstrap_mean, mean_over_draws
from models.checkpoint import load_checkpoint
from models.errors import SpikelensError

if TYPE_CHECKING:
    from analysis.recordings import Recordings
    from models.checkpoint import Checkpoint
    from models.data.base import AudioDataset

_MAX_CLIPS = 1000  # whose pairs are compared
_MAX_PARTS = 50  # into which speakers are gathered for the jackknife
_N_ORDERS = 20  # permutations of clips, and as many within words
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class _Found:
    """What one system gave, by point: the codes of the compared clips and the clips read right."""

    system: System
    grams: dict[str, np.ndarray] = field(default_factory=dict)
    correct: dict[str, np.ndarray] = field(default_factory=dict)
    nulls: dict[str, np.ndarray] = field(default_factory=dict)


def compare_representations(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    *,
    against: str,
    control: str | None = None,
    split: str = "validation",
    n_nulls: int = N_NULLS,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> RuleRepresentations:
    """Set a training by feedback alignment beside BPTT where that was as accurate on validation.

    The BPTT weights are the earliest kept epoch whose validation accuracy reaches the training's own. Both
    are read at every spiking point by a linear probe on 256 principal components, and their codes (10
    windows) compared by debiased linear CKA. Beside them stand another seed of BPTT and the untrained twin:
    two nets of one rule are not alike either, and two that began alike stay so without any rule.

    Parameters
    ----------
    checkpoint : Checkpoint
        Trained by a DFA rule.
    dataset : AudioDataset
    against : str
        A checkpoint of the same words and points trained by BPTT, best with ``--snapshots``.
    control : str, optional
        Another training by BPTT, see `analysis.matched_weights.another_seed`: how alike two trainings of one
        rule are.
    split : {"validation", "test"}
        Where everything is measured; the epoch is chosen on validation all the same.
    n_nulls : int
        Permutations of the labels.

    Raises
    ------
    SpikelensError
        One of the two followed another rule, they know other words or share no spiking point, or a split
        cannot be probed.
    """
    report = progress or (lambda fraction, message: None)
    other = load_checkpoint(against)
    second = None if control is None else load_checkpoint(control)
    _check(checkpoint, against=other, control=second)
    dataset = dataset.restrict(checkpoint.labels)
    points = [p.name for p in checkpoint.model.points() if p.spiking]
    for each in (other, second or other):
        shared = {p.name for p in each.model.points() if p.spiking}
        points = [name for name in points if name in shared]
    if not points:
        raise SpikelensError(f"against: {against} has no spiking point in common with {checkpoint.name}")
    plan = weights_to_compare(checkpoint, other, second, dataset)
    rows = _compared_clips(len(dataset.split(split)), seed)
    found: list[_Found] = []
    for i, weights in enumerate(plan.weights):
        report(i / len(plan.weights), f"recording and reading {weights.label}")
        found.append(_measure(weights, dataset, split, points, rows, n_nulls if i < 2 else 0, seed))
    held = dataset.split(split)
    groups = np.arange(len(held)) if held.speakers is None else _numbered(held.speakers)
    likenesses = [
        _likeness(found[a], found[b], point, held.labels[rows], groups[rows], seed)
        for point in points
        for a, b in plan.pairs
    ]
    report(1.0, "compared")
    return RuleRepresentations(
        Provenance(
            subject=checkpoint.name,
            dataset=dataset.name,
            split=split,
            data_digest=dataset.digest,
            checkpoint_digest=checkpoint.digest,
            seed=checkpoint.recipe.seed,
            synthetic=dataset.synthetic,
            speakers_known=held.speakers is not None,
            interval_unit="clip" if held.speakers is None else "speaker",
            config={"against": against, "control": control, "n_compared": len(rows), "seed": seed},
            command=command,
        ),
        [each.system for each in found],
        [_reading(each, found[0], point, groups, seed) for point in points for each in found],
        likenesses,
        plan.reached,
        _sentence(checkpoint, other, plan, found),
        plan.caveats,
        axes={
            "accuracy": f"accuracy of a linear probe on {split} | %",
            "cka": "debiased linear CKA | 1",
            "rate": "spikes per unit and frame | 1",
        },
    )


def _check(checkpoint: Checkpoint, **others: Checkpoint | None) -> None:
    if checkpoint.recipe.learning.rule == "bptt":
        raise SpikelensError(f"name: {checkpoint.name} was trained by bptt; allowed: a DFA rule")
    for argument, other in others.items():
        if other is None:
            continue
        if (rule := other.recipe.learning.rule) != "bptt":
            raise SpikelensError(f"{argument}: {other.name} was trained by {rule}; allowed: bptt")
        if checkpoint.labels != other.labels:
            raise SpikelensError(f"{argument}: {other.name} knows other words than {checkpoint.name}")


def _compared_clips(n: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(n)[:_MAX_CLIPS])


def _numbered(speakers: Sequence[str]) -> np.ndarray:
    return np.unique(np.asarray(speakers), return_inverse=True)[1]


def _measure(
    weights: Weights,
    dataset: AudioDataset,
    split: str,
    points: Sequence[str],
    rows: np.ndarray,
    n_nulls: int,
    seed: int,
) -> _Found:
    """Score one system, read its points and keep the codes of the compared clips."""
    found = _Found(_scored(weights, dataset, split))
    splits = ("train", "validation") if split == "validation" else ("train", "validation", split)
    with recorded(weights.checkpoint, dataset, splits=splits, points=points) as recordings:
        for point in points:
            found.grams[point] = gram(pooled(recordings.split(split), point, rows=rows))
            found.correct[point], found.nulls[point] = _read(recordings, point, split, n_nulls, seed)
    return found


def _scored(weights: Weights, dataset: AudioDataset, split: str) -> System:
    from models.evaluate import evaluate
    from models.features.cache import split_features

    model, clips = weights.checkpoint.model, dataset.split(split)
    scores = evaluate(model, clips, split_features(clips, weights.checkpoint.recipe.features, dataset.digest))
    return System(
        weights.label,
        weights.checkpoint.name,
        weights.epoch,
        accuracy_in_percent(scores.interval()),
        scores.rates,
        {name: float(value) for name, value in model.encoder.describe().items()},
        scores.snr_db,
    )


def _read(
    recordings: Recordings, point: str, split: str, n_nulls: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return which held-out clips a probe reads right, and its accuracies on permuted labels."""
    folds = make_folds(recordings, split, seed)
    code = reduced(folds.code(recordings, point), seed=seed)

    def read(draw: int, shuffled_at: float | None = None) -> Any:
        return fit_probe(
            recordings,
            point,
            split=split,
            n_components=N_COMPONENTS,
            seed=draw,
            shuffled_at=shuffled_at,
            code=code,
        )

    probe = read(seed)
    nulls = [read(seed + draw, probe.c).correct.mean() for draw in range(n_nulls)]
    return probe.correct, np.array(nulls)


def _reading(found: _Found, first: _Found, point: str, groups: np.ndarray, seed: int) -> PointReading:
    correct, nulls = 100.0 * found.correct[point], 100 * found.nulls[point]
    less = None
    if found is not first:
        less = bootstrap_difference(100.0 * first.correct[point], correct, groups, seed=seed)
    return PointReading(
        found.system.label,
        point,
        bootstrap_mean(correct, groups, seed=seed),
        mean_over_draws(nulls) if len(nulls) else None,
        less,
    )


def _likeness(
    first: _Found, second: _Found, point: str, labels: np.ndarray, groups: np.ndarray, seed: int
) -> Likeness:
    """Compare two systems on the same clips ``(n,)``, whose words and speakers are given."""
    k, other = first.grams[point], second.grams[point]
    rng = np.random.default_rng(seed)
    speakers = np.unique(groups, return_inverse=True)[1]
    parts = rng.permutation(speakers.max() + 1)[speakers] % _MAX_PARTS
    sums = CkaSums(1, int(parts.max()) + 1)
    sums.add(k, [other], parts)
    labelled = first.system.label, second.system.label, point
    if not sums.defined(0):
        return Likeness(*labelled, Estimate(np.nan, n=len(k)), np.nan, np.nan)
    value, *without = sums.values(0)
    scale = np.sqrt(debiased_hsic(k, k) * debiased_hsic(other, other))

    def permuted(order: np.ndarray) -> float:
        return debiased_hsic(k, other[np.ix_(order, order)]) / scale

    home, within = np.argsort(labels, kind="stable"), np.empty(len(k), int)
    free, inside = [], []
    for _ in range(_N_ORDERS):
        free.append(permuted(rng.permutation(len(k))))
        within[home] = np.lexsort((rng.random(len(k)), labels))
        inside.append(permuted(within))
    cka = jackknife(float(value), np.array(without), len(k))
    return Likeness(*labelled, cka, float(max(free)), float(np.mean(inside)))


def _sentence(checkpoint: Checkpoint, other: Checkpoint, plan: Comparison, found: Sequence[_Found]) -> str:
    rule, matched = (each.system for each in found[:2])
    own = accuracy_in_percent(checkpoint.metrics["validation"])
    words = f"{checkpoint.name} ({rule.label}) reached {own} % on validation."
    if matched.epoch is None:
        return f"{words} Beside it {other.name} with its final weights, {matched.accuracy} % on this split."
    score = next(100 * r["validation_accuracy"] for r in other.history if int(r["epoch"]) == matched.epoch)
    chosen = f"epoch {matched.epoch} of {other.name}, {score:.3g} % there, {score - own.value:+.1f} points"
    if plan.reached:
        return f"{words} Beside it the earliest kept epoch of BPTT that reaches this: {chosen}."
    return f"{words} No kept epoch of BPTT reaches this; beside it the best of them: {chosen}."
