"""Data sets by name and by folder."""

import os

import pytest
from clip_files import write_clip, write_speech_commands

from models.data import available_datasets, open_dataset
from models.data.base import SPLITS
from models.data.speech_commands import WORDS_8
from models.errors import SpikelensError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give a test an empty user data folder."""
    monkeypatch.setenv("SPIKELENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_embedded_set_is_always_there(home):
    (only,) = available_datasets()
    assert (only.name, only.path, only.synthetic) == ("spoken35", None, True)


def test_named_and_fetched_folders_open_by_name(home, tmp_path, monkeypatch, caplog):
    mine = write_speech_commands(tmp_path / "My Words")
    eight = home / "data" / "speech_commands"
    for word in WORDS_8:
        write_clip(eight / word / "0_nohash_0.wav", 1)
    (home / "data" / ".x.unpacking").mkdir()
    monkeypatch.setenv("SPIKELENS_DATA", os.pathsep.join([str(mine), "", str(tmp_path / "absent")]))
    found = {info.name: (info.path, info.synthetic) for info in available_datasets()}
    assert found == {"spoken35": (None, True), "my-words": (mine, False), "gsc8": (eight, False)}
    assert "absent is not a folder" in caplog.text
    opened = open_dataset("my-words")
    assert opened.name == "my-words" and opened.digest == open_dataset(str(mine)).digest


def test_the_first_of_two_equal_names_wins(home, tmp_path, monkeypatch):
    first, second = write_speech_commands(tmp_path / "a" / "x"), write_speech_commands(tmp_path / "b" / "x")
    monkeypatch.setenv("SPIKELENS_DATA", os.pathsep.join([str(first), str(second)]))
    assert [info.path for info in available_datasets()] == [None, first]


def test_layouts_are_told_apart(home, tmp_path):
    root = write_speech_commands(tmp_path / "sc")
    assert set(open_dataset(str(root)).split("test").speakers) == {"00000006", "00000007"}
    by_pattern = open_dataset(str(root), speaker_pattern="^0+(.)_")  # an explicit pattern decides
    assert set(by_pattern.split("test").speakers) == {"6", "7"}
    for split in SPLITS:  # tables go before file names
        lines = [
            f"{c},{c.split('/')[0]}"
            for c in (f"{w}/{SPLITS.index(split):08x}_nohash_0.wav" for w in ("no", "yes"))
        ]
        (root / f"{split}.csv").write_text("file,label\n" + "\n".join(lines))
    tabled = open_dataset(str(root))
    assert not tabled.speakers_known and tabled.split("test").clip_ids[0] == "no/00000002_nohash_0"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gsc35", "; give its folder, or get it with: spikelens data fetch speech-commands"),
        (
            "gsc8",
            "; give its folder, or get it with: "
            "spikelens data subset gsc8 --from V001 V002 --out {home}/data/gsc8",
        ),
        ("gsc9", ""),
        ("", ""),
    ],
)
def test_an_unknown_name_gets_the_allowed_ones_and_the_way_to_it(home, name, hint):
    with pytest.raises(SpikelensError) as caught:
        open_dataset(name)
    assert (
        str(caught.value) == f"data: {name!r} is neither a folder nor one of spoken35{hint.format(home=home)}"
    )
