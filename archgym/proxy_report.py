"""What is known of a proxy: its errors on designs it has not seen, its intervals, its speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archgym.metric import FloatArray
from archgym.proxy import ProxyModel
from archgym.proxy_models import GP_DESIGNS
from archgym.space import IntArray
from archgym.task import Task

LEVELS = (50, 80, 90, 95)
"""Intervals that are calibrated, in percent of the designs."""
_TIMED_SECONDS = 3.0
_TIMED_DESIGNS = 512


def fold_numbers(count: int, folds: int, seed: int) -> IntArray:
    """Returns which fold each of so many different designs is in."""
    numbers: IntArray = np.arange(count, dtype=np.int64) % folds
    np.random.default_rng(seed).shuffle(numbers)
    return numbers


def errors(values: FloatArray, predicted: FloatArray) -> dict[str, float | None]:
    """Returns how far predictions are from values, of designs that were not trained on.

    Returns:
        `rmse` in the metric's unit, `rmse_percent_of_range` (of largest minus smallest value),
        `rmse_percent_of_value` (of each design's own value, None where one is not positive),
        `max_percent_of_range`, `r2`, and `spearman`. Where all values are equal, the last two and
        the shares of the range are None.
    """
    from scipy.stats import spearmanr

    off = predicted - values
    rmse = float(np.sqrt(np.mean(off**2)))
    span, spread = float(np.ptp(values)), float(np.var(values))
    relative = off / values if (values > 0).all() else None
    varied = span > 0 and np.ptp(predicted) > 0
    return {
        "rmse": rmse,
        "rmse_percent_of_range": 100 * rmse / span if span else None,
        "rmse_percent_of_value": None
        if relative is None
        else float(100 * np.sqrt(np.mean(relative**2))),
        "max_percent_of_range": 100 * float(np.abs(off).max()) / span if span else None,
        "r2": 1 - rmse**2 / spread if spread else None,
        "spearman": float(spearmanr(values, predicted).statistic) if varied else None,
    }


def half_width(residuals: FloatArray, level: float) -> float:
    """Returns the size of error that so many percent of new designs stay within.

    The quantile of split conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116).
    """
    rank = min(int(np.ceil((len(residuals) + 1) * level / 100)), len(residuals))
    return float(np.sort(residuals)[rank - 1])


def calibration(residuals: FloatArray, folds: IntArray) -> dict[str, float]:
    """Returns which percent of designs the intervals hold, each set by the other folds' errors."""
    held: dict[str, float] = {}
    for level in LEVELS:
        inside = [
            residuals[folds == fold] <= half_width(residuals[folds != fold], level)
            for fold in np.unique(folds)
        ]
        held[str(level)] = float(100 * np.mean(np.concatenate(inside)))
    return held


def measured_speed(root: Path, task: Task, rows: IntArray) -> dict[str, Any]:
    """Returns CPU time per design of proxy and cost model, in batches and one by one.

    Both answer the same designs in this process. The cost model gets as many as take some seconds.
    """
    proxy = ProxyModel(root, task.model, task.environment.id, task.options)
    rows = rows[:_TIMED_DESIGNS]
    told: dict[str, Any] = {}
    for who, model in (("proxy", proxy), ("cost_model", task.model)):
        model.evaluate(rows[:1])  # compiles what has to be compiled
        for how, size in (("one_by_one", 1), ("batch", len(rows))):
            done, started = 0, time.process_time()
            while done < len(rows) and time.process_time() - started < _TIMED_SECONDS:
                model.evaluate(rows[done : done + size])
                done = min(done + size, len(rows))
            seconds = (time.process_time() - started) / done
            told[f"{who}_{how}_microseconds"] = round(1e6 * seconds, 2)
    told["batch"] = len(rows)
    for how in ("one_by_one", "batch"):
        pair = [told[f"{who}_{how}_microseconds"] for who in ("cost_model", "proxy")]
        told[f"times_faster_{how}"] = round(pair[0] / pair[1], 2)
    return told


def summary_rows(meta: dict[str, Any]) -> tuple[list[str], list[Sequence[Any]]]:
    """Returns the columns and rows of a proxy's table of errors."""
    columns = ["metric", "unit", "scale", "RMSE % of range", "RMSE % of value", "R2", "Spearman"]
    rows: list[Sequence[Any]] = []
    for name, told in meta["metrics"].items():
        cv = told["cross_validation"]
        shown = [
            "-" if cv[key] is None else f"{cv[key]:.4g}"
            for key in ("rmse_percent_of_range", "rmse_percent_of_value")
        ]
        shown += ["-" if cv[key] is None else f"{cv[key]:.6f}" for key in ("r2", "spearman")]
        rows.append([name, told["unit"], "log" if told["scale"]["log"] else "linear", *shown])
    return columns, rows


def note_on(model: str, designs: int) -> str:
    """Returns what a user should know of a model that does not use all designs; mostly empty."""
    if model == "gp" and designs > GP_DESIGNS:
        return f"the Gaussian process uses {GP_DESIGNS:,} of the {designs:,} designs, drawn anew"
    return ""
