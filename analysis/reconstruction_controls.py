"""Reconstruction from an encoder beside its control encoders: is a loss of sound more than a lower rate?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from analysis.controls import FAITHFUL, MATCHED, SUBJECT, control_encoders
from analysis.decoders import Progress, ridge_weights, within
from analysis.nonlinear import nonlinear_decoder
from analysis.reconstruction import ENCODER, reader
from analysis.reconstruction_result import NONLINEAR, OWN, RIDGE, RUNNING_SUM, ReconstructionRow
from analysis.reconstruction_scores import Estimator, Score, decibels_per_unit, judged, score, snr_difference
from analysis.recordings import Recordings
from analysis.reference import events_per_frame
from analysis.result import Array, Estimate, Result
from analysis.templates import train_templates
from models.errors import SpikelensError

MAX_CLIPS = 1000  # to fit, and to choose, the ridge decoders of controls at another rate
RATE_TOLERANCE = 0.02
_METRICS = (
    ("snr_db", "dB"),
    ("difference_db", "dB"),
    ("log_spectral_distance_db", "dB"),
    ("r2_within_word", "1"),
)


@dataclass(frozen=True)
class ControlRow:
    """One encoder read by one decoder.

    Attributes
    ----------
    encoder : str
        ``learned`` is the subject; the others are those of `analysis.controls.control_encoders`.
    decoder : {"own", "ridge", "ridge on running sums", "non-linear"}
    events_per_frame : float
        Over all channels, on the training clips, where rates are matched.
    rate_matched : bool
        As many events as the subject, to 2 %.
    snr_db, r2_within_word : Estimate
    log_spectral_distance_db : Estimate or None
        None where the scale of the features is unknown.
    difference_db : Estimate or None
        SNR less that of SF2-rec@r by the same decoder, paired by clip; None for SF2-rec@r itself and where
        there is none.
    """

    encoder: str
    decoder: str
    events_per_frame: float
    rate_matched: bool
    snr_db: Estimate
    r2_within_word: Estimate
    log_spectral_distance_db: Estimate | None = None
    difference_db: Estimate | None = None


@dataclass(frozen=True)
class ReconstructionControls(Result):
    """Every encoder by every decoder, the subject first.

    Attributes
    ----------
    rows : list of ControlRow
    not_applicable : mapping of str to str
    reference : str
        Whose SNR the differences are taken from; empty where no encoder is at the same rate.
    fitted_on : str
        The clips behind the decoders.
    clip_error : np.ndarray [shape=(n_rows, n_clips)]
        Summed squared error.
    axes : mapping of str to str
    """

    rows: list[ControlRow]
    not_applicable: Mapping[str, str]
    reference: str
    fitted_on: str
    clip_error: Array
    axes: Mapping[str, str]

    def find(self, encoder: str, decoder: str) -> ControlRow | None:
        """Return a row, None where it does not apply."""
        found = [row for row in self.rows if (row.encoder, row.decoder) == (encoder, decoder)]
        return found[0] if found else None

    def to_table(self) -> pd.DataFrame:
        """Return one row an encoder, decoder and metric; what does not apply has no number."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            head = {
                "encoder": row.encoder,
                "decoder": row.decoder,
                "events_per_frame": row.events_per_frame,
                "rate_matched": row.rate_matched,
            }
            for metric, unit in _METRICS:
                found: Estimate | None = getattr(row, metric)
                if found is not None:
                    values = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
                    lines.append(head | {"metric": metric, "unit": unit} | values)
        for what, why in self.not_applicable.items():
            lines.append({"encoder": what, "metric": f"not applicable: {why}"})
        return pd.DataFrame(lines)


class _PointLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def spiking(self) -> bool: ...


def why_not(points: Iterable[_PointLike]) -> str | None:
    """Return why an encoder with these recording points has no control encoders; None where it has."""
    found = {point.name: point for point in points}
    if ENCODER not in found:
        return "no encoder was recorded"
    if "features" not in found:
        return "no features were recorded, so there is no sound to compare with"
    if not found[ENCODER].spiking:
        return "the encoder does not spike, so there is no event rate at which to compare it"
    return None


