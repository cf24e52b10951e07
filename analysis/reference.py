"""The faithful control for any recordings: the residual encoder fitted to rebuild the same features."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.decoders import BLOCK, Progress
from analysis.recordings import Point, Recordings, RecordingWriter
from analysis.templates import Templates, train_templates
from models.errors import SpikelensError
from models.paths import cache_places

if TYPE_CHECKING:
    from models.encoders.fit import StepValues

_VERSION = 2
_log = logging.getLogger("spikelens")
_MAX_CLIPS = 500  # settle the rate to about the 1 % within which it is matched
STREAMS = ("coarse_on", "coarse_off", "fine_on", "fine_off")


def faithful_reference(
    recordings: Recordings, *, matched: bool = True, progress: Progress | None = None
) -> Recordings:
    """Return recordings of SF2-rec on the same clips, fitted on their training features; kept in the cache.

    Parameters
    ----------
    recordings : Recordings
        With ``features``, ``encoder`` and a training split.
    matched : bool
        True: SF2-rec@r, as many events per frame as `recordings` has in training. Where no steps reach that
        rate, and for False, the unpriced optimum of the squared error is returned; ``extra["rate_matched"]``
        tells which.

    Returns
    -------
    Recordings
        Points ``features`` (normalised), ``encoder`` and ``decoded``. ``extra`` holds ``steps``,
        ``rate_matched``, ``target_rate`` and the rate and SNR of the steps used and of the unpriced optimum.

    Raises
    ------
    SpikelensError
        No features, no training split, or an encoder that does not spike where a rate has to be matched.
    """
    from models.encoders.fit import fit_steps, fit_steps_at_rate, residual_statistics

    rate = recordings.digest if matched else None
    digest, roots = _place(recordings, "SF2-rec", rate)
    for root in roots:
        if root.exists():
            return Recordings(root)
    report = progress or (lambda fraction, message: None)
    templates = train_templates(recordings)
    train = recordings.split("train")
    rows = np.sort(np.random.default_rng(0).permutation(len(train))[:_MAX_CLIPS])
    x = templates.features(train, rows).astype(np.float32)
    report(0.0, "fitting the faithful encoder")
    optimum = steps = fit_steps(x)
    n_bands = x.shape[2]
    target = events_per_frame(recordings, "train") / (4 * n_bands) if matched else None
    reached = False
    if target is not None:
        with contextlib.suppress(SpikelensError):  # out of reach: rate_matched says so
            steps, reached = fit_steps_at_rate(x, target), True
    used, best = residual_statistics(x, steps), residual_statistics(x, optimum)
    extra = {
        "data_digest": recordings.extra.get("data_digest", recordings.digest),
        "steps": steps._asdict(),
        "rate_matched": reached,
        "target_rate": target,
        "rate": used.rate,
        "snr_db": float(used.snr_db),
        "optimum_rate": best.rate,
        "optimum_snr_db": float(best.snr_db),
    }
    name = f"{recordings.dataset} SF2-rec" + (f"@{used.rate:.3f}" if reached else "")
    return _kept(roots, name, digest, recordings, templates, steps, extra, report)


def fixed_encoder(
    recordings: Recordings, name: str, steps: StepValues, progress: Progress | None = None
) -> Recordings:
    """Return recordings of the residual encoder with given steps on the same clips; kept in the cache.

    Parameters
    ----------
    recordings : Recordings
        With ``features`` and a training split.
    name : str
        Of the encoder; the result is named after the data set and it.
    steps : StepValues

    Returns
    -------
    Recordings
        Points ``features`` (normalised), ``encoder`` and ``decoded``; ``extra`` holds ``steps``.
    """
    digest, roots = _place(recordings, list(steps))
    for root in roots:
        if root.exists():
            return Recordings(root)
    data_digest = recordings.extra.get("data_digest", recordings.digest)
    extra = {"data_digest": data_digest, "steps": steps._asdict()}
    templates = train_templates(recordings)
    report = progress or (lambda fraction, message: None)
    return _kept(roots, f"{recordings.dataset} {name}", digest, recordings, templates, steps, extra, report)


def _place(recordings: Recordings, *settings: Any) -> tuple[str, list[Path]]:
    """Return digest and possible folders of a control encoder; one that depends on the sound alone is shared.

    Captures of two checkpoints on one data set hold the same features, bit for bit.
    """
    extra = recordings.extra
    sound: Any = recordings.digest
    if recordings.source == "checkpoint":
        sound = [extra[part] for part in ("data_digest", "features", "feature_mean", "feature_std")]
    key = json.dumps([_VERSION, sound, list(recordings.splits), *settings], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()
    return digest, [place / "reference" / digest[:32] for place in cache_places()]


def _kept(
    roots: Sequence[Path],
    name: str,
    digest: str,
    recordings: Recordings,
    templates: Templates,
    steps: StepValues,
    extra: Mapping[str, Any],
    report: Progress,
) -> Recordings:
    """Write to the first place that takes it and open what was written."""
    for root in roots:
        try:
            _write(root, name, digest, recordings, templates, steps, extra, report)
            return Recordings(root)
        except OSError as error:
            _log.warning("a control encoder cannot be kept in %s (%s)", root.parent, error.strerror or error)
            problem = error
    raise SpikelensError(f"cache: a control encoder cannot be stored ({problem.strerror or problem})")


def _write(
    root: Path,
    name: str,
    digest: str,
    recordings: Recordings,
    templates: Templates,
    steps: StepValues,
    extra: Mapping[str, Any],
    report: Progress,
) -> None:
    """Encode every split with these steps and record it."""
    n_bands = len(templates.frame[0])
    streams = {name: (i * n_bands, (i + 1) * n_bands) for i, name in enumerate(STREAMS)}
    writer = RecordingWriter(
        root,
        name=name,
        source="reference",
        digest=digest,
        dataset=recordings.dataset,
        class_names=recordings.class_names,
        points=[
            Point("features", n_bands, False),
            Point("encoder", 4 * n_bands, True, streams),
            Point("decoded", n_bands, False),
        ],
        dt_ms=recordings.dt_ms,
        synthetic=recordings.synthetic,
        extra=extra,
    )
    with writer:
        for split in recordings.splits.values():
            writer.add_split(
                split.name,
                labels=split.labels,
                clip_ids=split.clip_ids,
                speakers=split.speakers,
                n_steps=split.n_steps,
                nuisance=split.nuisance,
            )
            for start in range(0, len(split), BLOCK):
                block = slice(start, min(start + BLOCK, len(split)))
                features = templates.features(split, block).astype(np.float32)
                spikes, decoded = encode_residual(features, steps)
                writer.write(split.name, "features", block, features)
                writer.write(split.name, "encoder", block, spikes)
                writer.write(split.name, "decoded", block, decoded)
                report(0.5 + 0.5 * block.stop / len(split), f"control encoder on {split.name}")


def events_per_frame(recordings: Recordings, split: str) -> float:
    """Return the mean number of spikes per frame over all encoder channels."""
    if not recordings.points["encoder"].spiking:
        raise SpikelensError(
            f"recordings: the encoder of {recordings.name} does not spike, so it has no rate"
        )
    held = recordings.split(split)
    total = sum(int(block.sum(dtype=np.int64)) for _, block in held.blocks("encoder"))
    return total / (len(held) * held.n_steps)


def encode_residual(features: np.ndarray, steps: StepValues) -> tuple[np.ndarray, np.ndarray]:
    """Run the residual encoder on normalised features ``(n, T, F)``.

    Returns
    -------
    spikes : np.ndarray [shape=(n, T, 4F), uint8]
    decoded : np.ndarray [shape=(n, T, F), float32]
    """
    import torch

    from models.encoders.residual import FrozenResidual

    encoder = FrozenResidual(steps, features.shape[2])
    spikes = np.empty((*features.shape[:2], encoder.n_units), np.uint8)
    decoded = np.empty(features.shape, np.float32)
    for start in range(0, len(features), BLOCK):
        rows = slice(start, start + BLOCK)
        with torch.inference_mode():
            output = encoder(torch.from_numpy(np.ascontiguousarray(features[rows], dtype=np.float32)))
        assert output.decoded is not None
        spikes[rows], decoded[rows] = output.spikes.numpy(), output.decoded.numpy()
    return spikes, decoded
