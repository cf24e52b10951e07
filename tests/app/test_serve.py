"""The launcher: a free port, flags that match the configuration file, folders checked before the start."""

import os
import socket
import tomllib
from pathlib import Path

import pytest

from app import serve
from models.errors import SpikelensError

ROOT = Path(__file__).resolve().parents[2]


def test_a_taken_port_is_passed_over():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve.free_port(port) > port


def test_a_port_that_is_none_is_refused():
    with pytest.raises(SpikelensError, match="65535"):
        serve.free_port(70_000)


def test_flags_say_what_the_configuration_file_says():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    written = {f"{section}.{key}": value for section, keys in config.items() for key, value in keys.items()}
    assert set(written) == set(serve.FLAGS)
    for name, value in written.items():
        assert serve.FLAGS[name] == (str(value).lower() if isinstance(value, bool | int) else value), name


def test_the_server_listens_on_this_machine_only_and_streamlit_knows_every_flag():
    from streamlit import config

    words = serve.flags(9000)
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert given["--server.address"] == "127.0.0.1"
    assert given["--server.port"] == "9000"
    known = config.get_config_options()
    assert all(name.removeprefix("--") in known for name in given)


def test_folders_are_offered_beside_those_already_named(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(serve, "_prepare_data", lambda: None)
    monkeypatch.setattr(serve, "_prepare_kernels", lambda: None)
    monkeypatch.setattr(serve, "_announce", lambda port, open_browser: None)
    monkeypatch.setattr("streamlit.web.cli.main", lambda words, **_: started.append(words))
    monkeypatch.setenv("SPIKELENS_DATA", "earlier")
    serve.serve(port=serve.free_port(20_000), data=[str(tmp_path)], open_browser=False)
    assert os.environ["SPIKELENS_DATA"] == os.pathsep.join([str(tmp_path.resolve()), "earlier"])
    assert started[0][0] == "run" and started[0][1].endswith("Home.py")


def test_without_the_embedded_data_the_workbench_still_starts(monkeypatch, capsys):
    def broken(progress=None):
        raise SpikelensError("espeak: the library cannot be loaded")

    monkeypatch.setattr("models.data.synthetic.load_spoken35", broken)
    monkeypatch.setattr(serve, "_announce", lambda port, open_browser: None)
    started = []
    monkeypatch.setattr("streamlit.web.cli.main", lambda words, **_: started.append(words))
    serve.serve(port=serve.free_port(20_000), open_browser=False)
    assert started
    assert capsys.readouterr().err.strip() == "spikelens: espeak: the library cannot be loaded"


def test_a_folder_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(SpikelensError, match="nowhere"):
        serve.serve(data=[str(tmp_path / "nowhere")])