def reconstruct_controls(
    recordings: Recordings,
    *,
    split: str = "validation",
    lags: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> ReconstructionControls:
    """Compare what decoders recover from an encoder and from its controls, on the same clips.

    Encoders: the subject; SF2-rec@r, the most faithful of its kind at the same event rate, to which every
    difference is taken; SF2-rec, SF2-init and five draws of random steps, which spend other rates. Each is
    read by its own decoder and by both ridge decoders, the subject and SF2-rec@r also by the non-linear one.
    The ridge decoders of encoders at another rate are fitted to at most 1,000 training clips, the penalty
    chosen on as many others.

    Parameters
    ----------
    recordings : Recordings
        With ``features``, a spiking ``encoder`` and a ``train`` split.
    split : {"validation", "test"}
    lags : int >= 0
        Frames to either side that ridge and network see.

    Raises
    ------
    SpikelensError
        The encoder has no controls (`why_not`), or the split is the one the decoders are fitted on.
    """
    if split == "train":
        raise SpikelensError("split: 'train' is what the decoders are fitted on; allowed: validation, test")
    if (reason := why_not(recordings.points.values())) is not None:
        raise SpikelensError(f"{recordings.name}: not applicable, {reason}")
    held, templates = recordings.split(split), train_templates(recordings)
    controls = control_encoders(recordings, seed=seed, progress=within(progress, 0.0, 0.2))
    encoders = {SUBJECT: recordings} | controls
    reference = MATCHED if MATCHED in controls else ""
    equal = (SUBJECT, reference or FAITHFUL)
    not_applicable = {}
    if not reference:
        not_applicable[MATCHED] = "no steps reach the event rate of the encoder"
    if "decoded" not in recordings.points:
        not_applicable[f"{SUBJECT}, {OWN}"] = "the encoder has no decoder of its own"
    band_db = decibels_per_unit(recordings, templates)
    word = score(held, templates, lambda rows: templates.word[held.labels[rows]]).clip_error
    scores: dict[tuple[str, str], Score] = {}
    judgements: dict[tuple[str, str], ReconstructionRow] = {}
    fitted_on = ""
    for i, (name, encoder) in enumerate(encoders.items()):
        report = within(progress, 0.2 + 0.8 * i / len(encoders), 0.8 / len(encoders))
        estimators, words = _estimators(encoder, split, lags, seed, name in equal, report)
        fitted_on = fitted_on or words
        for decoder, estimate in estimators.items():
            scores[name, decoder] = found = score(held, templates, estimate, band_db)
            judgements[name, decoder] = judged((ENCODER, decoder), found, word, held.groups, seed)
    rates = {name: events_per_frame(encoder, "train") for name, encoder in encoders.items()}
    return ReconstructionControls(
        provenance=recordings.provenance(split, command, lags=lags, seed=seed),
        rows=[
            ControlRow(
                name,
                decoder,
                rates[name],
                name == MATCHED or abs(rates[name] / rates[SUBJECT] - 1) <= RATE_TOLERANCE,
                judgement.snr_db,
                judgement.r2_within_word,
                judgement.log_spectral_distance_db,
                _difference(scores, name, decoder, reference, held.groups, seed),
            )
            for (name, decoder), judgement in judgements.items()
        ],
        not_applicable=not_applicable,
        reference=reference,
        fitted_on=fitted_on,
        clip_error=np.stack([found.clip_error for found in scores.values()]),
        axes={"clip_error": "encoder and decoder, clip | sum of squared error, 1"},
    )


def _estimators(
    encoder: Recordings, split: str, lags: int, seed: int, equal: bool, progress: Progress
) -> tuple[dict[str, Estimator], str]:
    """Return the decoders of one encoder by name, and the clips they are fitted on in words."""
    held, templates = encoder.split(split), train_templates(encoder)
    found: dict[str, Estimator] = {}
    if "decoded" in encoder.points:
        found[OWN] = lambda rows: templates.normalise(held.load("decoded", rows))
    share = 0.25 if equal else 0.5
    for k, kind in enumerate((RIDGE, RUNNING_SUM)):
        weights = ridge_weights(
            encoder,
            ENCODER,
            split=split,
            lags=lags,
            running_sum=kind == RUNNING_SUM,
            seed=seed,
            max_clips=None if equal else MAX_CLIPS,
            progress=within(progress, k * share, share),
        )
        found[kind] = reader(held, ENCODER, weights.read)
    if not equal:
        return found, ""
    network = nonlinear_decoder(
        encoder, ENCODER, split=split, lags=lags, seed=seed, progress=within(progress, 0.5, 0.5)
    )
    found[NONLINEAR] = reader(held, ENCODER, network.read)
    words = (
        f"ridge: the training split, of controls at another rate at most {MAX_CLIPS} clips, penalty chosen "
        f"on {weights.chosen_on}; non-linear: {network.fitted_on}"
    )
    return found, words


def _difference(
    scores: Mapping[tuple[str, str], Score],
    encoder: str,
    decoder: str,
    reference: str,
    groups: np.ndarray,
    seed: int,
) -> Estimate | None:
    if encoder == reference or (reference, decoder) not in scores:
        return None
    ours, theirs = scores[encoder, decoder], scores[reference, decoder]
    return snr_difference(ours.clip_error, theirs.clip_error, groups, seed)
