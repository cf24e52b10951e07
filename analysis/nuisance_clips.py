"""What may be read from a clip besides the word: which clips, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.controls import MATCHED
from analysis.linear_probe import Folds, Parts
from analysis.noisy_clips import NoiseSource
from analysis.pooling import pool, pooled
from analysis.recordings import Recordings, SplitRecordings
from analysis.reference import encode_residual
from models.errors import SpikelensError

if TYPE_CHECKING:
    import torch

    from models.checkpoint import Checkpoint
    from models.classifier import SpikingClassifier
    from models.data.base import AudioDataset

WORD, SPEAKER, LEVEL, NOISE = "word", "speaker", "level", "added noise"
UNTRAINED = "untrained"
N_FIT, N_HELD = 2000, 1000
GAIN_DB = 12.0
SNR_DB = 20.0
MIN_CLIPS = 12  # of a speaker
_DERIVED = ("decoded", "residual", "readout")
_BATCH = 128
Source = tuple[Recordings, str]  # recordings and point


@dataclass(frozen=True)
class Deal:
    """Which clips fit a probe and which are scored.

    Attributes
    ----------
    split : str
        Of the clips that are scored; those that fit are of train.
    fit_rows, held_rows : np.ndarray of int
    folds : Folds
        Which of the clips that fit choose the penalty.
    groups : np.ndarray [shape=(n_held,)]
        What the bootstrap resamples.
    """

    split: str
    fit_rows: np.ndarray
    held_rows: np.ndarray
    folds: Folds
    groups: np.ndarray

    def parts(self, values: Callable[[str, np.ndarray], np.ndarray]) -> Parts:
        """Return ``values(split, rows)`` by role."""
        train = values("train", self.fit_rows)
        return Parts(train, train[self.folds.choose], values(self.split, self.held_rows))


class Questions(NamedTuple):
    """What is asked of some clips.

    Attributes
    ----------
    deal : Deal
    targets : dict of str to Parts
        Whole numbers name a kind, others are a size.
    code : callable
        Name of a code -> its pooled activity.
    clips : str
        The clips, in words.
    """

    deal: Deal
    targets: dict[str, Parts]
    code: Callable[[str], Parts]
    clips: str


def code_sources(
    recordings: Recordings, reference: Recordings | None, twin: Recordings | None
) -> dict[str, Source]:
    """Return every code that is asked, by name: the signal's path, then its controls."""
    points = [point for point in recordings.points if point not in _DERIVED]
    found: dict[str, Source] = {point: (recordings, point) for point in points}
    if reference is not None:
        found[MATCHED] = (reference, "encoder")
    for point in points:
        if twin is not None and point in twin.points and point not in ("features", "encoder"):
            found[f"{point}, {UNTRAINED}"] = (twin, point)
    return found


def across_speakers(recordings: Recordings, sources: dict[str, Source], split: str, seed: int) -> Questions:
    """Ask for the word, and for what the data set knows of its clips and other speakers' clips share."""
    train, held = recordings.split("train"), recordings.split(split)
    rng = np.random.default_rng(seed)
    fit_rows = np.sort(rng.permutation(len(train))[:N_FIT])
    held_rows = np.sort(rng.permutation(len(held))[:N_HELD])
    deal = Deal(split, fit_rows, held_rows, _by_speaker(train, fit_rows, split, seed), held.groups[held_rows])
    targets = {WORD: deal.parts(lambda name, rows: recordings.split(name).labels[rows])}
    for name in held.nuisance:
        if not _confined(train, held, name):
            targets[name] = _coded(deal.parts(_known(recordings, name)))
    return Questions(
        deal,
        targets,
        _recorded(sources, deal),
        f"{len(fit_rows)} train and {len(held_rows)} {split} clips, no speaker in both",
    )


