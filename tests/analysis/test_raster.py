"""One clip as recorded, units in an order that can be predicted, and a figure that repeats to the byte."""

import dataclasses
import time

import matplotlib
import numpy as np
import pytest

from analysis.figures.raster import draw_raster, raster_table, save_raster
from analysis.raster import RasterResult, raster, running_probabilities
from models.errors import SpikelensError

RNG = np.random.default_rng(0)
SPIKES = (RNG.random((6, 8, 5)) < 0.3).astype(np.uint8)
FEATURES = RNG.standard_normal((6, 8, 3)).astype(np.float32)
LABELS = [0, 1, 2, 0, 1, 2]


@pytest.fixture
def recordings(record):
    readout = np.zeros((6, 8, 3))
    readout[:, :3, 0] = 4  # begins as "no",
    readout[:, 3:, 2] = 4  # decides for "up"
    return record(
        SPIKES,
        labels=LABELS,
        speakers=list("abcabc"),
        streams={"on": (0, 3), "off": (3, 5)},
        features=FEATURES,
        readout=readout,
    )


def test_a_clip_is_found_by_row_and_by_id_and_shown_as_recorded(recordings):
    found = raster(recordings, clip=4)
    assert found.clip_id == "clip-4" and found.label == "yes" and found.speaker == "b"
    assert np.array_equal(found.spikes["encoder"], SPIKES[4])
    assert np.array_equal(found.features, FEATURES[4])
    assert found.orders["encoder"].tolist() == [0, 1, 2, 3, 4]
    by_id = raster(recordings, clip="clip-4")
    assert by_id.clip == 4 and np.array_equal(by_id.spikes["encoder"], SPIKES[4])


def test_the_prediction_follows_the_running_mean_of_the_readout(recordings):
    found = raster(recordings)
    assert found.probabilities.shape == (8, 3)
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    assert found.probabilities.argmax(axis=1).tolist() == [0] * 6 + [2] * 2  # even after the sixth
    assert found.predicted == "up"
    # step 3: mean (4 * 3 / 4, 0, 4 / 4)
    powers = np.exp([3.0, 0.0, 1.0])
    assert found.probabilities[3] == pytest.approx(powers / powers.sum(), rel=1e-5)


def test_probabilities_survive_large_scores():
    assert running_probabilities(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]


def test_without_readout_features_and_speakers_they_are_none(record):
    found = raster(record(SPIKES))
    assert found.predicted is None and found.probabilities is None
    assert found.features is None and found.speaker is None


def test_rate_puts_the_busiest_unit_first(record):
    spikes = np.zeros((4, 10, 3))
    spikes[:, :2, 0] = spikes[:, :7, 1] = spikes[:, :4, 2] = 1
    assert raster(record(spikes), sort="rate").orders["encoder"].tolist() == [1, 2, 0]


def test_latency_puts_the_earliest_unit_first_and_the_silent_last(record):
    spikes = np.zeros((4, 10, 4))
    spikes[:, 6, 0] = spikes[:, 2, 2] = spikes[:, 4:, 3] = 1
    assert raster(record(spikes), sort="latency").orders["encoder"].tolist() == [2, 3, 0, 1]


def test_selectivity_groups_units_by_word_and_puts_the_surest_first(record):
    labels = np.arange(60) % 3
    rng = np.random.default_rng(1)
    spikes = (rng.random((60, 20, 6)) < 0.1).astype(np.uint8)
    for unit, word, depth in ((0, 2, 0.9), (1, 0, 0.9), (2, 1, 0.9), (3, 0, 0.4), (4, 2, 0.4), (5, 1, 0.4)):
        spikes[labels == word, :, unit] |= rng.random((20, 20)) < depth
    assert raster(record(spikes, labels=labels), sort="selectivity").orders["encoder"].tolist() == [
        *(1, 3),
        *(2, 5),
        *(0, 4),
    ]


@pytest.mark.parametrize("sort", ["index", "rate", "latency", "selectivity"])
def test_units_are_sorted_within_their_stream(recordings, sort):
    order = raster(recordings, sort=sort).orders["encoder"]
    assert sorted(order[:3]) == [0, 1, 2] and sorted(order[3:]) == [3, 4]


