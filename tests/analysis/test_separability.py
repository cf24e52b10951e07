"""Fisher, neighbours, silhouette and CKA: by hand, by identity, against their nulls and beside controls."""

import numpy as np
import pytest

from analysis.controls import FAITHFUL, MATCHED, SUBJECT
from analysis.planted import PLANTED
from analysis.recordings import Point, Recordings, RecordingWriter
from analysis.scatter import fisher_ratio, scatter, shrinkage_of, shrunk_fisher
from analysis.separability import SeparabilityResult, separate
from analysis.separability_measures import (
    CKA_LABELS,
    CKA_MEL,
    CKA_RATIO,
    FISHER,
    MEASURES,
    NEIGHBOURS,
    SHRUNK,
    SILHOUETTE,
    Design,
    silhouettes,
)
from analysis.similarity import CkaSums, debiased_cka, debiased_hsic, gram, hsic_permuted, hsic_without_each
from models.errors import SpikelensError
from tests.analysis.builders import planted
from tests.analysis.smooth import plant, smooth_material


def test_fisher_by_hand():
    x = np.array([[0.0], [2.0], [4.0], [6.0]])
    labels = np.array([0, 0, 1, 1])
    # means 1 and 5 around 3: between 4 * 2^2 = 16; within 4 * 1 = 4
    whole = scatter(x, labels, 2)
    assert fisher_ratio(whole) == pytest.approx(4.0)
    assert shrunk_fisher(whole, 0.0) == pytest.approx(4.0)  # one direction: the same
    assert fisher_ratio(whole.plus(whole)) == pytest.approx(4.0)
    rest = whole.minus(scatter(x[2:3], labels[2:3], 2))
    assert fisher_ratio(rest) == pytest.approx(fisher_ratio(scatter(x[[0, 1, 3]], labels[[0, 1, 3]], 2)))


def test_shrinkage_lets_small_directions_count():
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    z = rng.standard_normal((4000, 2)) * [10.0, 0.1]
    z[:, 1] += 0.2 * (labels - 0.5)  # one standard deviation on either side
    whole = scatter(z, labels, 2)
    assert fisher_ratio(whole) < 0.01
    assert shrunk_fisher(whole, 0.0) == pytest.approx(1.0, rel=0.1)
    assert shrunk_fisher(whole, 1.0) == pytest.approx(2 * fisher_ratio(whole))  # a multiple of the identity
    assert 1e-3 <= shrinkage_of(z) < shrinkage_of(z[:20]) <= 1


def test_silhouettes_are_those_of_scikit_learn():
    from sklearn.metrics import pairwise_distances, silhouette_samples

    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((30, 4)), np.r_[np.arange(29) % 3, 5]  # word 5 has one clip, word 4 none
    distances = pairwise_distances(x)
    expected = silhouette_samples(distances, labels, metric="precomputed")
    assert silhouettes(distances, labels) == pytest.approx(expected)


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
    found = hsic_without_each(k, other, groups, 9)
    for group in range(8):
        keep = groups != group
        expected = debiased_hsic(k[np.ix_(keep, keep)], other[np.ix_(keep, keep)])
        assert found[group] == pytest.approx(expected)
    assert found[8] == pytest.approx(debiased_hsic(k, other))  # nobody there


def test_permuting_rows_equals_permuting_gram_matrices():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 6)), rng.standard_normal((20, 3)) + 4
    orders = np.stack([rng.permutation(20) for _ in range(5)])
    k, other = gram(x), gram(y)
    expected = [debiased_hsic(k, other[np.ix_(order, order)]) for order in orders]
    assert hsic_permuted(k, y, orders) == pytest.approx(expected)


def test_cka_of_batches_is_about_that_of_all_clips_together():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1200, 30))
    y = x @ rng.standard_normal((30, 10)) + rng.standard_normal((1200, 10))
    sums = CkaSums(1)
    for rows in np.array_split(rng.permutation(1200), 4):
        sums.add(gram(x[rows]), [gram(y[rows])], rows)
    assert sums.values(0)[0] == pytest.approx(debiased_cka(gram(x), gram(y)), abs=0.02)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return separate(planted(tmp_path_factory.mktemp("separable") / "r"), controls=False)


def row(result, point, measure):
    return next(r for r in result.rows if (r.point, r.measure) == (point, measure))


