"""Operators to map: layers of the networks that ship, and matrix products."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from archgym.cost_models.accelerator.loopnest.problem import Problem


def _conv(k: int, c: int, size: int, taps: int, stride: int = 1) -> Problem:
    """A square convolution with `size` x `size` outputs."""
    return Problem(1, k, c, size, size, taps, taps, stride, stride)


LAYERS: Mapping[str, Problem] = {
    "alexnet/conv1": _conv(64, 3, 55, 11, 4),
    "alexnet/conv2": _conv(192, 64, 27, 5),
    "alexnet/conv3": _conv(384, 192, 13, 3),
    "vgg16/conv1_2": _conv(64, 64, 224, 3),
    "vgg16/conv4_2": _conv(512, 512, 28, 3),
    "resnet50/conv1": _conv(64, 3, 112, 7, 2),
    "resnet50/layer1.0.conv1": _conv(64, 64, 56, 1),
    "resnet50/layer1.0.conv2": _conv(64, 64, 56, 3),
    "resnet50/layer2.0.conv2": _conv(128, 128, 28, 3, 2),
    "resnet50/layer2.1.conv2": _conv(128, 128, 28, 3),
    "resnet50/layer2.1.conv1": _conv(128, 512, 28, 1),
    "resnet50/layer3.1.conv2": _conv(256, 256, 14, 3),
    "resnet50/layer4.0.conv3": _conv(2048, 512, 7, 1),
    "resnet50/fc": Problem.gemm(1, 1000, 2048),
    "mobilenet-v2/block2.0.expand": _conv(96, 16, 112, 1),
    "mobilenet-v2/block2.1.depthwise": _conv(1, 1, 56, 3),
    "mobilenet-v2/block4.1.project": _conv(64, 384, 14, 1),
    "efficientnet-b0/block3.0.depthwise": _conv(1, 1, 28, 5, 2),
    "vit-b16/patches": _conv(768, 3, 14, 16, 16),
    "bert-base/layer.project": Problem.gemm(128, 768, 768),
    "bert-base/layer.up": Problem.gemm(128, 3072, 768),
    "gpt2/layer.qkv": Problem.gemm(512, 2304, 768),
    "llama-2-7b/layer.project": Problem.gemm(1024, 4096, 4096),
}
"""Layers by `network/operator`; of grouped convolutions one group."""

GEMMS: Mapping[str, Problem] = {
    f"gemm-{m}x{n}x{k}": Problem.gemm(m, n, k)
    for m, n, k in (
        (64, 64, 64),
        (256, 256, 256),
        (512, 512, 512),
        (1024, 1024, 1024),
        (16, 1024, 1024),
        (4096, 64, 512),
    )
}
"""Products of an m x k by a k x n matrix."""


def workload_names() -> tuple[str, ...]:
    """Names of the operators that ship."""
    return (*LAYERS, *GEMMS)


def workload(name: str) -> Problem:
    """An operator that ships.

    Raises:
        ValueError: For an unknown name.
    """
    if name in LAYERS:
        return LAYERS[name]
    if name in GEMMS:
        return GEMMS[name]
    near = difflib.get_close_matches(name, workload_names(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"workload: {name!r} is unknown{hint} See `archgym list workloads`.")


def load_problem(path: Path) -> Problem:
    """An operator from a YAML file of sizes by the names of `Problem`; what is left out is 1.

    Raises:
        ValueError: If the file is none, names something else, or a size is not a positive integer.
    """
    try:
        told: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError:
        raise ValueError(f"{path}: is not YAML") from None
    allowed = [field.name for field in fields(Problem)]
    if not isinstance(told, Mapping) or not told:
        raise ValueError(f"{path}: expected sizes by name, of {', '.join(allowed)}")
    for name in told:
        if name not in allowed:
            near = difflib.get_close_matches(str(name), allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{path}: {name!r} is no size{hint} Allowed: {', '.join(allowed)}.")
    try:
        return Problem(**told)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def describe(problem: Problem) -> str:
    """One line: a matrix product or a convolution, with its sizes."""
    p = problem
    if (p.n, p.q, p.r, p.s) == (1, 1, 1, 1):
        return f"matrix product of {p.p} x {p.c} by {p.c} x {p.k}"
    stride = f", stride {p.stride_h}" if p.stride_h > 1 else ""
    return f"convolution of {p.c} to {p.k} channels, {p.r} x {p.s}, {p.p} x {p.q} outputs{stride}"
