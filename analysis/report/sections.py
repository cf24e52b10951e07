"""What a report consists of: one section an analysis, in reading order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """One analysis of a report.

    Attributes
    ----------
    analysis : str
        A key of `analysis.catalogue.ANALYSES`.
    title, question : str
    control : str
        What would fool the reader, and what stands beside the numbers against it.
    settings : mapping
        As the pages spell them, so that both share one stored result.
    """

    analysis: str
    title: str
    question: str
    control: str
    settings: Mapping[str, Any] = field(default_factory=lambda: {"seed": 0})


SECTIONS = (
    Section(
        "verdict",
        "Verdict",
        "Is the encoder faithful, task-aligned, or not shown to be either?",
        "The most faithful encoder of the same kind at the same event rate stands beside every number.",
    ),
    Section(
        "probe",
        "Linear probes",
        "Where in the network can a linear reader tell the words apart?",
        "A large code can be read even when nothing was learned: chance, shuffled labels, the untrained twin "
        "and raw log-mel stand beside every point.",
        {"pooling": "windows", "seed": 0},
    ),
    Section(
        "reconstruct",
        "Reconstruction",
        "How much of the sound can be read back?",
        "The mean clip already looks like speech: templates and permuted clips stand beside every decoder.",
        {"lags": 5, "seed": 0},
    ),
    Section(
        "gradients",
        "Gradient residual",
        "Do task and reconstruction pull the encoder the same way?",
        "A cosine near 0 among thousands of numbers is what chance gives: permuted pairs stand beside it, "
        "and finite differences of the true loss beside the surrogate.",
    ),
    Section(
        "separability",
        "Separability",
        "Is the geometry of the code that of the words or that of the sound?",
        "Permuted labels, and the log-mel itself.",
    ),
    Section(
        "embed",
        "Embedding",
        "Which clips lie together?",
        "A picture of two dimensions shows groups that are not there: trustworthiness says how many of a "
        "clip's neighbours are false. Distances between clusters are not interpretable.",
        {"point": "encoder", "method": "umap", "n_max": 3000, "n_neighbors": 15, "min_dist": 0.1, "seed": 0},
    ),
    Section(
        "spikes",
        "Spike counts",
        "How busy are the channels?",
        "Silent and saturated channels carry nothing, whatever the mean rate.",
        {"point": "encoder"},
    ),
)
