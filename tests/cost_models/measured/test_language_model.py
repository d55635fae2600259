"""The decoder against plain NumPy in double precision and against torch; reuse; bad input."""

import threading

import numpy as np
import pytest
import threadpoolctl

from archgym.cost_models import measured, numerics
from archgym.cost_models.measured.decoder import STAGES, Decoder, DecoderShape
from archgym.cost_models.measured.language_model import LanguageModel
from archgym.cost_models.measured.outliers import with_outliers

TOLERANCE = 2e-5
LANGUAGE_MODELS = [
    name for name in measured.names() if name.startswith("kjv-lm") and "outlier" not in name
]


@pytest.fixture(scope="module")
def network():
    """The model that ships."""
    return measured.load("kjv-lm")


def parameters(network, block):
    """Matrices and gains of a block, float64."""
    weights = {
        kind: network.weights[f"{block}.{kind}"].astype(float) for stage in STAGES for kind in stage
    }
    return weights, [gain.astype(float) for gain in network.decoder.gains[block]]


def plain_logits(network, ids):
    """Logits of one sequence, one equation after another."""
    shape = network.shape
    embedding = network.decoder.embedding.astype(float)

    def norm(x, gain):
        return gain * x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + shape.norm_epsilon)

    width = shape.width // shape.heads
    pair = np.arange(width // 2)
    angle = np.arange(len(ids))[:, None] / shape.rope_base ** (2 * pair / width)

    def turn(x):
        z = (x[:, : width // 2] + 1j * x[:, width // 2 :]) * np.exp(1j * angle)
        return np.concatenate([z.real, z.imag], axis=1)

    x = embedding[ids]
    for block in range(shape.blocks):
        w, (first, second) = parameters(network, block)
        y = norm(x, first)
        heads = []
        for head in range(shape.heads):
            part = slice(head * width, (head + 1) * width)
            q, k, v = (y @ w[kind][part].T for kind in "qkv")
            scores = turn(q) @ turn(k).T / np.sqrt(width)
            scores[np.triu_indices(len(ids), 1)] = -np.inf
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append(p / p.sum(axis=1, keepdims=True) @ v)
        x = x + np.concatenate(heads, axis=1) @ w["o"].T
        y = norm(x, second)
        gate = y @ w["gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ w["up"].T)) @ w["down"].T
    return norm(x, network.decoder.norm.astype(float)) @ embedding.T


def validation_ids(network, sequences):
    """Inputs and targets (sequences, context) of the first validation sequences."""
    text = measured.catalogue._text()["validation"].astype(np.int64)
    n = sequences * network.shape.context
    return text[:n].reshape(sequences, -1), text[1 : n + 1].reshape(sequences, -1)


@pytest.mark.parametrize("name", ["kjv-lm", "kjv-lm-outlier-32"])
def test_logits_are_those_of_plain_numpy(name):
    network = measured.load(name)
    ids, _ = validation_ids(network, 2)
    logits = network.logits(ids)
    for row, own in zip(ids, logits, strict=True):
        assert np.abs(own - plain_logits(network, row)).max() < TOLERANCE


def test_losses_are_those_of_plain_numpy(network):
    ids, targets = validation_ids(network, 2)
    changed = network.weights["1.up"] * np.float32(1.1)
    result = network.evaluate({"1.up": changed}, sequences=2)
    weights = {**network.weights, "1.up": changed}
    other = LanguageModel("other", network.decoder, weights, measured.catalogue._text())
    for i in range(2):
        p, q = (plain_logits(n, ids[i]) for n in (network, other))
        p, q = (x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (p, q))
        nll = -q[np.arange(len(q)), targets[i]].mean()
        kl = (np.exp(p) * (p - q)).sum(axis=1).mean()
        assert result.nll[i] == pytest.approx(nll, abs=1e-6)
        assert result.kl[i] == pytest.approx(kl, abs=1e-6)
    assert result.tokens == 256
    assert result.perplexity == pytest.approx(np.exp(result.nll.mean()))


def test_logits_are_those_of_torch(network):
    torch = pytest.importorskip("torch")
    kjv = pytest.importorskip("train_kjv_lm")
    shape = network.shape
    recipe = kjv.Recipe(shape.width, shape.hidden, shape.blocks, shape.heads, steps=1)
    model = kjv.Model(recipe).eval()
    state = {f"blocks.{name}.weight": torch.tensor(w) for name, w in network.weights.items()}
    for block, (first, second) in enumerate(network.decoder.gains):
        state[f"blocks.{block}.attention_norm"] = torch.tensor(first)
        state[f"blocks.{block}.mlp_norm"] = torch.tensor(second)
    state["embedding"] = torch.tensor(network.decoder.embedding)
    state["norm"] = torch.tensor(network.decoder.norm)
    model.load_state_dict(state)
    ids, _ = validation_ids(network, 2)
    with torch.no_grad():
        expected = model(torch.from_numpy(ids)).numpy()
    assert np.abs(network.logits(ids) - expected).max() < TOLERANCE


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_the_catalogue_states_the_measured_perplexity(name):
    result = measured.load(name).evaluate(tokens=2048)
    stated = measured.about(name)["validation_perplexity_2048_tokens"]
    assert result.perplexity == pytest.approx(stated, rel=1e-5)
    assert abs(result.divergence) < 1e-9


def largest_inputs(network, layer):
    """Largest magnitude per input channel of a layer."""
    seen = []

    def watch(x):
        seen.append(np.abs(x).max(axis=0))
        return x

    network.evaluate(activations={layer: watch}, sequences=1)
    return seen[0]


@pytest.mark.parametrize("scale", [8, 32, 128])
def test_outlier_channels_change_nothing_but_the_activations(network, scale):
    variant = measured.load(f"kjv-lm-outlier-{scale}")
    ours, theirs = network.evaluate(sequences=4), variant.evaluate(sequences=4)
    assert np.array_equal(ours.nll, theirs.nll)
    before, after = (largest_inputs(n, "2.up") for n in (network, variant))
    raised = np.flatnonzero(after != before)
    assert len(raised) == 4
    assert np.array_equal(after[raised], before[raised] * scale)


def test_a_scale_that_would_round_is_refused(network):
    with pytest.raises(ValueError, match="12 is no power of two"):
        with_outliers(network.decoder, network.weights, 12)


def test_dynamic_integers_fail_on_outliers_and_smoothing_restores_them():
    network = measured.load("kjv-lm-outlier-128")

    def int8(x):
        step = np.abs(x).max() / 127
        return np.round(x / step) * step

    activations = dict.fromkeys(network.weights, int8)
    plain = network.evaluate(activations=activations, sequences=4)
    scales = measured.smoothing_scales(network, 0.5)
    weights = measured.scaled_weights(network, scales)
    smooth = network.evaluate(weights, activations, scales=scales, sequences=4)
    unquantized = network.evaluate(weights, scales=scales, sequences=4)
    assert abs(unquantized.divergence) < 1e-5
    assert plain.divergence > 0.5 > 0.02 > smooth.divergence


def test_incremental_evaluations_equal_whole_ones(network):
    steps = network.incremental(sequences=2)
    coarse = {name: np.round(w * 8) / np.float32(8) for name, w in network.weights.items()}
    weights = {}
    for name in ("3.down", "1.o", "1.gate", "0.v"):
        weights[name] = coarse[name]
        ours, whole = steps.evaluate(weights), network.evaluate(weights, sequences=2)
        assert np.array_equal(ours.nll, whole.nll)
        assert np.array_equal(ours.kl, whole.kl)
    assert steps.resumed_at == 0
    steps.evaluate({**weights, "2.up": coarse["2.up"]})
    assert steps.resumed_at == 2 * 4 + 2
    again = steps.evaluate({**weights, "2.up": coarse["2.up"]})
    assert steps.resumed_at == network.decoder.stages
    assert np.array_equal(
        again.nll, network.evaluate({**weights, "2.up": coarse["2.up"]}, sequences=2).nll
    )


def test_activations_and_key_values_pass_through_their_quantizers(network):
    shapes = set()

    def watch(x):
        shapes.add(x.shape)
        return x

    plain = network.evaluate(sequences=2)
    watched = network.evaluate(
        activations=dict.fromkeys(network.weights, watch), kv=(watch, watch), sequences=2
    )
    assert np.array_equal(plain.nll, watched.nll)
    assert shapes == {(256, 128), (256, 256), (2, 4, 128, 32)}
    coarse = network.evaluate(kv=(None, lambda x: np.round(x * 4) / 4), sequences=2)
    assert coarse.divergence > 1e-4


def test_a_sequence_has_the_loss_it_has_alone(network):
    together = network.evaluate(sequences=20)
    apart = [network.evaluate(sequences=slice(i, i + 1)) for i in (0, 17)]
    for i, one in zip((0, 17), apart, strict=True):
        assert one.nll[0] == pytest.approx(together.nll[i], abs=1e-6)


def test_threads_do_not_change_results(network):
    expected = network.evaluate(sequences=3).nll
    with threadpoolctl.threadpool_limits(4, "blas"):
        assert np.array_equal(network.evaluate(sequences=3).nll, expected)
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(network.evaluate(sequences=3).nll))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(nll, expected) for nll in found) and len(found) == 3


def test_calibration_describes_the_inputs(network):
    statistics = network.calibration()
    assert list(statistics) == [layer.name for layer in network.layers]
    for layer in network.layers:
        one = statistics[layer.name]
        assert one.absmax.shape == (layer.channels,)
        assert np.array_equal(one.calibration.largest, one.absmax)
        assert (np.abs(one.sample) <= one.absmax).all()
        assert one.calibration.samples == 40_960
        moment = one.calibration.second_moment
        assert np.linalg.eigvalsh(moment).min() > -1e-6 * np.trace(moment)
    assert len(network.calibration()["2.up"].sample) == 1024


def test_the_first_statistics_are_those_of_the_embedding(network):
    ids = measured.catalogue._text()["calibration"][:-1]
    x = network.decoder.embedding[ids].astype(float)
    scale = np.sqrt(np.mean(x**2, axis=1, keepdims=True) + network.shape.norm_epsilon)
    x = x / scale * network.decoder.gains[0][0]
    calibration = network.calibration()["0.k"].calibration
    assert np.allclose(calibration.second_moment, x.T @ x / len(x), rtol=1e-4, atol=1e-5)
    assert np.allclose(calibration.mean_magnitude, np.abs(x).mean(axis=0), rtol=1e-5)


def test_second_order_rounding_beats_rounding(network):
    layer = "0.down"
    weight, statistics = network.weights[layer], network.calibration()[layer]
    int3 = numerics.parse("int3-asym")
    plain = int3.quantize(weight, 32)
    better = int3.decode(numerics.gptq(weight, statistics.calibration, int3, 32))
    ours, theirs = (network.evaluate({layer: w}).divergence for w in (better, plain))
    assert ours < 0.9 * theirs


def test_splits_and_lengths(network):
    assert network.evaluate().tokens == 2048
    assert network.evaluate(tokens=256).nll.shape == (2,)
    assert network.sequences("validation") == 471
    assert network.sequences("test") == 525
    assert network.evaluate(split="test", sequences=slice(523, None)).nll.shape == (2,)


def test_layers_are_in_the_order_of_their_use(network):
    kinds = [kind for stage in STAGES for kind in stage]
    assert [layer.kind for layer in network.layers] == kinds * 4
    for layer in network.layers:
        assert network.weights[layer.name].shape == (layer.rows, layer.columns)
        assert layer.macs_per_token == layer.rows * layer.columns
    counted = sum(w.size for w in network.weights.values()) + network.other_parameters
    assert counted == measured.about("kjv-lm")["parameters"]


NAN = np.full((128, 128), np.nan, np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": {"0.qq": NAN}}, "no layer '0.qq'; did you mean '0.q'"),
        ({"weights": {"0.q": NAN}}, "layer 0.q: NaN or infinity"),
        ({"weights": {"0.up": np.zeros((3, 4))}}, r"layer 0.up: shape \(3, 4\)"),
        ({"activations": {"1.k": lambda x: x * np.nan}}, "layer 1.k: quantizer returned NaN"),
        ({"activations": {"1.k": lambda x: x[:1]}}, "layer 1.k: quantizer returned shape"),
        ({"scales": {"1.k": np.zeros(128)}}, "layer 1.k: must be positive"),
        ({"scales": {"1.k": np.ones(4)}}, r"layer 1.k: shape \(4,\)"),
        ({"weights": {"0.q": np.full((128, 128), 3e38)}}, "exceeds float32"),
        ({"kv": (None, lambda x: x / 0)}, "values of block 0"),
        ({"split": "train"}, "'train' is none of"),
        ({"tokens": 100}, "100 is no multiple"),
        ({"sequences": 1000}, "1000 of 471"),
        ({"sequences": 1, "tokens": 128}, "only one of the two"),
        ({"sequences": slice(0, 4, 2)}, "no step"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bad_input_is_named(network, arguments, message):
    with pytest.raises(ValueError, match=message):
        network.evaluate(**arguments)


def test_unknown_names_have_a_nearest():
    with pytest.raises(ValueError, match="did you mean 'kjv-lm-outlier-32'"):
        measured.load("kjv-lm-outliers-32")
    with pytest.raises(ValueError, match="did you mean 'kjv-lm'"):
        measured.about("kvj-lm")


@pytest.mark.parametrize(("width", "hidden", "heads"), [(24, 40, 3), (32, 48, 2)])
def test_other_shapes_agree_too(width, hidden, heads):
    shape = DecoderShape(width, hidden, 2, heads, 20, 50, 500.0, 1e-5)
    rng = np.random.default_rng(0)

    def some(*size):
        return rng.standard_normal(size, np.float32)

    gains = [(some(width), some(width)) for _ in range(shape.blocks)]
    decoder = Decoder(shape, some(50, width), some(width), gains)
    weights = {
        f"{block}.{kind}": some(*shape.matrix(kind)) * np.float32(0.3)
        for block in range(2)
        for stage in STAGES
        for kind in stage
    }
    ids = rng.integers(0, 50, (3, 20))
    network = LanguageModel("tiny", decoder, weights, {})
    for row, own in zip(ids, network.logits(ids), strict=True):
        assert np.abs(own - plain_logits(network, row)).max() < 1e-4
