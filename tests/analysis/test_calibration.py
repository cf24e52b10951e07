"""Where nothing differs, tests must say so as often as they promise: 100 recordings of a known null each.

Clips of a speaker are alike in all of them: a test that takes clips as independent would fail here.
"""

from pathlib import Path

import numpy as np
import pytest

from analysis.controls import SUBJECT
from analysis.information import information
from analysis.linear_probe import fit_probe
from analysis.reconstruction import OWN, reconstruct
from analysis.recordings import Point, Recordings, RecordingWriter
from analysis.separability import separate
from analysis.separability_measures import CKA_LABELS, CKA_MEL, FISHER, NEIGHBOURS, SHRUNK, SILHOUETTE
from analysis.stats import (
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_ratio,
    mcnemar,
    mean_over_draws,
)

N_REPEATS = 100
WORDS, UNITS, STEPS, BANDS = 3, 10, 10, 4
SPEAKERS = {"train": 80, "validation": 30}
CLIPS = 6  # of each speaker
RATE, SPEAKER, WORD = 0.3, 0.15, 0.12  # of a unit, its spread over speakers, and what the word adds


def simulated(root: Path, seed: int, kind: str = "words", decoder: int | None = None) -> Recordings:
    """Write recordings with two codes, ``encoder`` and ``other``, that differ by chance alone.

    Parameters
    ----------
    kind : {"words", "one word a speaker", "no words"}
        What the codes know besides the speaker. In the last two it is nothing, and in the second a speaker
        says a single word, so that word and speaker go together.
    decoder : int, optional
        Also write features, and what one of equally good decoders, whose errors differ from speaker to
        speaker, makes of them.
    """
    rng = np.random.default_rng(seed)
    preferred = np.arange(UNITS) % WORDS
    points = [Point("encoder", UNITS, True), Point("other", UNITS, True)]
    if decoder is not None:
        points += [Point("features", BANDS, False), Point("decoded", BANDS, False)]
    with RecordingWriter(
        root,
        name="null",
        source="checkpoint",
        digest=f"null-{kind}-{seed}-{decoder}-{sorted(SPEAKERS.items())}",
        dataset="null",
        class_names=[str(word) for word in range(WORDS)],
        points=points,
    ) as writer:
        for split, n_speakers in SPEAKERS.items():
            speaker = np.repeat(np.arange(n_speakers), CLIPS)
            n = len(speaker)
            labels = speaker % WORDS if kind == "one word a speaker" else rng.integers(WORDS, size=n)
            writer.add_split(
                split,
                labels=labels,
                clip_ids=[f"{split}-{i}" for i in range(n)],
                speakers=[f"{split}{i}" for i in speaker],
                n_steps=STEPS,
            )
            for code in ("encoder", "other"):
                rate = RATE + SPEAKER * rng.standard_normal((n_speakers, UNITS))[speaker]
                if kind == "words":
                    rate = rate + WORD * (preferred == labels[:, None])
                spikes = rng.random((n, STEPS, UNITS)) < rate[:, None]
                writer.write(split, code, slice(0, n), spikes)
            if decoder is not None:
                features = rng.standard_normal((n, STEPS, BANDS)) + rng.standard_normal((n, 1, BANDS))
                own = np.random.default_rng([seed, decoder, n])
                loudness = np.exp(0.5 * own.standard_normal((n_speakers, 1, 1)))[speaker]
                noise = loudness * own.standard_normal(features.shape)
                writer.write(split, "features", slice(0, n), features)
                writer.write(split, "decoded", slice(0, n), features + 0.3 * noise)
    return Recordings(root)


def rejected(value: float, low: float | None, high: float | None) -> bool:
    """Tell whether an interval leaves `value` out."""
    assert low is not None and high is not None
    return not low <= value <= high


def calibrated(share: float) -> bool:
    return 0.01 <= share <= 0.11


@pytest.mark.slow
def test_probes_of_equally_informative_codes_differ_as_rarely_as_promised(tmp_path):
    by_interval = by_mcnemar = 0
    accuracy = []
    for seed in range(N_REPEATS):
        recordings = simulated(tmp_path / str(seed), seed)
        groups = recordings.split("validation").groups
        ours, theirs = (
            fit_probe(recordings, code, split="validation", pooling="counts").correct * 1.0
            for code in ("encoder", "other")
        )
        found = bootstrap_difference(ours, theirs, groups, seed=seed)
        by_interval += rejected(0, found.low, found.high)
        by_mcnemar += mcnemar(ours, theirs, groups, seed=seed) <= 0.05
        accuracy.append(ours.mean())
    assert 0.45 < np.mean(accuracy) < 0.9  # informative, and with room to differ
    assert calibrated(by_interval / N_REPEATS) and calibrated(by_mcnemar / N_REPEATS)


