"""A sound that belongs to no data set, such as the visitor's own voice, on its way through a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.raster import RasterResult, running_probabilities
from analysis.result import Provenance
from models.checkpoint import Checkpoint
from models.data.base import clip_hash


def raster_of_sound(
    checkpoint: Checkpoint, samples: np.ndarray, name: str, like: RasterResult
) -> RasterResult:
    """Return what one sound does at every point of another raster of the same model; nothing is kept on disk.

    Parameters
    ----------
    checkpoint : Checkpoint
    samples : np.ndarray [shape=(n_samples,), float32 in [-1, 1]]
        At 16 kHz, as long as the data set's clips.
    name : str
        Shown as the clip's id.
    like : RasterResult
        Gives the points and the order of their units.
    """
    import torch

    from models.features.mel import log_mel

    points = list(like.spikes)
    waveform = torch.from_numpy(samples)[None]
    with torch.inference_mode():
        output = checkpoint.model(
            log_mel(waveform, checkpoint.recipe.features), record=["features", "readout", *points]
        )
    held = {point: values[0].numpy() for point, values in output.recordings.items()}
    probabilities = running_probabilities(held["readout"])
    return replace(
        like,
        provenance=Provenance(
            subject=checkpoint.name,
            dataset="own sound",
            split="upload",
            data_digest=clip_hash(np.rint(samples * 32768.0)),
            checkpoint_digest=checkpoint.digest,
            seed=checkpoint.recipe.seed,
            config=dict(like.provenance.config) | {"clip": name},
        ),
        clip=0,
        clip_id=name,
        label="",
        predicted=like.class_names[int(probabilities[-1].argmax())],
        speaker=None,
        features=held["features"],
        spikes={point: held[point].astype(np.uint8) for point in points},
        probabilities=probabilities,
    )
