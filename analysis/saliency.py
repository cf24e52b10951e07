"""Saliency: which bins of the log-mel speak for a word, and whether the network does without them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.attribution import (
    Attribution,
    attribute,
    blanked,
    logits,
    passes_gradient,
    variance_between,
)
from analysis.model_clips import ModelClips, model_clips, twin_of
from analysis.model_gradients import check_gradients
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_difference, bootstrap_mean, bootstrap_ratio, permutation_p
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.classifier import SpikingClassifier
    from models.data.base import AudioDataset

LEARNED, UNTRAINED, OTHER_WORD = "learned", "untrained", "another word's logit"
NOTHING, MOST, LEAST, RANDOM = "nothing", "most salient", "least salient", "random bins"
FOR_OTHER_WORD, OTHER_CLIP = "most salient for another word", "most salient of another clip"
FARTHEST, TWIN = "farthest from the mean", "most salient, untrained twin"
SUM, ERROR = "completeness: sum of the map over the logit difference", "completeness: error, relative"
BETWEEN, TWIN_CORRELATION = "share of variance between words", "correlation with the untrained twin's maps"
MORE_STEPS = "correlation with the map of twice the steps"
MAX_CLIPS = 1000
_N_MORE_STEPS = 100  # clips
_N_PERMUTATIONS = 100
_BATCH = 64
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SaliencyRow:
    """One number about the maps.

    Attributes
    ----------
    measure : str
    condition : {"learned", "untrained", "another word's logit"}
    value : Estimate
    null : Estimate or None
        Mean and 95 % range under permuted labels.
    p : float or None
        How often the null reaches the value.
    """

    measure: str
    condition: str
    value: Estimate
    null: Estimate | None = None
    p: float | None = None


@dataclass(frozen=True)
class DeletionRow:
    """What the network still recognises when some bins are set to the training mean.

    Attributes
    ----------
    blanked : str
        Which bins.
    accuracy : Estimate
    drop : Estimate
        Points of accuracy lost, paired by clip.
    """

    blanked: str
    accuracy: Estimate
    drop: Estimate


@dataclass(frozen=True)
class SaliencyResult(Result):
    """Maps by word with their checks.

    Attributes
    ----------
    words : list of str
    maps, maps_untrained : np.ndarray [shape=(C, T, F)]
        Mean attribution of the true word's logit over the clips of each word; zero where a word has none.
    n_per_word : list of int
    rows : list of SaliencyRow
    deletions : list of DeletionRow
    share : float
        Of the bins that are blanked.
    n_steps : int
        Points of the integral.
    dt_ms : float
    n_clips : int
    not_applicable : mapping of str to str
    axes : mapping of str to str
    """

    words: list[str]
    maps: Array
    maps_untrained: Array
    n_per_word: list[int]
    rows: list[SaliencyRow]
    deletions: list[DeletionRow]
    share: float
    n_steps: int
    dt_ms: float
    n_clips: int
    not_applicable: Mapping[str, str]
    axes: Mapping[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a number; deletions give accuracy and drop in points."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            line = {"measure": row.measure, "condition": row.condition} | self._spelt(row.value)
            if row.null is not None:
                null = {"null": row.null.value, "null_low": row.null.low, "null_high": row.null.high}
                line |= null | {"p": row.p}
            lines.append(line)
        for deletion in self.deletions:
            for measure, found in (("accuracy", deletion.accuracy), ("drop in points", deletion.drop)):
                head = {"measure": f"{measure}, {self.share:.0%} blanked", "condition": deletion.blanked}
                lines.append(head | self._spelt(found))
        lines += [{"measure": m, "condition": f"not applicable: {w}"} for m, w in self.not_applicable.items()]
        return pd.DataFrame(lines)

    def _spelt(self, found: Estimate) -> dict[str, Any]:
        return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def saliency(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    *,
    split: str = "validation",
    n_clips: int | None = None,
    n_steps: int = 32,
    share: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> SaliencyResult:
    """Explain the true word's logit by integrated gradients, and test the maps by blanking bins.

    Where the maps mean something, blanking a clip's most salient bins costs more accuracy than blanking as
    many bins at random, the least salient ones, those farthest from the mean, or those salient for another
    word, in another clip or to the untrained twin (after Samek 2017 and Adebayo 2018). The bins are chosen
    knowing the word. Through a surrogate the parts need not add up to the logit: the error is reported.

    Parameters
    ----------
    checkpoint : Checkpoint
    dataset : AudioDataset
        With a training split, for the twin.
    n_clips : int, optional
        Clips drawn at random; at most 1,000 by default.
    n_steps : int
        Points of the integral, two or more.
    share : float
        Of each clip's bins that are blanked, above 0 and at most one half.

    Raises
    ------
    SpikelensError
        A setting is out of range, or the self-check fails.
    """
    if n_steps < 2:
        raise SpikelensError(f"n_steps: {n_steps} must be at least 2")
    if not 0 < share <= 0.5:
        raise SpikelensError(f"share: {share} must be above 0 and at most 0.5")
    report = progress or (lambda fraction, message: None)
    if n_clips is None:
        n_clips = min(MAX_CLIPS, len(dataset.restrict(checkpoint.labels).split(split)))
    clips = model_clips(checkpoint, dataset, split, n_clips, seed, command, n_steps=n_steps, share=share)
    model = copy.deepcopy(checkpoint.model).eval().requires_grad_(False)
    x = ((clips.log_mel - model.feature_mean.numpy()) / model.feature_std.numpy()).astype(np.float32)
    words, dt_ms = checkpoint.labels, checkpoint.recipe.features.dt_ms
    if not passes_gradient(model, x):
        why = "no gradient passes the encoder"
        return _result(clips, words, dt_ms, n_steps, share, not_applicable={"saliency": why})
    check_gradients(model, clips.log_mel[:_BATCH])
    explained = _explained(model, twin_of(checkpoint, dataset), x, clips.labels, n_steps, seed, report)
    maps, maps_untrained = (
        _by_word(explained[condition].maps, clips.labels, len(words)) for condition in (LEARNED, UNTRAINED)
    )
    rows = _rows(explained, clips, len(words), seed)
    alike = _correlations(maps.reshape(1, -1), maps_untrained.reshape(1, -1))[0]
    rows.append(SaliencyRow(TWIN_CORRELATION, LEARNED, Estimate(float(alike))))
    deletions = _deletions(model, x, clips, _scores(explained, x, seed), share, seed)
    report(1.0, "blanking")
    found = {"maps": maps, "maps_untrained": maps_untrained, "rows": rows, "deletions": deletions}
    return _result(clips, words, dt_ms, n_steps, share, **found)


def _explained(
    model: SpikingClassifier,
    twin: SpikingClassifier,
    x: np.ndarray,
    labels: np.ndarray,
    n_steps: int,
    seed: int,
    report: Progress,
) -> dict[str, Attribution]:
    """Explain the true word, another word, the twin's true word, and some clips with twice the steps."""

    def within(start: float, end: float, words: str) -> Callable[[float], None]:
        return lambda fraction: report(start + (end - start) * fraction, words)

    n_words = logits(model, x[:1]).shape[1]
    other = (labels + np.random.default_rng(seed).integers(1, n_words, len(labels))) % n_words
    some = slice(0, _N_MORE_STEPS)
    finer = within(0.9, 0.97, "twice the steps")
    return {
        LEARNED: attribute(model, x, labels, n_steps, within(0.0, 0.3, LEARNED)),
        OTHER_WORD: attribute(model, x, other, n_steps, within(0.3, 0.6, OTHER_WORD)),
        UNTRAINED: attribute(twin, x, labels, n_steps, within(0.6, 0.9, UNTRAINED)),
        MORE_STEPS: attribute(model, x[some], labels[some], 2 * n_steps, finer),
    }


