"""What is shipped is what it says: checkpoints load, cards and figures agree, GSC-8 scores come out again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.shipped import kept_verdict
from models.checkpoint import list_checkpoints, load_checkpoint
from models.data import open_dataset
from models.evaluate import evaluate
from models.features.cache import split_features

SHIPPED = Path(__file__).resolve().parents[1] / "checkpoints"
NAMES = (
    "gsc8-direct-35k",
    "gsc8-residual-256x2",
    "gsc8-residual-35k",
    "gsc8-sf2rec-256x2",
    "gsc8-sf2rec-35k",
    "spoken35-residual-35k",
    "spoken35-sf2rec-35k",
)
PARAMETERS = {"gsc8-residual-35k": 31_724, "gsc8-direct-35k": 31_954, "spoken35-residual-35k": 34_829}


@pytest.fixture(autouse=True)
def _shipped(monkeypatch, _isolated):
    monkeypatch.setenv("SPIKELENS_CHECKPOINTS", str(SHIPPED))


def test_every_promised_checkpoint_is_listed():
    assert tuple(info.name for info in list_checkpoints() if info.shipped) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_its_card_tells_its_figures(name):
    checkpoint = load_checkpoint(name)
    metrics = checkpoint.metrics
    card = (SHIPPED / name / "README.md").read_text(encoding="utf-8")
    for split in ("validation", "test"):
        scores = metrics[split]
        assert 0 < scores["low"] < scores["accuracy"] < scores["high"] <= 1
        assert f"{scores['accuracy']:.2%}" in card
    assert f"spikelens train {name}" in card
    assert "not comparable" in card or "synthesiser" in card
    assert metrics["parameters"] == PARAMETERS.get(name, metrics["parameters"])
    chosen = checkpoint.history[metrics["epoch"] - 1]
    assert chosen["validation_accuracy"] == pytest.approx(metrics["validation"]["accuracy"])
    assert chosen["validation_accuracy"] == max(row["validation_accuracy"] for row in checkpoint.history)
    assert not list((SHIPPED / name).glob("resume*"))


@pytest.mark.parametrize("name", NAMES)
def test_its_verdict_travels_with_it_and_belongs_to_these_weights(name):
    info = next(info for info in list_checkpoints() if info.name == name)
    verdict = kept_verdict(info, "validation")
    assert verdict is not None and verdict.provenance.data_digest == info.data["digest"]
    on_test = kept_verdict(info, "test")
    assert on_test is None or on_test.provenance.split == "test"
    assert kept_verdict(info, "train") is None
    assert kept_verdict(replace(info, digest="other"), "validation") is None
    if info.recipe.encoder.name == "direct":
        assert verdict.sentence.startswith("Not applicable") and verdict.x is None
    else:
        assert verdict.refuted_by and verdict.x.low < verdict.x.value < verdict.x.high
        own = next(row for row in verdict.rows if row.quantity.startswith("SNR, own"))
        assert own.subject.value == pytest.approx(info.metrics["snr_db"], abs=0.05)


@pytest.mark.gsc8
def test_gsc8_validation_score_is_reproduced(gsc8_path):
    checkpoint = load_checkpoint("gsc8-residual-35k")
    dataset = open_dataset(str(gsc8_path))
    assert dataset.digest == checkpoint.data["digest"]
    split = dataset.split("validation")
    features = np.array(split_features(split, checkpoint.recipe.features, dataset.digest))
    scores = evaluate(checkpoint.model, split, features)
    stated = checkpoint.metrics["validation"]
    assert scores.n == stated["n"] == 869
    assert abs(scores.accuracy - stated["accuracy"]) <= 2 / 869  # another processor may round differently


def test_the_embedded_set_is_scored_without_any_recording():
    checkpoint = load_checkpoint("spoken35-residual-35k")
    dataset = open_dataset("spoken35")
    assert dataset.synthetic
    split = dataset.split("validation")
    rows = np.arange(0, len(split), 5)
    part = split.select(rows)
    features = split_features(split, checkpoint.recipe.features, dataset.digest)[rows]
    accuracy = evaluate(checkpoint.model, part, features).accuracy
    assert abs(accuracy - checkpoint.metrics["validation"]["accuracy"]) < 0.1
