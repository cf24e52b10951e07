"""A figure is its CSV: drawn again from it, the bytes are the same, and nothing half-written is left."""

import json

import numpy as np
import pytest

from analysis.figures.build import FIGURES, paper_figures
from analysis.figures.save import PaperFigure, read_table, rendered, save_figure
from analysis.importing import import_recordings
from analysis.planted import PLANTED
from models.errors import SpikelensError
from tests.analysis.smooth import smooth_material


@pytest.fixture(scope="module")
def material():
    return smooth_material()


@pytest.fixture
def named(material, tmp_path):
    np.savez(tmp_path / "drawn.npz", **PLANTED["faithful"](material, 0))
    import_recordings(tmp_path / "drawn.npz", "drawn")
    return "drawn"


def drawers():
    from analysis.figures import embedding, faithful_aligned, raster, reconstruction

    return {
        "raster": raster.draw_raster,
        "reconstructions": reconstruction.draw,
        "umap": embedding.draw,
        "faithful-aligned": faithful_aligned.draw,
    }


def test_every_figure_comes_out_of_its_csv_byte_for_byte(named, tmp_path):
    chosen = ["raster", "reconstructions", "faithful-aligned"]  # umap compiles for seconds: not again here
    left_out = paper_figures([named], tmp_path / "out", only=chosen, command="spikelens figures drawn")
    assert left_out == {}
    for name in chosen:
        folder = tmp_path / "out" / ("" if name == "faithful-aligned" else named)
        table = read_table((folder / f"{name}.csv").read_text())
        for suffix in (".pdf", ".svg", ".png") if name == "faithful-aligned" else (".svg",):
            again = rendered(lambda table=table, name=name: drawers()[name](table), suffix)
            assert again == (folder / f"{name}{suffix}").read_bytes(), (name, suffix)
        facts = json.loads((folder / f"{name}.json").read_text())
        assert facts["sources"][0]["subject"] == named and facts["sources"][0]["versions"]["torch"]
        assert facts["command"] == "spikelens figures drawn" and facts["caption"]
        assert b"/Type3" not in (folder / f"{name}.pdf").read_bytes()  # journals refuse such fonts


def test_unknown_figures_and_folders_that_cannot_be_written_are_named(named, tmp_path):
    with pytest.raises(SpikelensError, match=r"'pie'.*raster"):
        paper_figures([named], tmp_path, only=["pie"])
    (tmp_path / "taken").write_text("")
    with pytest.raises(SpikelensError, match="cannot be written"):
        paper_figures([named], tmp_path / "taken", only=["raster"])


def test_words_that_read_like_nothing_stay_words(tmp_path):
    import pandas as pd
    from matplotlib.figure import Figure

    seen = []

    def draw(table):
        seen.append(list(table["word"]))
        return Figure()

    table = pd.DataFrame({"word": ["null", "NA", "no"], "x": [1.0, np.nan, 2.0]})
    save_figure(PaperFigure("words", table, draw, "", []), tmp_path, suffixes=[".png"])
    assert seen == [["null", "NA", "no"]]
    assert set(FIGURES) >= {"raster", "umap"}
