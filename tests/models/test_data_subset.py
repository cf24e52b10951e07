"""Rebuilding GSC-8: exact from the right archives, nothing from the wrong ones."""

import csv
import shutil

import numpy as np
import pytest
from clip_files import write_clip, write_speech_commands

from models.data.audio import decode_audio
from models.data.base import SPLITS, clip_hash
from models.data.speech_commands import WORDS_8, load_speech_commands
from models.data.subset import CLIP_LIST, build_gsc8, write_clip_list
from models.errors import SpikelensError


@pytest.fixture
def archives(tmp_path):
    """Give both archives, the clip list of the wanted subset, and a place for it."""
    wanted = write_speech_commands(tmp_path / "wanted")
    write_clip_list(wanted, tmp_path / "clips.csv")
    v001, v002 = tmp_path / "v001", tmp_path / "v002"
    for archive in (v001, v002):
        write_speech_commands(archive, words=("go", "no", "yes"))
        for word in ("no", "yes"):
            shutil.rmtree(archive / word)
            shutil.copytree(wanted / word, archive / word)
    for word in ("no", "yes"):  # each archive has other samples where the other one is to be used
        for i in range(8):
            write_clip((v002 if i < 6 else v001) / word / f"{i:08x}_nohash_0.wav", 5000 + i)
    write_clip(v002 / "_background_noise_" / "tap.wav", 77)
    return v001, v002, tmp_path / "out", tmp_path / "clips.csv"


def test_rebuilt_from_both_archives(archives, tmp_path):
    build_gsc8(*archives)
    rebuilt, wanted = load_speech_commands(archives[2]), load_speech_commands(tmp_path / "wanted")
    assert rebuilt.digest == wanted.digest and rebuilt.labels == ("no", "yes")
    assert [len(rebuilt.split(name)) for name in SPLITS] == [8, 4, 4]
    assert len(rebuilt.noise) == 1
    assert {p.suffix for p in (archives[2] / "no").iterdir()} == {".flac"}
    assert (archives[2] / "testing_list.txt").read_text().splitlines()[0] == "no/00000006_nohash_0.flac"


def test_clips_that_are_missing_or_differ_are_reported_and_nothing_stays(archives, tmp_path):
    v001, v002, out, clips = archives
    (v001 / "no" / "00000000_nohash_0.wav").unlink()
    write_clip(v002 / "yes" / "00000007_nohash_0.wav", 1)
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(SpikelensError, match="2 clips cannot be rebuilt") as caught:
        build_gsc8(v001, v002, out, clips)
    assert "no/00000000_nohash_0 (no such file)" in str(caught.value)
    assert "yes/00000007_nohash_0 (other samples)" in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_archives_the_wrong_way_round_do_not_pass(archives):
    v001, v002, out, clips = archives
    with pytest.raises(SpikelensError, match="16 clips cannot be rebuilt"):
        build_gsc8(v002, v001, out, clips)


def test_a_folder_in_use_is_not_touched(archives):
    v001, v002, out, clips = archives
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(SpikelensError, match="exists and is not an empty folder"):
        build_gsc8(v001, v002, out, clips)
    with pytest.raises(SpikelensError, match="is not a folder"):
        build_gsc8(v001.with_name("absent"), v002, out.with_name("new"), clips)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def shipped() -> list[dict[str, str]]:
    with CLIP_LIST.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_shipped_list_is_gsc8():
    rows = shipped()
    counts = {name: sum(row["split"] == name for row in rows) for name in SPLITS}
    assert counts == {"train": 6257, "validation": 869, "test": 3276}
    assert {row["clip_id"].split("/")[0] for row in rows} == set(WORDS_8)
    assert len({row["clip_id"] for row in rows}) == len(rows)


@pytest.mark.gsc8
def test_the_shipped_hashes_are_those_of_the_recordings(gsc8_path):
    rows = shipped()
    for i in np.random.default_rng(0).choice(len(rows), 200, replace=False):
        samples, _ = decode_audio(gsc8_path / f"{rows[i]['clip_id']}.flac", allow_silent=True)
        assert clip_hash(samples) == rows[i]["sha256"]
