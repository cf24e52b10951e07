"""Any folder of labelled audio: tables, list files, speaker pattern, file hash, and how they go wrong."""

import csv

import numpy as np
import pytest
from clip_files import noise_clip, write_clip

from models.data.base import SPLITS
from models.data.folder import load_folder
from models.data.splits import ranked_split
from models.errors import SpikelensError

HEADER = ("file", "label", "speaker")


def write_tables(root, header=HEADER, names=("train", "validation", "test"), per_class=2):
    """Write clips ``<label>-<split>-<i>.wav`` and a table for each split."""
    seed = 0
    for name, split in zip(names, SPLITS, strict=True):
        rows = []
        for label in ("cat", "dog"):
            for i in range(per_class):
                file = f"audio/{label}-{split}-{i}.wav"
                write_clip(root / file, seed := seed + 1)
                rows.append((file, label, f"{split}{i}")[: len(header)])
        with (root / f"{name}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
    return root


def write_labels(root, speakers=10, each=2, labels=("cat", "dog")):
    """Write clips ``<label>/<speaker>_<i>.wav``."""
    for k, label in enumerate(labels):
        for s in range(speakers):
            for i in range(each):
                write_clip(root / label / f"sp{s}_{i}.wav", 1000 * k + 10 * s + i)
    return root


def append(root, table, *row):
    with (root / table).open("a", newline="") as stream:
        csv.writer(stream).writerow(row)


def ids(data):
    return {name: set(split.clip_ids) for name, split in data.splits.items()}


def test_tables_give_splits_labels_and_speakers(tmp_path):
    data = load_folder(write_tables(tmp_path / "Pets 1"))
    assert (data.name, data.labels, data.speakers_known) == ("pets-1", ("cat", "dog"), True)
    assert ids(data)["validation"] == {f"audio/{w}-validation-{i}" for w in ("cat", "dog") for i in (0, 1)}
    train = data.split("train")
    row = train.clip_ids.index("audio/dog-train-1")
    assert (data.labels[train.labels[row]], train.speakers[row]) == ("dog", "train1")
    np.testing.assert_array_equal(train.waveforms[row], noise_clip(4))


def test_val_csv_class_column_and_no_speakers(tmp_path):
    data = load_folder(write_tables(tmp_path / "a", ("File ", " Class"), ("train", "val", "test")))
    assert [len(data.split(name)) for name in SPLITS] == [4, 4, 4]
    assert not data.speakers_known


def test_a_pattern_finds_speakers_where_tables_have_none(tmp_path):
    root = write_tables(tmp_path / "a", HEADER[:2])
    data = load_folder(root, r"-(\w+-\d)")
    assert set(data.split("test").speakers) == {"test-0", "test-1"}
    with pytest.raises(SpikelensError, match="speaker '0' is in both train and validation"):
        load_folder(root, r"-(\d)\.")


def test_a_speaker_in_two_tables_is_named(tmp_path):
    root = write_tables(tmp_path / "a")
    write_clip(root / "more.wav")
    append(root, "test.csv", "more.wav", "cat", "train0")
    with pytest.raises(SpikelensError, match="speaker 'train0' is in both train and test"):
        load_folder(root)


def test_a_file_in_two_tables_is_named(tmp_path):
    root = write_tables(tmp_path / "a", HEADER[:2])
    append(root, "test.csv", "./audio/cat-train-0.wav", "cat")
    with pytest.raises(SpikelensError, match=r"audio/cat-train-0.wav is in both train and test"):
        load_folder(root)


@pytest.mark.parametrize(
    "entry",
    ["../outside.wav", "audio/../../outside.wav", "..\\outside.wav", "/etc/hosts", "C:\\a.wav", "\\a.wav"],
)
def test_entries_that_lead_out_are_refused(tmp_path, entry):
    write_clip(tmp_path / "outside.wav")
    root = write_tables(tmp_path / "a")
    append(root, "train.csv", entry, "cat", "train0")
    with pytest.raises(SpikelensError, match=r"train.csv line 6: file .* must lie below the data folder"):
        load_folder(root)


def test_symbolic_links_that_lead_out_are_refused(tmp_path):
    outside = write_clip(tmp_path / "outside.wav")
    root = write_tables(tmp_path / "a")
    (root / "link.wav").symlink_to(outside)
    append(root, "train.csv", "link.wav", "cat", "train0")
    with pytest.raises(SpikelensError, match="link.wav leads out of the data folder"):
        load_folder(root)
    labels = write_labels(tmp_path / "b")
    (labels / "cat" / "link.wav").symlink_to(outside)
    with pytest.raises(SpikelensError, match="link.wav leads out of the data folder"):
        load_folder(labels)


def test_links_inside_and_loops(tmp_path):
    root = write_tables(tmp_path / "a")
    write_clip(root / "real.wav")
    (root / "link.wav").symlink_to(root / "real.wav")
    (root / "loop.wav").symlink_to(root / "loop.wav")
    append(root, "train.csv", "link.wav", "cat", "train0")
    append(root, "train.csv", "loop.wav", "cat", "train0")
    data = load_folder(root)
    assert len(data.split("train")) == 5 and sum(data.report.skipped.values()) == 1


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("test.csv", None, "has tables but no test.csv"),
        ("test.csv", "path,label\n", "test.csv needs columns 'file' and 'label'"),
        ("test.csv", "", "test.csv needs columns"),
        ("test.csv", "file,label,speaker\na.wav,,s\n", "test.csv line 2: an empty file, label or speaker"),
        ("test.csv", "file,label,speaker\na.wav,cat\n", "test.csv line 2: an empty file, label or speaker"),
        ("test.csv", "file,label\na.wav,cat\n", "some tables have a column 'speaker'"),
        ("test.csv", "file,label,speaker\n", "no usable clip in split test"),
        ("test.csv", b"file,label,speaker\n\xff\xfe,cat,s\n", "test.csv cannot be read"),
    ],
)
def test_tables_that_are_wrong(tmp_path, table, text, message):
    root = write_tables(tmp_path / "a")
    if text is None:
        (root / table).unlink()
    else:
        (root / table).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpikelensError, match=message) as caught:
        load_folder(root)
    assert "\n" not in str(caught.value)


