"""The embedded data set: reproducible, disjoint by voice, at the stated noise, plain about what fails."""

import logging
import subprocess
import sys
from dataclasses import replace

import espeakng_loader
import numpy as np
import pytest

from models.data import open_dataset, synthetic
from models.data.base import N_SAMPLES, SPLITS
from models.data.espeak import ACCENTS, RATE_HZ, Utterance, render, voices
from models.data.scene import NOISES, Scene, coloured_noise, compose
from models.data.synthetic import WORDS, load_spoken35, speak
from models.errors import SpikelensError

_SMALL = 8
_NO_NOISE = float("inf")


def _power(values):
    return np.mean(np.square(np.asarray(values, dtype=float)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("spoken")


@pytest.fixture
def in_cache(cache, monkeypatch):
    monkeypatch.setenv("SPIKELENS_CACHE", str(cache))


@pytest.fixture
def small(in_cache):
    """Return eight clips a word; rendered once for all tests of this module."""
    return load_spoken35(clips_per_word=_SMALL)


@pytest.fixture
def beeps(monkeypatch, tmp_path):
    """Replace speech by beeps, for what is not about speech; return the empty cache folder."""

    def render_beeps(utterances):
        time = np.arange(RATE_HZ // 4) / RATE_HZ
        return [(9_000 * np.sin(2 * np.pi * 10 * u.rate * time)).astype(np.int16) for u in utterances]

    monkeypatch.setattr(synthetic, "render", render_beeps)
    monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path))
    return tmp_path


def test_every_split_holds_every_word_as_one_second_of_sound(small):
    assert small.synthetic
    assert small.labels == WORDS == tuple(sorted(WORDS))
    assert len(WORDS) == 35
    for name, per_word in zip(SPLITS, (5, 1, 2), strict=True):
        split = small.split(name)
        assert split.waveforms.shape == (35 * per_word, N_SAMPLES)
        assert split.waveforms.dtype == np.int16
        assert np.bincount(split.labels).tolist() == [per_word] * 35
        assert [clip.split("/")[0] for clip in split.clip_ids] == [WORDS[label] for label in split.labels]
        peaks = np.abs(split.waveforms.astype(int)).max(axis=1)
        assert peaks.min() > 500
        assert peaks.max() < 32_767  # nothing clips


def test_clip_names_are_unique_and_no_voice_is_in_two_splits(small):
    ids = [clip for split in small.splits.values() for clip in split.clip_ids]
    assert len(set(ids)) == len(ids) == 35 * _SMALL
    heard = [set(split.speakers) for split in small.splits.values()]
    assert sum(map(len, heard)) == len(set.union(*heard))
    assert set.union(*heard) <= set(voices())


def test_variants_of_one_voice_stay_in_one_split():
    for seed in range(5):
        dealt = synthetic._split_voices(voices(), np.random.default_rng(seed))
        homes = {voice: name for name, mine in dealt.items() for voice in mine}
        for family in ("klatt", "robosoft", "iven", "steph"):
            assert len({home for voice, home in homes.items() if voice.startswith(family)}) == 1
        assert len({homes[f"m{i}"] for i in range(1, 9)}) > 1  # m1 to m8 are eight people
        assert min(map(len, dealt.values())) >= 8


def test_the_full_plan_shares_out_clips_and_voices():
    plan = synthetic._plan(300, 0)
    assert [len(plan[name]) for name in SPLITS] == [35 * 210, 35 * 30, 35 * 60]
    speakers = {name: [clip.utterance.voice for clip in clips] for name, clips in plan.items()}
    assert sum(len(set(names)) for names in speakers.values()) == len(voices())
    for names in speakers.values():
        counts = np.unique(names, return_counts=True)[1]
        assert counts.max() - counts.min() <= 1  # voices take turns


def test_nuisance_labels_are_what_was_drawn(small):
    split = small.split("train")
    assert tuple(split.nuisance["voice"]) == split.speakers
    assert set(split.nuisance["accent"]) == set(ACCENTS)
    assert set(split.nuisance["noise"]) == set(NOISES)
    for key, (low, high) in {"pitch": (25, 75), "rate": (120, 220), "snr_db": (5, 30)}.items():
        values = split.nuisance[key]
        assert low <= values.min() < values.max() <= high


def test_the_same_seed_gives_the_same_samples_in_another_cache(small, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKELENS_CACHE", str(tmp_path))
    again = load_spoken35(clips_per_word=_SMALL)
    assert again.digest == small.digest
    for name in SPLITS:
        np.testing.assert_array_equal(again.split(name).waveforms, small.split(name).waveforms)
        assert again.split(name).clip_ids == small.split(name).clip_ids


def test_another_seed_gives_other_samples_and_another_digest(small):
    other = load_spoken35(clips_per_word=3, seed=1)
    same_size = load_spoken35(clips_per_word=3)
    assert len({small.digest, other.digest, same_size.digest}) == 3
    assert set(other.split("test").speakers) != set(same_size.split("test").speakers)
    a, b = other.split("train").waveforms, same_size.split("train").waveforms
    assert not (a == b).all(axis=1).any()


def test_the_second_call_reads_the_cache(small, monkeypatch):
    monkeypatch.delattr(synthetic, "render")
    again = load_spoken35(clips_per_word=_SMALL)
    for name in SPLITS:
        old, new = small.split(name), again.split(name)
        assert isinstance(new.waveforms, np.memmap)
        np.testing.assert_array_equal(old.waveforms, new.waveforms)
        np.testing.assert_array_equal(old.labels, new.labels)
        assert (old.clip_ids, old.speakers) == (new.clip_ids, new.speakers)
        for key, values in old.nuisance.items():
            np.testing.assert_array_equal(values, new.nuisance[key])


@pytest.mark.parametrize("damage", ["truncated", "empty", "no index"])
def test_a_damaged_cache_entry_is_made_again(damage, beeps):
    first = load_spoken35(clips_per_word=3)
    expected = first.split("train").waveforms.copy()
    (entry,) = (beeps / "spoken35").iterdir()
    if damage == "no index":
        (entry / "index.json").unlink()
    else:
        whole = (entry / "train.npy").read_bytes()
        (entry / "train.npy").unlink()  # the old samples stay mapped
        (entry / "train.npy").write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"")
    second = load_spoken35(clips_per_word=3)
    np.testing.assert_array_equal(second.split("train").waveforms, expected)
    assert [path.name for path in (beeps / "spoken35").iterdir()] == [first.digest]


def test_a_cache_that_cannot_be_written_costs_a_warning_only(beeps, monkeypatch, caplog):
    blocked = beeps / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("SPIKELENS_CACHE", str(blocked))
    with caplog.at_level(logging.WARNING, "spikelens"):
        dataset = load_spoken35(clips_per_word=3)
    assert len(dataset.split("train")) == 35
    assert "not cached" in caplog.text


def test_a_full_disk_leaves_nothing_behind(beeps, monkeypatch, caplog):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic.np, "save", full)
    with caplog.at_level(logging.WARNING, "spikelens"):
        dataset = load_spoken35(clips_per_word=3)
    assert len(dataset.split("train")) == 35
    assert "No space left" in caplog.text
    assert list((beeps / "spoken35").iterdir()) == []


