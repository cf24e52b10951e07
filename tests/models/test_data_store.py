"""The decoded-audio cache and the digest: what they depend on, and what they survive."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from clip_files import noise_clip, write_clip, write_speech_commands

from models.data import store
from models.data.speech_commands import load_speech_commands
from models.errors import SpikelensError


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Give a test a cache of its own."""
    monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "audio"


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Collect the names of the files that are really decoded."""
    names = []
    original = store.decode_audio

    def counting(path, *args, **kwargs):
        names.append(f"{path.parent.name}/{path.stem}")
        return original(path, *args, **kwargs)

    monkeypatch.setattr(store, "decode_audio", counting)
    return names


def same(a, b) -> bool:
    return a.digest == b.digest and all(
        np.array_equal(a.split(n).waveforms, b.split(n).waveforms)
        and np.array_equal(a.split(n).labels, b.split(n).labels)
        and (a.split(n).clip_ids, a.split(n).speakers) == (b.split(n).clip_ids, b.split(n).speakers)
        for n in a.splits
    )


def test_second_call_decodes_nothing_and_maps_the_file(tmp_path, cache, decoded):
    root = write_speech_commands(tmp_path / "sc")
    (root / "no" / "00000000_nohash_0.wav").write_bytes(b"broken")
    first = load_speech_commands(root)
    assert len(decoded) == 16
    second = load_speech_commands(root)
    assert len(decoded) == 16
    assert same(first, second) and first.report == second.report
    assert second.report.skipped == {"not an audio file": 1}
    assert isinstance(second.split("train").waveforms.base, np.memmap)
    assert not [p for p in cache.iterdir() if p.name.startswith(".")]


def test_an_edited_file_is_decoded_again(tmp_path, cache):
    root = write_speech_commands(tmp_path / "sc")
    before = load_speech_commands(root)
    edited = write_clip(root / "no" / "00000000_nohash_0.wav", 999)  # same size
    status = edited.stat()
    os.utime(edited, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    after = load_speech_commands(root)
    np.testing.assert_array_equal(after.split("train").waveforms[0], noise_clip(999))
    assert after.digest != before.digest


@pytest.mark.parametrize("damage", ["cut", "index", "absent"])
def test_a_damaged_entry_is_built_again(tmp_path, cache, decoded, damage):
    root = write_speech_commands(tmp_path / "sc")
    first = load_speech_commands(root)
    kept = {name: np.array(split.waveforms) for name, split in first.splits.items()}
    (entry,) = cache.iterdir()
    if damage == "cut":
        (entry / "train.i16").write_bytes((entry / "train.i16").read_bytes()[:-2])
    elif damage == "index":
        (entry / "index.json").write_text(json.dumps({"digest": "x"}))
    else:
        (entry / "test.i16").unlink()
    again = load_speech_commands(root)
    assert len(decoded) == 32
    for name, waveforms in kept.items():
        np.testing.assert_array_equal(again.split(name).waveforms, waveforms)


def test_a_cache_that_is_a_file_is_survived(tmp_path, monkeypatch, caplog):
    root = write_speech_commands(tmp_path / "sc")
    expected = load_speech_commands(root)
    (tmp_path / "occupied").write_text("")
    monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path / "occupied"))
    assert same(load_speech_commands(root), expected)
    assert caplog.text.count("not cached") == 1


def test_a_split_of_bad_files_is_named_without_a_cache_too(tmp_path, monkeypatch):
    root = write_speech_commands(tmp_path / "sc")
    for i in (4, 5):
        for word in ("no", "yes"):
            (root / word / f"{i:08x}_nohash_0.wav").write_bytes(b"broken")
    (tmp_path / "occupied").write_text("")
    for cache in ("fresh", "fresh", "occupied"):
        monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path / cache))
        with pytest.raises(SpikelensError, match="no usable clip in split validation$"):
            load_speech_commands(root)


def test_a_full_disk_is_survived_and_leaves_nothing(tmp_path, cache, monkeypatch, caplog):
    root = write_speech_commands(tmp_path / "sc")
    write_clip(root / "_background_noise_" / "tap.wav", 5)
    expected = load_speech_commands(root)
    shutil.rmtree(cache)
    original = Path.open

    def full(self, mode="r", *args, **kwargs):
        if self.name == "test.i16" and "w" in mode:
            raise OSError(28, "No space left on device")
        return original(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    data = load_speech_commands(root)
    assert same(data, expected) and len(data.noise) == 1
    assert "No space left" in caplog.text
    assert list(cache.iterdir()) == []


def test_digest_ignores_container_place_and_file_order(tmp_path, cache):
    wav = load_speech_commands(write_speech_commands(tmp_path / "a"))
    flac = write_speech_commands(tmp_path / "b", words=("yes", "no"), suffix=".flac")
    for w, word in enumerate(("no", "yes")):  # the same samples, written in another order
        for i in reversed(range(8)):
            write_clip(flac / word / f"{i:08x}_nohash_0.flac", 100 * w + i)
    assert load_speech_commands(flac).digest == wav.digest


@pytest.mark.parametrize("change", ["sample", "name", "split", "padding"])
def test_digest_changes_with_a_sample_a_name_a_split_or_a_length(tmp_path, cache, change):
    root = write_speech_commands(tmp_path / "a")
    before = load_speech_commands(root).digest
    first = root / "no" / "00000000_nohash_0.wav"
    if change == "sample":
        samples = noise_clip(0)
        samples[-1] ^= 1
        write_clip(first, samples)
    elif change == "name":
        first.rename(first.with_name("00000000_nohash_1.wav"))
    elif change == "split":
        with (root / "validation_list.txt").open("a") as lists:
            lists.write("no/00000000_nohash_0.wav\nyes/00000000_nohash_0.wav\n")
    else:
        write_clip(first, np.append(noise_clip(0), np.int16(0)))
    assert load_speech_commands(root).digest != before


def test_no_cache_entry_for_data_that_is_refused_at_once(tmp_path, cache):
    root = write_speech_commands(tmp_path / "a", words=("no",))
    with pytest.raises(SpikelensError):
        load_speech_commands(root)
    assert not cache.exists()
