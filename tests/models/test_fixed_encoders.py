"""Fixed encoders: traces worked out by hand, causality, decoders, what is fitted and the rate they meet."""

import numpy as np
import pytest
import torch

from models.checkpoint import load_checkpoint
from models.config import Recipe
from models.encoders.bsa import Bsa
from models.encoders.frames import run_frames
from models.encoders.poisson import Poisson
from models.errors import SpikelensError
from models.paths import user_checkpoints
from models.registry import ENCODERS
from models.training import train

RATED = (
    {"name": "step-forward"},
    {"name": "send-on-delta"},
    {"name": "threshold-based"},
    {"name": "moving-window"},
    {"name": "level"},
    {"name": "lif"},
    {"name": "poisson"},
    {"name": "poisson", "complement": True},
)
VARIANTS = (
    {"variant": "E1"},
    {"variant": "E3"},
    {"coding": "single"},
    {"coding": "cascade"},
    {"start": "first"},
    {"signed": True},
)
EVERY = (
    *({"name": name} for name in ENCODERS.names()),
    *({"name": "residual"} | variant for variant in VARIANTS),
    {"name": "poisson", "complement": True},
    {"name": "speech2spikes", "signed": True},
)


def named(body) -> str:
    return " ".join(str(value) for value in body.values())


def build(name, n_bands=1, **settings):
    body = {"name": "m", "encoder": {"name": name, **settings}, "backbone": {"name": "rlif"}}
    return ENCODERS[name].build(Recipe.from_dict(body).encoder, n_bands).double().eval()


