"""What a linear probe is set beside: nearest neighbours, and a task that only memory of sounds can solve."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.linear_probe import Folds, Parts, Reading
from analysis.pooling import pooled
from analysis.recordings import Recordings

N_NEIGHBORS = 20
N_TYPES = 64
_MIN_PER_TYPE = 4  # training clips
_N_STARTS = 4  # of k-means


class ControlTask(NamedTuple):
    """Words dealt out at random to kinds of sound.

    Attributes
    ----------
    labels : Parts of np.ndarray [shape=(n,), int]
        The word each clip was dealt, by role.
    n_types : int
    """

    labels: Parts
    n_types: int


def control_task(recordings: Recordings, folds: Folds, seed: int = 0) -> ControlTask:
    """Deal random words to acoustic types, after Hewitt and Liang 2019, for splits that share no speaker.

    The mean log-mel of the training clips is grouped by k-means into 64 types (fewer where a type would have
    fewer than four clips); each type gets a random word, every word as many types as the others give or take
    one. A clip held out has the type whose centre is nearest. A probe that solves this as well as the word
    only tells sounds apart.

    Parameters
    ----------
    recordings : Recordings
        With ``features``.
    """
    from sklearn.cluster import KMeans

    means = folds.parts(recordings, lambda split: pooled(split, "features", "counts"))
    n_words = len(recordings.class_names)
    n_types = max(2, min(N_TYPES, len(means.train) // _MIN_PER_TYPE))
    types = KMeans(n_types, n_init=_N_STARTS, random_state=seed).fit(means.train)
    dealt = np.random.default_rng(seed).permutation(np.arange(n_types) % n_words)
    return ControlTask(Parts(*(dealt[types.predict(part)] for part in means)), n_types)


def nearest_neighbours(x: Parts, y: Parts) -> Reading:
    """Let the 20 nearest training clips vote, by cosine distance.

    The cross-entropy is that of the shares of the vote, one vote a word added.

    Parameters
    ----------
    x : Parts of np.ndarray [shape=(n, D)]
        Few dimensions, see `analysis.linear_probe.reduced`: in many, all clips are equally far.
    y : Parts of np.ndarray [shape=(n,), int]
    """
    from sklearn.neighbors import NearestNeighbors

    k = min(N_NEIGHBORS, len(x.train))
    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(x.train)
    near = y.train[search.kneighbors(x.held, return_distance=False)]  # (n, k)
    n_words = 1 + max(int(part.max()) for part in y)
    votes = (near[:, :, None] == np.arange(n_words)).sum(axis=1)  # (n, C)
    predicted = votes.argmax(axis=1)
    share = (votes[np.arange(len(votes)), y.held] + 1) / (k + n_words)
    correct = (predicted == y.held).astype(np.uint8)
    return Reading(correct, -np.log(share), predicted, x.train.shape[1])
