"""Embeddings: planted clusters come apart, samples are even over words, runs repeat."""

import numpy as np
import pytest

from analysis.embedding import EmbeddingResult, embed, stratified_rows
from analysis.pooling import pooled
from models.errors import SpikelensError
from tests.analysis.builders import planted


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("embedded") / "r")


def cluster_ratio(result):
    """Return the distance between word centres over the spread within words."""
    labels = np.asarray(result.labels)
    centres = {w: result.coordinates[labels == w].mean(axis=0) for w in set(result.labels)}
    within = np.mean(
        [np.linalg.norm(p - centres[w]) for p, w in zip(result.coordinates, labels, strict=True)]
    )
    between = np.mean(
        [np.linalg.norm(a - b) for a in centres.values() for b in centres.values() if a is not b]
    )
    return between / within


def test_pca_separates_planted_words_and_not_noise(recordings):
    assert cluster_ratio(embed(recordings)) > 2 * cluster_ratio(embed(recordings, point="layer1"))


def test_result_describes_every_clip(recordings):
    result = embed(recordings, n_max=40)
    assert result.coordinates.shape == (40, 2) and len(result.explained_variance) == 2
    assert np.bincount([int(w[-1]) for w in result.labels]).tolist() == [10] * 4
    held = recordings.split("validation")
    assert result.clip_ids == [held.clip_ids[i] for i in result.rows]
    assert result.predicted == result.labels  # the planted readout is right
    rate = held.load("encoder", result.rows).mean(axis=(1, 2)) * 100  # 10 ms frames
    assert np.allclose(result.rate_hz, rate, rtol=1e-4)
    assert 0.5 < result.trustworthiness <= 1
    assert EmbeddingResult.from_json(result.to_json()).to_table().equals(result.to_table())


def test_same_seed_same_picture(recordings):
    first, second = embed(recordings, n_max=50, seed=3), embed(recordings, n_max=50, seed=3)
    assert np.array_equal(first.coordinates, second.coordinates)
    assert not np.array_equal(first.rows, embed(recordings, n_max=50, seed=4).rows)


def test_bad_settings_are_named(recordings):
    with pytest.raises(SpikelensError, match="method: 'tsne'"):
        embed(recordings, method="tsne")
    with pytest.raises(SpikelensError, match="n_neighbors"):
        embed(recordings, method="umap", n_neighbors=500)


@pytest.mark.slow
def test_umap_separates_and_repeats(recordings):
    first = embed(recordings, method="umap", n_max=80)
    assert cluster_ratio(first) > 1 and first.axes["x"] == "UMAP 1"
    assert np.array_equal(first.coordinates, embed(recordings, method="umap", n_max=80).coordinates)


def test_words_keep_their_shares_in_a_sample():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows = stratified_rows(labels, 100, seed=0)
    assert np.bincount(labels[rows]).tolist() == [60, 30, 10]
    assert len(set(rows)) == 100 and np.array_equal(rows, np.sort(rows))


def test_pca_shares_are_those_of_the_whole_space(recordings):
    result = embed(recordings, n_max=120)
    x = pooled(recordings.split("validation"), "encoder")[result.rows].astype(np.float64)
    total = x.var(axis=0).sum()
    assert result.explained_variance == pytest.approx(result.coordinates.var(axis=0) / total, rel=1e-3)


def test_a_point_that_does_not_spike_borrows_the_rate_of_the_encoder(recordings):
    ours, encoder = embed(recordings, point="features"), embed(recordings)
    assert np.array_equal(ours.rate_hz, encoder.rate_hz)
