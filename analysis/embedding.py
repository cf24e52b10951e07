"""Clips laid out in two dimensions, with how far to trust the picture."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analysis.pooling import pooled
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Result
from models.errors import SpikelensError

Method = Literal["pca", "umap"]
_N_COMPONENTS = 50  # in which UMAP looks for neighbours
_TRUST_NEIGHBORS = 15
_MAX_CLIPS = 10_000  # all distances are computed


@dataclass(frozen=True)
class EmbeddingResult(Result):
    """Two coordinates a clip.

    Attributes
    ----------
    point : str
    method : {"pca", "umap"}
    coordinates : np.ndarray [shape=(n, 2)]
        Distances between far groups mean nothing in UMAP.
    trustworthiness : float
        How few of a clip's 15 neighbours in the picture are strangers in the pooled activity: 1 none, about
        0.5 as many as in a random layout (Venna and Kaski 2001).
    explained_variance : list of float
        Share of variance along each axis; empty for UMAP.
    rows : np.ndarray [shape=(n,)]
        Clips in the split.
    clip_ids, labels : list of str
    speakers : list of str
        Empty where unknown.
    predicted : list of str
        Word of the highest logit; empty where no readout was recorded.
    rate_hz : np.ndarray [shape=(n,)]
        Of the point, or of the encoder where the point does not spike; not-a-number if neither does.
    axes : mapping of str to str
    """

    point: str
    method: str
    coordinates: Array
    trustworthiness: float
    explained_variance: list[float]
    rows: Array
    clip_ids: list[str]
    labels: list[str]
    speakers: list[str]
    predicted: list[str]
    rate_hz: Array
    axes: Mapping[str, str]

    def to_table(self) -> pd.DataFrame:
        """Return one row a clip; columns that are not known are left out."""
        pairs = zip(self.labels, self.predicted, strict=False)
        columns: dict[str, Sequence[object] | np.ndarray] = {
            "clip_id": self.clip_ids,
            "x": self.coordinates[:, 0],
            "y": self.coordinates[:, 1],
            "label": self.labels,
            "speaker": self.speakers,
            "predicted": self.predicted,
            "correct": [label == said for label, said in pairs],
            "rate_hz": self.rate_hz,
        }
        return pd.DataFrame({name: values for name, values in columns.items() if len(values)})


def embed(
    recordings: Recordings,
    *,
    point: str = "encoder",
    method: str = "pca",
    split: str = "validation",
    n_max: int = 3000,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    seed: int = 0,
    command: str = "",
) -> EmbeddingResult:
    """Lay out the windowed activity of clips.

    Parameters
    ----------
    method : {"pca", "umap"}
        UMAP (McInnes 2018) on the first 50 principal components, from exact neighbours.
    n_max : int in [10, 10000]
        Largest number of clips, drawn so that words keep their shares.
    n_neighbors, min_dist
        Of UMAP.

    Raises
    ------
    SpikelensError
        Unknown point or method, numbers out of range, or fewer clips than neighbours.
    """
    held = recordings.split(split)
    if method not in get_args(Method):
        raise SpikelensError(f"method: {method!r} is not one of {', '.join(get_args(Method))}")
    if not 10 <= n_max <= _MAX_CLIPS:
        raise SpikelensError(f"n_max: {n_max} is not between 10 and {_MAX_CLIPS}")
    if not 0 <= min_dist <= 1:
        raise SpikelensError(f"min_dist: {min_dist} is not between 0 and 1")
    rows = stratified_rows(held.labels, n_max, seed)
    if not 2 <= n_neighbors < len(rows):
        raise SpikelensError(
            f"n_neighbors: {n_neighbors} is not between 2 and {len(rows) - 1}, clips less one"
        )
    x = pooled(held, point)[rows]
    settings: dict[str, object] = {"point": point, "method": method, "n_max": n_max, "seed": seed}
    explained: list[float] = []
    if method == "umap":
        settings |= {"n_neighbors": n_neighbors, "min_dist": min_dist}
        coordinates = _umap(x, n_neighbors, min_dist, seed)
    else:
        coordinates, explained = _pca(x, 2, seed)
    return EmbeddingResult(
        provenance=recordings.provenance(split, command, **settings),
        point=point,
        method=method,
        coordinates=coordinates.astype(np.float64),
        trustworthiness=_trustworthiness(x, coordinates),
        explained_variance=explained,
        rows=rows,
        clip_ids=[held.clip_ids[i] for i in rows],
        labels=[recordings.class_names[i] for i in held.labels[rows]],
        speakers=[] if held.speakers is None else [held.speakers[i] for i in rows],
        predicted=_predictions(recordings, held, rows),
        rate_hz=_rates(recordings, held, point, rows),
        axes={
            "x": _axis(method, 1, explained),
            "y": _axis(method, 2, explained),
        },
    )


def stratified_rows(labels: np.ndarray, n_max: int, seed: int) -> np.ndarray:
    """Return at most `n_max` rows in ascending order, each label keeping its share."""
    order = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(place, kind="stable")[:n_max])


def _pca(x: np.ndarray, n_components: int, seed: int) -> tuple[np.ndarray, list[float]]:
    from sklearn.decomposition import PCA

    model = PCA(min(n_components, *x.shape), random_state=seed)
    out = np.zeros((len(x), n_components), np.float32)
    if not np.ptp(x, axis=0).any():  # nothing moves: no axes to speak of
        return out, [0.0] * n_components
    found = model.fit_transform(x)
    out[:, : found.shape[1]] = found
    explained = np.zeros(n_components)
    explained[: found.shape[1]] = model.explained_variance_ratio_
    return out, explained.tolist()


def _umap(x: np.ndarray, n_neighbors: int, min_dist: float, seed: int) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors
    from umap import UMAP

    reduced, _ = _pca(x, _N_COMPONENTS, seed)
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(reduced)
    distances, neighbors = search.kneighbors(reduced)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="umap")
        model = UMAP(
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(neighbors, distances.astype(np.float32)),
        )
        return model.fit_transform(reduced)


def _trustworthiness(x: np.ndarray, coordinates: np.ndarray) -> float:
    from sklearn.manifold import trustworthiness

    n_neighbors = min(_TRUST_NEIGHBORS, (len(x) - 1) // 2)
    return float(trustworthiness(x, coordinates, n_neighbors=n_neighbors))


def _predictions(recordings: Recordings, split: SplitRecordings, rows: np.ndarray) -> list[str]:
    if "readout" not in recordings.points:
        return []
    return [recordings.class_names[i] for i in pooled(split, "readout", "counts")[rows].argmax(axis=1)]


def _rates(recordings: Recordings, split: SplitRecordings, point: str, rows: np.ndarray) -> np.ndarray:
    for candidate in (point, "encoder"):
        if candidate in split.points and split.load(candidate, slice(0, 1)).dtype == np.uint8:
            per_frame = pooled(split, candidate, "counts")[rows].mean(axis=1) / split.n_steps
            return per_frame.astype(np.float64) * 1000 / recordings.dt_ms
    return np.full(len(rows), np.nan)


def _axis(method: str, number: int, explained: list[float]) -> str:
    if method == "umap":
        return f"UMAP {number}"
    return f"principal component {number}, {explained[number - 1]:.1%} of variance"
