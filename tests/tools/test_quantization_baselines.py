"""Baselines under a budget of bits, over the shipped table: the program's sum is the least one."""

import itertools

import numpy as np
import pytest
import quantization_baselines as baselines

OPTIONS = {"workload": "kjv-lm", "space": "three-formats", "tied": "type"}


@pytest.fixture(scope="module")
def table():
    return baselines.sensitivities(baselines.task_of(OPTIONS, 3.0, "table"))


@pytest.mark.parametrize("most_bits", [2.8, 3.3, 4.0])
def test_the_program_is_the_best_of_all_sums(table, most_bits):
    units, choices = len(table.kl), [range(len(each)) for each in table.kl]
    every = np.array(list(itertools.product(*choices)))
    sums = sum(table.kl[u][every[:, u]] for u in range(units))
    bits = table.base_bits + sum(table.bits[u][every[:, u]] for u in range(units))
    least = table.joined(every[np.argmin(np.where(bits <= most_bits, sums, np.inf))])
    found = baselines.best_sum(table, most_bits)
    task = baselines.task_of(OPTIONS, most_bits, "table")
    assert np.array_equal(found, least)
    greedy = baselines.greedy_drop(table, most_bits)
    uniform = baselines.best_uniform(task, table, most_bits)
    told = task.evaluate(np.array([found, greedy, uniform]))
    assert (told.metrics["bits_per_weight"] <= most_bits).all()
    best = task.optimum.metrics["perplexity"]
    assert best <= told.metrics["perplexity"].min() + 1e-9
    assert told.metrics["perplexity"][0] < 1.02 * best
    assert told.metrics["perplexity"][2] == told.metrics["perplexity"].max()


def test_a_budget_that_nothing_meets(table):
    task = baselines.task_of(OPTIONS, 2.0, "table")
    assert baselines.best_sum(table, 2.0) is None
    assert baselines.greedy_drop(table, 2.0) is None
    assert baselines.best_uniform(task, table, 2.0) is None
