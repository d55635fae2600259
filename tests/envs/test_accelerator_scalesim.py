"""The fidelity `scalesim`, with a worker in place of the package that only speaks its protocol."""

import sys
from pathlib import Path

import numpy as np
import pytest

import archgym
from archgym.cost_models.accelerator import external
from archgym.testing.environments import check_fidelities

ENV = "Accelerator-v0"
OPTIONS = {"space": "systolic", "workload": "alexnet", "batch": 1}
STAND_IN = Path(__file__).parents[1] / "cost_models/accelerator/external/stand_in.py"
RULE = "SCALE-Sim gives no answer"


def task(monkeypatch: pytest.MonkeyPatch, how: str) -> archgym.Task:
    command = (sys.executable, "-S", str(STAND_IN), how)
    simulator = external.ScaleSim(external.RunningTool(external.SCALESIM, command, 60.0))
    monkeypatch.setattr(external, "installed_scalesim", lambda: simulator)
    return archgym.make_task(ENV, fidelity="scalesim", **OPTIONS)


def test_is_the_last_fidelity_of_those_who_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own = task(monkeypatch, "good")
    assert [each.name for each in own.fidelities] == ["roofline", "systolic", "scalesim"]
    check_fidelities(own, n=4)
    usual = archgym.make_task(ENV, **OPTIONS)
    assert [each.name for each in usual.fidelities] == ["roofline", "systolic"]


def test_counts_make_latency_and_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    own = task(monkeypatch, "good")
    (reports,) = own.model.operator_reports(own.default).values()
    # The stand-in takes a cycle per multiply-accumulate, at 0.7 GHz.
    macs = sum(each.macs for each in reports)
    found = own.evaluate(own.default[None])
    assert found.metrics["latency_ms"][0] >= 1e3 * macs / 0.7e9
    assert found.metrics["latency_ms"][0] == pytest.approx(1e3 * macs / 0.7e9, rel=0.05)
    assert found.metrics["latency_ms"][0] == pytest.approx(1e3 * sum(e.latency_s for e in reports))


def test_failures_are_infeasible_designs_by_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = task(monkeypatch, "broken")
    small = own.default.copy()
    small[own.space.position("Rows")] = 0
    found = own.evaluate(np.stack([own.default, small]))
    assert found.violations[RULE].tolist() == [False, True]
    for name in ("latency_ms", "energy_mj", "dram_traffic_mb"):
        assert np.isnan(found.metrics[name]).tolist() == [False, True]
    assert not found.feasible[1]
    assert "out of order" in caplog.text


def test_is_of_the_space_systolic_only() -> None:
    with pytest.raises(ValueError, match="'scalesim' is not for space 'spatial'"):
        archgym.make_task(ENV, fidelity="scalesim")


def test_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHGYM_SCALESIM_PYTHON", "/no/python")
    with pytest.raises(ValueError, match="does not start: /no/python"):
        archgym.make_task(ENV, fidelity="scalesim", **OPTIONS)
