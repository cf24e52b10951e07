"""Fisher, silhouette and CKA: by hand, by identity, and against their nulls."""

import numpy as np
import pytest

from analysis.recordings import Point, Recordings, RecordingWriter
from analysis.separability import (
    CKA_LABELS,
    CKA_MEL,
    CKA_RATIO,
    FISHER,
    SILHOUETTE,
    SeparabilityResult,
    fisher_ratio,
    separate,
)
from analysis.similarity import cka_without_each_group, debiased_cka, debiased_hsic, gram
from models.errors import SpikelensError
from tests.analysis.builders import planted


def test_fisher_by_hand():
    x = np.array([[0.0], [2.0], [4.0], [6.0]])
    labels = np.array([0, 0, 1, 1])
    # means 1 and 5 around 3: between 4 * 2^2 = 16; within 4 * 1 = 4
    assert fisher_ratio(x, labels) == pytest.approx(4.0)
    doubled = fisher_ratio(np.repeat(x, 2, axis=0), np.repeat(labels, 2))
    assert fisher_ratio(x, labels, np.full(4, 2.0)) == pytest.approx(doubled)


def test_hsic_by_its_definition():
    rng = np.random.default_rng(0)
    k, other = (gram(rng.standard_normal((7, 3))) for _ in range(2))
    n, one = 7, np.ones(7)
    expected = (
        np.trace(k @ other)
        + (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * one @ k @ other @ one
    ) / (n * (n - 3))
    assert debiased_hsic(k, other) == pytest.approx(expected)


def test_cka_identities():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 5))
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    assert debiased_cka(gram(x), gram(x)) == pytest.approx(1.0)
    assert debiased_cka(gram(x), gram(3.0 * x @ rotation + 1.0)) == pytest.approx(1.0)
    unrelated = [
        debiased_cka(gram(rng.standard_normal((100, 300))), gram(rng.standard_normal((100, 300))))
        for _ in range(20)
    ]
    assert abs(np.mean(unrelated)) < 0.02  # the plain estimate would be near 0.75


def test_leaving_groups_out_equals_doing_it():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 6)), rng.standard_normal((40, 4))
    y[:, 0] += x[:, 0]
    groups = np.arange(40) % 8
    k, other = gram(x), gram(y)
    found = cka_without_each_group(k, other, groups)
    for group in range(8):
        keep = groups != group
        expected = debiased_cka(k[np.ix_(keep, keep)].copy(), other[np.ix_(keep, keep)].copy())
        assert found[group] == pytest.approx(expected)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return separate(planted(tmp_path_factory.mktemp("separable") / "r"))


def row(result, point, measure):
    return next(r for r in result.rows if (r.point, r.measure) == (point, measure))


@pytest.mark.parametrize("measure", [FISHER, SILHOUETTE, CKA_LABELS])
def test_planted_classes_stand_out_from_the_null_and_noise_does_not(result, measure):
    found, noise = row(result, "encoder", measure), row(result, "layer1", measure)
    assert found.value.low > found.null.high
    assert noise.value.low <= noise.null.high
    assert found.value.low <= found.value.value <= found.value.high
    assert found.value.value > noise.value.value


def test_ratio_needs_and_uses_both(result):
    found = row(result, "encoder", CKA_RATIO)
    both = [row(result, "encoder", m).value.value for m in (CKA_LABELS, CKA_MEL)]
    assert found.value.value == pytest.approx(both[0] / both[1]) and found.null is None
    assert row(result, "features", CKA_MEL).value.value == pytest.approx(1.0)


def test_round_trip(result):
    again = SeparabilityResult.from_json(result.to_json())
    assert again.to_json() == result.to_json()
    assert {"point", "measure", "value", "null", "n"} <= set(again.to_table().columns)


def write_code(root, codes, labels):
    """Write one code a clip as recordings without features, the same in train and validation."""
    spikes = codes[:, None, :].repeat(20, axis=1)  # (n, T, N)
    with RecordingWriter(
        root,
        name="code",
        source="import",
        digest="code",
        dataset="code",
        class_names=["a", "b"],
        points=[Point("encoder", codes.shape[1], True), Point("silent", 3, True)],
    ) as writer:
        for name in ("train", "validation"):
            ids = [f"{name}-{i}" for i in range(len(labels))]
            writer.add_split(name, labels=labels, clip_ids=ids, speakers=None, n_steps=20)
            writer.write(name, "encoder", slice(0, len(labels)), spikes)
            writer.write(name, "silent", slice(0, len(labels)), np.zeros((len(labels), 20, 3)))
    return Recordings(root)


def test_a_code_of_words_alone_has_no_finite_fisher_ratio_and_cka_one(tmp_path):
    labels = np.arange(40) % 2
    result = separate(write_code(tmp_path / "r", np.eye(2)[labels], labels))
    fisher = result.find("encoder", FISHER)
    assert np.isnan(fisher.value.value) and "do not differ" in fisher.note
    assert result.find("encoder", CKA_LABELS).value.value == pytest.approx(1.0)
    assert result.find("encoder", SILHOUETTE).value.value == pytest.approx(1.0)


def test_what_cannot_be_measured_says_why_instead_of_a_number(tmp_path):
    labels = np.arange(40) % 2
    result = separate(write_code(tmp_path / "r", np.eye(2)[labels], labels))
    for point, measure, why in (
        ("encoder", CKA_MEL, "no log-mel"),
        ("encoder", CKA_RATIO, "no log-mel"),
        ("silent", SILHOUETTE, "nothing varies"),
        ("silent", CKA_LABELS, "nothing varies"),
    ):
        found = result.find(point, measure)
        assert np.isnan(found.value.value) and why in found.note
    assert len(result.to_table()) == len(result.rows)


def test_a_handful_of_clips_is_refused(tmp_path):
    with pytest.raises(SpikelensError, match="4 clips"):
        separate(write_code(tmp_path / "r", np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 1])))


def test_a_single_word_has_no_separation_but_is_no_crash(tmp_path):
    result = separate(planted(tmp_path / "r", n_classes=1))
    assert all(np.isnan(result.find("encoder", m).value.value) for m in (SILHOUETTE, CKA_LABELS, CKA_RATIO))
    assert result.find("features", CKA_MEL).value.value == pytest.approx(1.0)