def walk(n=8, n_steps=60, n_bands=5, seed=0, dtype=np.float64) -> np.ndarray:
    """Return a leaky random walk of about unit variance, (n, T, F)."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, n_steps, n_bands))
    for t in range(n_steps):
        x[:, t] = 0.9 * x[:, t - 1] + 0.45 * rng.standard_normal((n, n_bands))
    return x.astype(dtype)


def events(encoder, values) -> list[list[float]]:
    """Return the spikes of one band, a list a channel."""
    x = torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1)
    return encoder(x).spikes[0].T.tolist()


def test_send_on_delta_by_hand():
    encoder = build("send-on-delta")
    encoder.threshold.fill_(0.5)
    # reference 0: .4 no; 1.9 ON, reference 1.9; 1.5 no; 1.3 OFF (-.6); 1.3 no
    x = [0.4, 1.9, 1.5, 1.3, 1.3]
    assert events(encoder, x) == [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    decoded = encoder(torch.tensor(x).double().reshape(1, -1, 1)).decoded
    assert decoded.flatten().tolist() == [0, 0.5, 0.5, 0, 0]  # one event whatever the jump


def test_threshold_based_by_hand():
    encoder = build("threshold-based")
    encoder.threshold.fill_(0.5)
    # changes: none for the first, +.6, +.4, -.5 (not below -.5), -1
    assert events(encoder, [3.0, 3.6, 4.0, 3.5, 2.5]) == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]


def test_threshold_based_fits_mean_plus_gamma_deviations():
    encoder = build("threshold-based", gamma=2.0)
    x = np.array([0.0, 1.0, 1.0, 4.0]).reshape(1, 4, 1)  # |changes| 1, 0, 3
    encoder.fit(x)
    assert float(encoder.threshold) == pytest.approx(4 / 3 + 2 * np.std([1, 0, 3]))


def test_moving_window_by_hand():
    encoder = build("moving-window", window=2)
    encoder.threshold.fill_(0.5)
    # means before: -, 1, 1.5, 2, 1
    assert events(encoder, [1.0, 2.0, 2.0, 0.0, 1.4]) == [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]


def test_level_by_hand():
    encoder = build("level")
    x = [0.2, 0.6, 1.6, -0.5, -9.0]
    assert events(encoder, x) == [[0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    decoded = encoder(torch.tensor(x).double().reshape(1, -1, 1)).decoded
    assert decoded.flatten().tolist() == [0, 1, 2, 0, -2]


def test_level_decoder_is_bounded():
    x = torch.from_numpy(np.random.default_rng(0).uniform(-2.5, 2.5, (4, 50, 3)))
    assert (build("level", 3)(x).decoded - x).abs().max() <= 0.5


def test_lif_by_hand():
    # u: .8, 1.12 spike, .12*.5+.8 = .86, 1.23 spike, then .115 - and on the other side .6, then 1.3 spike
    x = [0.8, 0.72, 0.8, 0.8, -0.6, -1.0]
    assert events(build("lif", leak=0.5), x) == [[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]]


def test_speech2spikes_steps_in_natural_logs_from_the_rounded_first_frame():
    encoder = build("speech2spikes")
    encoder.set_scale(np.array([-7.0], np.float32), np.array([2.0], np.float32))
    log_mel = np.array([-8.4, -8.9, -9.2, -6.0, -6.0, -6.0])
    # baseline -8; -8.9 stays, -9.2 OFF (-9), then ON (-8), ON (-7), and 1.0 above -7 is not more than 1
    x = (log_mel + 7) / 2
    assert events(encoder, x) == [[0, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 0]]
    decoded = encoder(torch.from_numpy(x).reshape(1, -1, 1)).decoded
    assert (decoded.flatten() * 2 - 7).tolist() == pytest.approx([-8, -8, -9, -8, -7, -7])


def test_bsa_by_hand():
    encoder = build("bsa", taps=2)  # taps 1/2, 1/2
    encoder.range.low.fill_(0.0), encoder.range.high.fill_(1.0), encoder.margin.fill_(0.6)
    assert encoder.kernel.tolist() == [0.5, 0.5]
    # windows of two: (0, .5) gains 0; (.5, .9) gains .5 + .5, spike, .9 becomes .4; (.4, .1) gains .3 - .3
    x = [0.0, 0.5, 0.9, 0.1, 0.0]
    assert events(encoder, x) == [[0, 0, 1, 0, 0]]  # for the second frame, one frame later
    decoded = encoder(torch.tensor(x).double().reshape(1, -1, 1)).decoded
    assert decoded.flatten().tolist() == [0, 0.5, 0.5, 0, 0]


def classic_bsa(y, taps, margin):
    """Return the spikes of the algorithm as published, with its look into the future."""
    y, spikes = y.copy(), np.zeros_like(y)
    for t in range(len(y) - len(taps) + 1):
        ahead = slice(t, t + len(taps))
        if np.abs(y[ahead] - taps).sum() <= np.abs(y[ahead]).sum() - margin:
            spikes[t] = 1
            y[ahead] -= taps
    return spikes


def test_causal_bsa_is_the_classic_one_delayed():
    encoder = build("bsa", 3, taps=6)
    x = walk(n=2, n_bands=3)
    encoder.range.fit(x)
    low, high = encoder.range.bounds()
    spikes = encoder(torch.from_numpy(x)).spikes.numpy()
    assert 0.02 < spikes.mean() < 0.8 and not spikes[:, :5].any()
    for clip, band in np.ndindex(2, 3):
        y = np.clip((x[clip, :, band] - low[band]) / (high[band] - low[band]), 0, 1)
        classic = classic_bsa(y, encoder.kernel.numpy(), float(encoder.margin))
        np.testing.assert_array_equal(spikes[clip, 5:, band], classic[:-5])


def test_poisson_follows_its_probability():
    encoder = build("poisson", 2, max_probability=0.8, complement=True)
    encoder.range.low.fill_(0.0), encoder.range.high.fill_(1.0)
    levels = torch.tensor([0.25, 2.0], dtype=torch.float64)  # above the range: clipped to 1
    starts = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (400, 1, 2)))
    x = torch.cat((starts, levels.expand(400, 50, 2)), dim=1)
    spikes = encoder(x).spikes[:, 1:]
    rates = spikes.mean(dim=(0, 1))
    assert rates.tolist() == pytest.approx([0.2, 0.8, 0.6, 0.0], abs=4 * 0.5 / np.sqrt(20_000))
    shared = (spikes[::2, :, 0] * spikes[1::2, :, 0]).mean()  # of two clips: as chance has it
    assert float(shared) == pytest.approx(0.04, abs=4 * 0.2 / np.sqrt(10_000))


def test_poisson_is_fresh_in_training_and_settled_in_evaluation():
    x = torch.from_numpy(walk())
    encoder = build("poisson", 5)
    assert torch.equal(encoder(x).spikes, encoder(x).spikes)
    assert torch.equal(encoder(x).spikes[3:5], encoder(x[3:5]).spikes)  # whatever else is in the batch
    assert not torch.equal(encoder(x).spikes, build("poisson", 5, seed=1)(x).spikes)
    encoder.train()
    first, second = encoder(x).spikes, encoder(x).spikes
    assert float((first != second).double().mean()) > 0.2
    repeated = encoder(x[:1].repeat(2, 1, 1)).spikes
    assert float((repeated[0] != repeated[1]).double().mean()) > 0.2
    resumed = Poisson(encoder.config, 5).double()
    resumed.load_state_dict(encoder.state_dict())
    assert torch.equal(resumed(x).spikes, encoder(x).spikes)  # the number of passes travels with the weights


@pytest.mark.parametrize("body", EVERY, ids=named)
def test_no_encoder_looks_ahead(body):
    encoder = build(**body, n_bands=5)
    x = walk()
    changed = x.copy()
    changed[:, 30:] = changed[:, 30:] * -1.5 + 2.0
    before, after = (encoder(torch.from_numpy(values)).spikes for values in (x, changed))
    assert torch.equal(before[:, :30], after[:, :30])
    assert not torch.equal(before[:, 30:], after[:, 30:])


@pytest.mark.parametrize("body", EVERY, ids=named)
def test_spikes_are_binary_and_a_stream_equals_the_batch(body):
    encoder = build(**body, n_bands=5)
    x = walk(n=3, dtype=np.float64)
    with torch.no_grad():
        output = encoder(torch.from_numpy(x))
    assert output.spikes.shape == (3, 60, encoder.n_units)
    assert (output.decoded is not None) == encoder.has_decoder
    if encoder.spiking:
        assert set(output.spikes.unique().tolist()) == {0.0, 1.0}
    stage = encoder.streaming()
    for clip, whole in zip(x, output.spikes, strict=True):
        streamed = run_frames(
            stage._replace(step=lambda f, s: stage.step(f[0], s)), clip[None], encoder.n_units
        )
        np.testing.assert_allclose(streamed[0], whole.numpy(), atol=1e-12)
    assert encoder.drive(output.spikes).shape[-1] == encoder.n_inputs


@pytest.mark.parametrize("body", RATED, ids=named)
def test_a_rate_is_met(body):
    x = walk(n=60, dtype=np.float32)
    chance = 4 * np.sqrt(1 / x.size) if body["name"] == "poisson" else 0.0
    for rate in (0.07, 0.12):
        encoder = build(**body, rate=rate, n_bands=5).float()
        encoder.fit(x)
        reached = float(encoder(torch.from_numpy(x)).spikes.mean())
        assert reached == pytest.approx(rate, rel=0.006, abs=chance * np.sqrt(rate))


def test_given_steps_are_the_ones_used():
    encoder = build("sf2-init", dc=1.0, df=0.25, tc=0.5, tf=0.5)
    expected = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 1]]
    assert events(encoder, [0.8, 0.7, -0.9, -0.9]) == expected


def test_bsa_meets_a_rate_it_can_have():
    x = walk(n=60, dtype=np.float32)
    reference = build("bsa", 5).float()
    reference.range.fit(x)
    reference.margin.fill_(0.55)
    encoder = build("bsa", 5, rate=reference.event_rate(x)).float()
    encoder.fit(x)
    assert encoder.event_rate(x) == pytest.approx(reference.event_rate(x), rel=0.006)


@pytest.mark.parametrize("name", ["step-forward", "send-on-delta", "moving-window", "bsa"])
def test_the_fitted_number_decodes_best(name):
    x = walk(n=60, dtype=np.float32)
    encoder = build(name, 5).float()
    encoder.fit(x)
    best, found = encoder.squared_error(x), float(getattr(encoder, encoder.tuned))
    assert best < np.square(x).mean()  # better than no code at all
    for factor in (0.6, 0.9, 1.1, 1.6):
        getattr(encoder, encoder.tuned).fill_(found * factor)
        assert encoder.squared_error(x) > best


def test_what_is_fitted_is_kept_with_the_weights():
    x = walk(n=40, dtype=np.float32)
    for body in (*RATED, {"name": "bsa"}, {"name": "speech2spikes"}):
        fitted, other = (build(**body, n_bands=5).float() for _ in range(2))
        fitted.set_scale(np.full(5, -7, np.float32), np.full(5, 2, np.float32))
        fitted.fit(x)
        other.load_state_dict(fitted.state_dict())
        given = torch.from_numpy(x)
        assert torch.equal(fitted(given).spikes, other(given).spikes)
        assert fitted.describe() == other.describe() and fitted.describe()
        assert not list(fitted.parameters())


class Killed(Exception):
    """Stands for a run's end in the middle."""


