"""The encoders that every claim about an encoder is set beside, on the same clips."""

from __future__ import annotations

import numpy as np

from analysis.decoders import Progress
from analysis.recordings import Recordings
from analysis.reference import faithful_reference, fixed_encoder
from models.errors import SpikelensError

SUBJECT = "learned"
MATCHED, FAITHFUL, START, RANDOM = "SF2-rec@r", "SF2-rec", "SF2-init", "random steps"
N_RANDOM = 5
_DC, _RATIO, _EXCESS = (0.3, 3.0), (0.1, 0.9), (0.01, 1.0)  # ranges of random steps


def control_encoders(
    recordings: Recordings, *, n_random: int = N_RANDOM, seed: int = 0, progress: Progress | None = None
) -> dict[str, Recordings]:
    """Return the control encoders of some recordings by name; all are kept in the cache.

    ``SF2-rec@r`` is fitted to reconstruct at the same event rate, ``SF2-rec`` without a rate; ``SF2-init`` is
    the learned encoder's start, which at the encoder is the untrained twin; ``random steps 1`` ... know
    nothing. The first is left out where no steps reach the rate.

    Parameters
    ----------
    recordings : Recordings
        With ``features``, a spiking ``encoder`` and a training split.
    n_random : int
        Draws of random steps.

    Raises
    ------
    SpikelensError
        As `analysis.reference.faithful_reference`.
    """
    from models.encoders.fit import StepValues
    from models.encoders.residual_learned import ResidualConfig

    report = progress or (lambda fraction, message: None)
    matched = faithful_reference(recordings, progress=progress)
    found = {MATCHED: matched} if matched.extra["rate_matched"] else {}
    found[FAITHFUL] = faithful_reference(recordings, matched=False, progress=progress)
    start = ResidualConfig()
    found[START] = fixed_encoder(
        recordings, START, StepValues(start.dc, start.df, start.tc, start.tf), progress
    )
    for draw in range(n_random):
        name = f"{RANDOM} {draw + 1}"
        report((draw + 1) / (n_random + 1), name)
        found[name] = fixed_encoder(recordings, name, StepValues(*random_steps(seed, draw)), progress)
    return found


def possible_controls(
    recordings: Recordings, *, seed: int = 0, progress: Progress | None = None
) -> tuple[dict[str, Recordings], dict[str, str]]:
    """Return those `control_encoders` that there are, and why the others are missing, by name."""
    try:
        found = control_encoders(recordings, seed=seed, progress=progress)
    except SpikelensError as error:
        return {}, {"control encoders": str(error)}
    missing = {} if MATCHED in found else {MATCHED: "no steps reach the event rate of this encoder"}
    return found, missing


def random_steps(seed: int, draw: int) -> tuple[float, float, float, float]:
    """Return steps and thresholds of an encoder that knows nothing, ``(dc, df, tc, tf)``.

    Log-uniform: dc between 0.3 and 3 standard deviations, df a tenth to nine tenths of it, thresholds 0.01 to
    1 above the lowest allowed, one half.
    """
    rng = np.random.default_rng([seed, draw])
    ends = np.log([_DC, _RATIO, _EXCESS, _EXCESS])
    dc, ratio, coarse, fine = np.exp(rng.uniform(ends[:, 0], ends[:, 1]))
    return float(dc), float(dc * ratio), float(0.5 + coarse), float(0.5 + fine)
