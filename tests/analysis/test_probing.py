"""Probes find what was planted, and nothing where nothing was."""

import numpy as np
import pytest

from analysis.linear_probe import N_NULLS, Folds, Parts, fit_linear, fit_probe, make_folds, reduced
from analysis.pooling import pooled, running_counts, window_edges
from analysis.probe_controls import control_task, nearest_neighbours
from analysis.probing import (
    CHANCE,
    CONTROL_CHANCE,
    CONTROL_TASK,
    LEARNED,
    NEIGHBORS,
    REDUCED,
    SHUFFLED,
    UNTRAINED,
    UNTRAINED_CONTROL,
    ProbeResult,
    probe,
)
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


def test_the_interval_of_the_null_is_over_permutations_and_holds_chance(result):
    nulls = [row.accuracy for row in result.rows if row.condition == SHUFFLED]
    assert nulls
    assert all(null.n == N_NULLS and null.low < 0.25 < null.high for null in nulls)


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


def test_other_readers_and_the_same_size_stand_beside_whole_codes_only(result):
    for condition in (REDUCED, NEIGHBORS):
        assert accuracy(result, "encoder", condition).value > 0.95
        assert accuracy(result, "layer1", condition).value < 0.45
        assert result.find("features", condition) is not None
    assert result.rows[result.find("encoder", REDUCED)].dim <= 256


def test_selectivity_is_the_words_lead_over_the_control_task(result):
    for word, control in ((LEARNED, CONTROL_TASK), (UNTRAINED, UNTRAINED_CONTROL)):
        row = result.rows[result.find("encoder", control)]
        lead = accuracy(result, "encoder", word).value - row.accuracy.value
        assert row.selectivity.value == pytest.approx(lead)
    planted_code, noise = (result.rows[result.find(p, CONTROL_TASK)] for p in ("encoder", "layer1"))
    assert planted_code.selectivity.low > 0.1
    assert noise.selectivity.low < 0.1
    assert 0.1 < accuracy(result, "", CONTROL_CHANCE).value < 0.5


def test_the_control_task_depends_on_sound_alone_and_every_word_is_dealt(recordings):
    folds = make_folds(recordings, "validation")
    labels, n_types = control_task(recordings, folds)
    assert n_types == 240 // 4
    assert set(labels.train) == {0, 1, 2, 3}
    again = control_task(recordings, folds)
    assert all(np.array_equal(a, b) for a, b in zip(labels, again.labels, strict=True))
    assert not np.array_equal(labels.train, control_task(recordings, folds, seed=1).labels.train)


def test_a_code_of_the_types_themselves_solves_the_control_task(recordings):
    folds = make_folds(recordings, "validation")
    labels, _ = control_task(recordings, folds)
    code = Parts(*(np.eye(4, dtype=np.float32)[part] for part in labels))
    assert fit_linear(code, labels, folds).correct.all()


def test_neighbours_vote_by_direction_not_by_size():
    angle = np.repeat([0.1, 1.5], 20)
    train = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    held = 100 * np.array([[1.0, 0.2], [0.2, 1.0]])
    y = Parts(np.repeat([0, 1], 20), np.array([0]), np.array([0, 0]))
    reading = nearest_neighbours(Parts(train, train[:1], held), y)
    assert reading.predicted.tolist() == [0, 1] and reading.correct.tolist() == [1, 0]
    assert np.allclose(reading.cross_entropy, -np.log([21 / 22, 1 / 22]))


def test_principal_components_are_fitted_on_train_alone(recordings):
    folds = make_folds(recordings, "validation")
    code = folds.code(recordings, "encoder")
    small = reduced(code, 5)
    assert [part.shape[1] for part in small] == [5, 5, 5]
    assert np.array_equal(small.train, reduced(code._replace(held=code.held + 9), 5).train)


def test_confusions_count_every_clip_once_by_true_word(result, recordings):
    labels = recordings.split("validation").labels
    for point, counts in result.confusion.items():
        assert counts.sum(axis=1).tolist() == np.bincount(labels).tolist()
        assert counts.trace() == result.correct[result.find(point)].sum()
    assert set(result.confusion) == {"features", "encoder", "layer1"} and len(result.words) == 4
    again = ProbeResult.from_json(result.to_json())
    assert np.array_equal(again.confusion["layer1"], result.confusion["layer1"])


def test_what_cannot_be_controlled_is_said(recordings, result):
    assert result.not_applicable == {}
    assert UNTRAINED in probe(recordings, points=["encoder"]).not_applicable


def test_certain_answers_cost_finite_nats():
    code = np.concatenate([np.full((30, 1), -1e4), np.full((30, 1), 1e4)]).astype(np.float32)
    y = np.repeat([0, 1], 30)
    held = np.array([[1e6], [-1e6]], np.float32)
    parts = Parts(code, code, held), Parts(y, y, np.array([0, 0]))
    reading = fit_linear(*parts, Folds("validation", slice(None), None, ""), c=1.0)
    assert reading.correct.tolist() == [0, 1] and np.isfinite(reading.cross_entropy).all()
    assert reading.cross_entropy[0] > 100 * max(reading.cross_entropy[1], 1e-9)


def test_a_probe_is_read_from_the_cache_the_second_time(recordings, monkeypatch):
    first = fit_probe(recordings, "encoder", split="validation", n_components=8, seed=3)
    monkeypatch.setattr("analysis.linear_probe.fit_linear", None)
    second = fit_probe(recordings, "encoder", split="validation", n_components=8, seed=3)
    assert np.array_equal(first.correct, second.correct) and second.dim == 8


def test_running_counts_are_cumulative_and_end_with_the_whole(recordings):
    split = recordings.split("validation")
    counts = running_counts(split, "encoder")
    spikes = split.load("encoder").astype(np.float32)
    assert window_edges(30).tolist() == list(range(0, 31, 3))
    assert np.array_equal(counts[:, 3], spikes[:, :12].sum(axis=1))
    assert np.array_equal(counts[:, -1], pooled(split, "encoder", "counts"))
    assert np.allclose(
        running_counts(split, "features")[:, 4], split.load("features")[:, :15].mean(axis=1), atol=1e-5
    )