def kill_in_second_epoch(progress):
    if progress.epoch == 2:
        raise Killed


@pytest.mark.parametrize("name", ["speech2spikes", "poisson"])
def test_a_training_fits_the_encoder_and_resumes_it(name, tones):
    recipe = Recipe.from_dict(
        {
            "name": name,
            "encoder": {"name": name},
            "backbone": {"name": "rlif", "hidden": [16]},
            "train": {"epochs": 3, "batch_size": 24},
        }
    )
    whole, torn = (user_checkpoints() / f"{name}-{run}" for run in ("whole", "torn"))
    metrics = train(recipe, tones, whole)
    with pytest.raises(Killed):
        train(recipe, tones, torn, progress=kill_in_second_epoch)
    train(recipe, tones, torn, resume=True)
    assert (whole / "weights.safetensors").read_bytes() == (torn / "weights.safetensors").read_bytes()
    assert 0 < metrics["rates"]["encoder"] < 0.5
    assert (metrics["snr_db"] is None) == (name == "poisson")
    model = load_checkpoint(whole.name).model
    if name == "speech2spikes":  # a step of 1 in natural-log units, whatever the band's spread
        torch.testing.assert_close(model.encoder.threshold, 1 / model.feature_std)
    else:
        assert bool((model.encoder.range.high > model.encoder.range.low).all())


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"name": "step-forward", "rate": 0.6}, "encoder.rate: 0.6"),
        ({"name": "send-on-delta", "rate": 0.0}, "encoder.rate"),
        ({"name": "moving-window", "window": 0}, "encoder.window"),
        ({"name": "level", "low": 2.0}, "encoder.low"),
        ({"name": "lif", "leak": 1.0}, "encoder.leak"),
        ({"name": "lif", "threshold": 0.0}, "encoder.threshold"),
        ({"name": "poisson", "max_probability": 1.5}, "encoder.max_probability"),
        ({"name": "poisson", "seed": -1}, "encoder.seed"),
        ({"name": "bsa", "taps": 1}, "encoder.taps"),
        ({"name": "bsa", "cutoff": 0.7}, "encoder.cutoff"),
        ({"name": "speech2spikes", "step": 0.0}, "encoder.step"),
        ({"name": "residual", "coding": "triple"}, "encoder.coding"),
        ({"name": "sf2-init", "df": 2.0}, "encoder.df: 2.0"),
        ({"name": "sf2-init", "tc": 0.0}, "encoder.tc: 0.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else named(value),
)
def test_bad_settings_are_named(settings, word):
    with pytest.raises(SpikelensError, match=word):
        Recipe.from_dict({"name": "m", "encoder": settings, "backbone": {"name": "rlif"}})


def test_a_rate_out_of_reach_is_one_line():
    x = walk(n=20, dtype=np.float32)
    for name, rate in (("moving-window", 0.499), ("poisson", 0.95), ("bsa", 0.01)):
        with pytest.raises(SpikelensError, match="encoder.rate: .* out of reach"):
            build(name, 5, rate=rate).float().fit(x)


def test_bsa_rounds_no_clip_differently_in_single_precision():
    x = walk(n=20, dtype=np.float32)
    narrow, wide = build("bsa", 5).float(), build("bsa", 5)
    assert isinstance(narrow, Bsa)
    same = narrow(torch.from_numpy(x)).spikes.double() == wide(torch.from_numpy(x).double()).spikes
    assert same.double().mean() > 0.999
