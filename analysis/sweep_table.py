"""The table of a sweep: what every run scores and costs, and mean and spread over its seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.arm_table import encoder_digest
from analysis.capture import recorded
from analysis.linear_probe import LinearProbe, fit_probe
from analysis.result import Estimate, Provenance, Result
from analysis.stats import bootstrap_mean
from analysis.store import cached
from models.checkpoint import Checkpoint, read_checkpoint
from models.data import open_dataset
from models.data.base import AudioDataset
from models.errors import SpikelensError
from models.operations import operations
from models.sweep import Run
from models.sweep_run import find_done, restricted

Progress = Callable[[float, str], None]
_SAME = ("row", "label", "group", "note")  # of all runs of a row
_NUMBERS = (  # of a run, in the order of the table
    "epochs",
    "parameters",
    "validation",
    "test",
    "encoder_rate",
    "synops",
    "encoder_operations",
    "energy_nj",
    "snr_db",
    "probe",
)


@dataclass(frozen=True)
class SweepRun:
    """One trained run.

    Attributes
    ----------
    row, label, group, note, checkpoint : str
    seed, epochs, parameters : int
    validation, test : Estimate
        Accuracy in [0, 1], intervals over speakers; test None where it was not scored.
    encoder_rate : float or None
        Spikes per channel and frame, on validation as all that follows; None without an encoder.
    rates : dict of str to float
        The same by stream and layer: ``coarse_on``, ``layer1``.
    synops, encoder_operations : float
        Per clip, see `models.operations`.
    energy_nj : float
        Per clip, the proxy of `models.operations`.
    snr_db : float or None
        Of the encoder's own decoder on normalised log-mel.
    probe : Estimate
        Accuracy of a linear probe of the encoder's output, pooled in windows.
    """

    row: str
    label: str
    group: str
    note: str
    checkpoint: str
    seed: int
    epochs: int
    parameters: int
    validation: Estimate
    test: Estimate | None
    encoder_rate: float | None
    rates: dict[str, float]
    synops: float
    encoder_operations: float
    energy_nj: float
    snr_db: float | None
    probe: Estimate | None


@dataclass(frozen=True)
class SweepTable(Result):
    """Every run of a sweep that is done.

    Attributes
    ----------
    runs : list of SweepRun
    missing : list of str
        Checkpoints that are still to be trained.
    """

    runs: list[SweepRun]
    missing: list[str] = field(default_factory=list)

    def to_table(self) -> pd.DataFrame:
        """Return one row a run."""
        return pd.DataFrame([_line(run, self._rate_names()) for run in self.runs])

    def summary(self) -> pd.DataFrame:
        """Return one row a row of the sweep: number of seeds, mean and standard deviation over them."""
        lines: list[dict[str, Any]] = []
        for name in dict.fromkeys(run.row for run in self.runs):
            runs = [run for run in self.runs if run.row == name]
            line: dict[str, Any] = {key: getattr(runs[0], key) for key in _SAME}
            line["seeds"] = len(runs)
            for key in _NUMBERS:
                values = [_value(getattr(run, key)) for run in runs]
                known = np.array([value for value in values if value is not None], float)
                if key in ("epochs", "parameters"):
                    line[key] = int(known[0])
                    continue
                whole = len(known) == len(runs)  # a mean over some of the seeds would pass for one over all
                line[key] = float(known.mean()) if whole else None
                if key in ("validation", "test", "probe"):
                    line[f"{key}_sd"] = float(known.std(ddof=1)) if whole and len(known) > 1 else None
            line |= {
                f"rate_{rate}": float(np.mean([run.rates[rate] for run in runs]))
                for rate in self._rate_names()
                if all(rate in run.rates for run in runs)
            }
            lines.append(line)
        return pd.DataFrame(lines)

    def printed(self) -> pd.DataFrame:
        """Return the summary as a paper prints it: few columns, mean ± standard deviation over seeds."""
        lines = []
        for line in self.summary().to_dict(orient="records"):
            shown = {"encoder": line["label"], "seeds": line["seeds"], "epochs": line["epochs"]}
            shown |= {"parameters": line["parameters"]}
            for key, head in (("validation", "validation %"), ("test", "test %")):
                shown[head] = _percent(line[key], line[f"{key}_sd"])
            shown |= {"rate": line["encoder_rate"], "SynOps": line["synops"], "energy nJ": line["energy_nj"]}
            shown |= {"SNR dB": line["snr_db"], "probe %": _percent(line["probe"], line["probe_sd"])}
            lines.append(shown | {"note": line["note"]})
        return pd.DataFrame(lines)

    def _rate_names(self) -> list[str]:
        return list(dict.fromkeys(name for run in self.runs for name in run.rates))


def _value(number: Estimate | float | None) -> float | None:
    return number.value if isinstance(number, Estimate) else number


def _percent(mean: float | None, sd: float | None) -> str:
    if mean is None or np.isnan(mean):
        return "–"
    return f"{100 * mean:.2f}" + ("" if sd is None or np.isnan(sd) else f" ± {100 * sd:.2f}")


def _line(run: SweepRun, rates: Sequence[str]) -> dict[str, Any]:
    line: dict[str, Any] = {key: getattr(run, key) for key in (*_SAME, "seed", "checkpoint")}
    for key in _NUMBERS:
        number = getattr(run, key)
        line[key] = _value(number)
        if key in ("validation", "test", "probe"):
            line[f"{key}_low"] = None if number is None else number.low
            line[f"{key}_high"] = None if number is None else number.high
    return line | {f"rate_{name}": run.rates.get(name) for name in rates}


def sweep_table(
    runs: Sequence[Run],
    out: Path,
    data: str,
    *,
    name: str,
    progress: Progress | None = None,
    command: str = "",
) -> SweepTable:
    """Gather what the finished runs of a sweep score and cost.

    Scores, rates and SynOps are those of each checkpoint's ``metrics.json``; the linear probe of the encoder
    is fitted here, once for all checkpoints that share an encoder, and kept in the cache.

    Parameters
    ----------
    runs : sequence of Run
    out : Path
        Folder of the checkpoints.
    data : str
        Name or folder of the data set they were trained on.
    name : str
        Of the sweep.
    progress : callable, optional

    Raises
    ------
    SpikelensError
        A checkpoint of a planned name is another training's, or nothing is done yet.
    """
    dataset = open_dataset(data)
    found: dict[str, Path] = {}
    for run in runs:
        folder = find_done(run, out, restricted(dataset, run.recipe).digest)
        if folder is not None:
            found[run.checkpoint] = folder
    if not found:
        raise SpikelensError(f"sweep: no run of {name} is done yet in {out.name}, so there is no table")
    rows: list[SweepRun] = []
    for run in runs:
        if run.checkpoint not in found:
            continue
        if progress is not None:
            progress(len(rows) / len(found), f"encoder of {run.checkpoint}")
        checkpoint = read_checkpoint(found[run.checkpoint])
        probed = encoder_probe(checkpoint, restricted(dataset, run.recipe))
        rows.append(_row(run, checkpoint, probed))
    where = Provenance(
        subject=name,
        dataset=dataset.name,
        split="validation",
        data_digest=dataset.digest,
        synthetic=dataset.synthetic,
        speakers_known=dataset.speakers_known,
        interval_unit="speaker" if dataset.speakers_known else "clip",
        command=command,
    )
    return SweepTable(where, rows, [run.checkpoint for run in runs if run.checkpoint not in found])


def encoder_probe(checkpoint: Checkpoint, dataset: AudioDataset) -> Estimate:
    """Return the validation accuracy of a linear probe of the encoder's output, pooled in windows.

    The same number as that of ``spikelens probe``, but nothing is left on disk except the number itself, kept
    under the encoder's digest: a frozen encoder is probed once for all its seeds.
    """
    key = {"analysis": "encoder probe", "encoder": encoder_digest(checkpoint), "data": dataset.digest}

    def compute() -> LinearProbe:
        with recorded(checkpoint, dataset, splits=("train", "validation"), points=("encoder",)) as short:
            return fit_probe(short, "encoder", split="validation")

    correct = cached(LinearProbe, key, compute).correct
    held = dataset.split("validation")
    groups = (
        np.arange(len(held)) if held.speakers is None else np.unique(held.speakers, return_inverse=True)[1]
    )
    return bootstrap_mean(correct, groups)


def _row(run: Run, checkpoint: Checkpoint, probe: Estimate) -> SweepRun:
    metrics, model = checkpoint.metrics, checkpoint.model
    features = checkpoint.recipe.features
    n_frames = features.n_frames(features.sample_rate)  # every clip lasts one second
    units = {point.name: point.units for point in model.points()}
    rates: Mapping[str, float] = metrics["rates"]
    spikes = {key: rate * units[key] * n_frames for key, rate in rates.items() if key in units}
    costs = operations(model, n_frames, spikes)
    return SweepRun(
        run.row,
        run.label,
        run.group,
        run.note,
        run.checkpoint,
        run.seed,
        checkpoint.recipe.train.epochs,
        metrics["parameters"],
        _scores(metrics["validation"]),
        _scores(metrics["test"]) if "test" in metrics else None,
        rates.get("encoder"),
        {key.removeprefix("encoder/"): rate for key, rate in rates.items() if key != "encoder"},
        metrics["synops"],
        sum(cost.encoder for cost in costs.values()),
        float(sum(cost.energy_nj for cost in costs.values())),
        metrics["snr_db"],
        probe,
    )


def _scores(scores: Mapping[str, Any]) -> Estimate:
    return Estimate(scores["accuracy"], scores["low"], scores["high"], scores["n"])
