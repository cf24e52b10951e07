"""Frame by frame gives what the whole clip gives, and leaves the caller's state alone."""

import numpy as np
import pytest
import torch

from models.classifier import SpikingClassifier
from models.config import Recipe
from models.encoders.base import Encoder
from models.errors import SpikelensError
from models.streaming import StreamingClassifier

ENCODERS = (
    {"name": "residual"},
    {"name": "residual", "variant": "E1"},
    {"name": "residual", "variant": "E2"},
    {"name": "residual", "variant": "E3", "coding": "cascade"},
    {"name": "residual", "signed": True},
    {"name": "sf2-rec"},
    {"name": "step-forward"},
    {"name": "poisson"},
    {"name": "direct"},
)


def trained(encoder, dtype=torch.float64, **backbone):
    """Return a model whose batch norm has seen data and whose leaks, gains and biases differ by unit."""
    recipe = Recipe.from_dict(
        {
            "name": "m",
            "encoder": encoder,
            "backbone": {"name": "rlif", "hidden": [24, 20], "norm_gain": 8.0, **backbone},
        }
    )
    model = SpikingClassifier.from_seed(recipe, 5).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.feature_mean += 0.3
        model.feature_std *= 1.4
        for name, parameter in model.named_parameters():
            if "norm" in name or "gain" in name or name == "encoder.bias":
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=dtype)
        for _ in range(20):
            model(clips(8, dtype), generator=generator)
    return model.eval()


def clips(n, dtype=torch.float64):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, 60, 40, generator=generator, dtype=torch.float64).cumsum(1).to(dtype) / 2


def stream(model, log_mel):
    streaming = StreamingClassifier(model)
    state, outputs = streaming.start(), []
    for frame in log_mel.numpy():
        output, state = streaming.step(frame, state)
        outputs.append(output)
    return outputs


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: " ".join(map(str, e.values())))
def test_a_stream_equals_the_batch(encoder):
    model, batch = trained(encoder), clips(3)
    with torch.no_grad():
        whole = model(batch, record=("encoder", "layer1", "layer2"))
    assert whole.layer_rates.min() > 0.005
    for row, clip in enumerate(batch):
        outputs = stream(model, clip)
        encoder_spikes = np.stack([output.encoder for output in outputs])
        np.testing.assert_allclose(encoder_spikes, whole.recordings["encoder"][row].numpy(), atol=1e-12)
        for layer in (0, 1):
            spikes = np.stack([output.layers[layer] for output in outputs])
            np.testing.assert_array_equal(spikes, whole.recordings[f"layer{layer + 1}"][row].numpy())
        np.testing.assert_allclose(outputs[-1].logits, whole.logits[row].numpy(), rtol=1e-10)


@pytest.mark.parametrize("backbone", [{"reset": "hard"}, {"recurrent": False}], ids=str)
def test_other_layers_stream_too(backbone):
    model, batch = trained({"name": "residual"}, **backbone), clips(1)
    with torch.no_grad():
        logits = model(batch).logits[0].numpy()
    np.testing.assert_allclose(stream(model, batch[0])[-1].logits, logits, rtol=1e-10)


def test_single_precision_streams():
    model, batch = trained({"name": "residual"}, torch.float32), clips(4, torch.float32)
    with torch.no_grad():
        whole = model(batch, record=("layer2",))
    agreement = [
        (np.stack([o.layers[1] for o in stream(model, clip)]) == spikes.numpy()).mean()
        for clip, spikes in zip(batch, whole.recordings["layer2"], strict=True)
    ]
    assert min(agreement) > 0.99


def test_frames_of_another_precision_are_converted():
    model, frames = trained({"name": "direct"}, torch.float32), clips(1)[0].numpy()
    streaming = StreamingClassifier(model)
    wide, _ = streaming.step(frames[0], streaming.start())
    narrow, _ = streaming.step(frames[0].astype(np.float32), streaming.start())
    np.testing.assert_array_equal(wide.logits, narrow.logits)


def test_a_step_can_be_repeated_from_the_same_state():
    model, frames = trained({"name": "residual"}), clips(1)[0].numpy()
    streaming = StreamingClassifier(model)
    state = streaming.start()
    for frame in frames[:20]:
        _, state = streaming.step(frame, state)
    first, _ = streaming.step(frames[20], state)
    streaming.step(-frames[3], state)
    again, _ = streaming.step(frames[20], state)
    np.testing.assert_array_equal(first.logits, again.logits)


def test_an_encoder_without_a_streaming_form_says_so():
    with pytest.raises(SpikelensError, match="no streaming form"):
        Encoder().streaming()


def test_a_frame_of_another_size_is_refused_in_one_line():
    model = SpikingClassifier.from_seed(Recipe.open("gsc8-residual-35k"), 8).eval()
    stream = StreamingClassifier(model)
    with pytest.raises(SpikelensError, match=r"frame: shape \(13,\) must be \(40,\)"):
        stream.step(np.zeros(13, np.float32), stream.start())
