"""How good proxies of the DRAM tasks are, on what data, and what a search on one finds.

    archgym run experiments/proxy-data.yaml -o proxy-data
    archgym dataset export proxy-data -o proxy-trials
    python benchmarks/proxy_study.py measure proxy-trials     # writes docs/studies/data/proxy.json
    python benchmarks/proxy_study.py speed                    # adds CPU times to it
    python benchmarks/proxy_study.py draw                     # the tables of docs/studies/proxy.md

The truth is known: the shipped tables hold every design of the space with the simulator's answers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

import archgym
from archgym.cost_model import Costs
from archgym.dataset import Dataset, load_dataset
from archgym.proxy_models import Scale, encode, fitted
from archgym.proxy_report import errors
from archgym.space import IntArray
from archgym.task import Task

PAGE = Path(__file__).resolve().parent.parent / "docs/studies/proxy.md"
WORKLOADS = ("sort", "gcc", "random", "stream", "mixed-heavy")
METRICS = ("power_mw", "total_time_ns", "read_latency_ns")
SOURCES = ("random", "ant-colony", "genetic", "simulated-annealing")
SIZES = (250, 1000)
SEEDS = 2
KEPT = (
    *("rmse_percent_of_range", "rmse_percent_of_value"),
    *("good_rmse_percent_of_value", "spearman"),
)
LARGE = 50_000
TESTED = 20_000
"""Designs, drawn from all feasible ones, that predictions are tested on."""
SEARCHED = 1_000
"""Designs that a proxy is trained on before it is searched."""
Floats = npt.NDArray[np.float64]


def the_task(workload: str) -> Task:
    """Returns the task that the data is of, answered from its table."""
    return archgym.make_task(
        "DramController-v0",
        space="archgym2023",
        workload=workload,
        objective="energy-delay",
        fidelity="table",
    )


class Truth:
    """Every feasible design of a task with the simulator's answers."""

    def __init__(self, workload: str) -> None:
        self.task = the_task(workload)
        model: Any = self.task.model
        self.rows: IntArray = model.table.rows[model.allowed]
        answers = self.task.evaluate(self.rows)
        self.metrics, self.score = answers.metrics, answers.score
        self.inputs = encode(self.task.space, self.rows)
        self.key = {row.tobytes(): i for i, row in enumerate(self.rows)}
        self.good = np.argsort(-self.score)[: len(self.rows) // 20]
        chosen = np.random.default_rng(99).choice(len(self.rows), TESTED, replace=False)
        self.tested = np.union1d(chosen, self.good)
        self.drawn = np.isin(np.arange(len(self.rows)), chosen)

    def places(self, rows: IntArray) -> IntArray:
        """Returns where feasible designs stand."""
        return np.array([self.key[row.tobytes()] for row in rows], np.int64)

    def fit(
        self,
        places: IntArray,
        metric: str,
        seed: int,
        model: str = "extra-trees",
        *,
        everywhere: bool = True,
    ) -> Floats:
        """Returns what a model that was trained on some designs predicts of all.

        Unless it is wanted `everywhere`, only of the designs for tests; the rest is not a number.
        """
        values = self.metrics[metric][places]
        scale = Scale.of(values)
        made = fitted(model, self.inputs[places], scale.to(values), seed)
        asked = np.arange(len(self.rows)) if everywhere else self.tested
        told = np.full(len(self.rows), np.nan)
        told[asked] = scale.back(made.predict(self.inputs[asked]))
        return told

    def judged(self, metric: str, predicted: Floats, trained: IntArray) -> dict[str, Any]:
        """Returns the errors on designs drawn at random and on the good ones, none trained on."""
        unseen = np.ones(len(self.rows), np.bool_)
        unseen[trained] = False
        values = self.metrics[metric]
        drawn = unseen & self.drawn
        told = dict(errors(values[drawn], predicted[drawn]))
        span = float(np.ptp(values))
        told["rmse_percent_of_range"] = 100 * (told["rmse"] or 0.0) / span
        good = self.good[unseen[self.good]]
        off = predicted[good] / values[good] - 1
        told["good_rmse_percent_of_value"] = float(100 * np.sqrt(np.mean(off**2)))
        return told


def equal_parts(pools: Sequence[IntArray], size: int, rng: np.random.Generator) -> IntArray | None:
    """Draws different designs, as many of each pool; None if there are too few."""
    chosen: list[int] = []
    for i, pool in enumerate(pools):
        left = np.setdiff1d(pool, chosen)
        count = size // len(pools) + (i < size % len(pools))
        if len(left) < count:
            return None
        chosen += rng.choice(left, count, replace=False).tolist()
    return np.array(chosen, np.int64)


def by_source(truth: Truth, dataset: Dataset, workload: str) -> list[dict[str, Any]]:
    """Trains on one agent's designs and on several agents' at equal sizes."""
    problem = f"DramController-v0 {workload} space=archgym2023"
    pools = {}
    for agent in SOURCES:
        trials = dataset.filter(task=problem, agent=agent)
        pools[agent] = np.unique(truth.places(trials.designs[trials.feasible]))
    rows = []
    choices = {name: [pool] for name, pool in pools.items()}
    choices["all four"] = list(pools.values())
    choices["three without random"] = [pools[name] for name in SOURCES if name != "random"]
    for size in SIZES:
        for name, some in choices.items():
            for seed in range(SEEDS):
                places = equal_parts(some, size, np.random.default_rng(seed))
                if places is None:
                    rows.append({"workload": workload, "source": name, "size": size})
                    continue
                for metric in METRICS:
                    predicted = truth.fit(places, metric, seed, everywhere=False)
                    told = truth.judged(metric, predicted, places)
                    here = {"workload": workload, "source": name, "size": size, "seed": seed}
                    rows.append({**here, "metric": metric, **{key: told[key] for key in KEPT}})
    counts = {name: len(pool) for name, pool in pools.items()}
    return [*rows, {"workload": workload, "pools": counts}]


def large(truth: Truth, workload: str) -> list[dict[str, Any]]:
    """Trains on 50,000 random designs, and says what equal outcomes have to do with the errors."""
    rng = np.random.default_rng(0)
    places = rng.choice(len(truth.rows), LARGE, replace=False)
    unseen = np.ones(len(truth.rows), np.bool_)
    unseen[places] = False
    rows = []
    for metric in METRICS:
        started = time.process_time()
        predicted = truth.fit(places, metric, 0)
        seconds = time.process_time() - started
        values = truth.metrics[metric]
        new = unseen & ~np.isin(values, values[places])
        told = truth.judged(metric, predicted, places)
        span = float(np.ptp(values))
        of_new = (
            100 * np.sqrt(np.mean((predicted - values)[new] ** 2)) / span if new.any() else None
        )
        rows.append(
            {
                "workload": workload,
                "metric": metric,
                **told,
                "lowest": float(values.min()),
                "highest": float(values.max()),
                "different_values": len(np.unique(values)),
                "unseen": int(unseen.sum()),
                "new_values": int(new.sum()),
                "new_values_rmse_percent_of_range": of_new,
                "cpu_seconds": round(seconds, 1),
            }
        )
    return rows


def by_model(truth: Truth, workload: str) -> list[dict[str, Any]]:
    """Compares the sorts of models on 1,000 random designs."""
    places = np.random.default_rng(0).choice(len(truth.rows), 1_000, replace=False)
    rows = []
    for model in ("extra-trees", "random-forest", "gradient-boosting", "mlp", "gp"):
        for metric in METRICS:
            started = time.process_time()
            predicted = truth.fit(places, metric, 0, model, everywhere=False)
            seconds = round(time.process_time() - started, 1)
            told = truth.judged(metric, predicted, places)
            here = {"workload": workload, "model": model, "metric": metric, "cpu_seconds": seconds}
            rows.append({**here, **told})
    return rows


class _Predicted:
    """A cost model that looks up what was predicted of every design."""

    def __init__(self, truth: Truth, metrics: Mapping[str, Floats]) -> None:
        base = truth.task.model
        self.space, self.metrics, self.default = base.space, base.metrics, base.default
        self.features = base.features
        self._truth, self._told = truth, metrics

    def evaluate(self, designs: IntArray) -> Costs:
        """Looks index rows up."""
        places = self._truth.places(designs)
        missing = np.full(len(places), np.nan)
        told = {name: values[places] for name, values in self._told.items()}
        return Costs({m.name: told.get(m.name, missing) for m in self.metrics})


def searches(truth: Truth, workload: str) -> list[dict[str, Any]]:
    """Searches proxies and checks what is found; compares with searching without a proxy."""
    optimum = truth.task.optimum
    assert optimum is not None
    rows = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        places = rng.choice(len(truth.rows), SEARCHED, replace=False)
        told = {name: truth.fit(places, name, seed) for name in ("energy_pj", "total_time_ns")}
        model = _Predicted(truth, told)
        task = Task(truth.task.environment, truth.task.options, truth.task.objective, model)
        found = archgym.search(task, "genetic", budget=2_000, seed=seed).evaluation
        best = np.argsort(-found.score)[:10]
        checked = truth.task.evaluate(found.designs[best]).score
        every = task.evaluate(truth.rows).score
        first = truth.score[np.argsort(-every)[:10]]
        direct = archgym.search(truth.task, "genetic", budget=SEARCHED + 10, seed=seed)
        rows.append(
            {
                "workload": workload,
                "seed": seed,
                "trained_on_best": optimum.regret(float(truth.score[places].max())),
                "proxy_first": optimum.regret(float(checked[0])),
                "proxy_best_of_10": optimum.regret(float(checked.max())),
                "all_designs_best_of_10": optimum.regret(float(first.max())),
                "direct": optimum.regret(direct.best.score),
                "claimed": float(found.score.max()),
                "true_of_claimed": float(checked[0]),
            }
        )
    return rows


def speed(path: Path) -> None:
    """Measures CPU time per design of proxies and simulator, and adds it to the results."""
    rows = []
    for workload in WORKLOADS:
        truth = Truth(workload)
        simulator = archgym.make_task(
            "DramController-v0", space="archgym2023", workload=workload, objective="energy-delay"
        )
        asked = truth.rows[np.random.default_rng(1).choice(len(truth.rows), 512, replace=False)]
        simulated = [_cpu(simulator.model.evaluate, asked, size) for size in (1, len(asked))]
        for count in (1_000, *([LARGE] if workload == WORKLOADS[0] else [])):
            places = np.random.default_rng(0).choice(len(truth.rows), count, replace=False)
            models = []
            for metric in METRICS:
                values = truth.metrics[metric][places]
                scale = Scale.of(values)
                models.append(fitted("extra-trees", truth.inputs[places], scale.to(values), 0))

            def predict(designs: IntArray, models: Any = models, task: Task = truth.task) -> Any:
                inputs = encode(task.space, designs)
                return [model.predict(inputs) for model in models]

            proxy = [_cpu(predict, asked, size) for size in (1, len(asked))]
            here = {"workload": workload, "designs": count}
            names = ("one_by_one", "batch")
            here |= {f"simulator_{n}": t for n, t in zip(names, simulated, strict=True)}
            rows.append(here | {f"proxy_{n}": t for n, t in zip(names, proxy, strict=True)})
        print(f"{workload}: done", flush=True)
    told = json.loads(path.read_text(encoding="utf-8"))
    told["speed"] = _rounded(rows)
    _write(path, told)


def _write(path: Path, told: Mapping[str, Any]) -> None:
    """Writes results with a line per row."""
    parts = []
    for name, value in told.items():
        text = json.dumps(value)
        if isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]"
        parts.append(f' "{name}": {text}')
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _cpu(answer: Any, rows: IntArray, size: int) -> float:
    """Returns microseconds of CPU time per design, of at most some seconds' worth of designs."""
    answer(rows[:size])
    done, started = 0, time.process_time()
    while done < len(rows) and time.process_time() - started < 3:
        answer(rows[done : done + size])
        done = min(done + size, len(rows))
    return 1e6 * (time.process_time() - started) / done


