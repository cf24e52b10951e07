"""Nuisance probes find what a code keeps, find nothing where it was dropped, and change sound as they say."""

import numpy as np
import pytest

from analysis.capture import capture
from analysis.controls import MATCHED
from analysis.nuisance import ACCURACY, R2, NuisanceResult, probe_nuisances
from analysis.nuisance_clips import LEVEL, NOISE, SPEAKER, UNTRAINED, WORD
from analysis.recordings import Point, Recordings, RecordingWriter
from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.errors import SpikelensError
from models.paths import user_checkpoints
from models.training import train

N_UNITS = 24


def write(folder, *, speakers_known=True, n_speakers=8) -> Recordings:
    """Write recordings whose encoder keeps word, speaker and pitch, and whose layer1 keeps the word alone."""
    rng = np.random.default_rng(0)
    pattern = rng.random((n_speakers, N_UNITS)) < 0.3
    with RecordingWriter(
        folder,
        name="spoken",
        source="import",
        digest=f"nuisance-{speakers_known}-{n_speakers}",
        dataset="by hand",
        class_names=["a", "b", "c", "d"],
        points=[Point("encoder", N_UNITS, True), Point("layer1", N_UNITS, True)],
    ) as writer:
        for split, n in (("train", 320), ("validation", 160)):
            labels, who = np.arange(n) % 4, np.arange(n) // 4 % n_speakers
            pitch = rng.uniform(0, 100, n)
            word = 0.5 * (np.arange(N_UNITS) % 4 == labels[:, None])
            kept = 0.05 + 0.6 * word + 0.3 * pattern[who] + 0.002 * pitch[:, None]
            writer.add_split(
                split,
                labels=labels,
                clip_ids=[f"{split}-{i}" for i in range(n)],
                speakers=[f"{split}{i}" for i in who] if speakers_known else None,
                n_steps=30,
                nuisance={
                    "pitch": pitch.round(2),
                    "rate": rng.integers(120, 220, n),
                    "accent": rng.choice(["en", "us"], n),
                    "voice": np.array([f"{split}{i}" for i in who]),
                },
            )
            rows, shape = slice(0, n), (n, 30, N_UNITS)
            writer.write(split, "encoder", rows, rng.random(shape) < kept[:, None])
            writer.write(split, "layer1", rows, rng.random(shape) < 0.1 + word[:, None])
    return Recordings(folder)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write(tmp_path_factory.mktemp("nuisance") / "r")


@pytest.fixture(scope="module")
def result(recordings):
    return probe_nuisances(recordings)


def test_what_a_code_keeps_is_read_and_what_it_dropped_is_not(result):
    assert result.targets() == [WORD, "pitch", "rate", "accent", SPEAKER]  # a voice is a speaker here
    for code in ("encoder", "layer1"):
        assert result.find(WORD, code).value.value > 0.9
    assert result.find(SPEAKER, "encoder").value.value > 0.8
    assert result.find("pitch", "encoder").value.low > 0.1
    assert result.find(SPEAKER, "layer1").value.value < 0.3
    assert result.find("pitch", "layer1").value.low < 0.05
    for code in ("encoder", "layer1"):
        assert result.find("rate", code).value.low < 0.05
        assert result.find("accent", code).value.low < 0.6


def test_chance_null_and_measure_stand_beside_every_property(result):
    measures = {row.target: row.measure for row in result.rows}
    assert measures == {WORD: ACCURACY, "pitch": R2, "rate": R2, "accent": ACCURACY, SPEAKER: ACCURACY}
    for row in result.rows:
        assert row.null.low <= row.null.value <= row.null.high
        assert row.null.value < row.chance + 0.15, (row.target, row.code)
    assert result.find(WORD, "encoder").chance == pytest.approx(0.25, abs=0.03)
    assert result.find("pitch", "encoder").chance == 0
    assert "no speaker in both" in result.clips[WORD] and "train clips" in result.clips[SPEAKER]


def test_what_takes_a_model_a_twin_or_speakers_says_so(result, tmp_path):
    assert {LEVEL, NOISE, UNTRAINED, MATCHED} <= set(result.not_applicable)
    assert "see there" in result.not_applicable["voice"]
    unknown = probe_nuisances(write(tmp_path / "u", speakers_known=False))
    assert unknown.not_applicable[SPEAKER] == "speakers are unknown"
    few = probe_nuisances(write(tmp_path / "f", n_speakers=40))
    assert "12 training clips" in few.not_applicable[SPEAKER]


def test_the_twin_is_what_a_layer_is_measured_against(recordings):
    result = probe_nuisances(recordings, twin=recordings)
    row = result.find(SPEAKER, "layer1")
    assert row.reference == f"layer1, {UNTRAINED}" and row.difference.value == 0
    assert result.find(SPEAKER, "encoder").reference == ""


def test_table_json_progress_and_the_split_that_is_fitted_on(recordings, result):
    assert len(result.to_table()) == len(result.rows)
    assert NuisanceResult.from_json(result.to_json()).rows == result.rows
    seen = []
    probe_nuisances(recordings, progress=lambda fraction, text: seen.append(fraction))
    assert seen == sorted(seen) and seen[0] >= 0 and seen[-1] <= 1
    with pytest.raises(SpikelensError, match="split: 'train'"):
        probe_nuisances(recordings, split="train")


@pytest.fixture(scope="module")
def network(tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        recipe = {
            "name": "nuisance-tiny",
            "data": {"name": "tones"},
            "encoder": {"name": "residual"},
            "backbone": {"name": "rlif", "hidden": [12]},
            "train": {"epochs": 1, "batch_size": 24},
        }
        train(Recipe.from_dict(recipe), tones, user_checkpoints() / "nuisance-tiny")
        return load_checkpoint("nuisance-tiny")


def test_level_and_noise_are_put_into_the_sound_and_heard_by_every_code(network, tones):
    splits = ("train", "validation")
    result = probe_nuisances(
        capture(network, tones, splits=splits),
        twin=capture(network, tones, splits=splits, twin=True),
        model=(network, tones),
    )
    for code in ("features", "encoder", MATCHED, "layer1", f"layer1, {UNTRAINED}"):
        for target in (LEVEL, NOISE):
            assert result.find(target, code) is not None, (target, code)
    assert result.find(LEVEL, "features").value.value > 0.3
    assert result.find(LEVEL, "encoder").reference == MATCHED
    assert "pink noise" in result.clips[NOISE] and "12 dB" in result.clips[LEVEL]