def test_the_table_counts_every_stage_and_stream(recordings):
    table = raster(recordings, clip=1).to_table().set_index("point")
    assert list(table.index) == ["encoder", "encoder/on", "encoder/off"]
    off = SPIKES[1, :, 3:]
    assert table.spikes["encoder/off"] == off.sum() and table.units["encoder/off"] == 2
    assert table.rate_hz["encoder/off"] == pytest.approx(off.sum() / 2 / 0.08)
    assert table.silent_units["encoder"] == (SPIKES[1].sum(axis=0) == 0).sum()


def test_json_brings_the_clip_back(recordings):
    found = raster(recordings, clip=2, sort="rate")
    again = RasterResult.from_json(found.to_json())
    assert np.array_equal(again.spikes["encoder"], found.spikes["encoder"])
    assert again.to_table().equals(found.to_table()) and again.provenance == found.provenance


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clip": 6}, "clip: 6 .*0 and 5"),
        ({"clip": -1}, "clip: -1"),
        ({"clip": "clip-9"}, "'clip-9'"),
        ({"split": "test"}, "'test'"),
        ({"sort": "colour"}, "'colour'.*selectivity"),
        ({"points": ["features"]}, "'features'.*encoder"),
    ],
)
def test_mistakes_name_the_argument(recordings, wrong, message):
    with pytest.raises(SpikelensError, match=message):
        raster(recordings, **wrong)


def test_switching_the_clip_is_quick_at_full_size(record):
    spikes = np.random.default_rng(0).integers(0, 2, (600, 98, 160), np.uint8)
    recordings = record(spikes, labels=np.arange(600) % 3, features=np.zeros((600, 98, 40)))
    start = time.process_time()
    raster(recordings, clip=7, sort="selectivity")
    assert time.process_time() - start < 1.0  # 0.1 s here; room for a slower machine


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_same_result_gives_the_same_bytes(recordings, tmp_path, suffix):
    found = raster(recordings)
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix.upper()}"
    save_raster(found, first)
    save_raster(found, second)
    assert first.read_bytes() == second.read_bytes()
    assert {path.name for path in tmp_path.glob("*.*")} == {first.name, second.name}


def test_the_figure_shows_every_spike_on_one_clock(recordings):
    found = raster(recordings, clip=3)
    features, on, off, words = draw_raster(raster_table(found)).axes
    drawn = sum(len(panel.lines[0].get_xdata()) for panel in (on, off))
    assert drawn == SPIKES[3].sum()
    assert {panel.get_xlim() for panel in (features, on, off, words)} == {(0.0, 80.0)}
    assert words.get_xlabel() == "time (ms)"
    assert [line.get_label() for line in words.lines] == ["up", "no", "yes"]


def test_the_figure_follows_the_order_of_units(record):
    spikes = np.zeros((1, 4, 3))
    spikes[0, 0, 2] = 1
    spikes[0, :3, 1] = 1
    found = raster(record(spikes), sort="rate")  # 1, 2, 0
    times, rows = draw_raster(raster_table(found)).axes[0].lines[0].get_data()
    assert sorted(zip(times, rows, strict=True)) == [(5, 0), (5, 1), (15, 0), (25, 0)]


def test_odd_names_and_synthetic_speech_are_written_as_they_are(recordings, tmp_path):
    found = raster(recordings)
    where = dataclasses.replace(found.provenance, synthetic=True)
    odd = dataclasses.replace(found, provenance=where, label="a$b_{", class_names=["_no", "$x^", "<up>"])
    before = dict(matplotlib.rcParams)
    save_raster(odd, tmp_path / "odd.svg")
    assert dict(matplotlib.rcParams) == before  # the settings of other figures are left alone
    text = (tmp_path / "odd.svg").read_text()
    assert "a$b_{" in text and "synthetic speech" in text and "&lt;up&gt;" in text and "$x^" in text


def test_only_three_formats_and_nothing_left_behind(recordings, tmp_path):
    found = raster(recordings)
    with pytest.raises(SpikelensError, match=r"'\.doc'.*\.svg"):
        save_raster(found, tmp_path / "out.doc")
    with pytest.raises(SpikelensError, match="out.png cannot be written"):
        save_raster(found, tmp_path / "missing" / "out.png")
    (tmp_path / "out.png").mkdir()
    with pytest.raises(SpikelensError, match="out.png cannot be written"):
        save_raster(found, tmp_path / "out.png")
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.png"]
