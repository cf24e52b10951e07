"""The raster page: the clip that was chosen, through one or two systems, and the visitor's own sound."""

import io
import json
import time

import numpy as np
import pytest
import soundfile

from models.data import open_dataset
from tests.app.conftest import FROZEN, LEARNED, clean

PAGE = "pages/raster.py"


def figure(page, index: int = 0) -> dict:
    return json.loads(page.get("plotly_chart")[index].proto.spec)


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def test_the_page_alone_shows_the_first_validation_clip(workbench):
    page = clean(workbench(PAGE))
    assert "spoken “go”" in page.markdown[1].value
    titles = [note["text"] for note in figure(page)["layout"]["annotations"]]
    assert titles == ["sound", "normalised log-mel", "encoder", "layer1", "evidence for each word so far"]
    assert len(page.get("audio")) == 1
    drawn = sum("spikes drawn" in caption.value for caption in page.caption)
    assert drawn == 1


def test_the_chosen_clip_is_shown_and_the_command_makes_it_again(workbench):
    page = clean(workbench(PAGE, clip=25, split="test"))
    assert "spoken “yes”" in page.markdown[1].value
    expected = f"spikelens raster {LEARNED} --data tones --split test --clip 25 --sort index"
    assert page.code[0].value == expected


def test_the_other_order_moves_rows_and_no_spike(workbench):
    page = workbench(PAGE)
    before = figure(page)["data"]
    page.segmented_control(key="raster-sort").set_value("selectivity").run()
    after = figure(clean(page))["data"]
    assert before != after
    assert "selectivity" in json.dumps(figure(page)["layout"])
    drawn = [caption.value for caption in page.caption if "spikes drawn" in caption.value]
    assert drawn == [caption.value for caption in workbench(PAGE).caption if "spikes drawn" in caption.value]


def test_a_second_checkpoint_is_stacked_below(workbench):
    page = clean(workbench(PAGE, compare=FROZEN))
    titles = [note["text"] for note in figure(page)["layout"]["annotations"]]
    assert f"{LEARNED}: encoder" in titles and f"{FROZEN}: layer1" in titles


def test_switching_the_clip_takes_less_than_a_second(workbench):
    page = workbench(PAGE)
    seconds = []
    for clip in (3, 14, 20):
        page.session_state["clip"] = clip
        began = time.perf_counter()
        page.run()
        seconds.append(time.perf_counter() - began)
    clean(page)
    assert min(seconds) < 1.0  # the best of three: a busy neighbour is not the app's fault


def test_ones_own_sound_goes_through_the_same_model(workbench):
    page = workbench(PAGE)
    mine = open_dataset("tones").split("validation").waveforms[30]
    page.file_uploader(key="upload").upload("mine.wav", wav(mine), "audio/wav").run()
    assert len(clean(page).get("plotly_chart")) == 2
    held = clean(workbench(PAGE, clip=30))
    encoder = [trace["z"] for trace in figure(held)["data"] if trace["type"] == "heatmap"][1:]
    uploaded = [trace["z"] for trace in figure(page, 1)["data"] if trace["type"] == "heatmap"][1:]
    assert uploaded == encoder  # the same samples, the same spikes
    assert len(page.get("audio")) == 2


def _long() -> bytes:
    return wav(np.zeros(1_000 * 601, np.int16), 1_000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a sound at all", "not an audio file"),
        (b"", "empty"),
        (wav(np.zeros(16_000, np.int16)), "silent"),
        (_long(), "longer than 60 s"),
        (wav(np.arange(16_000, dtype=np.int16))[:20_000], "truncated"),
    ],
    ids=["no audio", "empty", "silent", "ten minutes", "truncated"],
)
def test_a_bad_upload_is_one_line(workbench, content, reason):
    page = workbench(PAGE)
    page.file_uploader(key="upload").upload("mine.wav", content, "audio/wav").run()
    assert len(page.error) == 1 and reason in page.error[0].value
    assert not page.exception
    assert len(page.get("plotly_chart")) == 1  # the clip is still there


def test_a_word_the_system_does_not_know_is_one_line(workbench):
    page = workbench(PAGE, checkpoint=LEARNED, data="tones", clip=10_000)
    assert "10000" in page.error[0].value
    assert not page.exception
