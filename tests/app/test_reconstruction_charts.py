"""Charts of reconstruction with its controls, and of the step-size plane."""

import dataclasses

import numpy as np
import pytest

from analysis.reconstruction_controls import ControlRow, ReconstructionControls
from analysis.reconstruction_result import ReconstructionRow
from analysis.step_plane import PlaneMark, StepPlaneResult
from app.charts import reconstruction, reconstruction_controls, step_plane, theme
from tests.app.test_charts import by_name, near, provenance, reconstruction_result


def controls_result():
    rows = [
        ControlRow("learned", "own", 20.0, True, near(18.5), near(0.9), near(1.4), near(-2.3)),
        ControlRow("learned", "non-linear", 20.0, True, near(21.0), near(0.9), near(1.1), near(-1.2)),
        ControlRow("SF2-rec@r", "own", 20.2, True, near(20.8), near(0.9), near(1.2)),
        ControlRow("SF2-rec@r", "non-linear", 20.2, True, near(22.2), near(0.9), near(1.0)),
        ControlRow("random steps 1", "own", 1.6, False, near(4.0), near(0.5), near(9.0), near(-16.8)),
        ControlRow("random steps 2", "own", 33.0, False, near(15.0), near(0.8), near(1.4), near(-5.8)),
    ]
    return ReconstructionControls(provenance(), rows, {}, "SF2-rec@r", "a fifth", np.ones((6, 36)), {})


def plane_result(path=((0.9, 0.33), (0.7, 0.25), (0.6, 0.2))):
    dc, df = np.geomspace(0.3, 2.4, 8), np.geomspace(0.08, 0.9, 6)
    grid = np.where(df[None] < dc[:, None], np.outer(np.arange(8), np.ones(6)), np.nan)
    marks = [
        PlaneMark("subject", 0.6, 0.2, 0.12, near(18.5), near(0.6), near(0.9), near(0.05)),
        PlaneMark("MSE optimum", dc[3], df[3], 0.1, near(20.0), near(0.55), near(0.9)),
        PlaneMark("probe optimum", dc[6], df[0], 0.2, near(10.0), near(0.65), near(0.7), near(0.1)),
    ]
    return StepPlaneResult(
        provenance(),
        dc,
        df,
        tc=0.55,
        tf=0.55,
        snr_db=grid,
        probe_accuracy=grid / 10,
        backbone_accuracy=grid / 10,
        rate=grid / 100,
        fit_mse=grid,
        choice_accuracy=grid / 10,
        marks=marks,
        path=np.array(path).reshape(-1, 2),
        chance=near(0.1),
        shuffled=near(0.1),
        c=0.01,
        n_fit=2000,
        n_choose=1000,
        chosen_on="a fifth",
        axes={},
    )


CHARTS = {
    "controls": (
        reconstruction_controls.controls(controls_result()),
        reconstruction_controls.controls_alt(controls_result()),
    ),
    "plane": (step_plane.plane(plane_result()), step_plane.plane_alt(plane_result())),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_light_keeps_its_zoom_and_is_told_in_words(name):
    figure, alt = CHARTS[name]
    assert figure.layout.uirevision and len(alt) > 40 and "nan" not in alt
    for trace in figure.data:
        for values in (trace["x"], trace["y"], trace["z"] if trace.type == "heatmap" else None):
            if isinstance(values, np.ndarray):
                assert values.dtype == np.float32


def test_open_markers_are_encoders_at_another_rate_and_random_draws_share_a_row():
    figure = reconstruction_controls.controls(controls_result())
    snr, difference = by_name(figure, "own")
    assert [symbol.endswith("-open") for symbol in snr.marker.symbol] == [False, False, True, True]
    assert snr.y[2] == snr.y[3] and snr.x.tolist() == pytest.approx([18.5, 20.8, 4.0, 15.0])
    assert difference.x.tolist() == pytest.approx([-2.3, -16.8, -5.8])  # the reference has none
    labels = figure.layout.yaxis.ticktext
    assert labels[0].startswith("learned") and "1.6 to 33.0 events" in labels[2] and len(labels) == 3
    assert "-2.3" in CHARTS["controls"][1] and "another event rate" in CHARTS["controls"][1]


def test_the_maps_share_logarithmic_axes_and_cells_lie_between_their_edges():
    result = plane_result()
    figure = step_plane.plane(result)
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert [trace.z.shape for trace in maps] == [(6, 8)] * 4
    assert len(maps[0].x) == 9 and len(maps[0].y) == 7
    np.testing.assert_allclose(np.sqrt(maps[0].x[:-1] * maps[0].x[1:]), result.dc, rtol=1e-5)
    assert (
        {axis.type for axis in figure.select_xaxes()}
        == {"log"}
        == {axis.type for axis in figure.select_yaxes()}
    )
    assert {trace.colorbar.len for trace in maps} != {None}


def test_the_path_ends_at_the_encoder_and_optima_are_marked_on_every_map():
    figure = step_plane.plane(plane_result())
    (path, *more) = by_name(figure, "training, epoch by epoch")
    (own, *_) = by_name(figure, "the encoder")
    assert (path.x[-1], path.y[-1]) == (own.x[0], own.y[0]) and len(more) == 3
    for name in ("the encoder", "MSE optimum of the grid", "probe optimum of the grid"):
        traces = by_name(figure, name)
        assert len(traces) == 4 and sum(trace.showlegend for trace in traces) == 1
    assert not by_name(step_plane.plane(plane_result(path=())), "training, epoch by epoch")
    assert "The training went from coarse 0.90" in step_plane.plane_alt(plane_result())
    assert "training went" not in step_plane.plane_alt(plane_result(path=()))


def test_the_untrained_twin_shares_the_row_of_its_decoder_and_distance_its_own_panel():
    plain = reconstruction_result()
    more = [
        dataclasses.replace(row, log_spectral_distance_db=near(1.0 + i)) for i, row in enumerate(plain.rows)
    ]
    twin = ReconstructionRow("encoder", "ridge, untrained twin", near(5.0), near(0.5), near(0.4), near(8.0))
    result = dataclasses.replace(plain, rows=[*more, twin])
    figure = reconstruction.decoders([result])
    trained, untrained = by_name(figure, "a")[0], by_name(figure, "a, untrained twin")[0]
    assert untrained.x.tolist() == [5.0] and untrained.y[0] == trained.y[1]
    assert untrained.marker.color == theme.CONDITIONS["untrained"]
    assert list(figure.layout.yaxis.ticktext) == ["encoder, own", "encoder, ridge"]
    assert by_name(figure, "a")[1].x.tolist() == [1.0, 2.0]  # the second panel
    assert len(list(reconstruction.decoders([plain]).select_xaxes())) == 2  # none where no scale is known
    assert "log-spectral distance" in reconstruction.decoders_alt([result])
