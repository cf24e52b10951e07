"""Separability: is the layout of the code that of words or that of sound?"""

from __future__ import annotations

import streamlit as st

from app import inspection, widgets
from app.charts import separability


def main() -> None:
    results = inspection.measured_subjects(
        "separability",
        inspection.chosen_subjects(),
        "Measure separability (about a minute)",
        seed=inspection.SEED,
    )
    if not results:
        return
    widgets.draw(separability.measures(results), separability.measures_alt(results), "separability")
    st.caption(
        "Fisher ratio: spread between words over spread within words. Silhouette: nearness to the own "
        "word against the nearest other word, by cosine. CKA: similarity of the layout of clips to that "
        "of their labels, and to that of their log-mel; the ratio is above that of the log-mel (dashed) "
        "where words count for more than in the sound itself. Purple: permuted labels (for CKA to "
        "log-mel: permuted clips), mean and 95 % range."
    )
    for result in results:
        for row in (row for row in result.rows if row.note):
            note = f"{result.provenance.subject}, {row.point}, {row.measure}: {row.note}"
            st.caption(f"– {widgets.plain(note)}")
        widgets.numbers(result, f"separability-{result.provenance.subject}")


with widgets.page(
    "Separability",
    "Do clips of one word lie together in the code, and is its layout that of words or that of sound?",
    "What would fool you: with many units and few clips every measure leaves zero by chance, so permuted "
    "labels and the raw log-mel stand beside each.",
):
    main()
