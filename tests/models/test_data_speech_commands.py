"""Speech Commands folders: the published split, list files, names, noise, and the real recordings."""

import hashlib
import shutil

import numpy as np
import pytest
from clip_files import noise_clip, write_clip, write_speech_commands

from models.data.base import SPLITS
from models.data.speech_commands import WORDS_8, WORDS_35, load_speech_commands
from models.data.splits import speech_commands_split
from models.errors import SpikelensError


def test_lists_decide_and_may_name_the_other_container(tmp_path):
    data = load_speech_commands(write_speech_commands(tmp_path / "sc", suffix=".flac"))  # lists name .wav
    ids = {name: set(split.clip_ids) for name, split in data.splits.items()}
    assert [len(ids[name]) for name in SPLITS] == [8, 4, 4]
    assert ids["validation"] == {f"{w}/{i:08x}_nohash_0" for w in ("no", "yes") for i in (4, 5)}
    assert len(set.union(*ids.values())) == 16  # disjoint and complete
    test = data.split("test")
    row = test.clip_ids.index("yes/00000007_nohash_0")
    assert (test.speakers[row], data.labels[test.labels[row]]) == ("00000007", "yes")
    np.testing.assert_array_equal(test.waveforms[row], noise_clip(107))
    assert data.name == "sc" and data.report.loaded == 16 and data.report.lines() == []


def test_speaker_hash_is_the_published_function():
    for speaker in (f"{number:08x}" for number in range(3000)):
        # which_set() of Warden (2018), word for word but for the names of the splits
        percentage = (int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 134217728) * (100.0 / 134217727)
        expected = "validation" if percentage < 10 else "test" if percentage < 20 else "train"
        assert speech_commands_split(speaker) == expected


def speakers_of(split: str, count: int) -> list[str]:
    return [s for s in (f"{i:08x}" for i in range(1000)) if speech_commands_split(s) == split][:count]


@pytest.mark.parametrize("missing", ["both", "testing_list.txt", "validation_list.txt"])
def test_a_missing_list_is_replaced_by_the_hash(tmp_path, missing):
    root = tmp_path / "sc"
    expected = {split: speakers_of(split, 2) for split in SPLITS}
    for w, word in enumerate(("no", "yes")):
        for s, speaker in enumerate([s for found in expected.values() for s in found]):
            write_clip(root / word / f"{speaker}_nohash_1.wav", 10 * w + s)
    for split, file in (("validation", "validation_list.txt"), ("test", "testing_list.txt")):
        if missing not in ("both", file):
            lines = [f"{w}/{s}_nohash_1.wav" for w in ("no", "yes") for s in expected[split]]
            (root / file).write_text("\n".join(lines))
    data = load_speech_commands(root)
    assert {name: sorted(set(split.speakers)) for name, split in data.splits.items()} == expected


def test_any_subset_of_words(tmp_path):
    root = write_speech_commands(tmp_path / "My Data_v2", words=("go", "no", "yes"))
    assert load_speech_commands(root).name == "my-data-v2"
    chosen = load_speech_commands(root, words=["yes", "go"])
    assert chosen.labels == ("go", "yes")
    assert {clip.split("/")[0] for s in chosen.splits.values() for clip in s.clip_ids} == {"go", "yes"}
    with pytest.raises(SpikelensError, match="words: bed not in My Data_v2; there are go, no, yes"):
        load_speech_commands(root, words=["bed", "go"])


def test_published_word_sets_have_names(tmp_path):
    assert len(WORDS_35) == 35 and set(WORDS_8) < set(WORDS_35)
    root = tmp_path / "sc"
    for w, word in enumerate(WORDS_8):
        for s, split in enumerate(SPLITS):
            write_clip(root / word / f"{speakers_of(split, 1)[0]}_nohash_0.wav", 10 * w + s)
    assert load_speech_commands(root).name == "gsc8"
    assert load_speech_commands(root, words=["no", "yes"]).name == "sc"


def test_background_noise_is_no_class_and_keeps_its_length(tmp_path):
    root = write_speech_commands(tmp_path / "sc")
    write_clip(root / "_background_noise_" / "tap.wav", np.arange(40_000, dtype=np.int16))
    write_clip(root / "_background_noise_" / "README.wav").write_text("not audio")
    for _ in ("decoded", "cached"):
        data = load_speech_commands(root)
        assert data.labels == ("no", "yes")
        assert len(data.noise) == 1
        np.testing.assert_array_equal(data.noise[0], np.arange(40_000, dtype=np.int16))


def test_short_and_silent_clips_are_kept_padded(tmp_path):
    root = write_speech_commands(tmp_path / "sc")
    write_clip(root / "no" / "00000000_nohash_0.wav", noise_clip(3, 9000))
    write_clip(root / "no" / "00000001_nohash_0.wav", np.zeros(16_000, np.int16))
    data = load_speech_commands(root)
    row = data.split("train").clip_ids.index("no/00000000_nohash_0")
    assert data.report.loaded == 16 and data.report.padded == 1
    np.testing.assert_array_equal(data.split("train").waveforms[row, :9000], noise_clip(3, 9000))
    assert not data.split("train").waveforms[row, 9000:].any()


def test_the_same_clip_in_two_containers_counts_once(tmp_path):
    root = write_speech_commands(tmp_path / "sc")
    write_clip(root / "no" / "00000000_nohash_0.flac", 0)
    data = load_speech_commands(root)
    assert len(data.split("train")) == 8
    assert data.report.skipped == {"same name as another clip": 1}


def test_lists_that_share_a_speaker_are_refused(tmp_path):
    root = write_speech_commands(tmp_path / "sc")
    write_clip(
        root / "no" / "00000007_nohash_1.wav", 50
    )  # in no list: training; 00000007_nohash_0 is a test clip
    with pytest.raises(SpikelensError, match="speaker '00000007' is in both train and test"):
        load_speech_commands(root)


@pytest.mark.parametrize("word", ["no", "yes"])
def test_a_word_without_training_clips_is_named(tmp_path, word):
    root = write_speech_commands(tmp_path / "sc")
    for i in range(4):
        (root / word / f"{i:08x}_nohash_0.wav").write_bytes(b"broken")
    with pytest.raises(SpikelensError, match=f"no usable training clip of class {word}$"):
        load_speech_commands(root)


def test_missing_and_one_word_folders(tmp_path):
    with pytest.raises(SpikelensError, match="absent' is not a folder"):
        load_speech_commands(tmp_path / "absent")
    root = write_speech_commands(tmp_path / "sc")
    shutil.rmtree(root / "yes")
    with pytest.raises(SpikelensError, match="at least two classes, found no"):
        load_speech_commands(root)


@pytest.mark.gsc8
@pytest.mark.slow
def test_the_real_recordings(gsc8_path):
    data = load_speech_commands(gsc8_path)
    assert data.name == "gsc8" and data.labels == WORDS_8
    assert [len(data.split(name)) for name in SPLITS] == [6257, 869, 3276]
    speakers = [set(data.split(name).speakers) for name in SPLITS]
    assert not (speakers[0] & speakers[1] or speakers[0] & speakers[2] or speakers[1] & speakers[2])
    for name, split in data.splits.items():
        assert {speech_commands_split(speaker) for speaker in split.speakers} == {name}
    assert len(data.noise) == 6 and data.report.skipped == {}
    assert data.digest == "f7e69a19a03d78efcf29c711242612b606bc7759896d65c5d750a8e07270d309"
