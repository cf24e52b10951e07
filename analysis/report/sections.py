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
        A key of `analysis.loaders.ANALYSES`.
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
        "encoders",
        "Beside other encoders",
        "Is the word easier to read than from other encoders of the same sound?",
        "More spikes and more channels can be read better: SF2-rec@r has as many events, 256 components "
        "are as many inputs; SF2-init is the untrained twin, random steps know nothing.",
    ),
    Section(
        "time",
        "Over time",
        "When does the word become decodable?",
        "A reader of little may guess: permuted labels at every time, the log-mel and SF2-rec@r beside it.",
    ),
    Section(
        "nuisance",
        "Nuisances",
        "Does the code still tell who speaks, how loud, and with how much noise?",
        "A task-aligned code should lose these; chance, permuted labels and the untrained twin stand beside.",
    ),
    Section(
        "reconstruct",
        "Reconstruction",
        "How much of the sound can be read back?",
        "The mean clip already looks like speech: templates and permuted clips stand beside every decoder.",
        {"lags": 5, "seed": 0},
    ),
    Section(
        "reconstruct-controls",
        "Reconstruction beside other encoders",
        "Is less of the sound kept than by other encoders?",
        "More spikes keep more: SF2-rec@r has as many events. Each encoder is read by every decoder, one of "
        "them non-linear, so that what is not linearly decodable is not taken for gone.",
        {"lags": 5, "seed": 0},
    ),
    Section(
        "plane",
        "Step-size plane",
        "Where would a faithful encoder sit, where a readable one, and where did training go?",
        "Both optima are chosen on other clips than those they are measured on; permuted labels beside them.",
        {"n_fit": 2000, "seed": 0},
    ),
    Section(
        "gradients",
        "Gradient residual",
        "Do task and reconstruction pull the encoder the same way?",
        "A cosine near 0 among thousands of numbers is what chance gives: permuted pairs stand beside it, "
        "and finite differences of the true loss beside the surrogate.",
    ),
    Section(
        "gradient-controls",
        "Gradient residual beside its controls",
        "Would these gradients look the same without training, without a task, or with the other aim?",
        "The untrained twin, trainings on shuffled labels, and an encoder trained to reconstruct.",
    ),
    Section(
        "gradient-path",
        "Gradient residual through training",
        "When do task and reconstruction begin to pull apart?",
        "Central differences of the true losses; what is not resolved says so.",
    ),
    Section(
        "front",
        "Fidelity front",
        "What does it cost the task to keep the sound?",
        "The encoder that learned from reconstruction alone shows what this kind of encoder can keep.",
        {},
    ),
    Section(
        "flow",
        "Gradient flow",
        "Where and when does the error reach the network?",
        "A layer whose units are far from threshold gets no gradient, whatever its spikes.",
    ),
    Section(
        "saliency",
        "Saliency",
        "Which bins of the log-mel speak for the word?",
        "Maps look convincing for untrained networks too: the twin, and what blanking salient, random and "
        "least salient bins does.",
        {"n_steps": 32, "share": 0.1, "seed": 0},
    ),
    Section(
        "separability",
        "Separability",
        "Is the geometry of the code that of the words or that of the sound?",
        "Permuted labels, and the log-mel itself.",
    ),
    Section(
        "information",
        "Information",
        "How many bits of the word can be read, and how many a spike carries?",
        "A lower bound by a linear reader; permuted labels give none. Bits a spike reward silence: compare "
        "at equal event rate.",
    ),
    Section(
        "interventions",
        "Interventions",
        "What does the network lose when its code is changed?",
        "The linear probe, fitted to the clean code, beside the network; every loss is paired by clip.",
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