def _rows(
    explained: Mapping[str, Attribution], clips: ModelClips, n_words: int, seed: int
) -> list[SaliencyRow]:
    own, finer = explained[LEARNED], explained[MORE_STEPS]
    some = slice(0, len(finer.maps))
    agreement = _correlations(own.maps[some], finer.maps)
    return [
        *_completeness(LEARNED, own, clips.groups, seed),
        *_completeness(UNTRAINED, explained[UNTRAINED], clips.groups, seed),
        *(
            _between(condition, explained[condition].maps, clips.labels, n_words, seed)
            for condition in (LEARNED, UNTRAINED, OTHER_WORD)
        ),
        SaliencyRow(MORE_STEPS, LEARNED, bootstrap_mean(agreement, clips.groups[some], seed=seed)),
    ]


def _scores(explained: Mapping[str, Attribution], x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return by what the bins are ranked that are blanked."""
    own = explained[LEARNED].maps
    return {
        MOST: own,
        FOR_OTHER_WORD: explained[OTHER_WORD].maps,
        TWIN: explained[UNTRAINED].maps,
        OTHER_CLIP: np.roll(own, 1, axis=0),  # clips are in random order
        FARTHEST: np.abs(x),
        RANDOM: np.random.default_rng(seed).random(x.shape),
        LEAST: -own,
    }


def _completeness(
    condition: str, found: Attribution, groups: np.ndarray, seed: int
) -> tuple[SaliencyRow, SaliencyRow]:
    sums = found.maps.sum(axis=(1, 2), dtype=np.float64)
    size = np.abs(found.differences)
    error = np.abs(sums - found.differences)
    return (
        SaliencyRow(SUM, condition, bootstrap_ratio(sums, found.differences, groups, seed=seed)),
        SaliencyRow(ERROR, condition, bootstrap_ratio(error, size, groups, seed=seed)),
    )


def _between(condition: str, maps: np.ndarray, labels: np.ndarray, n_words: int, seed: int) -> SaliencyRow:
    flat = maps.reshape(len(maps), -1)
    flat = flat - flat.mean(axis=0)
    rng = np.random.default_rng(seed)
    value = variance_between(flat, labels, n_words)
    null = np.array(
        [variance_between(flat, rng.permutation(labels), n_words) for _ in range(_N_PERMUTATIONS)]
    )
    low, high = np.percentile(null, [2.5, 97.5])
    beside = Estimate(float(null.mean()), float(low), float(high))
    return SaliencyRow(BETWEEN, condition, Estimate(value, n=len(maps)), beside, permutation_p(value, null))


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each map with its partner, ``(n, ...)`` -> ``(n,)``."""
    a, b = (v.reshape(len(v), -1).astype(np.float64) for v in (a, b))
    a, b = (v - v.mean(axis=1, keepdims=True) for v in (a, b))
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.einsum("nd,nd->n", a, b) / np.where(length > 0, length, 1)


def _by_word(maps: np.ndarray, labels: np.ndarray, n_words: int) -> np.ndarray:
    sizes = np.bincount(labels, minlength=n_words)
    sums = np.eye(n_words)[labels].T @ maps.reshape(len(maps), -1)
    means = sums / np.maximum(sizes, 1)[:, None]
    return np.round(means.reshape(n_words, *maps.shape[1:]), 6)


def _deletions(
    model: SpikingClassifier,
    x: np.ndarray,
    clips: ModelClips,
    scores: Mapping[str, np.ndarray],
    share: float,
    seed: int,
) -> list[DeletionRow]:
    def correct(values: np.ndarray) -> np.ndarray:
        return (logits(model, values).argmax(axis=1) == clips.labels).astype(np.float64)

    whole = correct(x)
    right = {NOTHING: whole} | {name: correct(blanked(x, score, share)) for name, score in scores.items()}
    return [
        DeletionRow(
            name,
            bootstrap_mean(values, clips.groups, seed=seed),
            bootstrap_difference(100 * whole, 100 * values, clips.groups, seed=seed),
        )
        for name, values in right.items()
    ]


def _result(
    clips: ModelClips, words: tuple[str, ...], dt_ms: float, n_steps: int, share: float, **found: Any
) -> SaliencyResult:
    """Put a result together; what was not found is empty."""
    empty = np.zeros((0, *clips.log_mel.shape[1:]))
    default: dict[str, Any] = {"maps": empty, "maps_untrained": empty, "rows": [], "deletions": []}
    return SaliencyResult(
        clips.provenance,
        list(words),
        n_per_word=np.bincount(clips.labels, minlength=len(words)).tolist(),
        share=share,
        n_steps=n_steps,
        dt_ms=dt_ms,
        n_clips=len(clips.labels),
        axes={"maps": "word | time, ms | band | part in the word's logit, 1"},
        **({"not_applicable": {}} | default | found),
    )
