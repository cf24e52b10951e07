"""Small recordings with a planted answer."""

from pathlib import Path

import numpy as np

from analysis.recordings import Point, Recordings, RecordingWriter

SPLITS = {"train": 240, "validation": 120, "test": 120}


def planted(
    root: Path,
    *,
    signal: float = 0.5,
    n_classes: int = 4,
    n_units: int = 24,
    n_steps: int = 30,
    n_bands: int = 6,
    n_speakers: int = 12,
    seed: int = 0,
    splits: dict[str, int] = SPLITS,
    speakers_known: bool = True,
) -> Recordings:
    """Write recordings in which ``encoder`` tells the word by a rate pattern and ``layer1`` is noise.

    ``features`` carry the word as a band pattern plus noise. Speakers are disjoint between splits.

    Parameters
    ----------
    signal : float
        How far a word's own units are above the base rate of 0.1; 0 leaves noise.
    """
    settings = {key: value for key, value in locals().items() if key != "root"}
    rng = np.random.default_rng(seed)
    preferred = np.arange(n_units) % n_classes
    pattern = rng.standard_normal((n_classes, n_bands))
    points = [
        Point("features", n_bands, False),
        Point("encoder", n_units, True, {"on": (0, n_units // 2), "off": (n_units // 2, n_units)}),
        Point("layer1", n_units, True),
        Point("readout", n_classes, False),
    ]
    with RecordingWriter(
        root,
        name="planted",
        source="import",
        digest=f"planted-{sorted(settings.items())}",
        dataset="planted",
        class_names=[f"word{i}" for i in range(n_classes)],
        points=points,
        synthetic=True,
    ) as writer:
        for name, count in splits.items():
            labels = np.arange(count) % n_classes
            rate = 0.1 + signal * (preferred[None] == labels[:, None])
            writer.add_split(
                name,
                labels=labels,
                clip_ids=[f"word{label}/{name}_{i:04d}" for i, label in enumerate(labels)],
                speakers=[f"{name}{(i // n_classes) % n_speakers}" for i in range(count)]
                if speakers_known
                else None,
                n_steps=n_steps,
            )
            rows = slice(0, count)
            shape = (count, n_steps, n_units)
            writer.write(name, "encoder", rows, rng.random(shape) < rate[:, None])
            writer.write(name, "layer1", rows, rng.random(shape) < 0.1)
            noise = rng.standard_normal((count, n_steps, n_bands))
            writer.write(name, "features", rows, pattern[labels][:, None] + noise)
            readout = np.repeat(np.eye(n_classes)[labels][:, None], n_steps, axis=1)
            writer.write(name, "readout", rows, readout)
    return Recordings(root)
