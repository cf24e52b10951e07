"""Probes find what was planted, and nothing where nothing was."""

import numpy as np
import pytest

from analysis.pooling import pooled
from analysis.probing import CHANCE, LEARNED, SHUFFLED, UNTRAINED, ProbeResult, probe
from analysis.recordings import SplitRecordings
from models.errors import SpikelensError
from tests.analysis.builders import planted


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("planted") / "r")


@pytest.fixture(scope="module")
def result(recordings, tmp_path_factory):
    twin = planted(tmp_path_factory.mktemp("twin") / "r", signal=0.0, seed=1)
    return probe(recordings, twin=twin, points=["features", "encoder", "layer1"])


def accuracy(result, point, condition=LEARNED):
    return result.rows[result.find(point, condition)].accuracy


def test_planted_word_is_read_and_noise_is_not(result):
    assert accuracy(result, "encoder").value > 0.95
    noise = accuracy(result, "layer1")
    assert noise.value < 0.4 and noise.low <= 0.27


def test_nulls_and_controls_stand_beside_it(result):
    assert accuracy(result, "", CHANCE).value == pytest.approx(0.25)
    for point, condition in (("encoder", SHUFFLED), ("features", SHUFFLED), ("encoder", UNTRAINED)):
        assert accuracy(result, point, condition).value < 0.45, (point, condition)
    assert accuracy(result, "features").value > 0.95
    assert result.find("features", UNTRAINED) is not None


def test_table_json_and_per_clip_outcomes_agree(result):
    table = result.to_table()
    assert len(table) == len(result.rows) == len(result.correct)
    assert np.allclose(result.correct.mean(axis=1), table["accuracy"])
    again = ProbeResult.from_json(result.to_json())
    assert again.to_table().equals(table) or np.allclose(again.to_table()["accuracy"], table["accuracy"])
    assert np.array_equal(again.correct, result.correct)
    assert result.provenance.split == "validation" and result.provenance.interval_unit == "speaker"


def test_penalty_is_never_chosen_on_the_scored_clips(recordings, monkeypatch):
    read: list[tuple[str, str]] = []
    original = SplitRecordings.blocks

    def blocks(self, point, size=512):
        read.append((self.name, point))
        return original(self, point, size)

    monkeypatch.setattr(SplitRecordings, "blocks", blocks)
    assert "fifth of the training split" in probe(recordings, points=["encoder"], seed=5).chosen_on
    assert {name for name, _ in read} == {"train", "validation"}  # the test split is not touched
    assert probe(recordings, points=["encoder"], split="test").chosen_on == "the validation split"


def test_poolings_by_hand(recordings):
    split = recordings.split("validation")
    spikes = split.load("encoder").astype(np.float32)
    assert np.array_equal(pooled(split, "encoder", "counts"), spikes.sum(axis=1))
    windows = spikes.reshape(120, 10, 3, 24).sum(axis=2).reshape(120, -1)
    assert np.array_equal(pooled(split, "encoder", "windows"), windows)
    assert np.array_equal(pooled(split, "encoder", "full"), spikes.reshape(120, -1))
    assert np.allclose(pooled(split, "features", "counts"), split.load("features").mean(axis=1), atol=1e-5)
    trace, decay = np.zeros((120, 24)), np.exp(-0.2)
    for step in range(30):
        trace = decay * trace + (1 - decay) * spikes[:, step]
    assert np.allclose(pooled(split, "encoder", "trace")[:, -24:], trace, atol=1e-5)
    with pytest.raises(SpikelensError, match="pooling: 'max'"):
        pooled(split, "encoder", "max")


def test_streams_are_points_and_unknown_points_are_named(recordings):
    assert accuracy(probe(recordings, points=["encoder/on"]), "encoder/on").value > 0.9
    with pytest.raises(SpikelensError, match="layer7"):
        probe(recordings, points=["layer7"])


def test_the_split_that_is_fitted_on_cannot_be_scored(recordings):
    with pytest.raises(SpikelensError, match="split: 'train'"):
        probe(recordings, points=["encoder"], split="train")


def test_chance_is_the_commonest_word_of_train(recordings):
    held = recordings.split("validation")
    result = probe(recordings, points=["encoder"])
    row = result.rows[result.find("", CHANCE)]
    commonest = np.bincount(recordings.split("train").labels).argmax()
    assert np.array_equal(result.correct[result.find("", CHANCE)], held.labels == commonest)
    assert row.cross_entropy.value == pytest.approx(np.log(4))  # four words, equally often


def test_without_speakers_clips_are_resampled_and_the_result_says_so(tmp_path):
    result = probe(planted(tmp_path / "r", speakers_known=False), points=["encoder"])
    assert result.provenance.interval_unit == "clip" and "speaker" not in result.chosen_on
    assert accuracy(result, "encoder").value > 0.9


def test_one_word_is_no_task(tmp_path):
    with pytest.raises(SpikelensError, match="single word"):
        probe(planted(tmp_path / "r", n_classes=1))


def test_full_pooling_refuses_what_would_fill_the_memory(recordings, monkeypatch):
    monkeypatch.setattr("analysis.pooling._FULL_BYTES", 1000)
    with pytest.raises(SpikelensError, match="pooling: 'full' of encoder"):
        pooled(recordings.split("train"), "encoder", "full")


def test_progress_runs_from_start_to_end(recordings):
    seen = []
    probe(recordings, points=["encoder"], progress=lambda fraction, text: seen.append((fraction, text)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1
    assert any("encoder" in text for _, text in seen)
