"""Recordings small enough to count by hand."""

import numpy as np
import pytest

from analysis.recordings import Point, Recordings, RecordingWriter


@pytest.fixture
def record(tmp_path):
    """Write spikes as the validation split of new recordings.

    ``record(spikes (n, T, N), labels=, speakers=, streams=, **other points (n, T, M) float)``
    """

    def write(spikes, *, labels=None, speakers=None, streams=None, name="by-hand", **others) -> Recordings:
        spikes = np.asarray(spikes, np.uint8)
        n_clips, n_steps, n_units = spikes.shape
        labels = np.zeros(n_clips, int) if labels is None else np.asarray(labels)
        points = [Point("encoder", n_units, True, streams or {})]
        points += [Point(key, np.shape(values)[2], False) for key, values in others.items()]
        with RecordingWriter(
            tmp_path / name,
            name=name,
            source="import",
            digest=name,
            dataset="by-hand",
            class_names=["no", "yes", "up"],
            points=points,
        ) as writer:
            writer.add_split(
                "validation",
                labels=labels,
                clip_ids=[f"clip-{i}" for i in range(n_clips)],
                speakers=speakers,
                n_steps=n_steps,
            )
            rows = slice(0, n_clips)
            writer.write("validation", "encoder", rows, spikes)
            for key, values in others.items():
                writer.write("validation", key, rows, np.asarray(values))
        return Recordings(tmp_path / name)

    return write
