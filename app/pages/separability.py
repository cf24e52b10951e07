"""Separability: is the layout of the code that of words or that of sound, and how many bits does it give?"""

from __future__ import annotations

import streamlit as st

from analysis.controls import SUBJECT
from analysis.information import InformationResult
from analysis.separability import SeparabilityResult
from analysis.subjects import Subject
from app import inspection, widgets
from app.charts import information, separability


def main() -> None:
    subjects = inspection.chosen_subjects()
    _geometry(subjects)
    _bits(subjects)


def _geometry(subjects: list[Subject]) -> None:
    results = inspection.measured_subjects(
        "separability", subjects, "Measure separability (about a minute)", seed=inspection.SEED
    )
    if not results:
        return
    widgets.draw(separability.measures(results), separability.measures_alt(results), "separability")
    st.caption(
        "Fisher ratio: spread between words over spread within words; *shrunk*: each direction in units "
        "of its own spread, which grows by chance with the number of directions. Neighbours: clips "
        "named by their 20 nearest of other speakers. Silhouette: nearness to the own word against the "
        "nearest other word. CKA: similarity of the layout of clips to that of their labels, and to that of "
        "their log-mel; the ratio is above that of the log-mel (dashed) where words count for more than in "
        "the sound itself. Purple: permuted labels (for CKA to log-mel: permuted clips), mean and 95 % range."
    )
    if any(row.encoder != SUBJECT for result in results for row in result.rows):
        st.subheader("Beside encoders that differ from each other only in their steps", divider="gray")
        widgets.draw(separability.encoders(results), separability.encoders_alt(results), "encoders")
        st.caption(
            "More spikes alone can move every measure: SF2-rec@r is the most faithful encoder at the same "
            "event rate, and the paired difference to each is among the numbers. *Random steps* know nothing "
            "of words or sound."
        )
    for result in results:
        for row in (row for row in result.rows if row.note):
            note = f"{result.provenance.subject}, {row.encoder}, {row.point}, {row.measure}: {row.note}"
            st.caption(f"– {widgets.plain(note)}")
        _missing(result)
        widgets.numbers(result, f"separability-{result.provenance.subject}")


def _bits(subjects: list[Subject]) -> None:
    st.header("How many bits about the word", divider="gray")
    results = inspection.measured_subjects(
        "information", subjects, "Bound the information (about a minute)", seed=inspection.SEED
    )
    if not results:
        return
    widgets.draw(information.bits(results), information.bits_alt(results), "information")
    st.caption(
        "A lower bound: the entropy of the word less the cross-entropy of a linear reader whose penalty and "
        f"scale were chosen on {widgets.plain(results[0].chosen_on)}. What it misses is not shown to be "
        "absent. An encoder of few spikes gets more out of each: compare at equal rate, with SF2-rec@r. "
        "Layers of a trained network are read by settings chosen on clips that it was trained on."
    )
    for result in results:
        _missing(result)
        widgets.numbers(result, f"information-{result.provenance.subject}")


def _missing(result: SeparabilityResult | InformationResult) -> None:
    for what, why in result.not_applicable.items():
        inspection.not_applicable(f"{what} of {result.provenance.subject}", why)


with widgets.page(
    "Separability",
    "Do clips of one word lie together in the code, and is its layout that of words or that of sound?",
    "What would fool you: with many units and few clips every measure leaves zero by chance, so permuted "
    "labels and the raw log-mel stand beside each, and encoders of equal rate beside the encoder.",
):
    main()
