r"""A small network that reads the features from spikes: what is not linearly decodable need not be gone.

.. math::
    \hat x_t = \ell_t + W_2 \max(0, W_1 [s_{t-L} \ldots s_{t+L},\; c_t,\; \ell_t] + b_1) + b_2,
    \qquad c_t = \sum_{u \le t} s_u

:math:`\ell` is the better of the two ridge decoders, :math:`c` the running sums of the spikes, standardised.
:math:`W_2` starts at 0, so that training starts from the ridge decoder and adds what a line cannot say.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.decoders import Progress, RidgeWeights, best_ridge, within
from analysis.fitting import FittingClips, chosen_on_validation, fitting_clips, null_partner
from analysis.nonlinear_fit import (
    BATCH,
    HIDDEN,
    DecoderClips,
    network_inputs,
    running_sum_statistics,
    train_network,
)
from analysis.recordings import Recordings, SplitRecordings
from analysis.result import Array, Result
from analysis.store import cached
from analysis.templates import Templates, train_templates

N_FIT, N_STOP = 1500, 400  # clips
_MAX_BYTES = 2**28  # of activity held in memory
_SEEDING = threading.Lock()  # the generator that starts a network is one for all threads


@dataclass(frozen=True)
class NonlinearWeights(Result):
    """A fitted network, without the ridge decoder that it adds to.

    Attributes
    ----------
    lags : int
    running_sum : bool
        Which of the two ridge decoders it adds to.
    sum_mean, sum_std : np.ndarray [shape=(N,)]
        Of the running sums, on the fitting clips.
    hidden : np.ndarray [shape=((2 lags + 2) N + F, H)]
    hidden_bias : np.ndarray [shape=(H,)]
    output : np.ndarray [shape=(H, F)]
    output_bias : np.ndarray [shape=(F,)]
    n_fit, n_stop : int
        Training clips it is fitted to, and clips that it is stopped on.
    n_epochs : int
        0: nothing was found beyond the ridge decoder.
    chosen_on : str
        Where the clips that stop it come from.
    error, linear_error : float
        Squared error over power on those clips, of the network and of the ridge decoder alone.
    """

    lags: int
    running_sum: bool
    sum_mean: Array
    sum_std: Array
    hidden: Array
    hidden_bias: Array
    output: Array
    output_bias: Array
    n_fit: int
    n_stop: int
    n_epochs: int
    chosen_on: str
    error: float
    linear_error: float

    def to_table(self) -> pd.DataFrame:
        """Return the hidden weights, one row an input."""
        return pd.DataFrame(self.hidden)


@dataclass(frozen=True)
class NonlinearDecoder:
    """The network with the ridge decoder that it adds to.

    Attributes
    ----------
    linear : RidgeWeights
    weights : NonlinearWeights
    null : bool
        Fitted to the spikes of other clips.
    """

    linear: RidgeWeights
    weights: NonlinearWeights
    null: bool

    @property
    def fitted_on(self) -> str:
        """Return the clips behind the decoder, in words."""
        w = self.weights
        return f"{w.n_fit} training clips, stopped on {w.n_stop} clips of {w.chosen_on}"

    def read(self, activity: np.ndarray) -> np.ndarray:
        """Return normalised features ``(n, T, F)`` from activity ``(n, T, N)``."""
        w = self.weights
        parts = (np.asarray(part, np.float32) for part in (w.hidden, w.hidden_bias, w.output, w.output_bias))
        hidden, hidden_bias, output, output_bias = parts
        estimate = self.linear.read(activity, null=self.null)
        for start in range(0, len(activity), BATCH):
            rows = slice(start, start + BATCH)
            x = network_inputs(activity[rows], estimate[rows], w.lags, w.sum_mean, w.sum_std)
            units = np.maximum(x @ hidden + hidden_bias, 0)
            estimate[rows] += (units @ output + output_bias).reshape(estimate[rows].shape)
        return estimate


def nonlinear_decoder(
    recordings: Recordings,
    point: str,
    *,
    split: str,
    lags: int = 5,
    null: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> NonlinearDecoder:
    """Return the non-linear decoder of a point for evaluation on `split`, fitted or from the cache.

    One hidden layer of 128 rectified units, trained by Adam (Kingma and Ba 2015) on squared error, at most 6
    times over 1,500 training clips; fewer where many units would fill the memory. It is stopped where the
    error no longer falls on the clips that also choose the ridge penalty, at most 400 of them, and the best
    epoch is kept: the fitting clips and these share no speaker.

    Parameters
    ----------
    lags : int
        L: the window of spikes holds frames t - L ... t + L.
    null : bool
        Fit and read the spikes of another clip.
    """
    linear = best_ridge(
        recordings, point, split=split, lags=lags, seed=seed, progress=within(progress, 0.0, 0.5)
    )
    key = {
        "analysis": "nonlinear_weights",
        "recordings": recordings.digest,
        "point": point,
        "chosen_on_validation": chosen_on_validation(recordings, split),
        "lags": lags,
        "null": null,
        "seed": seed,
    }

    def fit() -> NonlinearWeights:
        return _fit(recordings, point, split, linear, lags, null, seed, within(progress, 0.5, 0.5))

    return NonlinearDecoder(linear, cached(NonlinearWeights, key, fit), null)


def _fit(
    recordings: Recordings,
    point: str,
    split: str,
    linear: RidgeWeights,
    lags: int,
    null: bool,
    seed: int,
    progress: Progress,
) -> NonlinearWeights:
    import torch

    clips = _sample(recordings, point, split, seed)
    templates = train_templates(recordings)

    def load(name: str, rows: np.ndarray) -> DecoderClips:
        held = recordings.split(name)
        return _load(held, point, rows, templates, linear, null, seed)

    fit, stop = load("train", clips.fit), load(clips.choose_split, clips.choose)
    mean, std = running_sum_statistics(fit.activity)
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        n_inputs = (2 * lags + 2) * len(mean) + fit.features.shape[2]
        net = torch.nn.Sequential(
            torch.nn.Linear(n_inputs, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, fit.features.shape[2])
        )
        for part in net[2].parameters():
            torch.nn.init.zeros_(part)
    errors, epoch = train_network(
        net,
        fit,
        stop,
        lambda held, rows: network_inputs(held.activity[rows], held.linear[rows], lags, mean, std),
        seed,
        lambda fraction: progress(fraction, f"non-linear decoder of {point}"),
    )
    hidden, hidden_bias, output, output_bias = (part.detach().numpy() for part in net.parameters())
    return NonlinearWeights(
        recordings.provenance(split, seed=seed, point=point),
        lags,
        linear.running_sum,
        mean,
        std,
        hidden.T,
        hidden_bias,
        output.T,
        output_bias,
        len(clips.fit),
        len(clips.choose),
        epoch,
        clips.chosen_on,
        errors[epoch] / stop.power,
        errors[0] / stop.power,
    )


def _sample(recordings: Recordings, point: str, split: str, seed: int) -> FittingClips:
    """Draw the clips, as many as fit into memory."""
    one = recordings.split("train").load(point, slice(0, 1))
    room = max(BATCH, _MAX_BYTES // one.nbytes)
    fit = fitting_clips(recordings, split, seed, min(N_FIT, room))
    stop = fitting_clips(recordings, split, seed, min(N_STOP, room))
    return FittingClips(fit.fit, stop.choose, fit.choose_split, fit.chosen_on)


def _load(
    held: SplitRecordings,
    point: str,
    rows: np.ndarray,
    templates: Templates,
    linear: RidgeWeights,
    null: bool,
    seed: int,
) -> DecoderClips:
    activity = held.load(point, rows)
    wanted = null_partner(len(held), seed)[rows] if null else rows
    estimate = np.empty((*activity.shape[:2], len(templates.mean)), np.float32)
    for start in range(0, len(rows), 256):
        block = slice(start, start + 256)
        estimate[block] = linear.read(activity[block], null=null)
    return DecoderClips(activity, estimate, templates.features(held, wanted).astype(np.float32))
