"""What is known of number formats, looked for in the losses of the language model that ships.

Orders of formats and failures that the literature reports of large models, as statements about the
per-sequence losses of a small one: `Claim` says which of them it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from archgym.cost_models.claims import LEAST_Z, Claim, decided, paired_z
from archgym.cost_models.measured.settings import Measurements, Rounding, Setting
from archgym.cost_models.numerics import Group

NETWORK = "kjv-lm"
WIDE = "kjv-lm-3m"
"""Whose rows have 256 values or more, so that groups of 128 are finer than channels."""
OUTLIERS = f"{NETWORK}-outlier-128"
GROUP = 32
GRAINED = ("int4", "int3-asym", "fp4", "nf4")
"""Formats with scales of their own choice, of four kinds, for claims about what shares a scale."""
CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
SMOOTHING = 0.5
"""Xiao et al. 2022, SmoothQuant, arXiv:2211.10438, section 4."""
COLLAPSED = 2.0
"""Times the unquantized perplexity, from which on a network is said to have collapsed."""
UNHURT = 1.02
"""Times the unquantized perplexity, up to which one is said to have kept what it had."""
_PICKED_ON = 16
"""First sequences, 2,048 tokens, on which an optimum is picked; the claim is about the others."""


def weights(
    format: str, group: Group = None, *, network: str = NETWORK, clip: float = 1.0
) -> Setting:
    """A network with weights in a format, its inputs as they are."""
    return Setting(network, weights=Rounding(format, group, clip))


def inputs(network: str, format: str, group: str | None = None) -> Setting:
    """A network with inputs of all layers in a format, its weights as trained."""
    return Setting(network, activations=Rounding(format, group))


def orderings(measured: Measurements) -> Iterator[Claim]:
    """All claims.

    Args:
        measured: On how many sequences; at least 32.
    """
    yield from formats(measured)
    yield from granularities(measured)
    yield from wide(measured)
    yield from roundings(measured)
    yield from outliers(measured)


def formats(measured: Measurements) -> Iterator[Claim]:
    """Formats of weights beside each other."""
    yield better(measured, "NVFP4 better than MXFP4", weights("nvfp4"), weights("mxfp4"))
    yield better(measured, "MXFP4 better than MXINT4", weights("mxfp4"), weights("mxint4"))
    for group in (GROUP, 128):
        three = (weights("bitmod3", group), weights("int3-asym", group))
        yield better(measured, f"BitMoD-FP3 better than asymmetric INT3, groups of {group}", *three)
    yield collapse(
        measured, "ternary weights collapse without training", weights("ternary", "channel")
    )


def granularities(measured: Measurements) -> Iterator[Claim]:
    """Scales by group, by channel, and one for all."""
    for name in GRAINED:
        chain = [weights(name, group) for group in (GROUP, "channel", "tensor")]
        words = (f"groups of {GROUP}", "channel", "tensor")
        for (fine, coarse), (one, other) in zip(pairwise(words), pairwise(chain), strict=True):
            yield better(measured, f"{name}: {fine} better than {coarse}", one, other)


def wide(measured: Measurements) -> Iterator[Claim]:
    """Groups of 128 in a network whose rows are longer."""
    for name in ("int4", "int3-asym"):
        fine, middle, coarse = (
            weights(name, group, network=WIDE) for group in (GROUP, 128, "channel")
        )
        yield better(measured, f"{WIDE}, {name}: groups of 128 better than channel", middle, coarse)
        yield better(measured, f"{WIDE}, {name}: groups of {GROUP} better than 128", fine, middle)
    words = "BitMoD-FP3 better than asymmetric INT3, groups of"
    for group in (GROUP, 128):
        three = (weights(name, group, network=WIDE) for name in ("bitmod3", "int3-asym"))
        yield better(measured, f"{WIDE}: {words} {group}", *three)


def roundings(measured: Measurements) -> Iterator[Claim]:
    """Clipping and GPTQ at three bits."""
    yield interior_clip(measured)
    for group, words in (("channel", "by channel"), (GROUP, f"groups of {GROUP}")):
        plain = Setting(NETWORK, Rounding("int3-asym", group))
        second = Setting(NETWORK, Rounding("int3-asym", group, second_order=True))
        yield better(measured, f"GPTQ better than rounding, INT3 {words}", second, plain)


def outliers(measured: Measurements) -> Iterator[Claim]:
    """Inputs of layers, with four channels of 128 as large times 128, and without."""
    yield collapse(
        measured, "outliers: INT8 inputs per tensor collapse", inputs(OUTLIERS, "int8", "tensor")
    )
    yield unhurt(
        measured, "outliers: E4M3 inputs per tensor do not", inputs(OUTLIERS, "fp8-e4m3", "tensor")
    )
    smooth = Setting(OUTLIERS, None, Rounding("int8", "tensor"), SMOOTHING)
    yield unhurt(measured, f"outliers: smoothing by {SMOOTHING} restores INT8", smooth)
    integer, floating = (inputs(NETWORK, name) for name in ("mxint8", "mxfp8-e4m3"))
    yield better(measured, "no outliers: MXINT8 inputs better than MXFP8", integer, floating)
    integer, floating = (inputs(OUTLIERS, name) for name in ("mxint8", "mxfp8-e4m3"))
    yield better(measured, "outliers: MXFP8 inputs better than MXINT8", floating, integer)


def better(measured: Measurements, claim: str, good: Setting, bad: Setting) -> Claim:
    """That one setting loses less than another."""
    z = paired_z(measured.nll(bad), measured.nll(good))
    figures = f"{_shown(measured.perplexity(good))} to {_shown(measured.perplexity(bad))}"
    return Claim(claim, figures, len(measured.nll(good)), z, f"z > {LEAST_Z:g}", decided(z))


def collapse(measured: Measurements, claim: str, setting: Setting) -> Claim:
    """That a setting loses the network."""
    base = Setting(setting.network)
    ratio = measured.perplexity(setting) / measured.perplexity(base)
    z = paired_z(measured.nll(setting), measured.nll(base))
    target = f"at least {COLLAPSED:g} times, z > {LEAST_Z:g}"
    passed = ratio >= COLLAPSED and z > LEAST_Z
    return Claim(
        claim, _times(measured, setting, ratio), len(measured.nll(base)), z, target, passed
    )


def unhurt(measured: Measurements, claim: str, setting: Setting) -> Claim:
    """That a setting costs next to nothing."""
    base = Setting(setting.network)
    ratio = measured.perplexity(setting) / measured.perplexity(base)
    target = f"at most {UNHURT:g} times"
    figures = _times(measured, setting, ratio)
    return Claim(claim, figures, len(measured.nll(base)), None, target, ratio <= UNHURT)


def interior_clip(measured: Measurements) -> Claim:
    """That a clip between none and half is best: picked on some sequences, compared on others."""
    losses = {clip: measured.nll(weights("int3", "channel", clip=clip)) for clip in CLIPS}
    best = min(CLIPS, key=lambda clip: float(losses[clip][:_PICKED_ON].mean()))
    rest = {clip: values[_PICKED_ON:] for clip, values in losses.items()}
    ends = [clip for clip in (CLIPS[0], CLIPS[-1]) if clip != best]
    z = min(paired_z(rest[end], rest[best]) for end in ends)
    shown = ", ".join(f"{clip:g}: {_shown(np.exp(losses[clip].mean()))}" for clip in CLIPS)
    inside = best not in (CLIPS[0], CLIPS[-1])
    return Claim(
        "a clip inside the range is best for INT3 by channel",
        f"{best:g} of {shown}",
        len(rest[best]),
        z,
        f"z > {LEAST_Z:g} to both ends",
        decided(z) if inside else False,
    )


def _times(measured: Measurements, setting: Setting, ratio: float) -> str:
    return f"{_shown(measured.perplexity(setting))}, {_shown(ratio)} times the unquantized"


def _shown(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:,.0f}"
