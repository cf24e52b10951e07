"""Which paper figure shows which result."""

from __future__ import annotations

from analysis.alignment import VerdictResult
from analysis.embedding import EmbeddingResult
from analysis.figures.embedding import embedding_figure
from analysis.figures.faithful_aligned import faithful_aligned
from analysis.figures.gradient_path import gradient_path_figure
from analysis.figures.save import PaperFigure
from analysis.figures.step_plane import step_plane_figure
from analysis.figures.time_probes import time_figure
from analysis.gradient_path import GradientPath
from analysis.result import Result
from analysis.step_plane import StepPlaneResult
from analysis.time_probes import TimeResult


def figure_of(result: Result) -> PaperFigure | None:
    """Return the paper figure of a result, None where it has none."""
    if isinstance(result, VerdictResult):
        return None if result.x is None else faithful_aligned([result])
    if isinstance(result, EmbeddingResult):
        return embedding_figure(result)
    if isinstance(result, TimeResult):
        return time_figure(result)
    if isinstance(result, StepPlaneResult):
        return step_plane_figure(result)
    if isinstance(result, GradientPath):
        return gradient_path_figure(result)
    return None
