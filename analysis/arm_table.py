"""The verdict over training seeds: what holds of an arm, not of one run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.alignment import VerdictResult
from analysis.arms import all_trainings
from analysis.claims import VerdictRow
from analysis.result import Estimate, Provenance, Result
from models.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from models.errors import SpikelensError

_SEED = re.compile(r"-s\d+")
ACCURACY = "network accuracy"


@dataclass(frozen=True)
class ArmRow:
    """One quantity of one arm: every seed with its own interval, and their spread.

    Attributes
    ----------
    arm, quantity, unit : str
    side : {"subject", "reference", "difference"}
    seeds : mapping of int to Estimate
        By training seed; intervals over speakers.
    mean, sd : float
        Over the seeds; the standard deviation is not-a-number for one seed.
    n_above, n_below : int
        Seeds whose whole interval lies above or below 0.
    """

    arm: str
    quantity: str
    unit: str
    side: str
    seeds: dict[int, Estimate]
    mean: float
    sd: float
    n_above: int
    n_below: int


@dataclass(frozen=True)
class ArmsResult(Result):
    """Arms of a comparison over training seeds.

    Attributes
    ----------
    rows : list of ArmRow
    conclusions : dict of str to dict of str to int
        Arm -> what the verdicts conclude -> number of seeds.
    sources : list of Provenance
        Of every verdict.
    """

    rows: list[ArmRow]
    conclusions: dict[str, dict[str, int]]
    sources: list[Provenance]

    def to_table(self) -> pd.DataFrame:
        """Return one row an arm, quantity, side and seed, and one with mean and spread over the seeds."""
        lines: list[dict[str, Any]] = []
        for row in self.rows:
            head: dict[str, Any] = {"arm": row.arm, "quantity": row.quantity}
            head |= {"unit": row.unit, "side": row.side}
            for seed, found in row.seeds.items():
                lines.append(
                    head | {"seed": str(seed), "value": found.value, "low": found.low, "high": found.high}
                )
            spread = {"seed": "all", "value": row.mean, "sd": row.sd, "n_seeds": len(row.seeds)}
            lines.append(head | spread | {"n_above_0": row.n_above, "n_below_0": row.n_below})
        return pd.DataFrame(lines)

    def summary(self) -> pd.DataFrame:
        """Return one row an arm: mean and standard deviation over seeds of what a paper would print."""
        lines: list[dict[str, Any]] = []
        for arm, counts in self.conclusions.items():
            shown: dict[str, Any] = {"arm": arm, "seeds": sum(counts.values())}
            for row in self.rows:
                if row.arm == arm and (row.side == "difference" or row.quantity == ACCURACY):
                    sign = "+" if row.side == "difference" else ""
                    shown[f"{row.quantity} ({row.unit}), {row.side}"] = (
                        f"{row.mean:{sign}.2f} ± {row.sd:.2f}; >0 {row.n_above}, <0 {row.n_below}"
                        if row.side == "difference"
                        else f"{row.mean:.2f} ± {row.sd:.2f}"
                    )
            shown["verdicts"] = "; ".join(f"{count} x {words}" for words, count in counts.items())
            lines.append(shown)
        return pd.DataFrame(lines)


def seeds_of(arm: str, known: Mapping[str, CheckpointInfo] | None = None) -> list[CheckpointInfo]:
    """Return the trainings of an arm, ``ARM`` and ``ARM-sK``, by seed; SpikelensError where there is none.

    `known` are all trainings by name, where the caller has listed them already.
    """
    known = known or all_trainings()
    found = [info for name, info in known.items() if name == arm or _SEED.fullmatch(name.removeprefix(arm))]
    if not found:
        raise SpikelensError(f"arm: no checkpoint is called {arm!r} or {arm}-sK")
    return sorted(found, key=lambda info: (info.recipe.seed, info.name))


def encoder_key(info: CheckpointInfo) -> str:
    """Return what a verdict depends on: encoder and normalisation. Frozen encoders are one in all seeds."""
    return encoder_digest(load_checkpoint(info.name))


def encoder_digest(checkpoint: Checkpoint) -> str:
    """Return the identity of a checkpoint's encoder with the data it is for, see `encoder_key`."""
    model, config = checkpoint.model, asdict(checkpoint.recipe.encoder)
    digest = hashlib.sha256(f"{json.dumps(config, sort_keys=True)} {checkpoint.data['digest']}".encode())
    for value in (model.feature_mean, model.feature_std, *model.encoder.state_dict().values()):
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def compare_arms(
    arms: Sequence[str],
    verdict_of: Callable[[CheckpointInfo], VerdictResult],
    *,
    split: str,
    command: str = "",
) -> ArmsResult:
    """Gather the verdicts of every seed of some arms.

    Parameters
    ----------
    arms : sequence of str
        Names without the ending ``-sK``.
    verdict_of : callable
        Gives the verdict of one checkpoint on `split`.

    Raises
    ------
    SpikelensError
        An arm without a checkpoint, two seeds alike in one arm, or arms trained on different data.
    """
    rows: list[ArmRow] = []
    conclusions: dict[str, dict[str, int]] = {}
    sources: list[Provenance] = []
    for arm in arms:
        infos = {info.recipe.seed: info for info in seeds_of(arm)}
        if len(infos) < len(seeds_of(arm)):
            raise SpikelensError(f"arm: two checkpoints of {arm!r} share a seed")
        verdicts = {seed: verdict_of(info) for seed, info in infos.items()}
        sources += [verdict.provenance for verdict in verdicts.values()]
        accuracy = {seed: _accuracy(info, split) for seed, info in infos.items()}
        if all(found is not None for found in accuracy.values()):
            rows.append(_row(arm, ACCURACY, "%", "subject", {s: a for s, a in accuracy.items() if a}))
        for quantity, unit in _quantities(verdicts.values()):
            for side in ("subject", "reference", "difference"):
                found = {s: e for s, v in verdicts.items() if (e := _side(v, quantity, side)) is not None}
                if found:
                    rows.append(_row(arm, quantity, unit, side, found))
        counts: dict[str, int] = {}
        for verdict in verdicts.values():
            words = verdict.sentence.partition(":")[0]
            counts[words] = counts.get(words, 0) + 1
        conclusions[arm] = counts
    if len(digests := {source.data_digest for source in sources}) > 1:
        raise SpikelensError(f"arms: trained on {len(digests)} different data sets; compare one at a time")
    first = sources[0]
    where = Provenance(
        subject=", ".join(arms),
        dataset=first.dataset,
        split=split,
        data_digest=first.data_digest,
        synthetic=first.synthetic,
        speakers_known=first.speakers_known,
        interval_unit=first.interval_unit,
        command=command,
    )
    return ArmsResult(where, rows, conclusions, sources)


def _accuracy(info: CheckpointInfo, split: str) -> Estimate | None:
    scores = info.metrics.get(split)
    if scores is None:
        return None
    return Estimate(100 * scores["accuracy"], 100 * scores["low"], 100 * scores["high"], scores["n"])


def _quantities(verdicts: Iterable[VerdictResult]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.quantity, row.unit) for verdict in verdicts for row in verdict.rows))


def _side(verdict: VerdictResult, quantity: str, side: str) -> Estimate | None:
    row: VerdictRow | None = next((row for row in verdict.rows if row.quantity == quantity), None)
    return None if row is None else getattr(row, side)


def _row(arm: str, quantity: str, unit: str, side: str, seeds: dict[int, Estimate]) -> ArmRow:
    values = np.array([found.value for found in seeds.values()])
    known = [found for found in seeds.values() if found.low is not None and found.high is not None]
    return ArmRow(
        arm,
        quantity,
        unit,
        side,
        seeds,
        float(values.mean()),
        float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        sum(found.low > 0 for found in known if found.low is not None),
        sum(found.high < 0 for found in known if found.high is not None),
    )
