"""Speed of the quantization models on one core.

    python benchmarks/quantization.py [SECTION ...]

All sections without a name. Times are CPU milliseconds, the least of several runs; what is compared
runs in the same process, one after the other.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

import archgym
from archgym.cost_models import measured, numerics
from archgym.cost_models.measured.threads import one_thread
from archgym.cost_models.numerics.codebooks import NF4_VALUES
from archgym.gym import DesignEnv

ENVIRONMENT = "Quantization-v0"
SIDE, GROUP = 256, 128


def milliseconds(run: Callable[[], object], repeats: int = 7) -> float:
    """Least CPU time of a call, each measured over at least 5 ms, after one to compile."""
    run()
    least = float("inf")
    for _ in range(repeats):
        calls, start = 0, time.process_time()
        while (spent := time.process_time() - start) < 5e-3:
            run()
            calls += 1
        least = min(least, spent / calls)
    return 1e3 * least


def plain_int4(x: np.ndarray) -> np.ndarray:
    """`int4` in a few lines of NumPy."""
    groups = x.reshape(-1, GROUP)
    scale = (np.abs(groups).max(axis=1, keepdims=True) / 7).astype(np.float16).astype(np.float32)
    return (np.clip(np.rint(groups / scale), -7, 7) * scale).reshape(x.shape)


def plain_nf4(x: np.ndarray) -> np.ndarray:
    """`nf4` by distances to all 16 values."""
    table = np.array(NF4_VALUES, np.float32)
    groups = x.reshape(-1, GROUP)
    scale = np.abs(groups).max(axis=1, keepdims=True).astype(np.float16).astype(np.float32)
    nearest = np.abs((groups / scale)[..., None] - table).argmin(axis=-1)
    return (table[nearest] * scale).reshape(x.shape)


def formats() -> None:
    """Every format on a matrix of 256 x 256, and two beside plain NumPy."""
    x = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    found = {}
    for name in numerics.names():
        fmt = numerics.parse(name)
        group = None if fmt.block else GROUP
        found[name] = milliseconds(lambda fmt=fmt, group=group: fmt.quantize(x, group))
    print(f"{SIDE} x {SIDE} values, groups of {GROUP}: CPU ms")
    for name, spent in found.items():
        print(f"  {name:12} {spent:7.3f}")
    for name, plain in (("int4", plain_int4), ("nf4", plain_nf4)):
        spent = milliseconds(lambda plain=plain: plain(x))
        print(f"  {name:12} {spent / found[name]:7.1f} times as fast as plain NumPy")


def quantizers() -> None:
    """GPTQ and AWQ on a layer of 256 x 256."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((SIDE, SIDE)).astype(np.float32)
    mixing = np.eye(SIDE) + rng.standard_normal((SIDE, SIDE)) / 16
    inputs = rng.standard_normal((1024, SIDE)) @ mixing
    inputs[:, :4] *= 8  # salient channels, which AWQ is about
    calibration = numerics.calibrate(inputs)
    print(
        f"layer of {SIDE} x {SIDE}, groups of {GROUP}: CPU ms, output error of rounding to nearest"
    )
    for name in ("int4", "int3-asym", "bitmod3"):
        fmt = numerics.parse(name)
        plain = calibration.output_error(fmt.quantize(weight, GROUP) - weight)
        for label, run in (
            ("gptq", lambda fmt=fmt: fmt.decode(numerics.gptq(weight, calibration, fmt, GROUP))),
            ("awq", lambda fmt=fmt: numerics.awq(weight, calibration, fmt, GROUP).weight),
        ):
            less = calibration.output_error(run() - weight) / plain
            print(
                f"  {name:12} {label:5} {milliseconds(run, 3):7.1f} ms, {less:.2f} times the error"
            )


def products(network: measured.LanguageModel, tokens: int) -> Callable[[], None]:
    """The matrix products of all layers and the output projection, and nothing else."""
    matrices = [*network.weights.values(), network.decoder.embedding]
    inputs = {n: np.ones((tokens, n), np.float32) for n in {m.shape[1] for m in matrices}}
    outputs = {n: np.empty((tokens, n), np.float32) for n in {m.shape[0] for m in matrices}}

    def run() -> None:
        with one_thread():
            for matrix in matrices:
                rows, columns = matrix.shape
                np.matmul(inputs[columns], matrix.T, out=outputs[rows])

    return run