def test_a_pattern_makes_disjoint_complete_repeatable_splits(tmp_path):
    root = write_labels(tmp_path / "a", speakers=20, each=1)
    data = load_folder(root, r"^(\w+?)_")
    speakers = {name: set(split.speakers) for name, split in data.splits.items()}
    assert [len(speakers[name]) for name in SPLITS] == [16, 2, 2]
    assert set.union(*speakers.values()) == {f"sp{s}" for s in range(20)}
    assert sum(len(clips) for clips in ids(data).values()) == len(set.union(*ids(data).values())) == 40
    assert ids(load_folder(root, r"^(\w+?)_")) == ids(data)


def test_without_speakers_every_class_is_split_by_file(tmp_path):
    data = load_folder(write_labels(tmp_path / "a"))
    assert not data.speakers_known
    for name, count in zip(SPLITS, (16, 2, 2), strict=True):
        assert np.bincount(data.split(name).labels).tolist() == [count, count]
    assert len(set.union(*ids(data).values())) == 40


def test_ranked_split_does_not_depend_on_order_and_holds_out_from_three_on():
    keys = [f"k{i}" for i in range(57)]
    assert ranked_split(keys) == ranked_split(reversed(keys))
    for count, held in ((0, 0), (2, 0), (3, 1), (14, 1), (16, 2), (57, 6)):
        found = list(ranked_split(keys[:count]).values())
        assert (found.count("validation"), found.count("test")) == (held, held)


def test_list_files_split_a_folder_without_nohash_names(tmp_path):
    root = write_labels(tmp_path / "a", speakers=4, each=1)
    (root / "validation_list.txt").write_text("cat/sp1_0.wav\ndog/sp1_0.wav\n")
    (root / "testing_list.txt").write_text("cat\\sp2_0.flac\ndog/sp2_0.wav\ndog/absent.wav\n")
    data = load_folder(root, "^(sp.)")
    assert {n: set(s.speakers) for n, s in data.splits.items()} == {
        "train": {"sp0", "sp3"},
        "validation": {"sp1"},
        "test": {"sp2"},
    }
    assert data.report.skipped == {"listed but not there": 1}
    (root / "testing_list.txt").unlink()
    with pytest.raises(SpikelensError, match="a list file but no testing_list.txt"):
        load_folder(root)


