"""The image classifier against torch's convolutions, and what its quantizers are given."""

import numpy as np
import pytest

from archgym.cost_models import measured
from archgym.cost_models.measured.digits import STEPS


@pytest.fixture(scope="module")
def network():
    """The model that ships."""
    return measured.load("digits-cnn")


def test_it_has_learnt_and_says_how_well(network):
    validation, test = (network.evaluate(split=split) for split in ("validation", "test"))
    assert (validation.tokens, test.tokens) == (400, 397)
    about = measured.about("digits-cnn")
    assert validation.cross_entropy == pytest.approx(about["validation_cross_entropy"], abs=1e-4)
    assert test.cross_entropy == pytest.approx(about["test_cross_entropy"], abs=1e-4)
    assert validation.correct.mean() == pytest.approx(about["validation_right"], abs=1e-4)
    assert np.abs(validation.kl).max() < 1e-12


def test_no_image_is_in_two_splits(network):
    with np.load(measured.catalogue.DATA / "digits-cnn.npz") as arrays:
        splits = [set(arrays[split].tolist()) for split in ("validation", "test", "calibration")]
    assert len(set.union(*splits)) == sum(map(len, splits))


def test_logits_are_those_of_torch(network):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    images = network._images["validation"][:7]
    x = torch.from_numpy(images.transpose(0, 3, 1, 2)).double()
    for step in STEPS:
        weight = torch.tensor(network.weights[step.kind]).double()
        bias = torch.tensor(network._biases[step.kind]).double()
        if step.size:
            kernel = weight.view(step.rows, 3, 3, step.channels).permute(0, 3, 1, 2)
            x = functional.relu(functional.conv2d(x, kernel, bias, padding=1))
            x = functional.max_pool2d(x, 2) if step.pooled else x
        else:
            x = x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x
            x = functional.linear(x, weight, bias)
            x = functional.relu(x) if step.kind == "fc1" else x
    own = network._logits(images, network.settings(None, None, None))
    assert np.abs(own - x.numpy()).max() < 2e-5


def test_a_quantizer_sees_the_feature_map(network):
    shapes = {}
    activations = {
        layer.name: lambda x, name=layer.name: shapes.setdefault(name, x.shape) and x
        for layer in network.layers
    }
    assert network.evaluate(activations=activations, sequences=3).divergence == pytest.approx(0)
    assert shapes == {
        "conv1": (192, 1),
        "conv2": (192, 16),
        "conv3": (48, 32),
        "fc1": (3, 128),
        "fc2": (3, 64),
    }


def test_layers_count_the_work_of_an_image(network):
    macs = [layer.macs_per_token for layer in network.layers]
    assert macs == [64 * 9 * 16, 64 * 9 * 16 * 32, 16 * 9 * 32 * 32, 128 * 64, 64 * 10]
    assert sum(w.size for w in network.weights.values()) + network.other_parameters == 22_954


def test_coarse_weights_cost_and_smoothing_alone_does_not(network):
    coarse = {name: np.round(w * 4) / np.float32(4) for name, w in network.weights.items()}
    assert network.evaluate(coarse).divergence > 0.01
    scales = measured.smoothing_scales(network, 0.5)
    weights = measured.scaled_weights(network, scales)
    assert network.evaluate(weights, scales=scales).divergence < 1e-6


def test_statistics_have_the_shape_of_the_matrices(network):
    for layer in network.layers:
        statistics = network.calibration()[layer.name]
        assert statistics.calibration.second_moment.shape == (layer.columns, layer.columns)
        assert statistics.absmax.shape == (layer.channels,)


def test_bad_input_is_named(network):
    with pytest.raises(ValueError, match="did you mean 'conv2'"):
        network.evaluate({"conv-2": np.zeros((32, 144))})
    with pytest.raises(ValueError, match="401 of 400"):
        network.evaluate(sequences=401)
