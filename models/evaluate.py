"""How good and how busy a trained model is on one split."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from models.classifier import SpikingClassifier
from models.data.base import Split
from models.intervals import ratio_interval
from models.operations import synaptic_operations

BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """Scores on one split, deterministic.

    Attributes
    ----------
    accuracy, accuracy_low, accuracy_high : float
        Fractions; 95 % bootstrap over speakers (over clips where they are unknown).
    n : int
        Clips.
    cross_entropy : float
        Nats.
    rates : dict of str to float
        Spikes per unit and frame of the encoder, of its streams and of each layer.
    snr_db : float or None
        ``10 log10(sum x^2 / sum (x - decoded)^2)`` on normalised log-mel; None without a decoder.
    synops : float
        Synaptic operations per clip, see `models.operations`.
    interval_unit : str
        ``speaker``, or ``clip`` where speakers are unknown or there is but one.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    n: int
    cross_entropy: float
    rates: dict[str, float]
    snr_db: float | None
    synops: float
    interval_unit: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def interval(self) -> dict[str, Any]:
        """Return the accuracy as ``metrics.json`` keeps it."""
        return {
            "accuracy": self.accuracy,
            "low": self.accuracy_low,
            "high": self.accuracy_high,
            "n": self.n,
            "interval_unit": self.interval_unit,
        }


def evaluate(model: SpikingClassifier, split: Split, log_mel: np.ndarray) -> Evaluation:
    """Score a model in evaluation mode.

    Parameters
    ----------
    model : SpikingClassifier
    split : Split
    log_mel : np.ndarray [shape=(n, T, F)]
        Of the split's clips, see `models.features.cache.split_features`.
    """
    training = model.training
    model.eval()
    points = {point.name: point for point in model.points()}
    spiking = [point for point in points.values() if point.spiking]
    record = [name for name in points if name != "readout"]
    counts = {point.name: np.zeros(point.units) for point in spiking}
    correct = np.zeros(len(split))
    signal, error, entropy = 0.0, 0.0, 0.0
    try:
        for start in range(0, len(split), BATCH):
            rows = slice(start, start + BATCH)
            labels = torch.from_numpy(split.labels[rows])
            with torch.inference_mode():
                output = model(torch.from_numpy(np.array(log_mel[rows])), record=record)
            correct[rows] = (output.logits.argmax(1) == labels).numpy()
            entropy += float(F.cross_entropy(output.logits, labels, reduction="sum"))
            for name, count in counts.items():
                count += output.recordings[name].sum(dim=(0, 1), dtype=torch.float64).numpy()
            if "decoded" in output.recordings:
                x = output.recordings["features"].double()
                signal += float(x.square().sum())
                error += float((x - output.recordings["decoded"]).square().sum())
    finally:
        model.train(training)
    speakers = None if split.speakers is None else np.asarray(split.speakers)
    if speakers is not None and (speakers == speakers[0]).all():
        speakers = None
    groups = np.arange(len(split)) if speakers is None else speakers
    accuracy, low, high = ratio_interval(correct, np.ones(len(split)), groups)
    frames = len(split) * log_mel.shape[1]
    rates = {}
    for point in spiking:
        rates[point.name] = float(counts[point.name].sum() / (frames * point.units))
        for stream, (a, b) in point.streams.items():
            rates[f"{point.name}/{stream}"] = float(counts[point.name][a:b].sum() / (frames * (b - a)))
    per_clip = {name: float(count.sum()) / len(split) for name, count in counts.items()}
    return Evaluation(
        accuracy,
        low,
        high,
        len(split),
        entropy / len(split),
        rates,
        10 * float(np.log10(signal / error)) if error > 0 else None,
        float(synaptic_operations(model, log_mel.shape[1], per_clip)),
        "clip" if speakers is None else "speaker",
    )
