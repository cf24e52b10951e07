"""Compiled loops against the plain torch loops: spikes, every gradient, any number of threads."""

import itertools

import numpy as np
import pytest
import torch

from models.classifier import SpikingClassifier
from models.config import Recipe
from models.encoders import residual_kernels
from models.encoders.residual import Steps, residual_step_forward
from models.errors import SpikelensError
from models.neurons import kernels as compiled_kernels
from models.neurons import product_kernels
from models.neurons.engine import compiled, kernels
from models.neurons.lif import lif_start, lif_step
from models.neurons.recurrent import Window, integrate, lif, spike_linear, spike_weight_gradient
from models.neurons.rows import column_tiles
from models.neurons.surrogate import SURROGATES
from models.warmup import compile_kernels


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def problem(b, t, n, dtype=torch.float64, seed=0, drive=5.0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    current = (0.5 + draw(b, t, n)) * drive / 2
    alpha = 0.82 + 0.14 * torch.rand(n, generator=generator, dtype=torch.float64)
    weight = draw(n, n) / n**0.5
    towards = draw(b, t, n), draw(b, t, n)
    return [v.to(dtype) for v in (current, alpha, weight, *towards)]


def run(choice, current, alpha, weight, towards_spikes, towards_membrane, **settings):
    leaves = [v.clone().requires_grad_() for v in (current, alpha, weight) if v is not None]
    given = leaves if weight is not None else [*leaves, None]
    with kernels(choice):
        spikes, membrane = lif(*given, **settings)
        loss = (spikes * towards_spikes).sum() + (membrane * towards_membrane).sum()
        loss.backward()
    return spikes.detach(), membrane.detach(), loss.item(), [leaf.grad for leaf in leaves]


def relative(a, b):
    return float((a - b).norm() / b.norm().clamp_min(1e-30))


@pytest.mark.parametrize(
    ("name", "reset", "recurrent"), [*itertools.product(SURROGATES, ("soft", "hard"), (True, False))]
)
@pytest.mark.parametrize(("b", "t", "n"), [(5, 60, 33), (2, 300, 20)])
def test_compiled_lif_equals_the_reference_loop(name, reset, recurrent, b, t, n):
    current, alpha, weight, *towards = problem(b, t, n)
    weight = weight if recurrent else None
    settings = {"surrogate_name": name, "reset": reset, "theta": 0.9}
    plain = run("plain", current, alpha, weight, *towards, **settings)
    fast = run("compiled", current, alpha, weight, *towards, **settings)
    assert 0.02 < plain[0].mean() < 0.5
    assert torch.equal(fast[0], plain[0])
    assert torch.allclose(fast[1], plain[1], rtol=0, atol=1e-12)
    for ours, reference in zip(fast[3], plain[3], strict=True):
        assert relative(ours, reference) < 1e-9


def test_wide_layers_go_through_several_tiles():
    values = problem(18, 12, 530)
    weight = values[2].numpy()
    assert len(column_tiles(weight)) > 1
    plain, fast = (run(choice, *values) for choice in ("plain", "compiled"))
    assert torch.equal(fast[0], plain[0])
    assert max(relative(a, b) for a, b in zip(fast[3], plain[3], strict=True)) < 1e-9


def test_float32_follows_float64():
    """Free-running: nearly all spikes agree. With the spikes of the 64-bit run imposed: gradients too."""
    exact = run("plain", *problem(16, 100, 64))
    values = problem(16, 100, 64, torch.float32)
    free = run("compiled", *values)
    assert (free[0] == exact[0]).double().mean() >= 0.999
    assert free[2] == pytest.approx(exact[2], rel=1e-3)

    current, alpha, weight, towards_spikes, towards_membrane = values
    fired = exact[0].to(torch.uint8)
    state, membrane = lif_start(current[:, 0]), []
    for t in range(current.shape[1]):
        state = lif_step(current[:, t] + state.spikes @ weight, state, alpha, SURROGATES["boxcar"].derivative)
        membrane.append(state.membrane)
        state = state._replace(spikes=fired[:, t].float())
    b, _, n = current.shape
    grad_current, grad_alpha = np.empty(current.shape, np.float32), np.empty((b, n), np.float32)
    compiled_kernels.lif_backward(
        towards_spikes.numpy(),
        towards_membrane.numpy(),
        torch.stack(membrane, 1).numpy(),
        fired.numpy(),
        alpha.numpy(),
        np.float32(1),
        weight.numpy(),
        False,
        compiled_kernels.BOXCAR,
        np.float32(0.5),
        grad_current,
        grad_alpha,
        0,
        b,
    )
    grad_weight = spike_weight_gradient(fired.numpy(), grad_current, 1)
    for ours, reference in zip((grad_current, grad_alpha.sum(0), grad_weight), exact[3], strict=True):
        assert relative(torch.from_numpy(ours), reference) < 1e-4


def test_bits_do_not_depend_on_threads(two_threads):
    values = problem(9, 40, 50, torch.float32)
    both = run("compiled", *values)
    torch.set_num_threads(1)
    one = run("compiled", *values)
    for a, b in zip((*both[:2], *both[3]), (*one[:2], *one[3]), strict=True):
        assert torch.equal(a, b)


def test_only_one_output_in_the_loss():
    current, alpha, weight, towards, _ = problem(3, 20, 10)
    grads = []
    for choice in ("plain", "compiled"):
        leaf = current.clone().requires_grad_()
        with kernels(choice):
            (lif(leaf, alpha, weight)[0] * towards).sum().backward()
            first = leaf.grad
            leaf.grad = None
            (lif(leaf, alpha, weight)[1] * towards).sum().backward()
        grads.append((first, leaf.grad))
    for ours, reference in zip(*grads, strict=True):
        assert relative(ours, reference) < 1e-9


def test_integrator_and_its_gradients():
    current, alpha, _, towards, _ = problem(4, 30, 7)
    found = []
    for choice in ("plain", "compiled"):
        leaves = [current.clone().requires_grad_(), alpha.clone().requires_grad_()]
        with kernels(choice):
            values = integrate(*leaves)
            (values * towards).sum().backward()
        found.append((values.detach(), *(leaf.grad for leaf in leaves)))
    for ours, reference in zip(*found, strict=True):
        assert relative(ours, reference) < 1e-12


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("spiking", [False, True])
def test_spike_linear_is_the_dense_product(masked, spiking, two_threads):
    generator = torch.Generator().manual_seed(3)
    z = torch.rand(6, 50, 340, generator=generator, dtype=torch.float64)
    z = (z < 0.1).double() if spiking else z
    keep = torch.rand(z.shape, generator=generator) < 0.8 if masked else None
    weight = torch.randn(130, 340, generator=generator, dtype=torch.float64)
    towards = torch.randn(6, 50, 130, generator=generator, dtype=torch.float64)
    found = []
    for choice in ("plain", "compiled"):
        leaves = [z.clone().requires_grad_(), weight.clone().requires_grad_()]
        with kernels(choice):
            out = spike_linear(*leaves, keep)
            (out * towards).sum().backward()
        found.append((out.detach(), *(leaf.grad for leaf in leaves)))
    for ours, reference in zip(*found, strict=True):
        assert relative(ours, reference) < 1e-12


def test_a_window_changes_no_gradient_of_the_layers_before():
    """Two layers in a row: what the first would multiply by 0 need not be computed."""
    current, alpha, weight, _, _ = problem(4, 40, 150)
    generator = torch.Generator().manual_seed(5)
    matrix = torch.randn(230, 150, generator=generator, dtype=torch.float64)
    towards = torch.randn(4, 40, 230, generator=generator, dtype=torch.float64)
    keep = torch.rand(current.shape, generator=generator) < 0.9
    found = []
    for narrow in (False, True):
        leaves = [v.clone().requires_grad_() for v in (current, alpha, weight, matrix)]
        spikes, membrane = lif(*leaves[:3])
        spikes.retain_grad()
        window = Window(membrane.detach(), 1.0, 0.5) if narrow else None
        (spike_linear(spikes, leaves[3], keep, window) * towards).sum().backward()
        found.append((*(leaf.grad for leaf in leaves), spikes.grad))
    *full, everywhere = found[0]
    *windowed, inside = found[1]
    assert max(relative(a, b) for a, b in zip(windowed, full, strict=True)) < 1e-12
    assert 0.02 < (inside != 0).double().mean() < 0.5 < (everywhere != 0).double().mean()


@pytest.mark.parametrize("per_band", [False, True])
@pytest.mark.parametrize("outputs", ["spikes", "decoded", "both"])
def test_residual_encoder_and_its_gradients(per_band, outputs, two_threads):
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(7, 90, 12, generator=generator, dtype=torch.float64).cumsum(1) / 3
    shape = (12,) if per_band else ()
    spread = torch.rand(shape, generator=generator, dtype=torch.float64)
    steps = [v + 0.1 * spread for v in (0.9, 0.33, 0.55, 0.6)]
    to_spikes = torch.randn(7, 90, 48, generator=generator, dtype=torch.float64)
    to_decoded = torch.randn(7, 90, 12, generator=generator, dtype=torch.float64)
    found = []
    for choice in ("plain", "compiled"):
        leaves = [v.clone().requires_grad_() for v in (x, *steps)]
        with kernels(choice):
            spikes, decoded = residual_step_forward(leaves[0], Steps(*leaves[1:]))
            loss = (spikes * to_spikes).sum() * (outputs != "decoded")
            (loss + (decoded * to_decoded).sum() * (outputs != "spikes")).backward()
        found.append((spikes.detach(), decoded.detach(), *(leaf.grad for leaf in leaves)))
    assert 0.02 < found[0][0].mean() < 0.5
    assert torch.equal(found[0][0], found[1][0])
    for ours, reference in zip(*found, strict=True):
        assert relative(ours, reference) < 1e-9


def test_nan_is_not_hidden():
    current, alpha, weight, *_ = problem(2, 5, 4, torch.float32)
    current[1, 2, 3] = float("nan")
    membrane = lif(current, alpha, weight)[1]
    assert torch.isnan(membrane[1, 2:, 3]).all()
    assert torch.isfinite(membrane[0]).all()


def test_the_choice_of_kernels_is_checked(monkeypatch):
    number = torch.zeros(1)
    with pytest.raises(SpikelensError, match="auto, compiled, plain"), kernels("fast"):
        pass
    with kernels("plain"):
        assert not compiled(number)
    assert compiled(number)
    assert not compiled(number.half())
    with pytest.raises(SpikelensError, match="float16"), kernels("compiled"):
        compiled(number.half())
    monkeypatch.setenv("SPIKELENS_KERNELS", "plain")
    assert not compiled(number)
    monkeypatch.setenv("SPIKELENS_KERNELS", "quick")
    with pytest.raises(SpikelensError, match="SPIKELENS_KERNELS: 'quick'"):
        compiled(number)


def test_warming_up_leaves_nothing_to_compile():
    used = (
        residual_kernels.encode,
        residual_kernels.encode_backward,
        compiled_kernels.lif_forward,
        compiled_kernels.lif_backward,
        product_kernels.spike_product,
    )
    compile_kernels()
    before = [len(kernel.signatures) for kernel in used]
    model = SpikingClassifier.from_seed(Recipe.open("gsc8-residual-256x2"), 8).eval()
    values = torch.randn(3, 98, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        model(values)
    model(values).logits.sum().backward()
    assert [len(kernel.signatures) for kernel in used] == before
    assert min(before) > 0
