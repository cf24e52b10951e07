"""The measures of separability, each with what its interval and its null are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analysis.pooling import pooled, pooled_blocks
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Estimate
from analysis.scatter import Scatter, fisher_ratio, scatter, shrinkage_of, shrunk_fisher
from analysis.similarity import CkaSums, debiased_hsic, gram, hsic_permuted, jackknife
from analysis.stats import bootstrap_difference, bootstrap_mean, label_orders

FISHER, SHRUNK, SILHOUETTE = "Fisher ratio", "shrunk Fisher", "silhouette"
NEIGHBOURS = "neighbours"
CKA_LABELS, CKA_MEL, CKA_RATIO = "CKA to labels", "CKA to log-mel", "CKA labels / log-mel"
MEASURES = (FISHER, SHRUNK, NEIGHBOURS, SILHOUETTE, CKA_LABELS, CKA_MEL, CKA_RATIO)
RAW_POINT = "features"  # the log-mel
N_NEIGHBOURS = 20
MAX_PAIRS = 1500  # clips of which every pair is compared
MAX_FIT = 10_000  # training clips that the principal components are fitted on
_N_FISHER, _N_COSINE = 256, 50  # principal components
_N_PERMUTATIONS, _N_FREE = 50, 20  # of labels, of clips
_MAX_PARTS = 50  # into which speakers are gathered for the jackknife


@dataclass(frozen=True)
class Design:
    """What every measure of a split is repeated over, the same for every code of the same clips.

    Attributes
    ----------
    labels, groups : np.ndarray [shape=(n,), int]
        Words; speakers.
    parts : np.ndarray [shape=(n,), int]
        Speakers gathered into at most 50 parts, left out one at a time.
    batches : list of np.ndarray of int
        The clips in random order, at most 1,500 at a time; the first one is the sample of the measures that
        compare every pair.
    orders, free_orders : list of np.ndarray [shape=(P, b), int]
        Permutations of each batch, 50 of labels and 20 of clips.
    n_words : int
    """

    labels: np.ndarray
    groups: np.ndarray
    parts: np.ndarray
    batches: list[np.ndarray]
    orders: list[np.ndarray]
    free_orders: list[np.ndarray]
    n_words: int

    @classmethod
    def of(cls, held: SplitRecordings, n_words: int, seed: int) -> Design:
        """Draw batches, parts and permutations."""
        rng = np.random.default_rng(seed)
        labels, groups = held.labels, held.groups
        parts = rng.permutation(groups.max() + 1)[groups] % _MAX_PARTS
        batches = np.array_split(rng.permutation(len(held)), -(-len(held) // MAX_PAIRS))
        orders = [label_orders(labels[b], groups[b], _N_PERMUTATIONS, rng) for b in batches]
        free = [np.stack([rng.permutation(len(b)) for _ in range(_N_FREE)]) for b in batches]
        return cls(labels, groups, parts, batches, orders, free, n_words)

    @property
    def n_parts(self) -> int:
        """Return the number of parts."""
        return int(self.parts.max()) + 1

    @property
    def sample(self) -> np.ndarray:
        """Return the clips of which every pair is compared."""
        return self.batches[0]

    def shuffled(self) -> np.ndarray:
        """Return the labels under every permutation, ``(P, n)``."""
        labels = np.empty((_N_PERMUTATIONS, len(self.labels)), np.int64)
        for batch, orders in zip(self.batches, self.orders, strict=True):
            labels[:, batch] = self.labels[batch][orders]
        return labels


@dataclass(frozen=True)
class Measured:
    """One measure of one code.

    Attributes
    ----------
    value : float
    n : int
        Clips.
    without : np.ndarray [shape=(n_parts,)]
        The value with each part of the speakers left out; empty where `clips` makes the interval.
    clips, groups : np.ndarray [shape=(n,)]
        What each clip adds to the mean that the value is, and its speaker.
    null : np.ndarray [shape=(P,)]
    note : str
        Why it does not apply; the value is then not-a-number.
    """

    value: float
    n: int = 0
    without: np.ndarray = field(default_factory=lambda: np.empty(0))
    clips: np.ndarray = field(default_factory=lambda: np.empty(0))
    groups: np.ndarray = field(default_factory=lambda: np.empty(0))
    null: np.ndarray = field(default_factory=lambda: np.empty(0))
    note: str = ""

    def estimate(self, seed: int) -> Estimate:
        """Return the value with its interval over speakers."""
        if len(self.clips):
            return bootstrap_mean(self.clips, self.groups, seed=seed)
        return jackknife(self.value, self.without, self.n)

    def minus(self, other: Measured, seed: int) -> Estimate | None:
        """Return the difference to the same measure of another code of the same clips, paired by speaker."""
        if self.note or other.note:
            return None
        if len(self.clips):
            return bootstrap_difference(self.clips, other.clips, self.groups, seed=seed)
        return jackknife(self.value - other.value, self.without - other.without, self.n)


def not_applicable(note: str) -> Measured:
    """Return a measure without a number."""
    return Measured(np.nan, note=note)


def measure(recordings: Recordings, split: str, point: str, design: Design, seed: int) -> dict[str, Measured]:
    """Measure one point on one split in every way of `MEASURES`."""
    held = recordings.split(split)
    if not np.ptp(pooled(held, point, rows=design.sample), axis=0).any():
        return dict.fromkeys(MEASURES, not_applicable("nothing varies between clips"))
    z = principal_components(recordings, split, point, seed)
    return {**fisher(z, design), **_pairs(z[design.sample], design), **cka(held, point, design)}


def principal_components(recordings: Recordings, split: str, point: str, seed: int) -> np.ndarray:
    """Return the split in components fitted on training clips, ``(n, at most 256)`` float32, by blocks."""
    from sklearn.decomposition import PCA

    train, held = recordings.split("train"), recordings.split(split)
    rows = np.sort(np.random.default_rng(seed).permutation(len(train))[:MAX_FIT])
    x = pooled(train, point, rows=rows)
    model = PCA(min(_N_FISHER, *x.shape), svd_solver="randomized", random_state=seed).fit(x)
    z = np.empty((len(held), model.n_components_), np.float32)
    for place, values in pooled_blocks(held, point):
        z[place] = model.transform(values)
    return z


def fisher(components: np.ndarray, design: Design) -> dict[str, Measured]:
    """Measure both Fisher ratios from principal components ``(n, D)``."""
    z = components.astype(np.float64)  # sums in another order must agree
    by_part = [
        scatter(z[design.parts == p], design.labels[design.parts == p], design.n_words)
        for p in range(design.n_parts)
    ]
    whole = by_part[0]
    for part in by_part[1:]:
        whole = whole.plus(part)
    without = [whole.minus(part) for part in by_part] if design.n_parts > 1 else []
    permuted = [_relabelled(whole, z, labels) for labels in design.shuffled()]
    shrinkage = shrinkage_of(z)
    found = {}
    for name, ratio in ((FISHER, fisher_ratio), (SHRUNK, lambda of: shrunk_fisher(of, shrinkage))):
        value = ratio(whole)
        found[name] = (
            not_applicable("clips of a word do not differ")
            if np.isnan(value)
            else Measured(
                value,
                len(z),
                without=np.array([ratio(of) for of in without]),
                null=np.array([ratio(of) for of in permuted]),
            )
        )
    return found


def _relabelled(whole: Scatter, z: np.ndarray, labels: np.ndarray) -> Scatter:
    """Return the sums of the same clips with other labels."""
    member = np.eye(len(whole.counts))[labels]
    return Scatter(member.sum(axis=0), member.T @ z, whole.second)


def _pairs(z: np.ndarray, design: Design) -> dict[str, Measured]:
    """Measure what takes the distance of every pair: nearest neighbours and silhouette."""
    from sklearn.metrics import pairwise_distances

    distances = pairwise_distances(z[:, :_N_COSINE], metric="cosine")
    np.fill_diagonal(distances, 0)  # exactly, as silhouette_samples demands
    labels, groups = design.labels[design.sample], design.groups[design.sample]
    shuffled = labels[design.orders[0]]
    return {
        NEIGHBOURS: _neighbours(distances, labels, groups, shuffled),
        SILHOUETTE: _silhouette(distances, labels, groups, shuffled),
    }


def _neighbours(
    distances: np.ndarray, labels: np.ndarray, groups: np.ndarray, shuffled: np.ndarray
) -> Measured:
    """Let the nearest clips of other speakers vote; ties go to the nearer ones."""
    others = groups[:, None] != groups
    k = min(N_NEIGHBOURS, int(others.sum(axis=1).min()))
    if k == 0:
        return not_applicable("needs a second speaker")
    nearest = np.argsort(np.where(others, distances, np.inf), axis=1, kind="stable")[:, :k]
    weights = 1 + np.arange(k, 0, -1) / k**2 / 2

    def correct(words: np.ndarray) -> np.ndarray:
        votes = ((words[nearest][:, :, None] == np.arange(words.max() + 1)) * weights[:, None]).sum(axis=1)
        return votes.argmax(axis=1) == words

    right = correct(labels)
    null = np.array([correct(words).mean() for words in shuffled])
    return Measured(float(right.mean()), len(labels), clips=right * 1.0, groups=groups, null=null)


def _silhouette(
    distances: np.ndarray, labels: np.ndarray, groups: np.ndarray, shuffled: np.ndarray
) -> Measured:
    if not 2 <= len(np.unique(labels)) < len(labels):
        return not_applicable("needs two words, and two clips of one")
    clips = silhouettes(distances, labels)
    null = np.array([silhouettes(distances, words).mean() for words in shuffled])
    return Measured(float(clips.mean()), len(labels), clips=clips, groups=groups, null=null)


def silhouettes(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the silhouette of every clip, ``(n,)``, from distances ``(n, n)`` with zeros in the diagonal.

    As scikit-learn's `silhouette_samples`, which takes ten times as long, and is asked for 50 permutations.
    """
    member = np.eye(labels.max() + 1)[labels]
    counts, sums, clips = member.sum(axis=0), distances @ member, np.arange(len(labels))
    within = sums[clips, labels] / np.maximum(counts[labels] - 1, 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    means[clips, labels] = np.inf
    nearest = means.min(axis=1)
    scale = np.maximum(np.maximum(within, nearest), 1e-300)
    return np.where(counts[labels] > 1, (nearest - within) / scale, 0.0)


def cka(held: SplitRecordings, point: str, design: Design) -> dict[str, Measured]:
    """Measure the likeness to labels and to the log-mel, batch by batch, and the ratio of the two."""
    has_mel, words = RAW_POINT in held.points, np.eye(design.n_words)
    sums = CkaSums(1 + has_mel, design.n_parts)
    for batch, orders, free in zip(design.batches, design.orders, design.free_orders, strict=True):
        k, y = gram(pooled(held, point, rows=batch)), words[design.labels[batch]]
        others = [gram(y)]
        sums.add_null(0, hsic_permuted(k, y, orders))
        if has_mel:
            mel = k if point == RAW_POINT else gram(pooled(held, RAW_POINT, rows=batch))
            sums.add_null(1, np.array([debiased_hsic(k, mel[np.ix_(order, order)]) for order in free]))
            others.append(mel)
        sums.add(k, others, design.parts[batch])
    to_labels = _cka_measured(sums, 0, len(held))
    to_mel = _cka_measured(sums, 1, len(held)) if has_mel else not_applicable("no log-mel was recorded")
    return {CKA_LABELS: to_labels, CKA_MEL: to_mel, CKA_RATIO: _cka_ratio(to_labels, to_mel)}


def _cka_measured(sums: CkaSums, index: int, n: int) -> Measured:
    if not sums.defined(index):
        return not_applicable("nothing varies between clips")
    value, *without = sums.values(index)
    return Measured(float(value), n, without=np.array(without), null=sums.null(index))


def _cka_ratio(labels: Measured, mel: Measured) -> Measured:
    if labels.note or mel.note:
        return not_applicable(labels.note or mel.note)
    low = jackknife(mel.value, mel.without, mel.n).low
    if low is None or low <= 0:
        return not_applicable("the CKA to log-mel is not clear of 0")
    with np.errstate(divide="ignore", invalid="ignore"):  # a part with nearly all clips: no interval
        return Measured(labels.value / mel.value, mel.n, without=labels.without / mel.without)