def within_train(
    recordings: Recordings, sources: dict[str, Source], split: str, seed: int
) -> tuple[list[Questions], dict[str, str]]:
    """Ask for the speaker, and for whatever else no clip of another split shares, inside the training split.

    Returns
    -------
    questions : list of Questions
    left_out : dict of str to str
        Property -> why it is not asked for.

    Raises
    ------
    SpikelensError
        Speakers are unknown, or fewer than two have 12 clips.
    """
    train, held = recordings.split("train"), recordings.split(split)
    if train.speakers is None:
        raise SpikelensError("speakers are unknown")
    names = {SPEAKER: np.asarray(train.speakers)}
    names |= {name: train.nuisance[name] for name in held.nuisance if _confined(train, held, name)}
    found: list[Questions] = []
    left_out: dict[str, str] = {}
    for name, values in names.items():
        if name != SPEAKER and np.array_equal(values, names[SPEAKER]):
            left_out[name] = "it is another name of the speaker here, see there"
            continue
        _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(counts[index] >= MIN_CLIPS)
        if len(np.unique(index[rows])) < 2:
            raise SpikelensError(f"fewer than two speakers have {MIN_CLIPS} training clips")
        found.append(_inside(recordings, sources, name, index, rows, seed))
    return found, left_out


def _inside(
    recordings: Recordings,
    sources: dict[str, Source],
    name: str,
    index: np.ndarray,
    rows: np.ndarray,
    seed: int,
) -> Questions:
    from sklearn.model_selection import train_test_split

    train = recordings.split("train")
    if len(rows) > N_FIT + N_HELD:
        rows, _ = train_test_split(rows, train_size=N_FIT + N_HELD, stratify=index[rows], random_state=seed)
    fit_rows, held_rows = train_test_split(rows, test_size=1 / 3, stratify=index[rows], random_state=seed)
    inner, choose = train_test_split(
        np.arange(len(fit_rows)), test_size=0.2, stratify=index[fit_rows], random_state=seed
    )
    folds = Folds("train", inner, choose, "a fifth of the clips that fit")
    deal = Deal("train", fit_rows, held_rows, folds, train.groups[held_rows])
    n_kinds = len(np.unique(index[rows]))
    words = f"{len(fit_rows)} and {len(held_rows)} train clips of {n_kinds} with at least {MIN_CLIPS} each"
    return Questions(deal, {name: deal.parts(lambda _, r: index[r])}, _recorded(sources, deal), words)


def changed_sound(
    checkpoint: Checkpoint,
    dataset: AudioDataset,
    reference: Recordings | None,
    twin: SpikingClassifier,
    deal: Deal,
    seed: int,
) -> list[Questions]:
    """Ask how much louder a clip was made, and whether noise was added to it.

    Every clip is made 12 dB quieter to 12 dB louder, at random; half of the clips get noise at 20 dB. Both
    changes are made to the waveform, one at a time, and encoded anew.
    """
    rng, noise = np.random.default_rng(seed), NoiseSource(dataset, seed)
    gain_db = deal.parts(lambda _, rows: rng.uniform(-GAIN_DB, GAIN_DB, len(rows)).astype(np.float32))
    noisy = deal.parts(lambda _, rows: rng.permutation(np.arange(len(rows)) % 2))
    encode = _Encoder(checkpoint, reference, twin)

    def louder(split: str, rows: np.ndarray) -> np.ndarray:
        gain = gain_db.train if split == "train" else gain_db.held
        return _waveforms(dataset, split, rows) * 10 ** (gain[:, None] / 20)

    def noisier(split: str, rows: np.ndarray) -> np.ndarray:
        waveforms, chosen = _waveforms(dataset, split, rows), noisy.train if split == "train" else noisy.held
        at = np.flatnonzero(chosen)
        waveforms[at] = noise.added(dataset.split(split), rows[at], SNR_DB)
        return waveforms

    n = f"{len(deal.fit_rows)} train and {len(deal.held_rows)} {deal.split} clips"
    return [
        Questions(
            deal, {LEVEL: gain_db}, _encoded(encode, deal, louder), f"{n}, {-GAIN_DB:g} to {GAIN_DB:g} dB"
        ),
        Questions(
            deal, {NOISE: noisy}, _encoded(encode, deal, noisier), f"{n}, half at {SNR_DB:g} dB: {noise.name}"
        ),
    ]


