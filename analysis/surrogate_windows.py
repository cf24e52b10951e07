"""How many units stand where their surrogate lets a gradient through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.gradient_fields import steps_of
from models.neurons.surrogate import SURROGATES

if TYPE_CHECKING:
    import torch

    from models.encoders.base import Encoder, EncoderOutput


def hidden_window(membrane: torch.Tensor, theta: float, surrogate_name: str) -> torch.Tensor | None:
    """Return the share of units within the support of the surrogate, ``(B, T, N)`` -> ``(B, T)``.

    None where the surrogate has no support: then every unit passes some gradient.
    """
    support = SURROGATES[surrogate_name].support
    if support is None:
        return None
    return ((membrane - theta).abs() <= support).double().mean(dim=2)


def encoder_window(encoder: Encoder, x: torch.Tensor, encoded: EncoderOutput) -> torch.Tensor | None:
    """Return the share of channels of a residual encoder within the support of its triangle, ``(B, T)``.

    Parameters
    ----------
    x : torch.Tensor [shape=(B, T, F)]
        Normalised log-mel.
    encoded : EncoderOutput
        What the encoder made of it.

    Returns
    -------
    torch.Tensor or None
        None for an encoder without coarse and fine step on one baseline that starts at 0.
    """
    import torch

    steps = steps_of(encoder)
    if steps is None or encoded.decoded is None or not getattr(encoder, "plain", True):
        return None
    signal, baseline = x, encoded.decoded
    if (log_gain := getattr(encoder, "log_gain", None)) is not None:  # the steps act on the scaled signal
        signal, baseline = (log_gain.exp() * values + encoder.bias for values in (signal, baseline))
    before = torch.nn.functional.pad(baseline, (0, 0, 1, 0))[:, :-1]  # starts at 0
    on, off = encoded.spikes.chunk(4, dim=-1)[:2]
    after_coarse = before + steps.dc * (on - off)
    support = SURROGATES["triangle"].support
    assert support is not None
    inside = [
        (sign * distance - threshold).abs() < support
        for distance, threshold in (
            ((signal - before) / steps.dc, steps.tc),
            ((signal - after_coarse) / steps.df, steps.tf),
        )
        for sign in (1, -1)
    ]
    return torch.cat(inside, dim=2).double().mean(dim=2)