def test_clips_of_the_data_set_have_the_stated_snr(small):
    clips = synthetic._plan(_SMALL, 0)["train"]
    sounds = render([clip.utterance for clip in clips])
    split = small.split("train")
    for row in range(0, len(split), 9):
        mixed = split.waveforms[row].astype(float)
        word = compose(sounds[row], replace(clips[row].scene, snr_db=_NO_NOISE)).astype(float)
        spoken = np.flatnonzero(word)
        extent = word[spoken[0] : spoken[-1] + 1]
        snr_db = 10 * np.log10(_power(extent) / _power(mixed - word))
        assert snr_db == pytest.approx(split.nuisance["snr_db"][row], abs=1.0)


@pytest.mark.parametrize("noise", NOISES)
def test_snr_and_level_of_a_planted_tone(noise):
    n = RATE_HZ // 2
    tone = (20_000 * np.sin(2 * np.pi * 500 * np.arange(n) / RATE_HZ)).astype(np.int16)
    scene = Scene(onset=1.0, level_db=-30.0, snr_db=12.0, noise=noise, noise_seed=(4,))
    word = compose(tone, replace(scene, snr_db=_NO_NOISE)) / 32_767
    rest = compose(tone, scene) / 32_767 - word
    assert np.flatnonzero(word)[0] == pytest.approx(8_000, abs=20)  # half a second at the very end
    assert 10 * np.log10(_power(word[8_000:])) == pytest.approx(-30.0, abs=0.1)
    assert 10 * np.log10(_power(word[8_000:]) / _power(rest)) == pytest.approx(12.0, abs=0.1)


