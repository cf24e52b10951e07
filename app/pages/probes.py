"""Probes: where in the network the word can be read off, and how busy the units are."""

from __future__ import annotations

import streamlit as st

from analysis.subjects import Subject
from app import inspection, probe_sections, widgets
from app.charts import probes, spikes


def main() -> None:
    subjects = inspection.chosen_subjects()
    results = inspection.measured_subjects(
        "probe",
        subjects,
        "Probe every recording point (a minute or two)",
        pooling="windows",
        seed=inspection.SEED,
    )
    if results:
        widgets.draw(probes.accuracy(results), probes.accuracy_alt(results), "probes")
        st.caption(
            "*Untrained*: the same network with its initial weights and batch-norm statistics estimated "
            "on training features. *Shuffled*: the same probe fitted to permuted training labels. "
            f"Strength of the penalty chosen on {widgets.plain(results[0].chosen_on)}. More units or more "
            "spikes alone can raise a bar: compare codes at equal rate on the Overview."
        )
        for result in results:
            widgets.numbers(result, f"probes-{result.provenance.subject}")
        probe_sections.beside(results)
    probe_sections.compared(subjects)
    probe_sections.over_time(subjects)
    st.subheader("How busy the units are", divider="gray")
    _spikes(subjects)


def _spikes(subjects: list[Subject]) -> None:
    offered = {subject.name: inspection.points(subject, spiking=True) for subject in subjects}
    names = list(dict.fromkeys(name for own in offered.values() for name in own))
    point = st.selectbox("Recording point", names, key="spikes-point")
    for subject in subjects:
        with widgets.errors():
            if point not in offered[subject.name]:
                inspection.not_applicable(subject.name, f"nothing spikes at {point}")
                continue
            st.markdown(f"**{widgets.plain(subject.name)}**")
            result = inspection.measured_now("spikes", subject, point=point)
            widgets.show(
                spikes.statistics(result),
                result,
                spikes.statistics_alt(result),
                f"spikes-{subject.name}",
            )


with widgets.page(
    "Probes",
    "Where in the network can a linear reader tell the words apart?",
    "What would fool you: a large code can be read even when nothing was learned, so every point stands "
    "beside chance, shuffled labels, the untrained twin and raw log-mel.",
):
    main()
