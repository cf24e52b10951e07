"""The README of a checkpoint: what it is, how it was made, what it scores, what may be claimed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.checkpoint import read_info, write_atomically

_DATA_NOTES = {
    "gsc8": (
        "GSC-8: eight words (down, go, left, no, right, stop, up, yes) of Google Speech Commands with "
        "speaker-disjoint splits. **These figures are not comparable with published 10-, 12- or 35-word "
        "figures.** Pete Warden, *Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition*, "
        "arXiv:1804.03209 (2018), CC BY 4.0. The recordings are not part of this repository; "
        "`spikelens data subset gsc8` rebuilds them from the public archives."
    ),
    "spoken35": (
        "The embedded set: the 35 Google Speech Commands words **spoken by a synthesiser** (eSpeak NG), "
        "voices disjoint between splits. Figures on it say nothing about real speech."
    ),
}
_ENCODERS = {
    "residual": "learned residual step-forward encoder (two phases on one baseline), trained with the net",
    "sf2-rec": "residual step-forward encoder fitted to reconstruct the training features, then frozen",
    "sf2-init": "residual step-forward encoder frozen at the learned encoder's starting values",
    "step-forward": "single step-forward encoder, threshold tuned for reconstruction SNR, frozen",
    "speech2spikes": "step-forward encoder of the log-mel itself, step 1 in natural-log units, frozen",
    "send-on-delta": "send-on-delta encoder, an event for every change by a threshold, frozen",
    "threshold-based": "threshold-based representation, an event for every jump between two frames, frozen",
    "moving-window": "moving-window encoder, an event for every distance from the recent mean, frozen",
    "level": "level code, a thermometer of two thresholds of either sign, frozen",
    "lif": "rate code by fixed leaky integrate-and-fire units, two a band",
    "poisson": "rate code by chance, drawn anew for every pass in training and by the clip in evaluation",
    "bsa": "Ben's spiker algorithm made causal: spikes come the filter's length less one frame late, frozen",
    "direct": "no encoder: normalised log-mel enters the first layer as currents",
}


def write_card(folder: Path, recipe_name: str, options: Sequence[str] = (), seed: int | None = None) -> None:
    """Write ``README.md`` into a checkpoint folder.

    Parameters
    ----------
    folder : Path
    recipe_name : str
        What was given to ``spikelens train``.
    options : sequence of str
        Its ``--set`` options.
    seed : int, optional
        Its ``--seed``.
    """
    info = read_info(folder)
    metrics = info.metrics
    shown = recipe_name if not recipe_name.endswith(".toml") else Path(recipe_name).name
    data = "" if info.data["synthetic"] else " --data PATH"
    words = ["spikelens train", shown + data, *options]
    words += [f"--seed {seed}"] if seed is not None else []
    words += [f"--name {folder.name}"] if folder.name != info.recipe.name else []
    words += ["--score-test"] if "test" in metrics else []
    encoder = _ENCODERS.get(info.recipe.encoder.name, info.recipe.encoder.name)
    layers = " and ".join(str(n) for n in getattr(info.recipe.backbone, "hidden", ()))
    rows = [_score_row(name, metrics[name]) for name in ("validation", "test") if name in metrics]
    snr = metrics.get("snr_db")
    shuffled = info.recipe.train.shuffle_labels
    lines = [
        f"# {folder.name}",
        "",
        f"Encoder: {encoder}. Backbone: recurrent LIF, {layers} units, leaky readout.",
        f"{metrics['parameters']:,} parameters, seed {metrics['seed']}, epoch {metrics['epoch']} of "
        f"{info.recipe.train.epochs}, "
        + ("the last: it learned from shuffled labels" if shuffled else "chosen on validation")
        + ("; the test split was scored once, afterwards." if "test" in metrics else "."),
        "",
        "```",
        " ".join(words),
        "```",
        "",
        "| split | accuracy | 95 % interval | clips |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Intervals: bootstrap over {metrics['validation']['interval_unit']}s, one training seed. "
        + "On validation: "
        + "; ".join(f"{name} rate {rate:.3f}" for name, rate in metrics["rates"].items())
        + " (spikes per unit and frame)"
        + ("" if snr is None else f"; own-decoder SNR {snr:.1f} dB on normalised log-mel")
        + f"; {metrics['synops']:,.0f} synaptic operations a clip.",
        "",
        f"Data: {_DATA_NOTES.get(str(info.data['name']), info.data['name'])}",
        f"Data digest `{info.data['digest']}`.",
        "",
        "A reconstruction of the idea of arXiv 2606.19039, whose method section and code are not public; not "
        "the authors' model. Files: `weights.safetensors`, `config.json` (recipe, digests, versions), "
        "`metrics.json`, `history.csv` (one row an epoch, with the encoder's own parameters).",
        "",
    ]
    write_atomically(folder / "README.md", "\n".join(lines).encode())


def _score_row(name: str, scores: dict[str, Any]) -> str:
    return (
        f"| {name} | {scores['accuracy']:.2%} | {scores['low']:.2%} to {scores['high']:.2%} | {scores['n']} |"
    )
