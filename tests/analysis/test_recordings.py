"""What was written is what is read, block by block, and a failed write leaves nothing."""

import json

import numpy as np
import pytest

from analysis.recordings import Point, Recordings, RecordingWriter
from models.errors import SpikelensError

RNG = np.random.default_rng(0)
SPIKES = (RNG.random((7, 5, 11)) < 0.4).astype(np.uint8)  # 11 units: does not fill its last byte
FEATURES = RNG.standard_normal((7, 5, 3)).astype(np.float32)


def test_activity_comes_back_to_the_bit(record):
    held = record(SPIKES, features=FEATURES).split("validation")
    assert held.load("encoder").dtype == np.uint8 and np.array_equal(held.load("encoder"), SPIKES)
    assert np.array_equal(held.load("features"), FEATURES)
    rows = np.array([5, 0, 5])
    assert np.array_equal(held.load("encoder", rows), SPIKES[rows])


def test_spikes_are_packed_on_disk(record):
    recordings = record(SPIKES)
    stored = np.load(recordings.root / "validation" / "encoder.npy", allow_pickle=False)
    assert stored.shape == (7, 5, 2)


def test_blocks_cover_every_clip_once_in_order(record):
    held = record(SPIKES).split("validation")
    blocks = list(held.blocks("encoder", size=3))
    assert [len(block) for _, block in blocks] == [3, 3, 1]
    assert np.array_equal(np.concatenate([block for _, block in blocks]), SPIKES)
    assert all(np.array_equal(block, SPIKES[rows]) for rows, block in blocks)


def test_streams_and_residual_are_points(record):
    recordings = record(
        SPIKES, streams={"on": (0, 4), "off": (4, 11)}, features=FEATURES, decoded=FEATURES / 2
    )
    held = recordings.split("validation")
    assert np.array_equal(held.load("encoder/off"), SPIKES[..., 4:])
    assert np.allclose(held.load("residual"), FEATURES / 2)
    assert set(held.points) == {
        "encoder",
        "encoder/on",
        "encoder/off",
        "features",
        "decoded",
        "residual",
    }
    assert recordings.spiking_points == ("encoder",)


def test_unknown_names_are_refused_with_the_known_ones(record):
    recordings = record(SPIKES, streams={"on": (0, 4)})
    with pytest.raises(SpikelensError, match="'layer9'.*encoder"):
        recordings.split("validation").load("layer9")
    with pytest.raises(SpikelensError, match="encoder/of'"):
        recordings.split("validation").load("encoder/of")
    with pytest.raises(SpikelensError, match="'test'.*validation"):
        recordings.split("test")


def test_speakers_or_else_clips_are_resampled(record):
    known = record(SPIKES, speakers=list("aabbcca"))
    assert known.split("validation").groups.tolist() == [0, 0, 1, 1, 2, 2, 0]
    assert known.provenance("validation").interval_unit == "speaker"
    unknown = record(SPIKES, name="unknown")
    assert len(set(unknown.split("validation").groups)) == 7
    where = unknown.provenance("validation")
    assert where.interval_unit == "clip" and not where.speakers_known


def writer_to(folder, digest="d"):
    return RecordingWriter(
        folder,
        name="x",
        source="import",
        digest=digest,
        dataset="x",
        class_names=["a"],
        points=[Point("encoder", 11, True)],
    )


def fill(writer, split):
    writer.add_split(split, labels=np.zeros(7, int), clip_ids=["c"] * 7, speakers=None, n_steps=5)
    writer.write(split, "encoder", slice(0, 7), SPIKES)


def test_an_interrupted_write_leaves_nothing_and_keeps_what_was_there(tmp_path):
    with writer_to(tmp_path / "out") as writer:
        fill(writer, "train")
    with pytest.raises(KeyboardInterrupt), writer_to(tmp_path / "out", "other") as writer:
        fill(writer, "test")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert Recordings(tmp_path / "out").digest == "d"


def test_splits_in_folders_of_their_own_must_be_of_one_system(tmp_path):
    for split, digest in (("train", "d"), ("test", "d"), ("validation", "other")):
        with writer_to(tmp_path / split, digest) as writer:
            fill(writer, split)
    both = Recordings(tmp_path / "train", tmp_path / "test")
    assert set(both.splits) == {"train", "test"}
    assert np.array_equal(both.split("test").load("encoder"), SPIKES)
    with pytest.raises(SpikelensError, match="one system"):
        Recordings(tmp_path / "train", tmp_path / "validation")


def test_a_folder_that_is_not_recordings_is_one_line(tmp_path):
    with pytest.raises(SpikelensError, match="cannot be read"):
        Recordings(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(SpikelensError, match="schema 99"):
        Recordings(tmp_path)
