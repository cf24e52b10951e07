"""A workbench of its own for the app's tests: two tiny checkpoints and their data set, nothing measured."""

import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from analysis.importing import import_recordings, list_recordings
from analysis.planted import Material, planted_task_only
from analysis.subjects import open_subject
from models.config import Recipe
from models.data import open_dataset, synthetic
from models.training import train
from tests.conftest import write_speech_commands

APP = Path(__file__).resolve().parents[2] / "app"
LEARNED, FROZEN = "tones-residual-tiny", "tones-sf2init-tiny"


@pytest.fixture(scope="session")
def workbench_folders(tones, tmp_path_factory) -> dict[str, str]:
    """Train two tiny checkpoints; return the environment that leads to them and to their data."""
    root = tmp_path_factory.mktemp("workbench")
    folders = {
        "SPIKELENS_CHECKPOINTS": str(root / "checkpoints"),
        "SPIKELENS_HOME": str(root / "home"),
        "SPIKELENS_CACHE": str(root / "cache"),
        "SPIKELENS_DATA": str(write_speech_commands(tones, root / "tones")),
    }
    before = {name: os.environ.get(name) for name in folders}
    os.environ.update(folders)
    try:
        dataset = open_dataset("tones")
        for name, encoder, epochs in ((LEARNED, "residual", 5), (FROZEN, "sf2-init", 2)):
            recipe = {
                "name": name,
                "data": {"name": "tones"},
                "encoder": {"name": encoder},
                "backbone": {"name": "rlif", "hidden": [12]},
                "train": {"epochs": epochs, "batch_size": 12},
            }
            train(Recipe.from_dict(recipe), dataset, root / "checkpoints" / name, score_test=True)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    return folders


@pytest.fixture
def workbench(workbench_folders, _isolated, monkeypatch, tmp_path):
    """Work in it; return how to open a page of the app alone, with sidebar choices by name."""
    for name, folder in workbench_folders.items():
        monkeypatch.setenv(name, folder)
    monkeypatch.setenv("SPIKELENS_HOME", str(tmp_path / "home"))  # imports stay within one test
    small = functools.partial(synthetic.load_spoken35, clips_per_word=10)
    monkeypatch.setattr(synthetic, "load_spoken35", small)
    _always_through_home(monkeypatch)

    def open_page(name: str, **choices: object) -> AppTest:
        page = AppTest.from_file(APP / name, default_timeout=60)
        for key, value in choices.items():
            page.session_state[key] = value
        return page.run()

    return open_page


def _always_through_home(monkeypatch) -> None:
    """Undo that `AppTest` forgets st.navigation between runs and then takes pages/ for whole apps."""
    make = PagesManager.__init__

    def made(self, *args, **kwargs) -> None:
        make(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", made)


def clean(page: AppTest) -> AppTest:
    """Check that nothing went wrong on a page; return it."""
    assert [box.value for box in page.error] == []
    assert not page.exception
    return page


@pytest.fixture
def planted(workbench, tmp_path):
    """Import recordings of a planted encoder: spikes and features, no network."""
    if "planted" not in list_recordings():
        recordings = open_subject(LEARNED, "tones").recordings(("train", "validation", "test"))
        np.savez(tmp_path / "planted.npz", **planted_task_only(Material.of(recordings)))
        import_recordings(tmp_path / "planted.npz", "planted")
    st.cache_resource.clear()  # the list of names is kept for some seconds
    return "planted"


def page(workbench, name, **choices):
    """Open a page of the app on which nothing may go wrong."""
    return clean(workbench(f"pages/{name}.py", **choices))


def charts(opened):
    """Return the specification of every chart of a page."""
    return [json.loads(chart.proto.spec) for chart in opened.get("plotly_chart")]


def commands(opened):
    """Return every command line a page shows."""
    return [code.value for code in opened.code]
