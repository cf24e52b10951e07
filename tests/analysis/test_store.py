"""Results are computed once; damage and a full disk cost time, never an answer."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from analysis.result import Array, Estimate, Provenance, Result
from analysis.store import cached, stored_path


@dataclass(frozen=True)
class Toy(Result):
    values: Array
    rate: Estimate


@dataclass(frozen=True)
class OtherToy(Toy):
    pass


KEY = {"analysis": "toy", "recordings": "abc", "points": ["encoder"], "seed": 0}


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Counter:
    """Compute a toy and count how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self) -> Toy:
        self.calls += 1
        where = Provenance("s", "d", "test", "digest")
        return Toy(where, np.array([[1.5, np.nan], [0.0, -2.0]]), Estimate(0.5, 0.4, None, 3))


def test_second_call_reads_what_the_first_wrote(cache):
    compute = Counter()
    first, second = cached(Toy, KEY, compute), cached(Toy, KEY, compute)
    assert compute.calls == 1
    assert np.array_equal(first.values, second.values, equal_nan=True)
    assert second.rate == first.rate and second.provenance == first.provenance


@pytest.mark.parametrize("change", [{"seed": 1}, {"points": ["encoder", "layer1"]}, {"recordings": "abd"}])
def test_every_setting_counts(cache, change):
    compute = Counter()
    cached(Toy, KEY, compute)
    cached(Toy, KEY | change, compute)
    assert compute.calls == 2


def test_the_order_of_settings_does_not_count_but_the_kind_of_result_does(cache):
    compute = Counter()
    cached(Toy, KEY, compute)
    cached(Toy, dict(reversed(KEY.items())), compute)
    assert compute.calls == 1
    assert stored_path(Toy, KEY) != stored_path(OtherToy, KEY)


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"kind": "Toy"}', "cut"])
def test_a_damaged_file_is_computed_again_and_mended(cache, damage, caplog):
    compute = Counter()
    cached(Toy, KEY, compute)
    path = stored_path(Toy, KEY)
    path.write_text(path.read_text()[:-20] if damage == "cut" else damage)
    assert cached(Toy, KEY, compute).rate.value == 0.5 and compute.calls == 2
    assert "computing again" in caplog.text
    cached(Toy, KEY, compute)
    assert compute.calls == 2


def test_a_disk_that_cannot_be_written_is_logged_and_the_result_returned(cache, caplog):
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert cached(Toy, KEY, Counter()).rate.value == 0.5
    assert "cannot be kept" in caplog.text


def test_a_failed_computation_leaves_no_file(cache):
    def fail() -> Toy:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cached(Toy, KEY, fail)
    assert not list(cache.rglob("*.json"))
    cached(Toy, KEY, Counter())
    assert [path.suffix for path in (cache / "results").iterdir()] == [".json"]  # no temporary file either