@pytest.mark.parametrize("measure", [FISHER, SHRUNK, NEIGHBOURS, SILHOUETTE, CKA_LABELS])
def test_planted_classes_stand_out_from_the_null_and_noise_does_not(result, measure):
    found, noise = row(result, "encoder", measure), row(result, "layer1", measure)
    assert found.value.low > found.null.high and found.p < 0.05
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
    assert {"encoder", "point", "measure", "value", "null", "n"} <= set(again.to_table().columns)
    assert {r.measure for r in again.rows} == set(MEASURES) and {r.encoder for r in again.rows} == {SUBJECT}


@pytest.fixture(scope="module")
def word_code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("word-code")
    return separate(
        plant(PLANTED["both"](smooth_material(240, n_steps=20), 0), folder, "separated"), points=["encoder"]
    )


def test_the_word_code_is_more_separable_than_the_faithful_one_at_its_rate(word_code):
    names = {r.encoder for r in word_code.rows}
    assert {SUBJECT, MATCHED, FAITHFUL, "random steps 5"} <= names and not word_code.not_applicable
    for measure in (FISHER, NEIGHBOURS, CKA_LABELS):
        own, matched = (word_code.find("encoder", measure, name) for name in (SUBJECT, MATCHED))
        assert own.difference is None
        assert matched.difference.value == pytest.approx(own.value.value - matched.value.value)
        assert matched.difference.low > 0, measure
    mel = word_code.find("encoder", CKA_MEL, MATCHED)
    assert mel.difference.high < 0  # and less like the sound


def test_controls_that_cannot_be_are_named_and_leave_the_rest(tmp_path):
    labels = np.arange(40) % 2
    result = separate(write_code(tmp_path / "r", np.eye(2)[labels], labels))
    assert "no features" in result.not_applicable["control encoders"]
    assert result.find("encoder", CKA_LABELS).value.value == pytest.approx(1.0)
    assert "control encoders" in set(result.to_table()["encoder"])


def test_neighbours_are_of_other_speakers(tmp_path):
    # Each speaker has a code of their own and says one word twice: the nearest clip would always be right.
    codes = np.repeat(np.eye(8), 2, axis=0)
    labels, speakers = np.repeat(np.arange(8) % 2, 2), [f"s{i // 2}" for i in range(16)]
    result = separate(write_code(tmp_path / "r", codes, labels, speakers))
    found = result.find("encoder", NEIGHBOURS)
    assert found.value.value <= 0.5
    single = separate(write_code(tmp_path / "one", codes, labels, ["s"] * 16))
    assert "second speaker" in single.find("encoder", NEIGHBOURS).note


def test_a_code_of_speakers_who_say_one_word_each_is_no_code_of_words(tmp_path):
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(20), 4)
    codes = (rng.random((20, 12)) < 0.4)[speakers] * 1.0
    result = separate(write_code(tmp_path / "r", codes, speakers % 2, [f"s{i}" for i in speakers]))
    fisher = result.find("encoder", FISHER)
    assert fisher.value.value > 0.02 and fisher.p > 0.05  # by free permutation it would be 1 in 51


def test_only_the_measures_of_pairs_take_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.separability_measures.MAX_PAIRS", 50)
    recordings = planted(tmp_path / "r")
    found = separate(recordings, points=["encoder"], controls=False)
    assert found.n_clips == 120
    sizes = {m: found.find("encoder", m).value.n for m in MEASURES}
    assert sizes[FISHER] == sizes[CKA_LABELS] == 120 and sizes[SILHOUETTE] == sizes[NEIGHBOURS] == 40
    design = Design.of(recordings.split("validation"), 4, 0)
    assert sorted(np.concatenate(design.batches)) == list(range(120))
    assert (np.sort(design.shuffled(), axis=1) == np.sort(design.labels)).all()


def write_code(root, codes, labels, speakers=None):
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
            writer.add_split(name, labels=labels, clip_ids=ids, speakers=speakers, n_steps=20)
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
    assert len(result.to_table()) == len(result.rows) + len(result.not_applicable)


def test_a_handful_of_clips_is_refused(tmp_path):
    with pytest.raises(SpikelensError, match="4 clips"):
        separate(write_code(tmp_path / "r", np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 1])))


def test_a_single_word_has_no_separation_but_is_no_crash(tmp_path):
    result = separate(planted(tmp_path / "r", n_classes=1), controls=False)
    assert all(np.isnan(result.find("encoder", m).value.value) for m in (SILHOUETTE, CKA_LABELS, CKA_RATIO))
    assert result.find("features", CKA_MEL).value.value == pytest.approx(1.0)
