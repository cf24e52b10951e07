"""Start the workbench: data first, then Streamlit with the flags that keep it on this machine."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from app.commands.output import progress_bar
from models.errors import SpikelensError

_HOME = Path(__file__).with_name("Home.py")
_ADDRESS = "127.0.0.1"
_PORTS_TRIED = 50
_START_SECONDS = 60.0
# .streamlit/config.toml is only read from the current folder, so the same values travel as flags.
FLAGS = {
    "server.address": _ADDRESS,
    "server.headless": "true",
    "server.runOnSave": "false",
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "server.maxUploadSize": "50",
    "server.allowedHosts": ["localhost", _ADDRESS],
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "logger.hideWelcomeMessage": "true",
    "theme.base": "light",
    "theme.primaryColor": "#0072B2",
}


def serve(port: int = 8501, data: Sequence[str] = (), open_browser: bool | None = None) -> None:
    """Serve the workbench until interrupted.

    Parameters
    ----------
    port : int
        The first port to try; the next free one is taken.
    data : sequence of str
        Folders of recordings to offer beside the embedded set.
    open_browser : bool, optional
        By default only where somebody sits at a terminal.

    Raises
    ------
    SpikelensError
        A folder that is not there, or no free port.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: idle threads must not spin
    folders = [Path(folder).expanduser().resolve() for folder in data]
    for given, folder in zip(data, folders, strict=True):
        if not folder.is_dir():
            raise SpikelensError(f"data: {given!r} is not a folder")
    if folders:
        known = os.environ.get("SPIKELENS_DATA")
        os.environ["SPIKELENS_DATA"] = os.pathsep.join([*map(str, folders), *([known] if known else [])])
    _prepare_data()
    _prepare_kernels()
    port = free_port(port)
    if open_browser is None:
        open_browser = sys.stdout.isatty() and not os.environ.get("CI")
    threading.Thread(target=_announce, args=(port, open_browser), daemon=True).start()

    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web import cli

    # Until Home.py has run once, Streamlit takes files in pages/ for whole apps: a link straight to one would
    # open it without the sidebar.
    PagesManager.uses_pages_directory = False
    cli.main(["run", str(_HOME), *flags(port)], standalone_mode=False)


def flags(port: int) -> list[str]:
    """Return the command-line flags of `streamlit run`."""
    words = []
    for name, value in {**FLAGS, "server.port": str(port)}.items():
        for item in [value] if isinstance(value, str) else value:
            words += [f"--{name}", item]
    return words


def free_port(first: int) -> int:
    """Return the first port from `first` on that nobody listens at."""
    if not 1 <= first <= 65_535:
        raise SpikelensError(f"port: {first} is not between 1 and 65535")
    last = min(first + _PORTS_TRIED, 65_536)
    for port in range(first, last):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_ADDRESS, port))
            except OSError:
                continue
            return port
    raise SpikelensError(f"port: none of {first} to {last - 1} is free")


def _prepare_data() -> None:
    from models.data.synthetic import load_spoken35

    try:
        with progress_bar("preparing the embedded data") as progress:
            load_spoken35(progress=progress)
    except SpikelensError as error:  # the visitor's own data and imported recordings still work
        print(f"spikelens: {error}", file=sys.stderr)


def _prepare_kernels() -> None:
    from models.warmup import compile_kernels

    with progress_bar("compiling the kernels, once") as progress:
        compile_kernels()
        progress(1.0, "")


def _announce(port: int, open_browser: bool) -> None:
    """Print the address once the server answers there."""
    url = f"http://{_ADDRESS}:{port}"
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    else:
        return
    print(f"Spikelens is at {url}  (stop it with Ctrl-C)", flush=True)
    if open_browser:
        webbrowser.open(url)
