"""What reconstruction found: one row a decoder at a point, with the sums behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.result import Array, Estimate, Result

OWN, RIDGE, RUNNING_SUM, NONLINEAR = "own", "ridge", "ridge on running sums", "non-linear"
PERMUTED = ", permuted clips"  # the null of a fitted decoder
UNTRAINED = ", untrained twin"
FRAME_TEMPLATE, WORD_TEMPLATE = "frame template", "word template"
SPECTRAL_DISTANCE = "log-spectral distance"
METRICS = (
    ("snr_db", "dB"),
    ("log_spectral_distance_db", "dB"),
    ("r2", "1"),
    ("r2_within_word", "1"),
)


@dataclass(frozen=True)
class ReconstructionRow:
    """One decoder at one point.

    Attributes
    ----------
    point : str
    decoder : str
        ``own``, ``ridge``, ``ridge on running sums``, ``non-linear``, a null of these (another clip's
        spikes), the same fitted to the untrained twin, or a template.
    snr_db : Estimate
        ``10 log10(sum x^2 / sum (x - xhat)^2)`` on normalised log-mel.
    r2 : Estimate
        Baseline: the training mean of each band.
    r2_within_word : Estimate
        Baseline: the word template, so 0 is what the word alone gives.
    log_spectral_distance_db : Estimate or None
        Mean over frames of the root mean square difference over bands, in dB of mel power (Gray and Markel
        1976). None where the scale of the features is unknown.
    penalty : float or None
        Chosen ridge penalty, in units of the mean diagonal of the Gram matrix.
    """

    point: str
    decoder: str
    snr_db: Estimate
    r2: Estimate
    r2_within_word: Estimate
    log_spectral_distance_db: Estimate | None = None
    penalty: float | None = None


@dataclass(frozen=True)
class ReconstructionResult(Result):
    """Decoders at points, in the order of `rows`.

    Attributes
    ----------
    rows : list of ReconstructionRow
    not_applicable : mapping of str to str
        Decoder (``own``) or measure -> why it has no number.
    r2_per_band, pearson_per_band : np.ndarray [shape=(n_rows, F)]
    error_over_time : np.ndarray [shape=(n_rows, T)]
        Mean squared error per frame, in variances of a band.
    clip_error : np.ndarray [shape=(n_rows, n_clips)]
        Summed squared error, so that two results on the same clips can be compared in pairs.
    clip_power : np.ndarray [shape=(n_clips,)]
        Summed squared signal.
    dt_ms : float
    penalty_chosen_on : str
    nonlinear_fit : str
        The clips that the non-linear decoder is fitted to and stopped on; empty without one.
    axes : mapping of str to str
        Array -> meaning and unit of its axes.
    """

    rows: list[ReconstructionRow]
    not_applicable: Mapping[str, str]
    r2_per_band: Array
    pearson_per_band: Array
    error_over_time: Array
    clip_error: Array
    clip_power: Array
    dt_ms: float
    penalty_chosen_on: str
    nonlinear_fit: str
    axes: Mapping[str, str]

    def find(self, point: str, decoder: str) -> int | None:
        """Return the index of a row, None where it does not apply."""
        found = [i for i, row in enumerate(self.rows) if (row.point, row.decoder) == (point, decoder)]
        return found[0] if found else None

    def to_table(self) -> pd.DataFrame:
        """Return one row a point, decoder and metric; what does not apply stands there without a number."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            for metric, unit in METRICS:
                found: Estimate | None = getattr(row, metric)
                if found is None:
                    continue
                head = {"point": row.point, "decoder": row.decoder, "metric": metric, "unit": unit}
                lines.append(
                    head | {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
                )
        for what, why in self.not_applicable.items():
            lines.append({"point": what, "decoder": "", "metric": f"not applicable: {why}", "unit": ""})
        return pd.DataFrame(lines)
