"""The analysis pages, opened alone as the menu opens them."""

import numpy as np
import pytest

from tests.app.conftest import FROZEN, LEARNED, charts, clean, commands, page

PAGES = ("probes", "gradients", "reconstruction", "separability", "embedding")
MEASURED = {
    "probes": "probe",
    "gradients": "gradients",
    "reconstruction": "reconstruct",
    "separability": "separability",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_with_its_question_and_what_would_fool_you(workbench, name):
    opened = page(workbench, name, compare=FROZEN)
    assert opened.title[0].value == name.capitalize()
    assert opened.markdown[0].value.endswith("?")
    assert opened.caption[0].value.startswith("What would fool you")


@pytest.mark.parametrize("name", MEASURED)
def test_long_work_waits_for_its_button_and_then_shows_chart_numbers_and_command(
    workbench, name, monkeypatch, tmp_path
):
    monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path / "cache"))  # other files measure the same checkpoint
    analysis = MEASURED[name]
    before = page(workbench, name, checkpoint=LEARNED, split="test")
    already = len(charts(before))
    key = f"{analysis}-{LEARNED}"
    assert not any(f"spikelens {analysis}" in line for line in commands(before))
    after = clean(before.button(key=key).click().run())
    assert key not in [button.key for button in after.button]
    assert len(charts(after)) > already
    assert any(
        line.startswith(f"spikelens {analysis} {LEARNED} --data tones --split test")
        for line in commands(after)
    )
    assert any(
        f"{LEARNED.replace('-', chr(92) + '-')} on tones/test" in caption.value for caption in after.caption
    )
    again = page(workbench, name, checkpoint=LEARNED, split="test")  # read, not computed
    assert key not in [button.key for button in again.button]


def test_two_checkpoints_share_the_probe_chart(workbench):
    opened = page(workbench, "probes", checkpoint=LEARNED, compare=FROZEN)
    for name in (LEARNED, FROZEN):
        if f"probe-{name}" in [button.key for button in opened.button]:
            opened = clean(opened.button(key=f"probe-{name}").click().run())
    names = {trace["name"] for trace in charts(opened)[0]["data"]}
    assert {f"learned, {LEARNED}", f"learned, {FROZEN}", f"shuffled, {LEARNED}", "raw log-mel"} <= names


def test_gradients_of_imported_recordings_are_not_applicable_and_say_why(workbench, planted):
    opened = page(workbench, "gradients", checkpoint=planted)
    assert "not applicable, gradients need the network" in opened.info[0].value
    assert not opened.button and not charts(opened)


def test_the_training_path_needs_no_computation_and_is_flat_for_a_frozen_encoder(workbench):
    opened = page(workbench, "gradients", checkpoint=LEARNED, compare=FROZEN)
    lines = {trace["name"]: trace for trace in charts(opened)[-1]["data"] if trace.get("showlegend")}
    moved = _decode(lines[f"coarse, {LEARNED}"]["y"])
    assert len(moved) > 1 and np.ptp(moved) > 0
    assert np.ptp(_decode(lines[f"coarse, {FROZEN}"]["y"])) == 0


def test_the_next_clip_changes_the_pictures_not_the_panels(workbench):
    first = page(workbench, "reconstruction", checkpoint=LEARNED, clip=0)
    second = page(workbench, "reconstruction", checkpoint=LEARNED, clip=20)
    a, b = charts(first)[-1]["data"], charts(second)[-1]["data"]
    assert [trace["name"] for trace in a] == [trace["name"] for trace in b]
    assert {"original", "own decoder", "original minus own decoder"} <= {trace["name"] for trace in a}
    assert not np.array_equal(_decode(a[0]["z"]), _decode(b[0]["z"]))


def test_original_and_reconstruction_are_heard_side_by_side_with_the_recording(workbench):
    opened = page(workbench, "reconstruction", checkpoint=FROZEN, split="test", clip=3)
    assert not opened.get("audio")
    opened = clean(opened.toggle(key=f"listen-{FROZEN}").set_value(True).run())
    assert len(opened.get("audio")) == 3
    heard = " ".join(caption.value for caption in opened.caption)
    assert "through Griffin-Lim" in heard and "recording itself" in heard


def test_imported_recordings_have_pictures_but_no_sound(workbench, planted):
    opened = page(workbench, "reconstruction", checkpoint=planted)
    assert [trace["name"] for trace in charts(opened)[-1]["data"]] == ["original"]
    assert any("sound: not applicable" in box.value for box in opened.info)


def test_pca_comes_at_once_and_umap_waits_with_its_settings_shown(workbench):
    opened = page(workbench, "embedding", checkpoint=LEARNED)
    assert len(charts(opened)) == 1 and not opened.button
    opened = clean(opened.segmented_control(key="embedding-method").set_value("umap").run())
    assert not charts(opened)
    assert [button.key for button in opened.button] == [f"umap-{LEARNED}"]
    assert any("not interpretable" in caption.value for caption in opened.caption)


def test_colours_follow_correctness_and_fall_back_where_nothing_was_predicted(workbench, planted):
    opened = page(workbench, "embedding", checkpoint=LEARNED, compare=planted)
    opened = clean(opened.selectbox(key="embedding-colour").select("correct").run())
    own, imported = ({trace["name"] for trace in chart["data"]} for chart in charts(opened))
    assert own <= {"right", "wrong"}
    assert imported == {"0", "1", "2"}  # the file names no words
    assert any("correct is not known here" in box.value for box in opened.info)


def test_a_point_only_one_of_two_has_is_not_applicable_to_the_other(workbench, planted):
    opened = page(workbench, "embedding", checkpoint=LEARNED, compare=planted)
    opened = clean(opened.selectbox(key="embedding-point").select("layer1").run())
    assert len(charts(opened)) == 1
    assert any("layer1 was not recorded" in box.value for box in opened.info)


def _decode(values):
    """Return what plotly packed into base64, or the plain list it left alone."""
    import base64

    if not isinstance(values, dict):
        return np.asarray(values)
    return np.frombuffer(base64.b64decode(values["bdata"]), np.dtype(values["dtype"]))
