"""The fidelity `zigzag`, with our model of ZigZag in its place."""

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator import external
from archgym.testing.environments import check_fidelities
from tests.cost_models.accelerator.external.fake_zigzag import FakeTool

OPTIONS = {"workload": "alexnet/conv2", "hardware": "simba"}


def task(
    monkeypatch: pytest.MonkeyPatch, tool: FakeTool | None = None, **options: str
) -> archgym.Task:
    asked = external.ZigZag(tool or FakeTool())
    monkeypatch.setattr(external, "installed_zigzag", lambda: asked)
    return archgym.make_task("Mapping-v0", fidelity="zigzag", **{**OPTIONS, **options})


def test_is_the_last_fidelity_of_those_who_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own = task(monkeypatch)
    assert [each.name for each in own.fidelities] == ["loopnest", "zigzag"]
    check_fidelities(own, n=4)
    usual = archgym.make_task("Mapping-v0", **OPTIONS)
    assert [each.name for each in usual.fidelities] == ["loopnest"]


def test_optima_are_those_of_the_own_model(monkeypatch: pytest.MonkeyPatch) -> None:
    proven = {**OPTIONS, "hardware": "eyeriss"}
    assert archgym.make_task("Mapping-v0", **proven).optimum is not None
    assert task(monkeypatch, **proven).optimum is None


def test_figures_are_zigzags(monkeypatch: pytest.MonkeyPatch) -> None:
    own = task(monkeypatch)
    found = own.evaluate(own.default[None])
    # By ZigZag 3.9.1 itself, as all figures of the default mapping.
    assert found.metrics["latency_cycles"][0] == 227297
    assert found.metrics["energy_pj"][0] == pytest.approx(3.97782496e8, rel=1e-8)
    assert found.metrics["dram_traffic_bytes"][0] == 852096
    near = own.at("loopnest").evaluate(own.default[None]).metrics
    assert near["latency_cycles"][0] < 227297 < 1.05 * near["latency_cycles"][0]


def test_what_does_not_fit_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    own = task(monkeypatch)
    rows = own.space.sample(64, np.random.default_rng(0))
    found = own.evaluate(rows)
    assert 0 < found.feasible.sum() < len(rows)
    assert np.array_equal(np.isfinite(found.metrics["latency_cycles"]), found.feasible)
    assert np.array_equal(found.feasible, own.at("loopnest").evaluate(rows).feasible)


def test_failures_are_infeasible_designs_by_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tool = FakeTool()
    own = task(monkeypatch, tool)
    # The default mapping lays 8 output channels on an axis.
    tool.refused = 8
    found = own.evaluate(own.default[None])
    assert found.violations["ZigZag gives no answer"].tolist() == [True]
    assert not found.feasible[0]
    assert "out of order" in caplog.text


def test_refused_where_it_is_not_installed_or_not_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHGYM_ZIGZAG_PYTHON", "/no/python")
    with pytest.raises(ValueError, match="ZigZag: its worker does not start: /no/python"):
        archgym.make_task("Mapping-v0", fidelity="zigzag", **OPTIONS)
    with pytest.raises(ValueError, match="fidelity: 'zigzag' is not for space 'archgym2023-maestr"):
        archgym.make_task("Mapping-v0", space="archgym2023-maestro", fidelity="zigzag")