class _Encoder:
    """Pooled activity of every code for waveforms that were not recorded."""

    def __init__(self, checkpoint: Checkpoint, reference: Recordings | None, twin: SpikingClassifier):
        self._model, self._twin, self._reference = checkpoint.model, twin, reference
        self._features = checkpoint.recipe.features
        points = {point.name: point.spiking for point in checkpoint.model.points()}
        self._spiking = {name: spiking for name, spiking in points.items() if name not in _DERIVED}
        self._hidden = [name for name in self._spiking if name not in ("features", "encoder")]

    def __call__(self, waveforms: np.ndarray) -> dict[str, np.ndarray]:
        """Return ``(n, D)`` by name of the code."""
        import torch

        blocks = [
            self._block(torch.from_numpy(waveforms[start : start + _BATCH].astype(np.float32)))
            for start in range(0, len(waveforms), _BATCH)
        ]
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def _block(self, waveforms: torch.Tensor) -> dict[str, np.ndarray]:
        import torch

        from models.features.mel import log_mel

        with torch.inference_mode():
            mel = log_mel(waveforms, self._features)
            ours = self._model(mel, record=list(self._spiking)).recordings
            theirs = self._twin(mel, record=self._hidden).recordings
        found = {name: self._pooled(name, ours[name]) for name in self._spiking}
        if self._reference is not None:
            from models.encoders.fit import StepValues

            steps = StepValues(**self._reference.extra["steps"])
            found[MATCHED] = pool(encode_residual(ours["features"].numpy(), steps)[0])
        return found | {f"{name}, {UNTRAINED}": self._pooled(name, theirs[name]) for name in self._hidden}

    def _pooled(self, point: str, values: torch.Tensor) -> np.ndarray:
        array = values.numpy()
        return pool(array.astype(np.uint8) if self._spiking[point] else array)


def _encoded(
    encode: _Encoder, deal: Deal, change: Callable[[str, np.ndarray], np.ndarray]
) -> Callable[[str], Parts]:
    """Return what gives a code of changed clips; all are encoded at the first call."""
    found: dict[str, Parts] = {}

    def code(name: str) -> Parts:
        if not found:
            train, held = encode(change("train", deal.fit_rows)), encode(change(deal.split, deal.held_rows))
            for key, values in train.items():
                found[key] = Parts(values, values[deal.folds.choose], held[key])
        return found[name]

    return code


def _recorded(sources: dict[str, Source], deal: Deal) -> Callable[[str], Parts]:
    def code(name: str) -> Parts:
        recordings, point = sources[name]
        return deal.parts(lambda split, rows: pooled(recordings.split(split), point, rows=rows))

    return code


def _known(recordings: Recordings, name: str) -> Callable[[str, np.ndarray], np.ndarray]:
    return lambda split, rows: recordings.split(split).nuisance[name][rows]


def _by_speaker(train: SplitRecordings, rows: np.ndarray, split: str, seed: int) -> Folds:
    from sklearn.model_selection import GroupShuffleSplit

    groups, unit = train.groups[rows], "speaker-disjoint fifth" if train.speakers is not None else "fifth"
    if len(np.unique(groups)) < 2:
        groups, unit = np.arange(len(rows)), "fifth"
    dealt = GroupShuffleSplit(n_splits=1, test_size=0.2, random_state=seed)
    fit, choose = next(dealt.split(rows, groups=groups))
    return Folds(split, fit, choose, f"a {unit} of the clips that fit")


def _confined(train: SplitRecordings, held: SplitRecordings, name: str) -> bool:
    """Tell whether a property has kinds of which some are met in one split only."""
    values = held.nuisance[name]
    return values.dtype.kind not in "iuf" and not np.isin(values, train.nuisance[name]).all()


def _coded(values: Parts) -> Parts:
    """Return names as whole numbers, sizes as floats."""
    if values.train.dtype.kind in "iuf":
        return Parts(*(part.astype(np.float64) for part in values))
    kinds = np.unique(values.train)
    return Parts(*(np.searchsorted(kinds, part) for part in values))


def _waveforms(dataset: AudioDataset, split: str, rows: np.ndarray) -> np.ndarray:
    return dataset.split(split).waveforms[rows].astype(np.float32) / 32768.0
