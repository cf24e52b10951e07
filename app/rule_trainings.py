"""What the learning rules page reads of finished trainings, kept for a few seconds."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.learning_rules import LearningRules
from analysis.learning_rules import learning_rules as gather_rules
from analysis.rule_arms import Family, families
from app.session import where


def rule_families() -> list[Family]:
    """Return the networks that learned by feedback alignment, with all that compares to them."""
    return _families(*where())


def learning_rules(names: Sequence[str]) -> LearningRules:
    """Return how trainings went by their learning rule, read anew every few seconds."""
    return _learning_rules(tuple(names), *where())


@st.cache_resource(max_entries=4, ttl=3.0, show_spinner=False)
def _families(*where: str) -> list[Family]:
    return families()


@st.cache_resource(max_entries=16, ttl=3.0, show_spinner=False)
def _learning_rules(names: tuple[str, ...], *where: str) -> LearningRules:
    return gather_rules(names, command=" ".join(["spikelens rules", *names]))
