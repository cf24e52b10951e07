"""What a comparison of two learning rules finds: systems, what is read of them, and how alike they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.result import Estimate, Result


@dataclass(frozen=True)
class System:
    """One set of weights.

    Attributes
    ----------
    label : str
        The rule with epoch or seed; "untrained" is the twin.
    checkpoint : str
    epoch : int or None
        None: the weights the training chose.
    accuracy : Estimate
        Of the network on the measured split, percent.
    rates : dict of str to float
        Point -> spikes per unit and frame.
    steps : dict of str to float
        Parameters of the encoder.
    snr_db : float or None
        Of the encoder's own decoder.
    """

    label: str
    checkpoint: str
    epoch: int | None
    accuracy: Estimate
    rates: dict[str, float]
    steps: dict[str, float]
    snr_db: float | None


@dataclass(frozen=True)
class PointReading:
    """A linear probe for the word on one point of one system, percent.

    Attributes
    ----------
    system, point : str
    accuracy : Estimate
    null : Estimate or None
        Training labels permuted, interval over permutations; None for the controls.
    rule_minus : Estimate or None
        Accuracy of the first system less this one's, paired by clip; None for the first.
    """

    system: str
    point: str
    accuracy: Estimate
    null: Estimate | None
    rule_minus: Estimate | None


@dataclass(frozen=True)
class Likeness:
    """Debiased linear CKA of two systems at one point.

    Attributes
    ----------
    first, second, point : str
    cka : Estimate
        Jackknife over speakers.
    permuted : float
        The most of 20 permutations of the clips: nothing in common.
    within_words : float
        Mean over permutations within words: what two codes share that know the words and nothing else.
    """

    first: str
    second: str
    point: str
    cka: Estimate
    permuted: float
    within_words: float


@dataclass(frozen=True)
class RuleRepresentations(Result):
    """What two rules made of the same network at about the same accuracy.

    Attributes
    ----------
    systems : list of System
        The training asked about, then BPTT at its accuracy, then controls.
    readings : list of PointReading
    likenesses : list of Likeness
    reached : bool
        Whether the BPTT training kept an epoch that reaches the accuracy.
    sentence : str
        Which epoch was taken, with both accuracies.
    caveats : list of str
    axes : dict of str to str
    """

    systems: list[System]
    readings: list[PointReading]
    likenesses: list[Likeness]
    reached: bool
    sentence: str
    caveats: list[str]
    axes: dict[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a number."""
        lines: list[dict[str, Any]] = []
        for system in self.systems:
            head: dict[str, Any] = {"system": system.label, "checkpoint": system.checkpoint}
            lines.append(head | _line("network accuracy (%)", system.accuracy))
            lines += [
                head | {"point": point, "measure": "rate (spikes/unit/frame)", "value": rate}
                for point, rate in system.rates.items()
            ]
            steps = {f"encoder {name}": value for name, value in system.steps.items()}
            lines += [head | {"measure": name, "value": value} for name, value in steps.items()]
            if system.snr_db is not None:
                lines.append(head | {"measure": "own-decoder SNR (dB)", "value": system.snr_db})
        for row in self.readings:
            head = {"system": row.system, "point": row.point}
            lines.append(head | _line("probe accuracy (%)", row.accuracy))
            if row.null is not None:
                lines.append(head | _line("probe accuracy, permuted labels (%)", row.null))
            if row.rule_minus is not None:
                other = {"against": self.systems[0].label}
                lines.append(head | other | _line("probe, the latter less this (points)", row.rule_minus))
        for pair in self.likenesses:
            head = {"system": pair.first, "against": pair.second, "point": pair.point}
            lines.append(head | _line("CKA", pair.cka))
            lines.append(head | {"measure": "CKA, clips permuted (most)", "value": pair.permuted})
            lines.append(head | {"measure": "CKA, permuted within words", "value": pair.within_words})
        columns = ["system", "checkpoint", "against", "point", "measure", "value", "low", "high", "n"]
        return pd.DataFrame(lines, columns=columns)


def _line(measure: str, found: Estimate) -> dict[str, Any]:
    return {"measure": measure, "value": found.value, "low": found.low, "high": found.high, "n": found.n}
