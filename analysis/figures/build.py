"""Every paper figure by name, made from the same results as pages and commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from analysis.alignment import VerdictResult
from analysis.catalogue import command_line, run
from analysis.figures.faithful_aligned import faithful_aligned
from analysis.figures.gallery import figure_of
from analysis.figures.raster import raster_paper_figure
from analysis.figures.reconstruction import reconstruction_examples
from analysis.figures.save import PaperFigure, save_figure
from analysis.subjects import Progress, Subject, open_subject
from models.errors import SpikelensError

_EXAMPLES = 3  # clips in the figure of reconstructions
_UMAP = {"point": "encoder", "method": "umap", "n_max": 3000, "n_neighbors": 15, "min_dist": 0.1, "seed": 0}


def paper_figures(
    names: Sequence[str],
    out: Path,
    *,
    data: str | None = None,
    split: str = "validation",
    clip: int = 0,
    only: Sequence[str] = (),
    progress: Progress | None = None,
    command: str = "",
) -> dict[str, str]:
    """Write the paper figures of some subjects, ``NAME/FIGURE.*``, and those of all of them, ``FIGURE.*``.

    Parameters
    ----------
    names : sequence of str
        Checkpoints or imported recordings.
    out : Path
    clip : int
        Row of the split for the raster; the reconstructions begin with it.
    only : sequence of str
        Figures to draw; all by default.

    Returns
    -------
    dict of str to str
        Figures that do not apply to a subject, and why.

    Raises
    ------
    SpikelensError
        An unknown figure, name or data set, or `out` cannot be written.
    """
    if unknown := sorted(set(only) - set(FIGURES) - set(_TOGETHER)):
        raise SpikelensError(f"only: {unknown[0]!r} is not one of {', '.join((*FIGURES, *_TOGETHER))}")
    say = progress or (lambda fraction, message: None)
    subjects = [open_subject(name, data) for name in names]
    jobs: list[tuple[str, str, Path, Callable[[], PaperFigure | None]]] = []
    for subject in subjects:
        for figure, make in FIGURES.items():
            jobs.append((figure, subject.name, out / subject.name, partial(make, subject, split, clip)))
    for figure, draw in _TOGETHER.items():
        jobs.append((figure, "all", out, partial(draw, subjects, split)))
    left_out = {}
    for i, (figure, who, folder, make_one) in enumerate(jobs):
        if only and figure not in only:
            continue
        say(i / len(jobs), f"{figure} of {who}")
        try:
            made = make_one()
        except SpikelensError as error:
            left_out[f"{figure} of {who}"] = str(error)
            continue
        if made is None:
            left_out[f"{figure} of {who}"] = "the analysis does not apply"
            continue
        save_figure(made, folder, command)
    say(1.0, "figures written")
    return left_out


def _of(analysis: str, **settings: Any) -> Callable[[Subject, str, int], PaperFigure | None]:
    """Return how to draw the figure of an analysis."""

    def make(subject: Subject, split: str, clip: int) -> PaperFigure | None:
        return figure_of(run(analysis, subject, split=split, **settings))

    return make


def _raster(subject: Subject, split: str, clip: int) -> PaperFigure:
    from analysis.raster import raster

    settings = {"clip": clip, "sort": "selectivity"}
    command = command_line("raster", subject, split, settings)
    recordings = subject.recordings((split,))
    return raster_paper_figure(
        raster(recordings, split=split, clip=clip, sort="selectivity", command=command)
    )


def _reconstructions(subject: Subject, split: str, clip: int) -> PaperFigure:
    from analysis.listening import ClipViewer

    recordings = subject.recordings(("train", split))
    held = recordings.split(split)
    viewer = ClipViewer(recordings, split, ridge=True)
    clips = []
    for i in range(_EXAMPLES):
        row = (clip + i * len(held) // _EXAMPLES) % len(held)
        panels = viewer.panels(viewer.versions(row))
        versions = {name: values for name, values in panels.items() if " minus " not in name}
        clips.append((f"{recordings.class_names[held.labels[row]]} ({row})", versions))
    return reconstruction_examples(clips, viewer.dt_ms, recordings.provenance(split, clip=clip))


def _plane(subjects: Sequence[Subject], split: str) -> PaperFigure:
    found = [run("verdict", subject, split=split, seed=0) for subject in subjects]
    return faithful_aligned([verdict for verdict in found if isinstance(verdict, VerdictResult)])


FIGURES: dict[str, Callable[[Subject, str, int], PaperFigure | None]] = {
    "raster": _raster,
    "reconstructions": _reconstructions,
    "time-probes": _of("time", seed=0),
    "step-plane": _of("plane", n_fit=2000, seed=0),
    "gradient-path": _of("gradient-path", seed=0),
    "umap": _of("embed", **_UMAP),
}
_TOGETHER: dict[str, Callable[[Sequence[Subject], str], PaperFigure]] = {"faithful-aligned": _plane}
