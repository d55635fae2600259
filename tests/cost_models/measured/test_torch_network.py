"""Modules of one's own: the page's example, agreement with the shipped model, refusals."""

import re
from pathlib import Path

import numpy as np
import pytest

from archgym.cost_models import measured

torch = pytest.importorskip("torch")
nn = torch.nn


class Net(nn.Module):
    """A convolution with stride, and a dense layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        """Mean over the map."""
        return self.head(torch.relu(self.conv(x)).mean(dim=(2, 3)))


def data():
    """Images and classes."""
    torch.manual_seed(0)
    return torch.randn(12, 3, 6, 6), torch.randint(0, 4, (12,))


def wrapped(module, **options):
    """A module measured on random images."""
    images, classes = data()
    return measured.from_torch(
        module, lambda m, split: (m(images), classes), lambda m: m(images), **options
    )


@pytest.fixture
def network():
    torch.manual_seed(1)
    return wrapped(Net())


def test_layers_are_found_in_the_order_of_use(network):
    conv, head = network.layers
    assert (conv.name, conv.rows, conv.columns, conv.channels) == ("conv", 8, 27, 3)
    assert (head.name, head.rows, head.columns, head.kind) == ("head", 4, 8, "linear")
    assert (conv.macs_per_token, head.macs_per_token) == (8 * 27 * 9, 32)
    assert network.other_parameters == 12
    assert network.evaluate().divergence == 0


def test_replaced_weights_and_inputs_are_used_and_then_put_back(network):
    module = network._module
    before = {name: p.clone() for name, p in module.named_parameters()}
    coarse = {name: np.round(w * 8) / np.float32(8) for name, w in network.weights.items()}
    result = network.evaluate(coarse)
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter, before[name])
    images, classes = data()
    other = Net().eval()
    other.load_state_dict(module.state_dict())
    with torch.no_grad():
        for layer in (other.conv, other.head):
            layer.weight.copy_(torch.round(layer.weight * 8) / 8)
        expected = nn.functional.cross_entropy(other(images), classes)
    assert result.cross_entropy == pytest.approx(float(expected), abs=1e-6)
    with pytest.raises(ValueError, match="layer conv: quantizer returned NaN"):
        network.evaluate(coarse, {"conv": lambda x: x * np.nan})
    assert torch.equal(module.conv.weight, before["conv.weight"])


def test_activation_quantizers_see_channels_last(network):
    seen = []

    def coarse(x):
        seen.append(x.copy())
        return np.round(x * 2) / 2

    result = network.evaluate(activations={"conv": coarse})
    images, classes = data()
    assert np.array_equal(seen[0], images.permute(0, 2, 3, 1).reshape(-1, 3).numpy())
    with torch.no_grad():
        expected = nn.functional.cross_entropy(
            network._module(torch.round(images * 2) / 2), classes
        )
    assert result.cross_entropy == pytest.approx(float(expected), abs=1e-6)
    assert result.divergence > 1e-6


def test_statistics_and_smoothing_fit_the_matrices(network):
    images, _ = data()
    with torch.no_grad():
        outputs = network._module.conv(images) - network._module.conv.bias.view(-1, 1, 1)
    w = network.weights["conv"].astype(float)
    energy = np.einsum("ij,jk,ik->i", w, network.calibration()["conv"].calibration.second_moment, w)
    assert np.allclose(energy, (outputs**2).mean(dim=(0, 2, 3)).numpy(), rtol=1e-4)
    scales = measured.smoothing_scales(network, 0.5)
    weights = measured.scaled_weights(network, scales)
    assert network.evaluate(weights, scales=scales).divergence < 1e-10


def test_it_measures_what_the_shipped_network_does():
    shipped = measured.load("digits-cnn")
    train = pytest.importorskip("train_digits_cnn")
    module = train.model()
    trained = [m for m in module if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for layer, own in zip(shipped.layers, trained, strict=True):
            weight = torch.tensor(shipped.weights[layer.name])
            if own.weight.ndim == 4:
                weight = weight.view(layer.rows, 3, 3, layer.channels).permute(0, 3, 1, 2)
            own.weight.copy_(weight)
            own.bias.copy_(torch.tensor(shipped._biases[layer.name]))

    def images(split):
        return torch.from_numpy(shipped._images[split].transpose(0, 3, 1, 2).copy())

    network = measured.from_torch(
        module,
        lambda m, split: (m(images(split)), shipped._labels[split]),
        lambda m: m(images("calibration")),
    )
    assert np.allclose(network.evaluate().nll, shipped.evaluate().nll, atol=1e-5)
    for ours, theirs in zip(network.layers, shipped.layers, strict=True):
        assert np.array_equal(network.weights[ours.name], shipped.weights[theirs.name])
        assert ours.macs_per_token == theirs.macs_per_token
        a, b = network.calibration()[ours.name], shipped.calibration()[theirs.name]
        assert np.allclose(
            a.calibration.second_moment, b.calibration.second_moment, rtol=1e-3, atol=1e-5
        )


class Odd(Net):
    """A layer that cannot be replaced."""

    def __init__(self, odd):
        super().__init__()
        self.odd = odd


def tied():
    """Two dense layers with one matrix."""
    net = Odd(nn.Linear(8, 4))
    net.odd.weight = net.head.weight
    return net


def infinite():
    """A weight that is not finite."""
    net = Net()
    with torch.no_grad():
        net.head.weight[0, 0] = np.inf
    return net


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (infinite, "parameter head.weight: NaN or infinity"),
        (lambda: Odd(nn.LSTM(3, 3)), "layer odd: LSTM is not supported"),
        (lambda: Odd(nn.Conv2d(4, 4, 3, groups=2)), "layer odd: Conv2d with groups=2"),
        (lambda: Odd(nn.Conv2d(4, 4, 3, padding="same")), "layer odd: Conv2d with padding same"),
        (lambda: Odd(nn.Linear(3, 3)), "layer odd: never ran in calibrate"),
        (tied, "shares its weight with"),
        (nn.Flatten, "no Linear or Conv2d"),
    ],
)
def test_modules_that_cannot_be_measured_are_refused_by_layer(make, message):
    with pytest.raises(ValueError, match=message):
        wrapped(make())


def test_layers_can_be_kept_as_they_are():
    network = wrapped(Odd(nn.LSTM(3, 3)), keep=["odd"])
    assert [layer.name for layer in network.layers] == ["conv", "head"]
    with pytest.raises(ValueError, match="keep: no module 'od'; did you mean 'odd'"):
        wrapped(Odd(nn.LSTM(3, 3)), keep=["od"])


def test_functions_that_do_not_fit_are_named():
    images, classes = data()
    with pytest.raises(ValueError, match=r"logits \(12, 4\) need targets \(12,\)"):
        measured.from_torch(Net(), lambda m, s: (m(images), classes[:5]), lambda m: m(images))
    with pytest.raises(ValueError, match="validation or test"):
        wrapped(Net()).evaluate(split="calibration")


def test_the_example_of_the_page_runs():
    page = Path(__file__).parents[3] / "docs" / "quantization-own-model.md"
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
    names = {}
    exec(compile(code, str(page), "exec"), names)
    assert names["coarse"].cross_entropy > names["network"].evaluate().cross_entropy
    assert names["held_out"].tokens == len(names["classes"]["test"])
