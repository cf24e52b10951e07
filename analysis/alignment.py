"""The verdict: how faithful are the spikes, how aligned with the task, and what would refute the answer."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import claims
from analysis.claims import NOT_APPLICABLE, VerdictRow
from analysis.decoders import Progress
from analysis.linear_probe import fit_probe
from analysis.reconstruction import reconstruct
from analysis.reconstruction_result import (
    FRAME_TEMPLATE,
    NONLINEAR,
    OWN,
    RIDGE,
    RUNNING_SUM,
    WORD_TEMPLATE,
    ReconstructionResult,
    ReconstructionRow,
)
from analysis.reconstruction_scores import to_decibel
from analysis.recordings import Recordings
from analysis.reference import events_per_frame, faithful_reference
from analysis.result import Estimate, Result
from analysis.stats import bootstrap_mean, bootstrap_ratio

BEST = "best"
_DECODERS = (OWN, RIDGE, RUNNING_SUM, NONLINEAR)
_MIN_GROUPS = 5  # speakers that a claim takes: fewer give no interval worth the name


@dataclass(frozen=True)
class VerdictResult(Result):
    """The verdict on one encoder.

    Attributes
    ----------
    sentence : str
    faithful, task_aligned : {"shown", "not shown", "contradicted", "not applicable"}
    refuted_by : str
        What would refute the sentence.
    caveats : list of str
        What the sentence does not cover.
    rows : list of VerdictRow
    decoder : str
        The decoder of `x`: always the best of those tried, named in the note of its row; "" without `x`.
    x, y : Estimate or None
        The axes of the plane: SNR in dB, and probe accuracy less the reference's in points.
    lines : mapping of str to float
        SNR in dB of the reference and of both templates, to draw across the plane.
    axes : mapping of str to str
    """

    sentence: str
    faithful: str
    task_aligned: str
    refuted_by: str
    caveats: list[str]
    rows: list[VerdictRow]
    decoder: str
    x: Estimate | None
    y: Estimate | None
    lines: Mapping[str, float]
    axes: Mapping[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a quantity and side; what is missing is spelt out."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            head = {"quantity": row.quantity, "unit": row.unit}
            for side in ("subject", "reference", "difference"):
                found: Estimate | None = getattr(row, side)
                if found is not None:
                    value = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
                    lines.append(head | {"side": side} | value | {"note": row.note})
            if row.subject is None:
                lines.append(head | {"side": "subject", "note": f"{NOT_APPLICABLE}: {row.note}"})
        return pd.DataFrame(lines)


def verdict(
    recordings: Recordings,
    *,
    split: str = "validation",
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> VerdictResult:
    """Place an encoder between faithful and task-aligned, against SF2-rec at its own event rate.

    *Faithful*: its SNR is within 1 dB of the faithful encoder's. *Task-aligned*: a linear probe reads the
    word better from its spikes than from the faithful encoder's, and its SNR is lower, both with intervals
    that leave out 0, at equal event rate and no more channels. Each is "shown" where the whole interval says
    so, "contradicted" where the whole interval says the opposite, else "not shown"; what cannot be computed
    is "not applicable", and so is all where fewer than 5 speakers would carry the intervals. Each encoder is
    read by the decoder that recovers most from it, of its own, both ridge decoders and a small network; a
    loss must also show where both are read by the one that suits the encoder in question.

    Parameters
    ----------
    recordings : Recordings
        Of a checkpoint or imported; with ``encoder``, a training split and, for a verdict, ``features``.
    split : {"validation", "test"}

    Raises
    ------
    SpikelensError
        A split is missing.
    """
    report = progress or (lambda fraction, message: None)
    if (missing := _missing(recordings, split)) is not None:
        return _inapplicable(recordings, split, seed, command, missing)

    reference = faithful_reference(recordings, progress=lambda f, m: report(0.2 * f, m))
    ours, theirs = _rebuilt(recordings, reference, split, seed, lambda f, m: report(0.2 + 0.5 * f, m))
    groups = recordings.split(split).groups
    snr = {name: _snr_row(ours, theirs, name, name, groups, seed) for name in _DECODERS}
    decoder, other = _best(ours), _best(theirs)
    own, alike = snr[OWN], snr[decoder]
    best = _snr_row(ours, theirs, decoder, other, groups, seed, BEST)
    within_word = _within_word_row(ours, theirs, decoder, other)
    report(0.7, "probing the encoder")
    right = [_correct(each, split, seed) for each in (recordings, reference)]
    accuracy = _accuracy_row(right[0], right[1], groups, seed)
    report(1.0, "verdict")

    unequal = claims.inequalities(recordings, reference)
    spare = 0.0
    if claims.wasteful(reference):
        spare = _spare_db(recordings, theirs, other, split, seed)
    faithful = claims.judge_faithful(best, within_word, spare)
    task_aligned = claims.judge_task_aligned(best, alike, accuracy, bool(unequal))
    conclusion = claims.conclude(faithful, task_aligned, accuracy)
    matched = bool(reference.extra["rate_matched"])
    trained = recordings.source == "checkpoint"
    lines = {"SF2-rec": claims.value_of(best.reference)}
    for name in (FRAME_TEMPLATE, WORD_TEMPLATE):
        lines[name] = _row(ours, "features", name).snr_db.value
    return VerdictResult(
        recordings.provenance(
            split, command, seed=seed, reference=reference.name, steps=reference.extra["steps"]
        ),
        sentence=claims.phrase(conclusion, recordings, own, best, accuracy, matched),
        faithful=faithful,
        task_aligned=task_aligned,
        refuted_by=claims.refutation(faithful, task_aligned, best, accuracy, spare, trained),
        caveats=unequal + claims.caveats(recordings, own, best, alike, accuracy, spare),
        rows=[best, *snr.values(), within_word, accuracy, _rate_row(recordings, reference, split)],
        decoder=BEST,
        x=best.subject,
        y=accuracy.difference,
        lines=lines,
        axes={
            "x": "SNR of the log-mel rebuilt by the best decoder | dB",
            "y": "probe accuracy less that of SF2-rec at the same rate | points",
        },
    )


def _missing(recordings: Recordings, split: str) -> str | None:
    if "encoder" not in recordings.points:
        return "no encoder was recorded"
    if "features" not in recordings.points:
        return "no features were recorded: there is no sound to compare with, nor a faithful encoder of it"
    if not recordings.points["encoder"].spiking:
        return "the encoder does not spike, so there is no event rate at which to compare it"
    chosen = recordings.split(split)
    if (n_groups := len(np.unique(chosen.groups))) < _MIN_GROUPS:
        unit = "clips" if chosen.speakers is None else "speakers"
        return f"an interval takes at least {_MIN_GROUPS} {unit}, the {split} split has {n_groups}"
    return None


def _inapplicable(recordings: Recordings, split: str, seed: int, command: str, reason: str) -> VerdictResult:
    rows = [VerdictRow("SNR", "dB", note=reason)]
    if "encoder" in recordings.points:
        found = bootstrap_mean(
            100 * _correct(recordings, split, seed), recordings.split(split).groups, seed=seed
        )
        rows.append(VerdictRow("probe accuracy at the encoder", "%", found))
    return VerdictResult(
        recordings.provenance(split, command, seed=seed),
        sentence=f"Not applicable: {reason}.",
        faithful=NOT_APPLICABLE,
        task_aligned=NOT_APPLICABLE,
        refuted_by="",
        caveats=[],
        rows=rows,
        decoder="",
        x=None,
        y=None,
        lines={},
        axes={},
    )


def _rebuilt(
    recordings: Recordings, reference: Recordings, split: str, seed: int, progress: Progress
) -> list[ReconstructionResult]:
    """Rebuild the sound from both encoders, one beside the other."""

    with ThreadPoolExecutor(1, thread_name_prefix="spikelens-verdict") as beside:
        theirs = beside.submit(_rebuild, reference, split, seed)  # quietly: a page draws in its own thread
        return [_rebuild(recordings, split, seed, progress), theirs.result()]


def _rebuild(
    recordings: Recordings, split: str, seed: int, progress: Progress | None = None
) -> ReconstructionResult:
    return reconstruct(
        recordings,
        points=["encoder"],
        nonlinear=["encoder"],
        nonlinear_null=False,
        split=split,
        seed=seed,
        progress=progress,
    )


def _spare_db(
    recordings: Recordings, theirs: ReconstructionResult, decoder: str, split: str, seed: int
) -> float:
    """Return what the faithful encoder gains without a rate to meet, each read by its best decoder."""
    optimum = _rebuild(faithful_reference(recordings, matched=False), split, seed)
    best = _row(optimum, "encoder", _best(optimum)).snr_db.value
    return max(0.0, best - _row(theirs, "encoder", decoder).snr_db.value)


def _row(result: ReconstructionResult, point: str, decoder: str) -> ReconstructionRow:
    index = result.find(point, decoder)
    assert index is not None
    return result.rows[index]


def _best(result: ReconstructionResult) -> str:
    """Return the decoder that recovers most from the encoder."""
    rows = [row for row in result.rows if row.point == "encoder" and row.decoder in _DECODERS]
    return max(rows, key=lambda row: row.snr_db.value).decoder


def _snr_row(
    ours: ReconstructionResult,
    theirs: ReconstructionResult,
    decoder: str,
    other: str,
    groups: np.ndarray,
    seed: int,
    name: str | None = None,
) -> VerdictRow:
    """Compare SNRs; the signal being one, the difference is the ratio of the errors."""
    quantity = f"SNR, {name or decoder} decoder"
    reference = _row(theirs, "encoder", other).snr_db
    mine, their = ours.find("encoder", decoder), theirs.find("encoder", other)
    if mine is None:
        return VerdictRow(quantity, "dB", reference=reference, note=ours.not_applicable[decoder])
    ratio = bootstrap_ratio(ours.clip_error[mine], theirs.clip_error[their], groups, seed=seed)
    note = f"{decoder} and {other}" if name else ""
    return VerdictRow(quantity, "dB", ours.rows[mine].snr_db, reference, to_decibel(ratio), note)


def _within_word_row(
    ours: ReconstructionResult, theirs: ReconstructionResult, decoder: str, other: str
) -> VerdictRow:
    return VerdictRow(
        f"R2 within words, {BEST} decoder",
        "1",
        _row(ours, "encoder", decoder).r2_within_word,
        _row(theirs, "encoder", other).r2_within_word,
        note="0 is what the word alone gives",
    )


def _accuracy_row(ours: np.ndarray, theirs: np.ndarray, groups: np.ndarray, seed: int) -> VerdictRow:
    subject, reference, difference = (
        bootstrap_mean(100 * values, groups, seed=seed) for values in (ours, theirs, ours - theirs)
    )
    note = "the difference is in points, paired by clip"
    return VerdictRow("probe accuracy at the encoder", "%", subject, reference, difference, note)


def _correct(recordings: Recordings, split: str, seed: int) -> np.ndarray:
    """Return which clips a linear probe of the encoder gets right, ``(n,)`` of 0.0 and 1.0."""
    return fit_probe(recordings, "encoder", split=split, seed=seed).correct.astype(np.float64)


def _rate_row(ours: Recordings, theirs: Recordings, split: str) -> VerdictRow:
    subject, reference = (events_per_frame(each, split) for each in (ours, theirs))
    return VerdictRow(
        "events per frame",
        "spikes",
        Estimate(subject),
        Estimate(reference),
        Estimate(subject - reference),
        f"over {ours.points['encoder'].units} and {theirs.points['encoder'].units} channels",
    )
