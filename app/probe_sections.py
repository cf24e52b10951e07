"""Sections of the probes page: controls of the probe, encoders beside each other, and the word over time."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from analysis.encoder_comparison import LINEAR, N_DRAWS, SMALL, EncodersResult
from analysis.probing import ProbeResult
from analysis.subjects import Subject
from analysis.time_probes import TimeResult
from app import inspection, widgets
from app.charts import encoders, probes, time_probes


def beside(results: list[ProbeResult]) -> None:
    """Show other readers, the control task and the confusions of probes that were measured."""
    st.subheader("Is it the code, or the reader?", divider="gray")
    for result in results:
        name = result.provenance.subject
        st.markdown(f"**{widgets.plain(name)}**")
        widgets.draw(probes.controls(result), probes.controls_alt(result), f"probe-controls-{name}")
        for what, why in result.not_applicable.items():
            inspection.not_applicable(f"{what} of {name}", why)
    st.caption(
        "What would fool you: a wide code lets a linear reader tell any sounds apart. *256 dimensions* gives "
        "every code the same room; the *control task* deals random words to 64 kinds of sound (after Hewitt "
        "and Liang 2019), and what the word has over it is selectivity. Nearest neighbours show what a "
        "linear reader may miss."
    )
    point = st.selectbox("Confusions at", list(results[0].confusion), key="confusion-point")
    for result in results:
        if point in result.confusion:
            chart = probes.confusion(result, point)
            widgets.draw(chart, probes.confusion_alt(result, point), f"confusion-{result.provenance.subject}")
    st.caption(
        "A word that is rare or often clipped is mistaken for many: read a row (clips of one true word), not "
        "a colour, and compare with the same row of the log-mel."
    )


def compared(subjects: list[Subject]) -> None:
    """Show the encoder of each subject beside its controls and the other subject."""
    st.subheader("Which encoder tells the word best?", divider="gray")
    for i, opened in enumerate(subjects):
        others = [other.name for k, other in enumerate(subjects) if k != i]
        results: list[EncodersResult] = inspection.measured_subjects(
            "encoders",
            [opened],
            "Compare with control encoders (a minute or two)",
            against=others[0] if others else None,
            n_draws=N_DRAWS,
            seed=inspection.SEED,
        )
        for result in results:
            _encoders(result)
    st.caption(
        "What would fool you: more spikes alone help a reader. Filled marks have the subject's event rate; "
        "*SF2-rec@r* is the most faithful encoder there. *SF2-init* is the start of training, for the "
        "residual encoder its untrained twin. *Random steps* know nothing: an encoder no better than some of "
        "them has not shown that it learned to be read. Differences are paired by clip, intervals over "
        "speakers; with this many rows one interval in twenty misses by chance."
    )


def _encoders(result: EncodersResult) -> None:
    name = result.provenance.subject
    st.markdown(f"**{widgets.plain(name)}**")
    widgets.draw(encoders.by_encoder(result), encoders.by_encoder_alt(result), f"encoders-chart-{name}")
    for what, why in result.not_applicable.items():
        inspection.not_applicable(f"{what} of {name}", why)
    if any(row.reading not in (LINEAR, SMALL) for row in result.rows):
        widgets.draw(encoders.few_labels(result), encoders.few_labels_alt(result), f"few-labels-{name}")
        st.caption(
            f"Fitted to a few labelled clips, mean of {result.n_draws} draws; the 256 principal components "
            "are those of all training clips, which takes no labels."
        )
    widgets.numbers(result, f"encoders-{name}")


def over_time(subjects: list[Subject]) -> None:
    """Show when the word becomes decodable."""
    st.subheader("When does the word become decodable?", divider="gray")
    results: list[TimeResult] = inspection.measured_subjects(
        "time", subjects, "Probe over time (about a minute)", seed=inspection.SEED
    )
    for result in results:
        name = result.provenance.subject
        st.markdown(f"**{widgets.plain(name)}**")
        widgets.draw(time_probes.by_time(result), time_probes.by_time_alt(result), f"time-chart-{name}")
        st.dataframe(_half_times(result), hide_index=True, key=f"half-times-{name}")
        for what, why in result.not_applicable.items():
            inspection.not_applicable(f"{what} of {name}", why)
        widgets.numbers(result, f"time-{name}")
    st.caption(
        "What would fool you: accuracy rises as more of any sound is heard, so the log-mel and the untrained "
        "twin rise too. Counts since the start have as many inputs at every time. A star marks half of the "
        "final accuracy above chance: a code that ends higher has further to go. The end of a clip adds "
        "silence to the counts, which can cost accuracy."
    )


def _half_times(result: TimeResult) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "code": half.code,
            "half-time, ms": "–" if half.time_ms is None else str(half.time_ms),
            "after the log-mel, ms": "–" if half.after_features_ms is None else str(half.after_features_ms),
        }
        for half in result.half_times
    )
