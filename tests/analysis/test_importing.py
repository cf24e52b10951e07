"""Anybody's encoder comes in; nothing that is wrong with a file gets past the door, or stays on disk."""

import io
import shutil
import struct
import zipfile
from collections import namedtuple

import numpy as np
import pytest

from analysis.importing import import_recordings, list_recordings, open_imported
from models.errors import SpikelensError
from models.paths import user_data_dir

RNG = np.random.default_rng(0)
N, T, UNITS, BANDS = 12, 5, 9, 3
GOOD = {
    "spikes": (RNG.random((N, T, UNITS)) < 0.3).astype(np.uint8),
    "label": np.array(["yes", "no", "up"] * 4),
    "split": np.array(["test", "train", "train", "validation"] * 3),
    "speaker": np.array(["t", "a", "b", "v"] * 3),
    "features": RNG.standard_normal((N, T, BANDS)),
    "decoded": RNG.standard_normal((N, T, BANDS)).astype(np.float32),
    "layers/layer1": RNG.random((N, T, 4)) < 0.5,
    "layers/membrane": RNG.standard_normal((N, T, 4)).astype(np.float32),
}


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKELENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path):
    """Write an import file with some arrays changed; None leaves one out."""

    def write(changes=None, name="in.npz"):
        arrays = {key: value for key, value in (GOOD | (changes or {})).items() if value is not None}
        np.savez_compressed(tmp_path / name, **arrays)
        return tmp_path / name

    return write


def refused(path, message, name="mine"):
    with pytest.raises(SpikelensError, match=message) as caught:
        import_recordings(path, name)
    assert len(str(caught.value).splitlines()) == 1
    root = user_data_dir() / "recordings"
    assert not root.exists() or not list(root.iterdir())


def test_every_array_arrives_in_its_split_in_order(file):
    recordings = import_recordings(file(), "mine")
    assert recordings.class_names == ("no", "up", "yes") and recordings.source == "import"
    assert {name: len(split) for name, split in recordings.splits.items()} == {
        "train": 6,
        "validation": 3,
        "test": 3,
    }
    for name, split in recordings.splits.items():
        rows = np.flatnonzero(GOOD["split"] == name)
        assert [recordings.class_names[i] for i in split.labels] == GOOD["label"][rows].tolist()
        assert list(split.speakers) == GOOD["speaker"][rows].tolist()
        assert split.clip_ids == tuple(f"clip-{i}" for i in rows)
        assert np.array_equal(split.load("encoder"), GOOD["spikes"][rows])
        assert np.array_equal(split.load("layer1"), GOOD["layers/layer1"][rows])
        assert np.array_equal(split.load("membrane"), GOOD["layers/membrane"][rows])
        assert np.array_equal(split.load("features"), GOOD["features"][rows].astype(np.float32))
        assert np.array_equal(split.load("decoded"), GOOD["decoded"][rows])
    assert recordings.spiking_points == ("encoder", "layer1") and recordings.dt_ms == 10


def test_the_smallest_file_is_spikes_labels_and_splits(file):
    optional = dict.fromkeys(("speaker", "features", "decoded", "layers/layer1", "layers/membrane"))
    path = file(optional | {"label": np.arange(N) % 2 + 9, "dt_ms": np.array(2.5)})
    recordings = import_recordings(path, "mine")
    assert recordings.class_names == ("9", "10")  # in numerical order
    assert recordings.dt_ms == 2.5 and list(recordings.points) == ["encoder"]
    where = recordings.provenance("test")
    assert not where.speakers_known and where.interval_unit == "clip"


def test_listed_opened_and_replaced_by_name(file):
    assert list_recordings() == []
    first = import_recordings(file(), "mine")
    assert list_recordings() == ["mine"] and open_imported("mine").digest == first.digest
    assert import_recordings(file(), "yours").digest != first.digest  # results say whose they are
    second = import_recordings(file({"spikes": 1 - GOOD["spikes"]}), "mine")
    assert list_recordings() == ["mine", "yours"] and second.digest != first.digest
    assert np.array_equal(
        open_imported("mine").split("test").load("encoder"), 1 - GOOD["spikes"][GOOD["split"] == "test"]
    )


