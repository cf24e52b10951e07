"""Step-size plane: what coarse and fine step do to the sound, to the word and to the event rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.decoders import Progress
from analysis.plane_cells import Cell, choose_penalty, measure_cell, plane_clips, shuffled_probes
from analysis.reconstruction_scores import to_decibel
from analysis.recordings import Recordings
from analysis.result import Array, Estimate, Result
from analysis.stats import bootstrap_difference, bootstrap_mean, bootstrap_ratio, mean_over_draws
from models.encoders.fit import StepValues
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.encoders.base import Encoder

SUBJECT, MSE_OPTIMUM, PROBE_OPTIMUM = "subject", "MSE optimum", "probe optimum"
_COARSE, _FINE = (0.3, 2.4), (0.08, 0.9)  # ends of the grid, in standard deviations of a band
_N_COARSE, _N_FINE = 8, 6
_MARGIN = 1.1  # by which the grid reaches past the training path
_METRICS = (("snr_db", "dB"), ("probe_accuracy", "1"), ("backbone_accuracy", "1"), ("rate", "1"))


@dataclass(frozen=True)
class PlaneMark:
    """A place in the plane, measured with intervals.

    Attributes
    ----------
    name : {"subject", "MSE optimum", "probe optimum"}
        The encoder as it is, and the best cells of the grid.
    dc, df : float
        Coarse and fine step, in standard deviations of a band.
    rate : float
        Events per channel and frame.
    snr_db, probe_accuracy, backbone_accuracy : Estimate
    probe_difference : Estimate or None
        Probe accuracy less that at the MSE optimum, paired by clip; None at the MSE optimum.
    """

    name: str
    dc: float
    df: float
    rate: float
    snr_db: Estimate
    probe_accuracy: Estimate
    backbone_accuracy: Estimate
    probe_difference: Estimate | None = None


@dataclass(frozen=True)
class StepPlaneResult(Result):
    """The grid, not-a-number where the fine step is not below the coarse one.

    Attributes
    ----------
    dc : np.ndarray [shape=(n_coarse,)]
    df : np.ndarray [shape=(n_fine,)]
        Steps in standard deviations of a band.
    tc, tf : float
        Thresholds, in steps: the subject's everywhere.
    snr_db, probe_accuracy, backbone_accuracy, rate : np.ndarray [shape=(n_coarse, n_fine)]
        On the evaluated clips: SNR by the own decoder; linear probe of counts in 10 windows; the subject's
        network, unchanged, on the cell's spikes; events per channel and frame.
    fit_mse : np.ndarray [shape=(n_coarse, n_fine)]
        Mean squared error on the fitting clips, which decides the MSE optimum.
    choice_accuracy : np.ndarray [shape=(n_coarse, n_fine)]
        Probe accuracy on the choosing clips, which decides the probe optimum.
    marks : list of PlaneMark
    path : np.ndarray [shape=(n_epochs + 1, 2)]
        Coarse and fine step at the start of the training and after each epoch; empty for fixed steps.
    chance, shuffled : Estimate
        Accuracy of the commonest word, and of probes at the subject fitted to permuted labels: the
        interval of these is over permutations.
    c : float
        Inverse penalty of the probe, chosen once, at the subject.
    n_fit, n_choose : int
        Training clips that the probes are fitted to, clips that decide the probe optimum and `c`.
    chosen_on : str
    axes : mapping of str to str
    """

    dc: Array
    df: Array
    tc: float
    tf: float
    snr_db: Array
    probe_accuracy: Array
    backbone_accuracy: Array
    rate: Array
    fit_mse: Array
    choice_accuracy: Array
    marks: list[PlaneMark]
    path: Array
    chance: Estimate
    shuffled: Estimate
    c: float
    n_fit: int
    n_choose: int
    chosen_on: str
    axes: Mapping[str, str]

    def mark(self, name: str) -> PlaneMark:
        """Return a marked place by name."""
        return next(mark for mark in self.marks if mark.name == name)

    def to_table(self) -> pd.DataFrame:
        """Return one row a marked place or cell and metric."""
        lines: list[dict[str, Any]] = []
        for mark in self.marks:
            head = {"place": mark.name, "coarse_step": mark.dc, "fine_step": mark.df}
            for metric, unit in (*_METRICS, ("probe_difference", "1")):
                found: Estimate | float | None = getattr(mark, metric)
                if found is None:
                    continue
                known = found if isinstance(found, Estimate) else Estimate(found)
                values = {"value": known.value, "low": known.low, "high": known.high, "n": known.n}
                lines.append(head | {"metric": metric, "unit": unit} | values)
        for name, known in (("chance", self.chance), ("shuffled labels", self.shuffled)):
            values = {"value": known.value, "low": known.low, "high": known.high, "n": known.n}
            lines.append({"place": name, "metric": "probe_accuracy", "unit": "1"} | values)
        for (i, dc), (j, df) in product(enumerate(self.dc), enumerate(self.df)):
            if df < dc:
                head = {"place": "grid", "coarse_step": dc, "fine_step": df}
                lines += [
                    head | {"metric": metric, "unit": unit, "value": getattr(self, metric)[i, j]}
                    for metric, unit in _METRICS
                ]
        return pd.DataFrame(lines)


def why_not(encoder: Encoder) -> str | None:
    """Return why an encoder has no step-size plane; None where one coarse and one fine step make it."""
    from models.encoders.residual import FrozenResidual
    from models.encoders.residual_learned import ResidualEncoder

    if isinstance(encoder, FrozenResidual):
        return None
    if not isinstance(encoder, ResidualEncoder):
        return "the encoder has no coarse and fine step"
    if encoder.config.variant == "E1":
        return "every band has steps of its own (E1), so they span no plane"
    if encoder.config.variant == "E2":
        return "gain and bias of every band stand before the steps (E2), so two steps do not describe it"
    if encoder.config.variant == "E3":
        return "mixtures of the bands stand before the steps (E3), so two steps do not describe it"
    if not encoder.plain:
        return "the plane is that of two phases on one baseline that starts at 0"
    return None


def step_plane(
    recordings: Recordings,
    checkpoint: Checkpoint,
    *,
    split: str = "validation",
    n_fit: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> StepPlaneResult:
    """Measure sound, word and event rate on a grid of coarse and fine steps around an encoder.

    Thresholds stay at the subject's. In every cell `n_fit` training clips fit a linear probe; both optima are
    chosen off the evaluated clips: the MSE optimum on the fitting clips, the probe optimum and the penalty on
    the validation split for an evaluation on test, else on a speaker-disjoint fifth of train, to which no
    probe is fitted. Ends of the grid are fixed, and widened where the training path leads beyond them.

    Parameters
    ----------
    recordings : Recordings
        Of the checkpoint, with ``features`` and a ``train`` split.
    checkpoint : Checkpoint
        Of an encoder with one coarse and one fine step.
    split : {"validation", "test"}
    n_fit : int
        At most so many training clips, and at most half as many choosing clips, drawn by `seed`.

    Raises
    ------
    SpikelensError
        Another encoder (`why_not`), or the split that the probes are fitted on.
    """
    if split == "train":
        raise SpikelensError("split: 'train' is what the probes are fitted on; allowed: validation, test")
    model, own = checkpoint.model, _own_steps(checkpoint)
    path = _training_path(checkpoint)
    dc = _grid(_COARSE, _N_COARSE, [own.dc, *path[:, 0]])
    df = _grid(_FINE, _N_FINE, [own.df, *path[:, 1]])
    clips = plane_clips(recordings, split, n_fit, seed)
    report = progress or (lambda fraction, message: None)
    report(0.0, "choosing the probe's penalty")
    c = choose_penalty(clips, own)
    places = {
        (i, j): own._replace(dc=a, df=b) for (i, a), (j, b) in product(*map(_numbered, (dc, df))) if b < a
    }
    subject = measure_cell(clips, own, c, model)
    cells: dict[tuple[int, int], Cell] = {}
    for k, (place, steps) in enumerate(places.items()):
        report((k + 1) / (len(places) + 1), f"coarse {steps.dc:.2f}, fine {steps.df:.2f}")
        cells[place] = measure_cell(clips, steps, c, model)
    faithful = min(cells, key=lambda place: cells[place].fit_mse)
    readable = max(cells, key=lambda place: cells[place].choice_accuracy)
    marked = {SUBJECT: (own, subject)} | {
        name: (places[at], cells[at]) for name, at in ((MSE_OPTIMUM, faithful), (PROBE_OPTIMUM, readable))
    }
    groups = clips.groups

    def on_grid(value: str) -> np.ndarray:
        found = np.full((len(dc), len(df)), np.nan)
        for place, cell in cells.items():
            found[place] = getattr(cell, value)
        return found

    return StepPlaneResult(
        provenance=recordings.provenance(split, command, n_fit=n_fit, seed=seed),
        dc=dc,
        df=df,
        tc=own.tc,
        tf=own.tf,
        snr_db=on_grid("snr_db"),
        probe_accuracy=on_grid("probe_accuracy"),
        backbone_accuracy=on_grid("backbone_accuracy"),
        rate=on_grid("rate"),
        fit_mse=on_grid("fit_mse"),
        choice_accuracy=on_grid("choice_accuracy"),
        marks=[_mark(name, *found, cells[faithful], groups, seed) for name, found in marked.items()],
        path=path,
        chance=bootstrap_mean(clips.commonest_is_right(), groups, seed=seed),
        shuffled=mean_over_draws(shuffled_probes(clips, own, c, seed)),
        c=c,
        n_fit=len(clips.fit.labels),
        n_choose=len(clips.choose.labels),
        chosen_on=clips.chosen_on,
        axes={
            "dc": "coarse step | standard deviations of a band",
            "df": "fine step | standard deviations of a band",
            "snr_db": "coarse step, fine step | dB",
            "probe_accuracy": f"coarse step, fine step | fraction of clips of {split}",
            "backbone_accuracy": f"coarse step, fine step | fraction of clips of {split}",
            "rate": "coarse step, fine step | events per channel and frame",
            "path": "epoch, (coarse step, fine step) | standard deviations of a band",
        },
    )


def _own_steps(checkpoint: Checkpoint) -> StepValues:
    from models.encoders.residual import FrozenResidual
    from models.encoders.residual_learned import ResidualEncoder

    encoder = checkpoint.model.encoder
    if (reason := why_not(encoder)) is not None:
        raise SpikelensError(f"{checkpoint.name}: the step-size plane is not applicable, {reason}")
    assert isinstance(encoder, FrozenResidual | ResidualEncoder)
    return StepValues(*(float(value.detach()) for value in encoder.steps()))


def _numbered(values: np.ndarray) -> list[tuple[int, float]]:
    return [(i, float(value)) for i, value in enumerate(values)]


def _grid(ends: tuple[float, float], count: int, inside: Sequence[float]) -> np.ndarray:
    """Return geometric steps between `ends`, which give way to what has to lie inside."""
    low, high = min(ends[0], min(inside) / _MARGIN), max(ends[1], max(inside) * _MARGIN)
    return np.geomspace(low, high, count)


def _training_path(checkpoint: Checkpoint) -> np.ndarray:
    """Return coarse and fine step at the start and after each epoch, ``(n, 2)``; empty for fixed steps."""
    config = checkpoint.recipe.encoder
    rows = [row for row in checkpoint.history if {"encoder_dc", "encoder_df"} <= set(row)]
    if config.name != "residual" or not rows:
        return np.empty((0, 2))
    return np.array([(config.dc, config.df), *((row["encoder_dc"], row["encoder_df"]) for row in rows)])


def _mark(
    name: str, steps: StepValues, cell: Cell, faithful: Cell, groups: np.ndarray, seed: int
) -> PlaneMark:
    """Give a marked place its intervals."""
    difference = None
    if cell is not faithful:
        difference = bootstrap_difference(cell.probe_correct, faithful.probe_correct, groups, seed=seed)
    return PlaneMark(
        name,
        steps.dc,
        steps.df,
        cell.rate,
        to_decibel(bootstrap_ratio(cell.clip_error, cell.clip_power, groups, seed=seed)),
        bootstrap_mean(cell.probe_correct, groups, seed=seed),
        bootstrap_mean(cell.backbone_correct, groups, seed=seed),
        difference,
    )
