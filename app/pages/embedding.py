"""Embedding: a map of the clips, by PCA at once and by UMAP on request."""

from __future__ import annotations

import numpy as np
import streamlit as st

from analysis.embedding import EmbeddingResult
from analysis.subjects import Subject
from app import inspection, session, widgets
from app.charts import embedding

_N_MAX = 3000
_WARNING = "Distances between clusters, and their sizes, are not interpretable; neighbourhoods are."


def main() -> None:
    subjects = inspection.chosen_subjects()
    points = {opened.name: inspection.points(opened) for opened in subjects}
    offered = list(dict.fromkeys(name for own in points.values() for name in own))
    left, middle, right = st.columns([2, 1, 1])
    default = offered.index("encoder") if "encoder" in offered else 0
    point = left.selectbox("Recording point", offered, index=default, key="embedding-point")
    method = middle.segmented_control(
        "Method", ["pca", "umap"], default="pca", required=True, key="embedding-method"
    )
    colours = ["word", "speaker", "rate", "correct"]
    colour_by = right.selectbox("Colour", colours, key="embedding-colour")
    settings = {"point": point, "method": method, "n_max": _N_MAX, "seed": inspection.SEED}
    if method == "umap":
        settings |= _umap_settings()
    for column, opened in zip(st.columns(len(subjects)), subjects, strict=True):
        with column, widgets.errors():
            if point in points[opened.name]:
                _map(opened, colour_by, settings)
            else:
                inspection.not_applicable(opened.name, f"{point} was not recorded")


def _umap_settings() -> dict[str, int | float]:
    left, right = st.columns(2)
    neighbours = left.select_slider("n_neighbors", [5, 10, 15, 30, 50], value=15, key="embedding-neighbours")
    distance = right.select_slider("min_dist", [0.0, 0.1, 0.25, 0.5], value=0.1, key="embedding-distance")
    st.caption(_WARNING)
    return {"n_neighbors": neighbours, "min_dist": distance}


def _map(opened: Subject, colour_by: str, settings: dict) -> None:
    if settings["method"] == "pca":
        result = inspection.measured_now("embed", opened, **settings)
    else:
        label = f"Run UMAP (ten seconds to a minute): {widgets.plain(opened.name)}"
        key = f"umap-{opened.name}"
        result = widgets.measured(
            "embed", opened, session.selection().split, label=label, key=key, **settings
        )
    if result is None:
        return
    values = _values(result, colour_by)
    if values is None:
        st.info(f"{widgets.plain(opened.name)}: {colour_by} is not known here, so the word gives the colour.")
        colour_by, values = "word", result.labels
    st.subheader(widgets.plain(opened.name), divider="gray")
    st.caption(_settings_line(result))
    widgets.show(
        embedding.scatter(result, colour_by, values),
        result,
        embedding.scatter_alt(result, colour_by),
        f"embedding-{opened.name}",
    )


def _values(result: EmbeddingResult, colour_by: str) -> list[str] | np.ndarray | None:
    """Return what gives the colour, one value a clip; None where it is not known."""
    if colour_by == "rate":
        return result.rate_hz if np.isfinite(result.rate_hz).all() else None
    if colour_by == "correct":
        pairs = zip(result.labels, result.predicted, strict=False)
        return ["right" if word == said else "wrong" for word, said in pairs] or None
    return (result.labels if colour_by == "word" else result.speakers) or None


def _settings_line(result: EmbeddingResult) -> str:
    config = result.provenance.config
    words = [f"n = {len(result.coordinates)} clips", f"seed {config['seed']}"]
    if result.method == "umap":
        words += [f"n_neighbors {config['n_neighbors']}", f"min_dist {config['min_dist']}"]
    else:
        words += [f"explained variance {sum(result.explained_variance):.1%}"]
    trust = f"trustworthiness {result.trustworthiness:.2f} (1: no strangers among neighbours, 0.5: random)"
    return " · ".join([*words, trust])


with widgets.page(
    "Embedding",
    "Which clips does the code place near each other?",
    "What would fool you: a flat picture of hundreds of dimensions always shows shapes, so read the "
    "trustworthiness first, and look for the speaker or the rate behind a cluster before the word.",
):
    main()