BAD_VALUES = GOOD["features"].copy()
BAD_VALUES[3, 2, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spikes": None}, "spikes is missing"),
        ({"label": None}, "label is missing"),
        ({"split": None}, "split is missing"),
        ({"spike": GOOD["spikes"]}, "unexpected array 'spike'"),
        ({"layers/../../up": GOOD["spikes"]}, "unexpected array"),
        ({"layers/readout": GOOD["spikes"]}, "'readout' has a meaning"),
        ({"spikes": GOOD["spikes"] * 2}, "spikes: holds 2"),
        ({"spikes": GOOD["spikes"].astype(np.int64)}, "spikes: type int64"),
        ({"spikes": GOOD["spikes"][0]}, r"spikes: shape \(5, 9\)"),
        ({"spikes": GOOD["spikes"][:0]}, r"spikes: shape \(0, 5, 9\)"),
        ({"spikes": GOOD["spikes"][:, :, :0]}, r"spikes: shape \(12, 5, 0\)"),
        ({"spikes": np.array([{}] * N, dtype=object)}, "spikes: holds Python objects"),
        ({"label": np.array(["yes", 3, None] * 4, dtype=object)}, "label: holds Python objects"),
        ({"label": GOOD["label"][1:]}, r"label: shape \(11,\), must be \(12,\)"),
        ({"label": np.linspace(0, 1, N)}, "label: type float64"),
        ({"label": np.array(["yes", "no\nno", "up"] * 4)}, r"label: 'no\\nno'"),
        ({"label": np.array(["yes", "", "up"] * 4)}, "label: '' is empty"),
        ({"split": np.array(["train", "dev", "test"] * 4)}, "'dev' is not one of train, validation, test"),
        ({"split": np.zeros(N, int)}, "split: type int64"),
        ({"speaker": np.array(["a"] * N)}, "speaker 'a' is in both"),
        ({"speaker": np.array([["a"]] * N)}, r"speaker: shape \(12, 1\)"),
        ({"features": BAD_VALUES}, "features: holds numbers that are not finite"),
        ({"features": np.full((N, T, BANDS), 1e300)}, "features: holds numbers that are not finite"),
        ({"features": GOOD["features"].astype(int)}, "features: type int64"),
        ({"features": GOOD["features"][:, 1:]}, r"features: shape \(12, 4, 3\)"),
        ({"features": None}, "decoded: .* features of the same shape"),
        ({"decoded": GOOD["decoded"][:, :, 1:]}, "decoded: .* features of the same shape"),
        ({"layers/layer1": GOOD["layers/layer1"][1:]}, "layers/layer1: shape"),
        ({"layers/layer1": GOOD["layers/layer1"].astype(np.uint8) * 7}, "layers/layer1: holds 7"),
        ({"dt_ms": np.array(0.0)}, "dt_ms: 0.0"),
        ({"dt_ms": np.array(np.nan)}, "dt_ms: nan"),
        ({"dt_ms": np.array([10.0])}, "dt_ms: shape"),
    ],
)
def test_a_fault_is_one_line_that_names_it(file, changes, message):
    refused(file(changes), message)


@pytest.mark.parametrize("name", ["../up", "Mine", "", "a/b", ".hidden", "-x", "a" * 65])
def test_names_are_checked_before_anything_is_written(file, name):
    refused(file(), "name: ", name)
    with pytest.raises(SpikelensError, match="name: "):
        open_imported(name)


def test_the_name_of_a_checkpoint_is_taken(file, private_folders):
    folder = private_folders["SPIKELENS_CHECKPOINTS"] / "taken"
    folder.mkdir()
    try:
        refused(file(), "'taken' is a checkpoint already", "taken")
    finally:
        folder.rmdir()


