"""Decoding: exact where it can be, one sentence where it cannot."""

import io
import os

import numpy as np
import pytest
import soundfile
from clip_files import noise_clip, write_clip

from models.data.audio import SILENT_PEAK, AudioError, decode_audio, fit_length
from models.errors import SpikelensError


def encoded(samples, rate=16_000, **kind) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, **kind)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_16_bit_mono_at_16_khz_comes_back_bit_for_bit(tmp_path, suffix):
    extremes = np.array([-32768, 32767, 0, 1, -1] * 100, np.int16)
    samples, info = decode_audio(write_clip(tmp_path / f"a{suffix}", extremes))
    assert samples.dtype == np.int16
    np.testing.assert_array_equal(samples, extremes)
    assert (info.resampled, info.mixed_down, info.seconds) == (False, False, 500 / 16_000)


@pytest.mark.parametrize("kind", [{"format": "OGG"}, {"format": "MP3"}])
def test_lossy_uploads_keep_the_tone(kind):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(32_000) / 32_000)
    samples, info = decode_audio(encoded(tone, 32_000, **kind))
    assert info.format == kind["format"] and info.resampled
    spectrum = np.abs(np.fft.rfft(samples[:16_000]))
    assert abs(spectrum.argmax() * 16_000 / len(samples[:16_000]) - 1000) <= 2
    assert 0.4 < np.abs(samples[4000:12_000]).max() / 32768 < 0.55


def test_stereo_is_averaged_and_other_rates_resampled():
    left = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    samples, info = decode_audio(encoded(np.stack([left, np.zeros_like(left)], 1), 44_100, format="WAV"))
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert len(samples) == 16_000 and (info.channels, info.sample_rate) == (2, 44_100)
    np.testing.assert_allclose(samples[500:-500] / 32768, expected[500:-500], atol=2e-3)


def test_fit_length_pads_at_the_end_and_crops_the_middle():
    assert fit_length(np.array([1, 2], np.int16), 4).tolist() == [1, 2, 0, 0]
    assert fit_length(np.arange(7, dtype=np.int16), 3).tolist() == [2, 3, 4]
    assert fit_length(np.array([5], np.int16), 1).tolist() == [5]


WAV = encoded(noise_clip(1), format="WAV", subtype="PCM_16")
FLAC = encoded(noise_clip(1), format="FLAC")
MP3 = encoded(noise_clip(1), format="MP3")
BAD = {
    "empty file": b"",
    "not an audio file": b"hello world " * 50,
    "no samples": encoded(np.zeros(0, np.int16), format="WAV"),
    "silent": encoded(np.full(8000, SILENT_PEAK, np.int16), format="WAV"),
    "not numbers": encoded(np.array([0.1, np.nan, 0.1]), format="WAV", subtype="FLOAT"),
    "not numbers: infinite": encoded(np.array([0.1, np.inf, 0.1]), format="WAV", subtype="FLOAT"),
    "truncated": WAV[: len(WAV) // 2],
    "truncated: flac": FLAC[: len(FLAC) // 2],
    "truncated: mp3": MP3[: len(MP3) // 2],
    "sampling rate": encoded(noise_clip(1), 100, format="WAV"),
    "longer than 3 s": encoded(np.tile(noise_clip(1), 4), format="WAV"),
}


@pytest.mark.parametrize("reason", BAD)
def test_each_kind_of_bad_upload_is_one_sentence(reason):
    with pytest.raises(SpikelensError, match=reason.partition(":")[0]) as caught:
        decode_audio(BAD[reason], max_seconds=3)
    assert str(caught.value).startswith("audio: upload: ") and "\n" not in str(caught.value)


def test_a_clip_just_above_the_silence_limit_is_accepted():
    quiet = np.full(8000, SILENT_PEAK + 1, np.int16)
    np.testing.assert_array_equal(decode_audio(encoded(quiet, format="WAV"))[0], quiet)


def test_silence_can_be_allowed():
    assert not decode_audio(BAD["silent"], allow_silent=True)[0].max() > SILENT_PEAK


def test_a_wav_written_to_a_pipe_is_not_called_truncated():
    streamed = bytearray(WAV)
    streamed[4:8] = streamed[40:44] = b"\xff\xff\xff\xff"
    np.testing.assert_array_equal(decode_audio(bytes(streamed))[0], noise_clip(1))


def test_the_header_is_believed_before_anything_is_decoded(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("decoded")

    monkeypatch.setattr(soundfile.SoundFile, "read", forbidden)
    with pytest.raises(AudioError, match="longer than 0.5 s"):
        decode_audio(WAV, max_seconds=0.5)


def test_nothing_beyond_the_declared_length_is_decoded():
    understated = bytearray(WAV)
    understated[40:44] = (2 * 100).to_bytes(4, "little")
    np.testing.assert_array_equal(decode_audio(bytes(understated), max_seconds=0.1)[0], noise_clip(1)[:100])


def test_a_flac_without_a_length_is_refused_rather_than_read_to_the_end():
    streamed = bytearray(FLAC)
    streamed[8 + 13] &= 0xF0  # the 36-bit sample count of STREAMINFO
    streamed[8 + 14 : 8 + 18] = bytes(4)
    with pytest.raises(AudioError, match="tells no length"):
        decode_audio(bytes(streamed))


def test_paths_that_are_no_audio_files(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        decode_audio(tmp_path / "absent.wav")
    with pytest.raises(AudioError, match="not an audio file"):
        decode_audio(write_clip(tmp_path / "a.wav").rename(tmp_path / "a.raw"))
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="no such file"):
        decode_audio(tmp_path / "pipe.wav")
