"""Log-mel-like material: smooth in time, correlated between bands, with a template for every word."""

import numpy as np

from analysis.importing import import_recordings
from analysis.planted import Material
from analysis.recordings import Point, Recordings, RecordingWriter


def smooth_material(
    n: int = 360, n_steps: int = 40, n_bands: int = 8, n_words: int = 6, seed: int = 0
) -> Material:
    """Return features of unit variance, two thirds of the clips for training; speakers are disjoint."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % n_words
    mix = np.exp(-np.abs(np.subtract.outer(np.arange(n_bands), np.arange(n_bands))) / 2)

    def walk(count: int) -> np.ndarray:
        steps = rng.standard_normal((count, n_steps, n_bands)) @ mix
        state = np.zeros_like(steps)
        state[:, 0] = steps[:, 0] * 3
        for t in range(1, n_steps):
            state[:, t] = 0.95 * state[:, t - 1] + 0.3 * steps[:, t]
        return state / state.std()

    features = walk(n) + 0.35 * walk(n_words)[label]
    split = np.where(
        np.arange(n) < 2 * n // 3, "train", np.where(np.arange(n) < 5 * n // 6, "validation", "test")
    )
    train = features[split == "train"]
    features = (features - train.mean(axis=(0, 1))) / train.std(axis=(0, 1))
    speaker = np.array([f"{name}{i // n_words % 10}" for i, name in enumerate(split)])
    return Material(features.astype(np.float32), label, split, speaker)


def plant(arrays: dict[str, np.ndarray], folder, name: str) -> Recordings:
    """Bring planted arrays in through the import door."""
    np.savez(folder / f"{name}.npz", **arrays)
    return import_recordings(folder / f"{name}.npz", name, root=folder)


def written(
    folder, arrays: dict[str, dict[str, np.ndarray]], *, source: str = "checkpoint", digest: str = "d"
) -> Recordings:
    """Write recordings from ``split -> {labels, point: (n, T, N)}``; uint8 points spike, no speakers."""
    first = next(iter(arrays.values()))
    points = [Point(k, v.shape[2], v.dtype == np.uint8) for k, v in first.items() if k != "labels"]
    n_words = max(int(values["labels"].max()) for values in arrays.values()) + 1
    with RecordingWriter(
        folder,
        name="written",
        source=source,
        digest=digest,
        dataset="by hand",
        class_names=[str(i) for i in range(n_words)],
        points=points,
    ) as writer:
        for split, values in arrays.items():
            labels = values["labels"]
            ids = [str(i) for i in range(len(labels))]
            n_steps = values[points[0].name].shape[1]
            writer.add_split(split, labels=labels, clip_ids=ids, speakers=None, n_steps=n_steps)
            for point in points:
                writer.write(split, point.name, slice(0, len(labels)), values[point.name])
    return Recordings(folder)
