"""What breaks when the code is changed? Network and linear probe read it after each intervention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.decoders import Progress
from analysis.intervention_list import N_DRAWS, POINT, Read, Setting, every_change
from analysis.linear_probe import fit_quietly, probe_model
from analysis.noisy_clips import NoiseSource
from analysis.pooling import pool, pooled
from analysis.recordings import Recordings
from analysis.result import Estimate, Result
from analysis.stats import bootstrap_difference, bootstrap_mean
from models.errors import SpikelensError

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.data.base import AudioDataset

NETWORK, PROBE = "network", "probe"
READERS = (NETWORK, PROBE)
PROBE_C = 0.01
_BATCH = 256


@dataclass(frozen=True)
class InterventionRow:
    """One intervention as one reader sees it.

    Attributes
    ----------
    kind : str
        "clean", nothing changed; "stream zeroed"; "stream of other clips", put in from a random other clip;
        "shuffled in time", the frames of each channel and clip in random order; "random channels zeroed";
        "selective channels zeroed"; "other encoder", its spikes on the same clips; "noise added" to the
        sound; "jittered"; "spikes dropped".
    what : str
        Which stream, share, encoder, signal-to-noise ratio or number of frames.
    reader : str
        "network", the backbone as trained; "probe", the linear probe fitted on unchanged activity.
    accuracy : Estimate
        Fraction of clips; where chance chose the channels, the mean over draws.
    difference : Estimate
        To the same reader on unchanged activity, paired by clip; 0 where nothing was changed.
    activity : float
        Mean per channel and frame: of spikes, their rate.
    n_draws : int
        Random choices of channels.
    """

    kind: str
    what: str
    reader: str
    accuracy: Estimate
    difference: Estimate
    activity: float
    n_draws: int = 1


@dataclass(frozen=True)
class InterventionResult(Result):
    """Every intervention, read twice.

    Attributes
    ----------
    rows : list of InterventionRow
    chance : float
        Accuracy of always saying the commonest word of the training split.
    noise : str
        What was added to the sound.
    axes : mapping of str to str
    not_applicable : mapping of str to str
        Intervention -> why there is none.
    """

    rows: list[InterventionRow]
    chance: float
    noise: str
    axes: Mapping[str, str]
    not_applicable: Mapping[str, str]

    def of(self, kind: str, reader: str) -> list[InterventionRow]:
        """Return the rows of one kind for one reader."""
        return [row for row in self.rows if (row.kind, row.reader) == (kind, reader)]

    def to_table(self) -> pd.DataFrame:
        """Return one row an intervention and reader."""
        return pd.DataFrame([_line(row) for row in self.rows])


def _line(row: InterventionRow) -> dict[str, object]:
    return {
        "intervention": row.kind,
        "what": row.what,
        "reader": row.reader,
        "accuracy": row.accuracy.value,
        "low": row.accuracy.low,
        "high": row.accuracy.high,
        "n": row.accuracy.n,
        "difference": row.difference.value,
        "difference_low": row.difference.low,
        "difference_high": row.difference.high,
        "activity_per_channel_and_frame": row.activity,
        "draws": row.n_draws,
    }


def intervene(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    recordings: Recordings,
    *,
    split: str = "validation",
    swap: Checkpoint | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> InterventionResult:
    """Change what the encoder gives, and measure the network and a linear probe again.

    The network is not trained again, and the probe (multinomial logistic regression with an L2 penalty,
    C = 0.01, on standardised counts in 10 windows) is fitted once, on unchanged activity of the training
    split. Which channels are selective is decided on the training split too. Shuffled and swapped codes keep
    the statistics that zeroed ones lose (compare permutation importance, Breiman 2001); swapping is model
    stitching (Lenc and Vedaldi 2015) without a stitching layer.

    Parameters
    ----------
    checkpoint : Checkpoint
    dataset : AudioDataset
        Restricted here to the checkpoint's words.
    recordings : Recordings
        Of that checkpoint on that data set, with the splits ``train`` and `split`.
    split : {"validation", "test"}
    swap : Checkpoint, optional
        Its encoder is put in place of the checkpoint's own.
    seed : int
        Of every random change and of the bootstrap.

    Raises
    ------
    SpikelensError
        The split the probe is fitted on, a split that was not recorded, or a training split with one word.
    """
    if split == "train":
        raise SpikelensError("split: 'train' is what the probe is fitted on; allowed: validation, test")
    report = progress or (lambda fraction, message: None)
    held, train = recordings.split(split), recordings.split("train")
    report(0.0, "fitting the probe on unchanged activity")
    readers = _Readers.fit(checkpoint, recordings)
    setting = Setting(checkpoint, dataset.restrict(checkpoint.labels), recordings, split, seed)
    noise = NoiseSource(setting.dataset, seed)
    changes, missing = every_change(setting, swap, noise)
    rows: list[InterventionRow] = []
    clean: _Reading | None = None
    for i, (kind, what, draws) in enumerate(changes):
        report(0.1 + 0.9 * i / len(changes), f"{kind} {what}".strip())
        found = [readers.read(read, held.labels) for read in draws]
        mean = _Reading(
            {reader: np.mean([one.correct[reader] for one in found], axis=0) for reader in READERS},
            float(np.mean([one.activity for one in found])),
        )
        clean = mean if clean is None else clean
        rows += _rows(kind, what, len(draws), mean, clean, held.groups, seed)
    report(1.0, "done")
    config: dict[str, Any] = {"seed": seed, "C": PROBE_C, "n_draws": N_DRAWS}
    if swap is not None:
        config |= {"swap": swap.name, "swap_digest": swap.digest}
    commonest = np.bincount(train.labels).argmax()
    return InterventionResult(
        provenance=recordings.provenance(split, command, **config),
        rows=rows,
        chance=float((held.labels == commonest).mean()),
        noise=noise.name,
        axes={
            "accuracy": f"accuracy on {split} | fraction of clips",
            "difference": f"accuracy less that on unchanged activity, {split} | fraction of clips",
            "activity": "mean per channel and frame | spikes" if setting.spiking else "mean activity",
        },
        not_applicable=missing,
    )


def _rows(
    kind: str, what: str, n_draws: int, found: _Reading, clean: _Reading, groups: np.ndarray, seed: int
) -> list[InterventionRow]:
    return [
        InterventionRow(
            kind,
            what,
            reader,
            bootstrap_mean(correct, groups, seed=seed),
            bootstrap_difference(correct, clean.correct[reader], groups, seed=seed),
            found.activity,
            n_draws,
        )
        for reader, correct in found.correct.items()
    ]


class _Reading(NamedTuple):
    correct: dict[str, np.ndarray]  # reader -> (n,)
    activity: float


@dataclass(frozen=True)
class _Readers:
    """The network and the probe, neither of which changes."""

    model: Any
    probe: Any

    @classmethod
    def fit(cls, checkpoint: Checkpoint, recordings: Recordings) -> _Readers:
        """Fit the probe on the recorded activity of the training split."""
        train = recordings.split("train")
        if len(np.unique(train.labels)) < 2:
            raise SpikelensError("split: 'train' holds a single word, so there is nothing to tell apart")
        probe = fit_quietly(probe_model().set_params(clf__C=PROBE_C), pooled(train, POINT), train.labels)
        return cls(checkpoint.model, probe)

    def read(self, read: Read, labels: np.ndarray) -> _Reading:
        """Return where each reader names the word, and how active the code is."""
        import torch

        from models.encoders.base import EncoderOutput

        correct = {reader: np.zeros(len(labels)) for reader in READERS}
        total = size = 0.0
        for rows in _batches(len(labels)):
            activity = read(rows)
            with torch.inference_mode():
                given = torch.from_numpy(activity.astype(np.float32))
                predicted = self.model.classify(EncoderOutput(given, None)).logits.argmax(dim=1).numpy()
            correct[NETWORK][rows] = predicted == labels[rows]
            correct[PROBE][rows] = self.probe.predict(pool(activity)) == labels[rows]
            total, size = total + float(activity.sum(dtype=np.float64)), size + activity.size
        return _Reading(correct, total / size)


def _batches(n: int) -> Iterator[np.ndarray]:
    for start in range(0, n, _BATCH):
        yield np.arange(start, min(start + _BATCH, n))
