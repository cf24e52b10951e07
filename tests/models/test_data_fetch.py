"""Downloading against a local server: full, resumed, refused, cut, corrupted and hostile archives."""

import functools
import hashlib
import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from clip_files import write_speech_commands

from models.data import available_datasets, open_dataset
from models.data.fetch import fetch_speech_commands
from models.errors import SpikelensError


class Handler(BaseHTTPRequestHandler):
    """Serves one body in the manner its server asks for."""

    def do_GET(self):
        body, manner = self.server.body, self.server.manner
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if manner == "missing":
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and manner != "ignores ranges" else 0
        if asked and manner == "416":
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            told = start + 1 if manner == "wrong range" else start
            self.send_header("Content-Range", f"bytes {told}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = len(body) // 2 if manner == "cuts" else len(body)
        self.wfile.write(body[start:end])

    def log_message(self, *args):
        """Keep the test output quiet."""


def tar_of(folder, extra=None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
        if extra:
            info = tarfile.TarInfo(extra)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
    return stream.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> bytes:
    """Give a small archive laid out as the official one."""
    return tar_of(write_speech_commands(tmp_path_factory.mktemp("source")))


@pytest.fixture
def server(archive):
    """Run a server on a free port; tests set its manner and body."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.body, httpd.manner, httpd.asked = archive, "good", []
    thread = threading.Thread(target=functools.partial(httpd.serve_forever, poll_interval=0.01))
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def fetch(server, tmp_path, archive):
    """Return a call that fetches into ``<tmp>/data/sc``."""
    (tmp_path / "data").mkdir()

    def call(body=archive, **more):
        return fetch_speech_commands(
            tmp_path / "data" / "sc",
            url=f"http://127.0.0.1:{server.server_address[1]}/a.tar.gz",
            sha256=hashlib.sha256(body).hexdigest(),
            size=len(body),
            **more,
        )

    call.folder = tmp_path / "data"
    call.part = tmp_path / "data" / "sc.tar.gz.part"
    return call


def left(fetch) -> list[str]:
    return sorted(path.name for path in fetch.folder.iterdir())


def test_full_download_is_unpacked_and_done_once(fetch, server):
    told = []
    folder = fetch(progress=lambda fraction, words: told.append((fraction, words)))
    assert left(fetch) == ["sc"]
    assert len(open_dataset(str(folder)).split("train")) == 8
    assert told[0][1] == "fetching" and told[-1] == (1.0, "unpacking")
    assert all(0 < fraction <= 1 for fraction, _ in told)
    assert fetch() == folder and server.asked == [None]


def test_default_place_is_listed_by_name(server, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKELENS_HOME", str(tmp_path / "home"))
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    folder = fetch_speech_commands(url=url, sha256=hashlib.sha256(archive).hexdigest(), size=len(archive))
    assert ("speech-commands-v0-02", folder) in [(d.name, d.path) for d in available_datasets()]


def test_a_cut_connection_is_resumed_where_it_stopped(fetch, server, archive):
    server.manner = "cuts"
    with pytest.raises(SpikelensError, match="call again to resume"):
        fetch()
    assert left(fetch) == ["sc.tar.gz.part"]
    assert fetch.part.read_bytes() == archive[: len(archive) // 2]
    server.manner = "good"
    fetch()
    assert server.asked == [None, f"bytes={len(archive) // 2}-"]
    assert left(fetch) == ["sc"]


def test_a_server_that_ignores_ranges_starts_again(fetch, server, archive):
    fetch.part.write_bytes(b"x" * 100)  # other bytes: appending to them could not verify
    server.manner = "ignores ranges"
    fetch()
    assert server.asked == ["bytes=100-"] and left(fetch) == ["sc"]


@pytest.mark.parametrize("manner", ["missing", "wrong range"])
def test_a_server_that_answers_wrongly_leaves_the_part_as_it_was(fetch, server, archive, manner):
    fetch.part.write_bytes(archive[:100])
    server.manner = manner
    with pytest.raises(SpikelensError, match="fetch: http"):
        fetch()
    assert left(fetch) == ["sc.tar.gz.part"] and fetch.part.read_bytes() == archive[:100]


def test_no_server_at_all(fetch, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(SpikelensError, match="call again to resume"):
        fetch()
    assert left(fetch) == []


def test_416_means_verify_what_is_there(fetch, server, archive):
    server.manner = "416"
    fetch.part.write_bytes(archive + b"x")  # more than there is
    with pytest.raises(SpikelensError, match="not the published archive"):
        fetch()
    assert left(fetch) == []
    fetch.part.write_bytes(archive)
    fetch()
    assert left(fetch) == ["sc"]


def test_a_corrupted_archive_is_deleted(fetch, server, archive):
    server.body = archive[:50] + bytes([archive[50] ^ 1]) + archive[51:]
    with pytest.raises(SpikelensError, match="SHA-256 differs"):
        fetch()
    assert left(fetch) == []


@pytest.mark.parametrize("member", ["../evil.txt", "no/../../evil.txt"])
def test_members_that_lead_out_are_refused(fetch, server, tmp_path, member):
    server.body = tar_of(write_speech_commands(tmp_path / "source"), member)
    with pytest.raises(SpikelensError, match="cannot be unpacked"):
        fetch(server.body)
    assert left(fetch) == [] and not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("body", [b"not an archive at all", None])
def test_something_that_is_no_archive(fetch, server, archive, body):
    server.body = body or archive[: len(archive) // 2]  # its hash is right, its content is cut
    with pytest.raises(SpikelensError, match="cannot be unpacked"):
        fetch(server.body)
    assert left(fetch) == []


def test_a_folder_with_other_things_is_not_touched(fetch, server):
    (fetch.folder / "sc").mkdir()
    (fetch.folder / "sc" / "thesis.tex").write_text("mine")
    with pytest.raises(SpikelensError, match="exists and does not hold Speech Commands"):
        fetch()
    assert server.asked == [] and (fetch.folder / "sc" / "thesis.tex").read_text() == "mine"
