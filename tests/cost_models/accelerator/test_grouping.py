"""Groups in place of depthwise convolutions: sizes, use of the array, bad input."""

from pathlib import Path

import pytest

from archgym.cost_models.accelerator.grouping import grouped, mapping_efficiency
from archgym.cost_models.accelerator.networks import load_network
from archgym.cost_models.accelerator.validation_grouping import array_use, draco


def test_groups_keep_shapes_and_multiply_work() -> None:
    network = load_network("mobilenet-v1")
    four = grouped(network, 4)
    for before, after in zip(network, four, strict=True):
        assert before.output_shape == after.output_shape
        times = 4 if before.name.endswith("_dw") else 1
        assert after.macs == times * before.macs
    assert [each.groups for each in grouped(network, 7) if each.name == "conv2_dw"] == [32 // 4]
    assert grouped(network, 1) == network


def test_use_of_the_array_rises_until_a_group_fills_its_rows() -> None:
    network = load_network("mobilenet-v1")
    use = [array_use(grouped(network, channels)) for channels in (1, 2, 4)]
    # A filter has 9 of 64 rows and one of 64 columns.
    assert use[0][0] == pytest.approx(9 / 64**2)
    assert [efficiency.min() for efficiency, _ in use] == pytest.approx(
        [9 * g * g / 64**2 for g in (1, 2, 4)]
    )
    assert use[0][1] < use[1][1] < use[2][1]
    # 72 rows take two folds.
    assert mapping_efficiency(9, 8, 64, 64) == 72 * 8 / (2 * 64**2)


def test_the_checks_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(check.passed for check in draco(Path("unused")))
    module = "archgym.cost_models.accelerator.validation_grouping"
    monkeypatch.setattr(f"{module}.CHANNELS", (4, 2, 1))
    monkeypatch.setattr(f"{module}._TAPS", 8)
    form, rising = draco(Path("unused"))
    assert form.passed is False and rising.passed is True
    monkeypatch.setattr(
        f"{module}.grouped", lambda network, channels: grouped(network, 64 // channels)
    )
    assert [check.passed for check in draco(Path("unused"))] == [False, False]


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="channels: 0, must be at least 1"):
        grouped(load_network("mobilenet-v1"), 0)
    with pytest.raises(ValueError, match="network 'alexnet': has no depthwise convolution"):
        grouped(load_network("alexnet"), 2)
