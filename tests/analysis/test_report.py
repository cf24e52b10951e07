"""A report is one page that loads nothing, says why a section is missing, and goes on where it stopped."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from analysis.importing import import_recordings
from analysis.loaders import ANALYSES
from analysis.planted import PLANTED
from analysis.report.run import report
from analysis.report.sections import SECTIONS
from models.errors import SpikelensError
from tests.analysis.smooth import smooth_material

SHORT = [section for section in SECTIONS if section.analysis in ("verdict", "gradients", "spikes")]


@pytest.fixture(scope="module")
def material():
    return smooth_material()


def bring_in(arrays, folder, name):
    np.savez(folder / f"{name}.npz", **arrays)
    import_recordings(folder / f"{name}.npz", name)
    return name


@pytest.fixture(scope="module")
def planted_once(material, tmp_path_factory):
    return PLANTED["faithful"](material, 0)


@pytest.fixture
def named(planted_once, tmp_path):
    return bring_in(planted_once, tmp_path, "reported")


def test_the_page_stands_alone_and_the_numbers_lie_beside_it(named, tmp_path):
    seen = []
    page = report(
        [named], tmp_path / "out", sections=SHORT, jobs=1, progress=lambda f, words: seen.append(f)
    ).read_text()
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert "default-src 'none'" in page and "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#|reported/)', page)  # nothing from elsewhere
    assert "Faithful, not shown to be task-aligned" in page
    assert "an import holds only recordings" in page  # what needs gradients says why it is missing
    table = pd.read_csv(tmp_path / "out" / named / "verdict.csv")
    body = json.loads((tmp_path / "out" / named / "verdict.json").read_text())
    assert body["kind"] == "VerdictResult" and len(table) > 5
    assert not (tmp_path / "out" / named / "gradients.csv").exists()


def test_words_of_a_file_stay_words(material, tmp_path):
    arrays = PLANTED["faithful"](material, 0)
    arrays["label"] = np.array([f"<script>alert({i})</script>" for i in arrays["label"]])
    bring_in(arrays, tmp_path, "hostile")
    embed = [section for section in SECTIONS if section.analysis == "embed"]
    page = report(["hostile"], tmp_path / "out", sections=embed, jobs=1).read_text()
    assert "<script>" not in page and "&lt;script&gt;alert(0)" in page


def test_a_second_run_reads_what_the_first_one_found(named, tmp_path, monkeypatch):
    report([named], tmp_path / "out", sections=SHORT, jobs=1)

    def refuse(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr("analysis.alignment.reconstruct", refuse)
    report([named], tmp_path / "again", sections=SHORT, jobs=1)
    assert ANALYSES.keys() >= {section.analysis for section in SECTIONS}


def test_mistakes_are_named(named, tmp_path):
    with pytest.raises(SpikelensError, match="nobody"):
        report(["nobody"], tmp_path / "out")
    (tmp_path / "taken").write_text("")
    with pytest.raises(SpikelensError, match="cannot be written"):
        report([named], tmp_path / "taken", sections=SHORT[:1], jobs=1)
