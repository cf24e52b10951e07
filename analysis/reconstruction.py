"""How much of the sound the spikes hold: own, ridge and non-linear decoders, against templates and nulls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from analysis.decoders import Progress, ridge_weights, within
from analysis.fitting import derangement
from analysis.nonlinear import nonlinear_decoder
from analysis.reconstruction_result import (
    FRAME_TEMPLATE,
    NONLINEAR,
    OWN,
    PERMUTED,
    RIDGE,
    RUNNING_SUM,
    SPECTRAL_DISTANCE,
    UNTRAINED,
    WORD_TEMPLATE,
    ReconstructionResult,
)
from analysis.reconstruction_scores import Estimator, decibels_per_unit, judged, score
from analysis.recordings import Recordings, SplitRecordings
from analysis.templates import train_templates
from models.errors import SpikelensError

ENCODER = "encoder"


def reconstruct(
    recordings: Recordings,
    *,
    points: Sequence[str] | None = None,
    split: str = "validation",
    nonlinear: Sequence[str] = (),
    nonlinear_null: bool = True,
    twin: Recordings | None = None,
    lags: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> ReconstructionResult:
    """Measure how well the normalised log-mel can be rebuilt from recorded activity.

    Two ridge decoders read every point: one a window of `lags` frames on either side, one the running sums
    of the spikes, which is what a decoder must read where a spike stands for a step. Penalties are chosen on
    the validation split when the evaluation is on test, else on a speaker-disjoint fifth of train (then
    fitted again on all of it). What no line can read, a small network may (`analysis.nonlinear`). The null is
    the same decoder fitted and read with the spikes of another clip.

    Parameters
    ----------
    recordings : Recordings
        With ``features``, and a ``train`` split.
    points : sequence of str, optional
        Default: the encoder and every hidden layer.
    split : {"validation", "test"}
    nonlinear : sequence of str
        The points that the non-linear decoder reads too.
    nonlinear_null : bool
        Fit its null as well; False halves its cost where only the best decoder is wanted.
    twin : Recordings, optional
        Of the untrained twin, whose hidden layers the ridge decoders read as a control; its encoder is the
        start of the learned one, see `analysis.reconstruction_controls`.
    lags : int >= 0

    Raises
    ------
    SpikelensError
        No features, an unknown point, or the split the decoder is fitted on.
    """
    held = recordings.split(split)
    if split == "train":
        raise SpikelensError("split: 'train' is what the decoders are fitted on; allowed: validation, test")
    points = default_points(recordings) if points is None else points
    templates = train_templates(recordings)
    estimators: dict[tuple[str, str], Estimator] = {}
    not_applicable: dict[str, str] = {}
    if "decoded" in recordings.points:
        estimators[ENCODER, OWN] = lambda rows: templates.normalise(held.load("decoded", rows))
    else:
        not_applicable[OWN] = "the encoder has no decoder of its own"
    band_db = decibels_per_unit(recordings, templates)
    if band_db is None:
        not_applicable[SPECTRAL_DISTANCE] = "the scale of the log-mel is not known"
    kinds = (False, True) if nonlinear_null else (False,)
    fitted = _fit(recordings, points, split, nonlinear, kinds, twin, lags, seed, within(progress, 0.0, 0.9))
    estimators |= fitted.estimators
    estimators["features", FRAME_TEMPLATE] = lambda rows: templates.frame
    estimators["features", WORD_TEMPLATE] = lambda rows: templates.word[held.labels[rows]]

    within(progress, 0.9, 0.1)(0.0, "comparing with the features")
    scores = {key: score(held, templates, estimate, band_db) for key, estimate in estimators.items()}
    word_error = scores["features", WORD_TEMPLATE].clip_error
    found = list(scores.values())
    return ReconstructionResult(
        provenance=recordings.provenance(split, command, points=list(points), lags=lags, seed=seed),
        rows=[
            judged(key, each, word_error, held.groups, seed, fitted.penalties.get(key))
            for key, each in scores.items()
        ],
        not_applicable=not_applicable,
        r2_per_band=np.stack([each.r2_per_band for each in found]),
        pearson_per_band=np.stack([each.pearson_per_band for each in found]),
        error_over_time=np.stack([each.error_over_time for each in found]),
        clip_error=np.stack([each.clip_error for each in found]),
        clip_power=found[0].clip_power,
        dt_ms=recordings.dt_ms,
        penalty_chosen_on=fitted.penalty_chosen_on,
        nonlinear_fit=fitted.nonlinear_fit,
        axes={
            "r2_per_band": "decoder, mel band | explained share of the band's variance",
            "pearson_per_band": "decoder, mel band | correlation over clips and frames",
            "error_over_time": f"decoder, time in frames of {recordings.dt_ms:g} ms | mean squared error, 1",
            "clip_error": "decoder, clip | sum of squared error, 1",
        },
    )


def default_points(recordings: Recordings) -> list[str]:
    """Return the encoder and the hidden layers, without membranes."""
    names = [n for n in recordings.points if n == "encoder" or (n.startswith("layer") and "/" not in n)]
    return names or list(recordings.spiking_points)


@dataclass
class _Fitted:
    """Fitted decoders by point and name, and what their fits were chosen on."""

    estimators: dict[tuple[str, str], Estimator] = field(default_factory=dict)
    penalties: dict[tuple[str, str], float] = field(default_factory=dict)
    penalty_chosen_on: str = ""
    nonlinear_fit: str = ""


def _fit(
    recordings: Recordings,
    points: Sequence[str],
    split: str,
    nonlinear: Sequence[str],
    kinds: Sequence[bool],
    twin: Recordings | None,
    lags: int,
    seed: int,
    progress: Progress,
) -> _Fitted:
    """Fit every decoder, or read it from the cache, each with the null or control that stands beside it."""
    held, found = recordings.split(split), _Fitted()
    order = derangement(len(held), seed)
    plan = _plan(points, nonlinear, twin)
    for i, (point, kind, untrained) in enumerate(plan):
        report = within(progress, i / len(plan), 1 / len(plan))
        if kind == NONLINEAR:
            for null in kinds:
                part = within(report, 0.6 * null, 0.4 if null else 0.6)
                network = nonlinear_decoder(
                    recordings, point, split=split, lags=lags, null=null, seed=seed, progress=part
                )
                name = kind + PERMUTED if null else kind
                found.estimators[point, name] = reader(held, point, network.read, order if null else None)
                found.nonlinear_fit = network.fitted_on if not null else found.nonlinear_fit
            continue
        read = twin if untrained else recordings
        assert read is not None
        weights = ridge_weights(
            recordings,
            point,
            split=split,
            lags=lags,
            running_sum=kind == RUNNING_SUM,
            seed=seed,
            activity=twin if untrained else None,
            progress=report,
        )
        found.penalty_chosen_on = weights.chosen_on
        name = kind + UNTRAINED if untrained else kind
        found.estimators[point, name] = reader(read.split(split), point, weights.read)
        found.penalties[point, name] = weights.penalty
        if not untrained:
            null_read = partial(weights.read, null=True)
            found.estimators[point, kind + PERMUTED] = reader(held, point, null_read, order)
            found.penalties[point, kind + PERMUTED] = weights.null_penalty
    return found


def _plan(
    points: Sequence[str], nonlinear: Sequence[str], twin: Recordings | None
) -> list[tuple[str, str, bool]]:
    """Return point, decoder, and whether it reads the untrained twin, in the order of the result."""
    plan: list[tuple[str, str, bool]] = []
    for point in points:
        plan += [(point, RIDGE, False), (point, RUNNING_SUM, False)]
        if point in nonlinear:
            plan.append((point, NONLINEAR, False))
        if twin is not None and point != ENCODER and point in twin.points:
            plan += [(point, RIDGE, True), (point, RUNNING_SUM, True)]
    return plan


def reader(
    split: SplitRecordings,
    point: str,
    read: Callable[[np.ndarray], np.ndarray],
    order: np.ndarray | None = None,
) -> Estimator:
    """Return what estimates some clips from their own activity, or, for a null, that of ``order[rows]``."""
    return lambda rows: read(split.load(point, rows if order is None else order[rows]))
