"""Clips as the decoders give them back, as a paper figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.save import TWO_COLUMNS, PaperFigure
from analysis.result import Provenance


def reconstruction_examples(
    clips: Sequence[tuple[str, Mapping[str, np.ndarray]]], dt_ms: float, where: Provenance
) -> PaperFigure:
    """Return some clips, each as log-mel and as every decoder rebuilds it.

    Parameters
    ----------
    clips : sequence of (str, mapping of str to np.ndarray [shape=(T, F)])
        Title, and the versions in standard deviations of a band, the original first.
    """
    parts = []
    for title, versions in clips:
        original = next(iter(versions.values()))
        for version, values in versions.items():
            step, band = np.indices(values.shape)
            error = np.square(original - values).sum()
            shown = f"{version}" if error == 0 else f"{version}, {_snr_db(original, error):.1f} dB"
            parts.append(
                pd.DataFrame(
                    {
                        "clip": title,
                        "version": shown,
                        "time_ms": step.ravel() * dt_ms,
                        "band": band.ravel(),
                        "value": values.astype(np.float64).ravel().round(4),
                        "dt_ms": dt_ms,
                    }
                )
            )
    synthetic = " Synthetic speech." if where.synthetic else ""
    return PaperFigure(
        "reconstructions",
        pd.concat(parts, ignore_index=True),
        draw,
        f"Clips of {where.dataset}/{where.split} as normalised log-mel and rebuilt from the spikes of "
        f"{where.subject}, with the SNR of each clip; one colour scale a row.{synthetic}",
        [where],
    )


def _snr_db(original: np.ndarray, error: float) -> float:
    return 10 * float(np.log10(np.square(original).sum() / error))


def draw(table: pd.DataFrame) -> Figure:
    """Draw one row a clip, one column a version."""
    clips = [part for _, part in table.groupby("clip", sort=False)]
    n_columns = max(part["version"].nunique() for part in clips)
    figure = Figure(figsize=(TWO_COLUMNS, 1.3 * len(clips) + 0.4), layout="constrained")
    axes = figure.subplots(len(clips), n_columns, sharex=True, sharey=True, squeeze=False)
    for row, part in zip(axes, clips, strict=True):
        reach = float(part["value"].abs().max())
        for panel, (version, cell) in zip(row, part.groupby("version", sort=False), strict=False):
            n_bands = int(cell["band"].max()) + 1
            image = panel.imshow(
                cell["value"].to_numpy().reshape(-1, n_bands).T,
                origin="lower",
                aspect="auto",
                cmap="RdBu_r",
                vmin=-reach,
                vmax=reach,
                extent=(0, cell["time_ms"].max() + cell["dt_ms"].iloc[0], 0, n_bands),
            )
            panel.set_title(version, fontsize=7, pad=2)
        row[0].set_ylabel(f"{part['clip'].iloc[0]}\nmel band", fontsize=7)
        figure.colorbar(image, ax=row, label="sd")
    for panel in axes[-1]:
        panel.set_xlabel("time (ms)")
    return figure
