"""The frame: what the sidebar offers, remembers and refuses."""

import numpy as np
from streamlit.testing.v1 import AppTest

from analysis.importing import import_recordings
from analysis.planted import planted_noise
from app import session
from tests.analysis.smooth import smooth_material
from tests.app.conftest import APP, FROZEN, LEARNED, clean


def labels(page):
    return [box.label for box in page.sidebar.selectbox]


def test_the_sidebar_offers_checkpoint_comparison_data_split_and_clip(workbench):
    page = clean(workbench("Home.py"))
    assert labels(page) == ["Checkpoint", "Compare with", "Data set", "Split"]
    assert page.sidebar.selectbox(key="checkpoint").options == [LEARNED, FROZEN]
    assert page.sidebar.selectbox(key="data").options == ["tones", "spoken35"]
    assert page.sidebar.number_input(key="clip").max == 35


def test_next_and_previous_walk_around_the_split(workbench):
    page = workbench("Home.py")
    page.sidebar.button(key="clip-1").click().run()
    assert page.session_state["clip"] == 35
    page.sidebar.button(key="clip+1").click().run()
    assert clean(page).session_state["clip"] == 0


def test_another_checkpoint_is_never_compared_with_itself(workbench):
    page = workbench("Home.py")
    page.sidebar.selectbox(key="compare").select(FROZEN).run()
    page.sidebar.selectbox(key="checkpoint").select(FROZEN).run()
    assert page.sidebar.selectbox(key="compare").value == session.NO_COMPARISON
    clean(page)


def test_a_link_names_checkpoint_split_and_clip(workbench, tmp_path):
    np.savez(tmp_path / "planted.npz", **planted_noise(smooth_material(n=60)))
    import_recordings(tmp_path / "planted.npz", "planted")
    page = AppTest.from_file(APP / "Home.py", default_timeout=60)
    page.query_params.update(checkpoint="planted", split="test", clip="3")
    page.run()
    chosen = {key: clean(page).session_state[key] for key in ("checkpoint", "split", "clip")}
    assert chosen == {"checkpoint": "planted", "split": "test", "clip": 3}
    assert any("Imported recordings" in caption.value for caption in page.sidebar.caption)


def test_the_test_split_comes_with_a_warning(workbench):
    page = workbench("Home.py")
    assert not any("Not for choosing" in caption.value for caption in page.sidebar.caption)
    page.sidebar.selectbox(key="split").select("test").run()
    assert any("Not for choosing" in caption.value for caption in clean(page).sidebar.caption)


def test_a_checkpoint_without_its_data_opens_on_the_embedded_clips(workbench, monkeypatch):
    monkeypatch.delenv("SPIKELENS_DATA")
    page = workbench("Home.py")
    assert page.sidebar.selectbox(key="data").options == ["spoken35"]
    assert any("not on this machine" in caption.value for caption in page.sidebar.caption)
    assert [box.value for box in page.error] == []


def test_without_any_checkpoint_there_is_one_line_and_no_traceback(workbench, monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKELENS_CHECKPOINTS", str(tmp_path))
    page = workbench("Home.py")
    assert all("no checkpoints" in box.value for box in page.error)
    assert page.error
    assert not page.exception