def episode(network: measured.LanguageModel, tokens: int) -> Callable[[], None]:
    """Replace one layer after another, in the order of their use, and measure after each."""
    steps = network.incremental(tokens=tokens)
    copies = {name: matrix.copy() for name, matrix in network.weights.items()}

    def run() -> None:
        chosen: dict[str, np.ndarray] = {}
        steps.evaluate()
        for layer in network.layers:
            chosen[layer.name] = copies[layer.name]
            steps.evaluate(chosen)

    return run


def language_model(name: str) -> None:
    """Evaluations of a language model, beside its matrix products alone."""
    network = measured.load(name)
    assert isinstance(network, measured.LanguageModel)
    rounded = dict.fromkeys(network.weights, lambda x: np.round(x * 8) / np.float32(8))
    steps = len(network.layers) + 1
    runs: dict[str, tuple[Callable[[], object], int]] = {
        "matrix products alone": (products(network, 2048), 1),
        "2,048 tokens": (network.evaluate, 1),
        "2,048 tokens, all inputs rounded": (lambda: network.evaluate(activations=rounded), 1),
        "a layerwise step, 2,048 tokens": (episode(network, 2048), steps),
        "a layerwise step, 1,024 tokens": (episode(network, 1024), steps),
        "validation split": (lambda: network.evaluate(sequences=slice(None)), 1),
    }
    print(f"{name}: CPU ms per evaluation, as a multiple of its matrix products")
    bound = 0.0
    for label, (run, count) in runs.items():
        spent = milliseconds(run, 3) / count
        bound = bound or spent
        print(f"  {label:34} {spent:9.1f} {spent / bound:7.2f}")


def networks() -> None:
    """Every network whose loss is measured; outlier channels cost nothing."""
    for name in measured.names():
        if "outlier" not in name and name != "digits-cnn":
            language_model(name)
    digits = measured.load("digits-cnn")
    print(f"digits-cnn: {milliseconds(digits.evaluate):.1f} CPU ms for 400 images")


def environment() -> None:
    """Designs of `Quantization-v0`: measured, added up, and layer by layer."""
    rng = np.random.default_rng(0)
    print("Quantization-v0 with kjv-lm: CPU ms per design")
    for name, count in ("additive", 20_000), ("sample", 20), ("validation", 2):
        task = archgym.make_task(ENVIRONMENT, space="weights", tied="layer", fidelity=name)
        # The table of divergences holds all choices; matrices are made anew as a search would.
        rows = task.space.canonical(task.space.sample(count, rng))
        start = time.process_time()
        task.evaluate(rows)
        print(f"  {name:40s} {1e3 * (time.process_time() - start) / count:10.4f}")
    steps = len(measured.load("kjv-lm").layers)
    for seed, (words, which) in enumerate((("", "each"), (", measured at the last", "last"))):
        task = archgym.make_task(ENVIRONMENT, space="weights", tied="layer")
        env = DesignEnv(task=task, episode="layerwise", measured=which)
        env.action_space.seed(seed)
        env.reset(seed=0)
        start = time.process_time()
        for _ in range(steps):
            env.step(env.action_space.sample())
        spent = 1e3 * (time.process_time() - start) / steps
        print(f"  {'layerwise step, mean' + words:40s} {spent:10.4f}")


SECTIONS: dict[str, Callable[[], None]] = {
    "formats": formats,
    "quantizers": quantizers,
    "networks": networks,
    "environment": environment,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="*", help=f"of {', '.join(SECTIONS)}; all without any")
    chosen = parser.parse_args().section or list(SECTIONS)
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        parser.error(f"section: {unknown[0]!r} is none of {', '.join(SECTIONS)}")
    for name in chosen:
        SECTIONS[name]()


if __name__ == "__main__":
    main()
