"""Which paper figure shows which result."""

from __future__ import annotations

from analysis.alignment import VerdictResult
from analysis.embedding import EmbeddingResult
from analysis.figures.embedding import embedding_figure
from analysis.figures.faithful_aligned import faithful_aligned
from analysis.figures.save import PaperFigure
from analysis.result import Result


def figure_of(result: Result) -> PaperFigure | None:
    """Return the paper figure of a result, None where it has none."""
    if isinstance(result, VerdictResult):
        return None if result.x is None else faithful_aligned([result])
    if isinstance(result, EmbeddingResult):
        return embedding_figure(result)
    return None
