"""Interventions: what each does to the code, what depends on it, and what must not matter."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from analysis import intervention_list as kinds
from analysis import spike_changes as change
from analysis.capture import capture
from analysis.catalogue import run
from analysis.interventions import NETWORK, PROBE, READERS, InterventionResult, intervene
from analysis.noisy_clips import NoiseSource
from analysis.subjects import Subject
from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.data.base import AudioDataset, Split
from models.encoders.base import EncoderOutput
from models.errors import SpikelensError
from models.features.mel import FeatureConfig
from models.paths import user_checkpoints
from models.training import train
from tests.analysis.builders import SPLITS, planted
from tests.analysis.toys import toy_checkpoint
from tests.models.test_training import TINY


def rng():
    return np.random.default_rng(3)


def test_zeroed_and_exchanged_touch_only_their_units():
    ones, other = np.ones((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    assert change.zeroed(ones, slice(1, 3)).sum(axis=(0, 1)).tolist() == [6, 0, 0, 6]
    assert change.exchanged(ones, other, np.array([3])).sum(axis=(0, 1)).tolist() == [6, 6, 6, 0]
    assert ones.all()


def test_shuffling_in_time_keeps_counts_and_nothing_else():
    spikes = np.zeros((4, 50, 6), np.uint8)
    spikes[:, :10] = 1
    shuffled = change.shuffled_in_time(spikes, rng())
    assert (shuffled.sum(axis=1) == 10).all()
    assert 0.1 < shuffled[:, :10].mean() < 0.3
    assert not (shuffled == shuffled[..., :1]).all()  # every channel has an order of its own
    part = change.shuffled_in_time(spikes, rng(), slice(2, 4))
    assert (part[..., [0, 1, 4, 5]] == spikes[..., [0, 1, 4, 5]]).all() and (part != spikes).any()


def test_jitter_moves_each_spike_by_at_most_so_many_frames():
    spikes = np.zeros((200, 21, 1), np.uint8)
    spikes[:, 10] = 1
    moved = change.jittered(spikes, 2, rng())
    assert moved.sum() == 200
    assert moved.sum(axis=0)[:, 0].nonzero()[0].tolist() == [8, 9, 10, 11, 12]
    assert np.array_equal(change.jittered(spikes, 0, rng()), spikes)
    spikes[:, 0] = spikes[:, 20] = 1
    assert change.jittered(spikes, 2, rng()).any(axis=1).all()  # the ends hold them


def test_dropping_deletes_its_share_and_the_larger_share_deletes_more_of_the_same():
    spikes = np.ones((20, 50, 10), np.uint8)
    quarter, half = (change.dropped(spikes, share, rng()) for share in (0.25, 0.5))
    assert quarter.mean() == pytest.approx(0.75, abs=0.02) and half.mean() == pytest.approx(0.5, abs=0.02)
    assert (half <= quarter).all()


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        (lambda spikes: change.jittered(spikes, -1, rng()), "largest: -1"),
        (lambda spikes: change.dropped(spikes, 1.2, rng()), "share: 1.2"),
        (lambda spikes: change.random_units(10, -0.1, rng()), "share: -0.1"),
    ],
)
def test_impossible_changes_name_their_argument(wrong, argument):
    with pytest.raises(SpikelensError, match=argument):
        wrong(np.ones((1, 2, 3), np.uint8))


def test_selectivity_is_the_share_of_variance_between_words(record):
    counts = np.array([[0, 1, 3], [2, 1, 3], [4, 1, 9], [6, 1, 9]])  # words 0 0 1 1
    spikes = (np.arange(10)[None, :, None] < counts[:, None]).astype(np.uint8)
    split = record(spikes, labels=[0, 0, 1, 1]).split("validation")
    # unit 0: total 9 + 1 + 1 + 9 = 20, between words 4 x 2^2 = 16; unit 1 never changes
    assert change.word_selectivity(split, "encoder") == pytest.approx([0.8, 0.0, 1.0])
    assert change.most_selective(np.array([0.8, 0.0, 1.0]), 0.6).tolist() == [0, 2]
    assert change.most_selective(np.array([0.8, 0.0, 1.0]), 0.01).tolist() == [2]


def noise_recording():
    """Return noise whose first 70 % are far louder than the rest, so that using them shows."""
    noise = np.random.default_rng(0).integers(-100, 100, 100_000).astype(np.int16)
    noise[:70_000] = 30_000
    return noise


def test_noise_comes_from_what_training_never_hears_at_the_level_asked_for(tones):
    source = NoiseSource(replace(tones, noise=(noise_recording(),)))
    assert "last 30 % of 1 " in source.name
    split, rows = tones.split("validation"), np.array([4, 0])
    clean = np.stack([split.waveform(i) for i in rows])
    added = {snr: source.added(split, rows, snr) - clean for snr in (20, 0)}
    for snr, noise in added.items():
        ratio = np.square(clean).mean(axis=1) / np.square(noise).mean(axis=1)
        assert 10 * np.log10(ratio) == pytest.approx([snr, snr], abs=0.05)
    assert np.allclose(added[20] * 10, added[0], atol=1e-4)  # the same noise at every level
    assert all(abs(source.piece(clip, 16_000)).max() <= 100 / 32768 for clip in range(50))


def test_without_background_recordings_the_noise_is_pink_and_says_so(tones):
    for noise in ((), (np.ones(20_000, np.int16),)):  # none, and one too short
        source = NoiseSource(replace(tones, noise=noise))
        assert "pink" in source.name
    spectrum = np.square(np.abs(np.fft.rfft(source.piece(0, 16_000))))
    assert spectrum[100:200].mean() / spectrum[1000:2000].mean() == pytest.approx(10, rel=0.3)
    assert np.array_equal(source.piece(3, 16_000), source.piece(3, 16_000))


class ReadsOn:
    """A network that knows the planted code and looks at its stream "on" alone."""

    encoder = staticmethod(lambda x: EncoderOutput(torch.zeros(len(x), 30, 24), None))
    normalise = staticmethod(lambda x: x)

    @staticmethod
    def classify(encoded):
        counts = encoded.spikes.sum(dim=1)[:, :12]
        return SimpleNamespace(logits=counts.reshape(-1, 3, 4).sum(dim=1))


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    recordings = planted(tmp_path_factory.mktemp("interventions") / "planted")
    words = recordings.class_names
    silence = {
        name: Split(name, np.zeros((n, 16_000), np.int16), np.arange(n) % 4, tuple(map(str, range(n))))
        for name, n in SPLITS.items()
    }
    checkpoint = SimpleNamespace(
        name="by-hand", labels=words, model=ReadsOn(), recipe=SimpleNamespace(features=FeatureConfig())
    )
    return intervene(checkpoint, AudioDataset("silence", words, silence, "digest"), recordings, seed=1)


def one(result, kind, what, reader=NETWORK):
    (row,) = [row for row in result.of(kind, reader) if row.what == what]
    return row


def test_a_stream_that_is_not_read_costs_nothing_and_the_one_that_is_costs_everything(by_hand):
    assert one(by_hand, kinds.CLEAN, "").accuracy.value == 1
    for kind in (kinds.STREAM_ZEROED, kinds.STREAM_SHUFFLED):
        unread = one(by_hand, kind, "off").difference
        assert (unread.value, unread.low, unread.high) == (0, 0, 0)
    assert one(by_hand, kinds.STREAM_ZEROED, "on").accuracy.value == pytest.approx(0.25)
    assert one(by_hand, kinds.STREAM_SHUFFLED, "on").difference.high < -0.5
    for reader in READERS:  # a code of other clips says nothing
        assert one(by_hand, kinds.STREAM_SHUFFLED, "all", reader).accuracy.value < 0.4
    assert one(by_hand, kinds.STREAM_ZEROED, "on", PROBE).difference.value > -0.5  # it reads both


def test_a_code_of_rates_bears_every_change_in_time(by_hand):
    for kind in (kinds.TIME_SHUFFLED, kinds.JITTER):
        for reader in READERS:
            assert all(row.difference.value > -0.1 for row in by_hand.of(kind, reader))
    assert [row.what for row in by_hand.of(kinds.TIME_SHUFFLED, PROBE)] == ["on", "off", kinds.ALL_STREAMS]


def test_random_channels_are_drawn_three_times_and_activity_is_told(by_hand):
    random, dropped = by_hand.of(kinds.RANDOM, NETWORK), by_hand.of(kinds.DROPPED, NETWORK)
    assert [row.n_draws for row in random] == [3, 3, 3]
    clean = one(by_hand, kinds.CLEAN, "").activity
    assert clean == pytest.approx(0.1 + 0.5 / 4, abs=0.01)
    assert [row.activity / clean for row in dropped] == pytest.approx([0.9, 0.75, 0.5], abs=0.02)


def test_what_cannot_be_done_is_named(by_hand):
    assert "not those of a residual encoder" in by_hand.not_applicable["SF2-rec@r"]
    assert by_hand.chance == pytest.approx(0.25)
    assert "pink" in by_hand.noise
    assert len(by_hand.to_table()) == len(by_hand.rows)


def test_the_result_survives_json(by_hand):
    again = InterventionResult.from_json(by_hand.to_json())
    assert again.rows == by_hand.rows and again.provenance == by_hand.provenance


@pytest.fixture(scope="module")
def _trained(tones, private_folders):
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in private_folders.items():
            patch.setenv(variable, str(folder))
        recipe = Recipe.from_dict(TINY).override({"train.epochs": 5})
        train(recipe, tones, user_checkpoints() / "intervened")


def test_a_trained_network_is_as_good_as_it_was_and_swapping_it_for_itself_changes_nothing(tones, _trained):
    checkpoint = load_checkpoint("intervened")
    told: list[float] = []
    found = run(
        "interventions",
        Subject("intervened", checkpoint, tones),
        swap="intervened",
        seed=0,
        progress=lambda fraction, words: told.append(fraction),
    )
    assert isinstance(found, InterventionResult)
    clean = one(found, kinds.CLEAN, "")
    assert clean.accuracy.value == pytest.approx(checkpoint.metrics["validation"]["accuracy"])
    for reader in READERS:
        itself = one(found, kinds.SWAPPED, "intervened", reader)
        assert (itself.difference.low, itself.difference.high) == (0, 0)
    assert [row.what for row in found.of(kinds.NOISE, PROBE)] == ["20 dB", "10 dB", "5 dB", "0 dB"]
    assert found.provenance.command.endswith("--split validation --swap intervened --seed 0")
    assert told == sorted(told) and told[-1] == 1


def test_an_encoder_without_spikes_is_changed_as_far_as_it_goes(tones):
    checkpoint = toy_checkpoint(tones, "direct")
    recordings = capture(checkpoint, tones, splits=("train", "validation"))
    spiking = toy_checkpoint(tones)
    spiking.name = "spiking"
    found = intervene(checkpoint, tones, recordings, swap=spiking)
    assert "one of the two encoders spikes" in found.not_applicable["encoder of spiking"]
    for kind in (kinds.TIME_SHUFFLED, kinds.JITTER, kinds.DROPPED):
        assert "does not spike" in found.not_applicable[kind] and not found.of(kind, NETWORK)
    assert "no streams" in found.not_applicable[kinds.STREAM_ZEROED]
    assert "no rate to match" in found.not_applicable["SF2-rec@r"]
    assert len(found.of(kinds.NOISE, NETWORK)) == 4 and len(found.of(kinds.RANDOM, PROBE)) == 3


def test_the_training_split_is_refused(tones, _trained):
    subject = Subject("intervened", load_checkpoint("intervened"), tones)
    with pytest.raises(SpikelensError, match="split: 'train'"):
        run("interventions", subject, split="train")
    with pytest.raises(SpikelensError, match="nobody"):
        run("interventions", subject, swap="nobody")
