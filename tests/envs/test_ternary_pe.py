"""Ternary engines: proven optima, which style pays where, and what must always hold."""

import numpy as np
import pytest

import archgym
from archgym.cost_models.processing_elements.ternary import (
    PIPELINES,
    STYLES,
    TernaryDesigns,
    lut_adders,
    lut_entries,
    ternary_costs,
)

ENV = "TernaryPe-v0"


def evaluated(task, **values):
    """Metrics of the default design with other values."""
    design = {"style": "lut", "group_size": 4, "tables": 4, "fetchers": 16, "reuse": 1,
              "pipeline": "parts"} | values  # fmt: skip
    if design["style"] != "lut":
        design = {k: v for k, v in design.items() if k not in ("group_size", "tables")}
        design = {"inputs": 16} | design
    full = {p.name: design.get(p.name, p.values[0]) for p in task.space.parameters}
    found = task.evaluate(task.space.encode(full)[None])
    return {name: float(v[0]) for name, v in {**found.metrics, **found.breakdown}.items()}


@pytest.mark.parametrize("objective", ["density", "energy-under-budget", "latency-area"])
def test_optima_are_proven(objective):
    task = archgym.make_task(ENV, objective=objective)
    optimum = task.optimum
    assert optimum.kind == "proven"
    drawn = task.evaluate(task.space.sample(2000, np.random.default_rng(1)))
    assert drawn.score.max() <= optimum.score
    assert optimum.regret(optimum.score) == 0


def test_the_space_is_small():
    task = archgym.make_task(ENV)
    assert task.space.canonical_size == 5 * 6 * 8 * 6 * 3 + 2 * 6 * 8 * 6 * 3 == 6048


def test_tables_save_energy_with_fp16_and_not_with_integers():
    styles = {}
    for activation in ("int4", "int8", "fp16"):
        task = archgym.make_task(ENV, activation=activation, objective="low-energy")
        styles[activation] = task.optimum.design["style"]
    assert styles == {"int4": "adders", "int8": "adders", "fp16": "lut"}


def test_readers_share_a_table():
    task = archgym.make_task(ENV, activation="fp16")
    density = [evaluated(task, fetchers=k)["density_tmac_per_s_per_mm2"] for k in (1, 4, 16, 64)]
    assert density == sorted(density)


def test_reuse_builds_tables_less_often_and_keeps_more_sums():
    task = archgym.make_task(ENV, activation="fp16")
    once, often = (evaluated(task, reuse=r) for r in (1, 8))
    assert often["energy_uj/activations"] < once["energy_uj/activations"] / 7
    assert often["area_mm2/registers"] > once["area_mm2/registers"]
    assert often["energy_uj"] < once["energy_uj"]


def test_pipelining_buys_speed_with_area():
    task = archgym.make_task(ENV)
    found = [evaluated(task, pipeline=name) for name in PIPELINES]
    latencies, areas = ([each[m] for each in found] for m in ("latency_us", "area_mm2"))
    assert latencies == sorted(latencies, reverse=True)
    assert areas == sorted(areas)


def test_a_small_engine_by_hand():
    task = archgym.make_task(ENV, workload="square-1024", activation="int8")
    found = evaluated(task, style="adders", inputs=32, fetchers=16, pipeline="none")
    designs = TernaryDesigns(*(np.array([x]) for x in (STYLES.index("adders"), 1, 32, 16, 1, 0)))
    costs = ternary_costs(designs, "int8", 1024)
    assert found["latency_us"] == pytest.approx(32 * 64 * costs.period_ps[0] * 1e-6)
    assert found["area_mm2"] == pytest.approx(sum(costs.area_um2.values())[0] * 1e-6)
    assert found["energy_uj"] == pytest.approx(
        32 * 64 * (costs.cycle_pj + costs.build_pj)[0] * 1e-6
    )
    assert found["power_mw"] == pytest.approx(1e3 * found["energy_uj"] / found["latency_us"])
    assert found["throughput_gmac_per_s"] == pytest.approx(1024**2 / found["latency_us"] * 1e-3)
    # Two bits of each of 32 x 16 weights per cycle.
    bits = 2 * 32 * 16 / costs.period_ps[0] * 1e3
    assert found["weight_bandwidth_gb_per_s"] == pytest.approx(bits / 8)


def test_tables_count_as_published():
    assert lut_entries([3, 4, 5, 6, 7]).tolist() == [13, 40, 121, 364, 1093]
    # Every sum of all activations costs group - 1 adders; published: up to 82 % fewer for 4.
    naive = 3**4 * 3
    assert 0.80 < 1 - lut_adders(4) / naive < 0.88


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="int5"):
        archgym.make_task(ENV, activation="int5")
    with pytest.raises(ValueError, match="workload"):
        archgym.make_task(ENV, workload="file:x")
    designs = TernaryDesigns(*(np.array([x]) for x in (0, 9, 1, 1, 1, 0)))
    with pytest.raises(ValueError, match="group_size: must be one of 3, 4, 5, 6, 7"):
        ternary_costs(designs, "int8", 8)
    designs = TernaryDesigns(*(np.array([x]) for x in (0, 3, 1, 1, 1, 0)))
    with pytest.raises(ValueError, match="activation: 'e4m3' is not one of"):
        ternary_costs(designs, "e4m3", 8)