def _speed(told: Mapping[str, Any]) -> str:
    rows = [
        [
            *(row["workload"], f"{row['designs']:,}"),
            *(f"{row[f'{who}_batch']:,.0f}" for who in ("simulator", "proxy")),
            f"{row['simulator_batch'] / row['proxy_batch']:.0f}",
            *(f"{row[f'{who}_one_by_one']:,.0f}" for who in ("simulator", "proxy")),
            f"{row['simulator_one_by_one'] / row['proxy_one_by_one']:.0f}",
        ]
        for row in told["speed"]
    ]
    header = ["workload", "trained on", "simulator, us", "proxy, us", "times faster"]
    return _table([*header, "one by one: simulator, us", "proxy, us", "times faster"], rows)


def measure(path: Path, data: Path) -> None:
    """Measures everything, workload by workload, and writes what was found."""
    dataset = load_dataset(data)
    told: dict[str, Any] = {"dataset": dataset.digest, "version": archgym.__version__}
    started = time.process_time()
    for workload in WORKLOADS:
        truth = Truth(workload)
        parts = {
            "sources": by_source(truth, dataset, workload),
            "large": large(truth, workload),
            "searches": searches(truth, workload),
        }
        if workload == WORKLOADS[0]:
            parts["models"] = by_model(truth, workload)
        for name, rows in parts.items():
            told.setdefault(name, []).extend(_rounded(rows))
        told["cpu_minutes"] = round((time.process_time() - started) / 60, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, told)
        print(f"{workload}: {told['cpu_minutes']} CPU minutes so far", flush=True)