def npy(shape, dtype="|u1", data=b"") -> bytes:
    """Return an .npy file whose header claims what it likes."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def archive(tmp_path, spikes: bytes, compression=zipfile.ZIP_DEFLATED):
    """Write an import file with these bytes as its spikes."""
    path = tmp_path / "crafted.npz"
    with zipfile.ZipFile(path, "w", compression) as out:
        out.writestr("spikes.npy", spikes)
        for key in ("label", "split"):
            buffer = io.BytesIO()
            np.save(buffer, GOOD[key])
            out.writestr(f"{key}.npy", buffer.getvalue())
    return path


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (npy((10**6, 10**6, 10**6)), "spikes: shape .* is too large; at most 4 GiB"),
        (npy((N, T, 2**31)), "too large"),
        (npy((N, T, UNITS)), "spikes: shape .* does not match the size of its data"),
        (npy((N, T, UNITS), data=b"\0" * (N * T * UNITS + 1)), "does not match"),
        (npy((-N, -T, UNITS), data=b"\0" * (N * T * UNITS)), "negative"),
        (npy((N, T, UNITS), "|O", b"\0" * 8 * N * T * UNITS), "Python objects"),
        (b"not an array", "cannot be read"),
        (b"", "cannot be read"),
        (b"\x93NUMPY\x03\x00" + npy((N, T, UNITS))[8:], "version"),
        (b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000, "cannot be read"),
        (npy("__import__('os')"), "cannot be read"),
    ],
)
def test_headers_are_distrusted_before_anything_is_loaded(tmp_path, monkeypatch, spikes, message):
    path = archive(tmp_path, spikes)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *a, **k: pytest.fail("an array was loaded"))
    refused(path, message)


def test_a_small_file_that_would_unpack_to_a_hundred_times_its_size_is_refused(tmp_path):
    path = archive(tmp_path, npy((N, T, UNITS), data=b"\0" * N * T * UNITS))
    import_recordings(path, "mine")  # as it is, it is fine
    shutil.rmtree(user_data_dir() / "recordings")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as out, out.open("layers/big.npy", "w") as member:
        member.write(npy((N, T, 1_000_000), data=b""))
        for _ in range(N * T):
            member.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    refused(path, "time steps and units must be 1 to")


def test_text_that_is_not_text_is_one_line(tmp_path, file):
    with zipfile.ZipFile(file()) as source, zipfile.ZipFile(tmp_path / "odd.npz", "w") as out:
        for name in source.namelist():
            garbage = npy((N,), "<U1", b"\xff\xff\xff\x7f" * N)
            out.writestr(name, garbage if name == "label.npy" else source.read(name))
    refused(tmp_path / "odd.npz", "label: holds bytes that are not text")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path, compression):
    refused(archive(tmp_path, npy((N, T, UNITS)), compression), "compression")


def test_an_array_that_is_there_twice_is_refused(tmp_path):
    path = archive(tmp_path, npy((N, T, UNITS), data=b"\0" * N * T * UNITS))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as out:
        out.writestr("spikes.npy", npy((N, T, UNITS), data=b"\1" * N * T * UNITS))
    refused(path, "spikes is there twice")


def test_files_that_are_no_archives_are_refused(tmp_path, file):
    refused(tmp_path / "absent.npz", "absent.npz is not there")
    refused(tmp_path, "is not there")
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz", "not a readable .npz")
    np.save(tmp_path / "one.npy", GOOD["spikes"])
    refused(tmp_path / "one.npy", "not a readable .npz")
    whole = file().read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.npz", "not a readable .npz")
    start = whole.index(b"spikes.npy") + 60
    (tmp_path / "hurt.npz").write_bytes(whole[:start] + b"\xff" * 40 + whole[start + 40 :])
    refused(tmp_path / "hurt.npz", "hurt.npz")


def test_a_pickle_inside_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    path = tmp_path / "trap.npz"
    np.savez(path, **(GOOD | {"label": np.array([Trap()] * N, dtype=object)}))
    refused(path, "label: holds Python objects")


def test_a_full_disk_is_one_line_and_keeps_what_was_there(file, monkeypatch):
    first = import_recordings(file(), "mine")
    monkeypatch.setattr(shutil, "disk_usage", lambda p: namedtuple("usage", "free")(10))
    with pytest.raises(SpikelensError, match="MiB free"):
        import_recordings(file({"spikes": 1 - GOOD["spikes"]}), "mine")
    assert open_imported("mine").digest == first.digest


def test_links_that_lead_out_are_neither_listed_nor_opened(file, home, tmp_path):
    import_recordings(file(), "mine")
    root = home / "recordings"
    shutil.copytree(root / "mine", tmp_path / "elsewhere")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    shutil.copytree(root / "mine", root / "inner")
    (root / "inner" / "test" / "encoder.npy").unlink()
    (root / "inner" / "test" / "encoder.npy").symlink_to(tmp_path / "elsewhere" / "test" / "encoder.npy")
    (root / "empty").mkdir()
    assert list_recordings() == ["mine"]
    for name in ("linked", "inner"):
        with pytest.raises(SpikelensError, match="outside"):
            open_imported(name)
    with pytest.raises(SpikelensError, match="'absent' not found; there are mine"):
        open_imported("absent")
