"""Control encoders run on the same clips and differ in nothing but their steps."""

import numpy as np
import pytest

from analysis.controls import FAITHFUL, MATCHED, START, control_encoders, random_steps
from analysis.planted import PLANTED
from analysis.reference import events_per_frame
from tests.analysis.smooth import plant, smooth_material


def test_control_encoders_share_clips_and_the_matched_one_the_rate(tmp_path):
    subject = plant(PLANTED["faithful"](smooth_material(), 0), tmp_path, "controlled")
    found = control_encoders(subject, n_random=2)
    assert list(found) == [MATCHED, FAITHFUL, START, "random steps 1", "random steps 2"]
    held = subject.split("validation")
    for control in found.values():
        assert control.split("validation").clip_ids == held.clip_ids
        assert control.points["encoder"].units == subject.points["encoder"].units
    rates = {name: events_per_frame(each, "train") for name, each in found.items()}
    assert rates[MATCHED] == pytest.approx(events_per_frame(subject, "train"), rel=0.05)
    assert rates["random steps 1"] != rates["random steps 2"]


def test_random_steps_are_allowed_differ_by_draw_and_repeat():
    draws = np.array([random_steps(0, draw) for draw in range(100)])
    assert (draws[:, 1] < draws[:, 0]).all() and (draws[:, 2:] > 0.5).all()
    assert draws[:, 0].min() > 0.29 and draws[:, 0].max() < 3.01
    assert len({tuple(row) for row in draws}) == 100
    assert random_steps(0, 3) == random_steps(0, 3)