def _rounded(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _large(told: Mapping[str, Any]) -> str:
    rows = [
        [
            *(row["workload"], f"`{row['metric']}`"),
            f"{row['lowest']:,.0f} to {row['highest']:,.0f}",
            *(f"{row[f'rmse_percent_of_{what}']:.3f}" for what in ("range", "value")),
            f"{row['max_percent_of_range']:.2f}",
            f"{row['spearman']:.6f}",
            f"{row['different_values']:,}",
            f"{100 * row['new_values'] / row['unseen']:.2f}",
            "-"
            if row["new_values_rmse_percent_of_range"] is None
            else f"{row['new_values_rmse_percent_of_range']:.3f}",
        ]
        for row in told["large"]
    ]
    header = ["workload", "metric", "values", "RMSE % of range", "RMSE % of value"]
    header += ["largest error % of range", "Spearman", "different values"]
    return _table([*header, "% of designs with a new value", "RMSE % of range of those"], rows)


def _median(rows: Sequence[Mapping[str, Any]], key: str, **chosen: Any) -> float:
    some = [r[key] for r in rows if key in r and all(r.get(k) == v for k, v in chosen.items())]
    return float(np.median(some)) if some else float("nan")


def _sources(told: Mapping[str, Any]) -> str:
    names = [*SOURCES, "three without random", "all four"]
    keys = ("rmse_percent_of_range", "good_rmse_percent_of_value")
    rows = []
    for size in SIZES:
        for name in names:
            cells = [
                _median(told["sources"], key, source=name, size=size, metric=metric)
                for metric in METRICS
                for key in keys
            ]
            count = len(
                {
                    r["workload"]
                    for r in told["sources"]
                    if "metric" in r and r["source"] == name and r["size"] == size
                }
            )
            rows.append([f"{size:,}", name, str(count), *(f"{c:.3g}" for c in cells)])
    header = ["designs", "trained on", "workloads"]
    for metric in METRICS:
        header += [f"`{metric}`, % of range", "the best 5%, % of value"]
    return _table(header, rows)


def _models(told: Mapping[str, Any]) -> str:
    keys = ("rmse_percent_of_range", "rmse_percent_of_value", "cpu_seconds")
    models = dict.fromkeys(row["model"] for row in told["models"])
    rows = []
    for model in models:
        cells = [
            f"{_median(told['models'], key, model=model, metric=metric):.3g}"
            for metric in METRICS
            for key in keys[:2]
        ]
        rows.append([model, *cells, f"{_median(told['models'], keys[2], model=model):.3g}"])
    header = ["model"]
    for metric in METRICS:
        header += [f"`{metric}`, % of range", "% of value"]
    return _table([*header, "CPU seconds per metric"], rows)


def _searches(told: Mapping[str, Any]) -> str:
    keys = (
        "trained_on_best",
        "proxy_first",
        "proxy_best_of_10",
        "all_designs_best_of_10",
        "direct",
    )
    rows = [
        [w, *(f"{_median(told['searches'], key, workload=w):.4f}" for key in keys)]
        for w in dict.fromkeys(row["workload"] for row in told["searches"])
    ]
    rows.append(["median", *(f"{_median(told['searches'], key):.4f}" for key in keys)])
    header = ["workload", f"best of the {SEARCHED:,}", "proxy's first", "best of its ten"]
    header += ["ten best predictions of all designs", f"genetic, {SEARCHED + 10:,} simulations"]
    return _table(header, rows)


def draw(path: Path) -> None:
    """Writes the tables of the page anew."""
    told = json.loads(path.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    made = {"large": _large, "sources": _sources, "models": _models, "searches": _searches}
    made["speed"] = _speed
    for name, table in made.items():
        mark = f"<!-- {name} -->"
        pattern = re.compile(rf"{mark}\n.*?{mark}", re.DOTALL)
        text, count = pattern.subn(lambda _, t=table, m=mark: f"{m}\n{t(told)}\n{m}", text)
        if count != 1:
            raise ValueError(f"{PAGE}: has no place {mark}")
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE}: tables of {path.name}")


def main() -> None:
    """Measures or draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("measure", "speed", "draw"))
    parser.add_argument("dataset", nargs="?", type=Path)
    parser.add_argument("--results", type=Path, default=PAGE.parent / "data/proxy.json")
    given = parser.parse_args()
    if given.what == "draw":
        draw(given.results)
    elif given.what == "speed":
        speed(given.results)
    elif given.dataset is None:
        parser.error("measure needs the dataset")
    else:
        measure(given.results, given.dataset)


if __name__ == "__main__":
    main()