@pytest.mark.slow
def test_a_probe_of_nothing_is_told_from_chance_as_rarely_as_promised(tmp_path):
    from_chance = from_guess = 0
    for seed in range(N_REPEATS):
        recordings = simulated(tmp_path / str(seed), seed, "no words")
        held, train = recordings.split("validation"), recordings.split("train")
        probe = fit_probe(recordings, "encoder", split="validation", pooling="counts", seed=seed)
        found = bootstrap_mean(probe.correct, held.groups, seed=seed)
        from_chance += rejected(1 / WORDS, found.low, found.high)
        guess = held.labels == np.bincount(train.labels).argmax()
        found = bootstrap_difference(probe.correct, guess * 1.0, held.groups, seed=seed)
        from_guess += rejected(0, found.low, found.high)
    assert calibrated(from_chance / N_REPEATS) and calibrated(from_guess / N_REPEATS)


@pytest.mark.slow
def test_shuffled_labels_scatter_around_chance_from_permutation_to_permutation(tmp_path):
    of_one = of_all = 0
    for repeat in range(N_REPEATS):
        recordings = simulated(tmp_path / str(repeat), repeat)
        held = recordings.split("validation")
        correct = [
            fit_probe(
                recordings, "encoder", split="validation", pooling="counts", seed=seed, shuffled_at=1e-2
            ).correct
            for seed in range(5)
        ]
        one = bootstrap_mean(correct[0], held.groups, seed=repeat)
        every = mean_over_draws(np.mean(correct, axis=1))
        of_one += rejected(1 / WORDS, one.low, one.high)
        of_all += rejected(1 / WORDS, every.low, every.high)
    assert calibrated(of_all / N_REPEATS)
    assert of_one / N_REPEATS > 0.2  # one permutation is a fixed reader, wrong on whole words at once


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["no words", "one word a speaker"])
def test_a_code_of_speakers_is_called_one_of_words_as_rarely_as_promised(tmp_path, kind):
    measures = (FISHER, SHRUNK, SILHOUETTE, NEIGHBOURS, CKA_LABELS, CKA_MEL)
    found = dict.fromkeys(measures, 0)
    for seed in range(N_REPEATS):
        result = separate(
            simulated(tmp_path / str(seed), seed, kind, decoder=0),
            points=["encoder"],
            controls=False,
            seed=seed,
        )
        for measure in measures:
            row = result.find("encoder", measure)
            assert row is not None and row.p is not None
            found[measure] += row.p <= 0.05
    for measure, count in found.items():
        if kind == "one word a speaker" and measure != CKA_MEL:
            assert count == 0, measure  # labels cannot change places: nothing can be shown, and nothing is
        else:
            assert calibrated(count / N_REPEATS), measure


@pytest.mark.slow
def test_equally_good_decoders_differ_in_snr_as_rarely_as_promised(tmp_path):
    count = 0
    for seed in range(N_REPEATS):
        first, second = (
            reconstruct(simulated(tmp_path / f"{seed}-{i}", seed, decoder=i), points=[], seed=seed)
            for i in (0, 1)
        )
        ours, theirs = (each.clip_error[each.find("encoder", OWN)] for each in (first, second))
        groups = np.repeat(np.arange(SPEAKERS["validation"]), CLIPS)
        found = bootstrap_ratio(ours, theirs, groups, seed=seed)
        count += rejected(1, found.low, found.high)
    assert calibrated(count / N_REPEATS)


@pytest.mark.slow
def test_bits_are_claimed_where_there_are_none_no_more_often_than_promised(tmp_path):
    of_nothing = of_shuffled = 0
    for seed in range(N_REPEATS):
        without, with_words = (
            information(
                simulated(tmp_path / f"{kind}-{seed}", seed, kind), points=["encoder"], controls=False
            )
            for kind in ("no words", "words")
        )
        nothing, shuffled = (
            without.find(SUBJECT, "encoder").bits,
            with_words.find(SUBJECT, "encoder").shuffled,
        )
        of_nothing += nothing.low > 0
        of_shuffled += shuffled.low > 0
    # a lower bound falls short of 0 more often than not
    assert of_nothing / N_REPEATS <= 0.11 and of_shuffled / N_REPEATS <= 0.11


def test_taking_clips_as_independent_would_not_be_calibrated():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 20)
    by_clip = by_speaker = 0
    for seed in range(N_REPEATS):
        skill = 1 / (1 + np.exp(-1 - rng.standard_normal((2, 20))))  # of two classifiers, for each speaker
        first, second = rng.random((2, 400)) < skill[:, groups]
        by_clip += mcnemar(first, second) <= 0.05
        by_speaker += mcnemar(first, second, groups, seed=seed) <= 0.05
    assert by_clip / N_REPEATS > 0.2 and by_speaker / N_REPEATS <= 0.11