def test_noises_have_the_spectra_they_are_named_for():
    def slope_db(kind, low_hz):
        spectra = [np.abs(np.fft.rfft(coloured_noise(kind, np.random.default_rng(i)))) ** 2 for i in range(8)]
        octaves = [np.mean([s[f : 2 * f].mean() for s in spectra]) for f in (low_hz, 2 * low_hz)]
        return 10 * np.log10(octaves[1] / octaves[0])

    assert slope_db("white", 1000) == pytest.approx(0, abs=0.5)
    assert slope_db("pink", 1000) == pytest.approx(-3, abs=0.5)
    assert slope_db("babble", 2000) == pytest.approx(-12, abs=1.5)

    def unsteadiness(kind):
        return np.std([_power(part) for part in np.split(coloured_noise(kind, np.random.default_rng(0)), 20)])

    assert unsteadiness("babble") > 5 * unsteadiness("white")


def test_rendering_is_a_function_of_its_argument():
    batch = [
        Utterance(word, voice, "en-us", 50, 170) for word in ("seven", "go") for voice in ("f2", "whisper")
    ]
    for a, b in zip(render(batch), render(batch), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rate_and_pitch_do_not_carry_over_to_the_next_word():
    plain = Utterance("seven", "m3", "en", 50, 170)
    slow, after, again = render([replace(plain, rate=90, pitch=99), plain, plain])
    assert len(slow) > 1.5 * len(after)
    assert len(after) == pytest.approx(len(again), rel=0.02)
    assert _power(after) == pytest.approx(_power(again), rel=0.05)


@pytest.mark.parametrize(
    "change",
    [{"voice": "f1"}, {"voice": "Mr serious"}, {"accent": "en-us"}, {"pitch": 75}, {"rate": 120}],
)
def test_voice_accent_pitch_and_rate_are_heard(change):
    plain = Utterance("seven", "m3", "en", 50, 170)
    (one,), (other,) = render([plain]), render([replace(plain, **change)])
    assert not np.array_equal(one, other)


def test_speak_is_reproducible_and_the_seed_changes_the_surroundings():
    clip = speak("marvin", voice="m1", accent="en-us", pitch=40, rate=150, seed=3)
    assert clip.shape == (N_SAMPLES,)
    assert clip.dtype == np.int16
    np.testing.assert_array_equal(
        clip, speak("marvin", voice="m1", accent="en-us", pitch=40, rate=150, seed=3)
    )
    assert not np.array_equal(clip, speak("marvin", voice="m1", accent="en-us", pitch=40, rate=150, seed=4))


@pytest.mark.parametrize(
    ("argument", "value"), [("voice", "nobody"), ("accent", "en-gb"), ("pitch", 100), ("rate", 20)]
)
def test_what_cannot_be_spoken_is_refused(argument, value):
    with pytest.raises(SpikelensError, match=rf"{argument}: .*{value}"):
        speak("yes", **{argument: value})


@pytest.mark.parametrize(("argument", "value"), [("clips_per_word", 2), ("seed", -1)])
def test_bad_arguments_are_refused(argument, value):
    with pytest.raises(SpikelensError, match=f"{argument}: {value}"):
        load_spoken35(**{argument: value})


def test_a_word_without_sound_is_refused():
    scene = Scene(onset=0.5, level_db=-30.0, snr_db=12.0, noise="white", noise_seed=(0,))
    with pytest.raises(SpikelensError, match="silence"):
        compose(np.zeros(5000, np.int16), scene)


def test_a_library_that_cannot_be_loaded_is_one_clear_line(tmp_path, monkeypatch):
    broken = tmp_path / "espeakng_loader.py"
    broken.write_text(
        "from pathlib import Path\n"
        f"def get_data_path(): return {espeakng_loader.get_data_path()!r}\n"
        f"def get_library_path(): return {str(tmp_path / 'missing.so')!r}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SpikelensError, match=r"eSpeak NG cannot be used here \(.*missing\.so") as error:
        speak("yes")
    assert "\n" not in str(error.value)


def test_a_missing_package_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SpikelensError, match="eSpeak NG cannot be used here"):
        voices()


def test_progress_runs_from_nothing_to_all(beeps):
    seen = []
    load_spoken35(lambda fraction, words: seen.append(fraction), clips_per_word=3)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


def test_it_opens_by_name(monkeypatch, small):
    monkeypatch.setattr(synthetic, "load_spoken35", lambda: small)
    assert open_dataset("spoken35") is small


def test_the_speech_library_stays_out_of_this_process():
    script = (
        "import sys; from models.data.espeak import *; render([Utterance('yes', 'f1', 'en', 50, 170)]);"
        "maps = open('/proc/self/maps').read() if sys.platform == 'linux' else '';"
        "print('libespeak' in maps)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
