"""Entry of the workbench: one frame (sidebar, menu) around every page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import sidebar

ICON = Path(__file__).parent / "assets" / "icon.svg"  # a named symbol would be fetched from another server
st.set_page_config(page_title="Spikelens", page_icon=str(ICON), layout="wide")
PAGES = {
    "": [st.Page("pages/overview.py", title="Overview", icon=":material/explore:", default=True)],
    "One clip": [st.Page("pages/raster.py", title="Raster", icon=":material/view_timeline:")],
    "Whole split": [
        st.Page("pages/probes.py", title="Probes", icon=":material/colorize:"),
        st.Page("pages/nuisance.py", title="Nuisance", icon=":material/filter_alt:"),
        st.Page("pages/gradients.py", title="Gradients", icon=":material/trending_down:"),
        st.Page("pages/learning_rules.py", title="Learning rules", icon=":material/school:"),
        st.Page("pages/saliency.py", title="Saliency", icon=":material/highlight:"),
        st.Page("pages/reconstruction.py", title="Reconstruction", icon=":material/hearing:"),
        st.Page("pages/plane.py", title="Step-size plane", icon=":material/grid_on:"),
        st.Page("pages/separability.py", title="Separability", icon=":material/scatter_plot:"),
        st.Page("pages/interventions.py", title="Interventions", icon=":material/content_cut:"),
        st.Page("pages/embedding.py", title="Embedding", icon=":material/bubble_chart:"),
    ],
}
current = st.navigation(PAGES)
sidebar.draw()
current.run()
