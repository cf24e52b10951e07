"""Learning rules: direct feedback alignment beside backpropagation through time."""

from __future__ import annotations

import streamlit as st

from app import rule_sections, rule_trainings, widgets

TRAIN = "spikelens train spoken35-residual-35k --set 'learning.rule=\"dfa-d1\"' --name my-dfa"


def main() -> None:
    known = rule_trainings.rule_families()
    if not known:
        st.info("No checkpoint here was trained by direct feedback alignment. This trains one:")
        st.code(TRAIN, language="bash", wrap_lines=True)
        return
    result = rule_sections.choose(known)
    if result is None:
        return
    rule_sections.curves(result)
    widgets.numbers(result, "rules")
    rule_sections.representations(result)


with widgets.page(
    "Learning rules",
    "How close does direct feedback alignment come to backpropagation through time, and does it learn the "
    "same things?",
    "What would fool you: a cosine near 0 or an angle near 90° is what unrelated directions give; and rules "
    "of unequal accuracy hold different things for that reason alone, so BPTT stands at the first epoch that "
    "is as accurate, beside two of its own seeds and the untrained twin.",
):
    main()