def test_other_rates_channels_and_lengths_are_converted_and_counted(tmp_path):
    root = write_labels(tmp_path / "a")
    stereo = np.stack([noise_clip(1, 44_100), noise_clip(2, 44_100)], 1)
    write_clip(root / "cat" / "stereo.wav", stereo, 44_100)
    write_clip(root / "cat" / "short.ogg", noise_clip(3, 8000), 16_000, None)
    write_clip(root / "dog" / "long.flac", np.repeat(np.array([0, 9000, 0], np.int16), 16_000))
    data = load_folder(root)
    report = data.report
    assert (report.resampled, report.mixed_down, report.padded, report.cropped) == (1, 1, 1, 1)
    clips = {
        clip: split.waveforms[i] for split in data.splits.values() for i, clip in enumerate(split.clip_ids)
    }
    assert (clips["dog/long"] == 9000).all()  # the middle second
    assert not clips["cat/short"][8100:].any() and clips["cat/short"][:7900].any()
    assert report.loaded == 43 == len(clips)


def test_each_bad_file_is_skipped_and_counted(tmp_path):
    root = write_labels(tmp_path / "a")
    good = (root / "cat" / "sp0_0.wav").read_bytes()
    (root / "cat" / "b-empty.wav").write_bytes(b"")
    (root / "cat" / "b-text.wav").write_text("hello " * 100)
    (root / "cat" / "b-cut.wav").write_bytes(good[: len(good) // 2])
    (root / "cat" / "notes.txt").write_text("not audio either")
    (root / "cat" / ".hidden").write_text("")
    (root / "cat" / "gone.wav").symlink_to(root / "nowhere.wav")
    write_clip(root / "cat" / "b-silent.wav", np.zeros(16_000, np.int16))
    write_clip(root / "cat" / "b-nan.wav", np.full(16_000, np.nan), subtype="FLOAT")
    write_clip(root / "cat" / "b-hour.flac", np.zeros(61 * 16_000, np.int16))
    data = load_folder(root)
    assert data.report.skipped == {
        "not an audio file": 2,
        "empty file": 1,
        "truncated": 1,
        "no such file": 1,
        "silent": 1,
        "samples that are not numbers": 1,
        "longer than 60 s": 1,
    }
    assert data.report.loaded == 40
    assert "skipped 1 clips: silent (cat/b-silent)" in data.report.lines()


def test_a_class_of_bad_files_is_named(tmp_path):
    root = write_labels(tmp_path / "a")
    (root / "owl").mkdir()
    (root / "owl" / "a.wav").write_text("no")
    with pytest.raises(SpikelensError, match="no usable training clip of class owl"):
        load_folder(root)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is no regular expression"),
        ("sp", "needs exactly one group"),
        ("(s)(p)", "needs exactly one group"),
        ("^(x)", "finds no speaker in 'sp0_0.wav'"),
        ("(x?)", "finds no speaker in 'sp0_0.wav'"),
    ],
)
def test_patterns_that_do_not_fit(tmp_path, pattern, message):
    with pytest.raises(SpikelensError, match=f"speaker_pattern: .* {message}"):
        load_folder(write_labels(tmp_path / "a"), pattern)


def test_folders_with_nothing_to_split(tmp_path):
    with pytest.raises(SpikelensError, match="is not a folder"):
        load_folder(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpikelensError, match="empty holds neither <label>/\\* audio nor train.csv"):
        load_folder(tmp_path / "empty")
    write_clip(tmp_path / "flat" / "a.wav")
    with pytest.raises(SpikelensError, match="flat holds neither"):
        load_folder(tmp_path / "flat")
    with pytest.raises(SpikelensError, match="at least two classes, found cat"):
        load_folder(write_labels(tmp_path / "one", labels=("cat",)))
    with pytest.raises(SpikelensError, match="no usable clip in split validation, test"):
        load_folder(write_labels(tmp_path / "few", speakers=1, each=2))
