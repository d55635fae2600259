import dataclasses
import json

import numpy as np
import pytest

from archgym import yamlfile
from archgym.agent import find_agent
from archgym.experiment import ExperimentError, load_experiment, parse_experiment
from archgym.hyperparameters import Choice, Hyperparameter, Range, declared, resolve
from archgym.metric import INFEASIBLE_REWARD
from archgym.plan import plan
from archgym.preset import Preset, bundled_presets, load_preset, problem_of
from archgym.results import load_results
from archgym.tuning import _proposed, run_value, tune

TUNE = """\
version: 1
name: fair
budget: {samples: 30}
seeds: 2
tasks:
  - {env: Outside-v0}
agents:
  - random
  - genetic
  - {name: genetic, population: 4, label: small}
  - {name: genetic, preset: results/fair-tuning/presets/genetic.yaml}
tuning:
  trials: 3
  seeds: [10, 11]
  samples: 20
  tasks:
    - {env: Outside-v0, workload: run}
    - {env: Outside-v0, workload: run, objective: {name: area, metrics: [area_mm2]}}
"""

DEFAULTS = {name: each.default for name, each in declared(find_agent("genetic")).items()}


@pytest.fixture
def fair(workplace):
    """The path of an experiment that says how to tune."""
    file = workplace / "fair.yaml"
    file.write_text(TUNE)
    return file


def refused(data, **kwargs):
    with pytest.raises(ValueError) as caught:
        tune(parse_experiment(data), **kwargs)
    return str(caught.value).splitlines()


class Listener:
    def __init__(self):
        self.totals, self.ends = [], 0

    def note(self, text): ...

    def start(self, total, complete):
        self.totals.append((total, complete))

    def ended(self, spec, failure):
        self.ends += 1
        if self.ends == 11:
            raise KeyboardInterrupt


def test_every_agent_gets_as_many_settings_and_the_best_becomes_its_preset(fair):
    outcome = tune(load_experiment(fair), workers=1)
    assert (outcome.rounds, outcome.without, outcome.failures) == (3, ("random",), ())
    assert [each.label for each in outcome.agents] == ["genetic", "genetic population=4"]
    for each in outcome.agents:
        rounds = [load_results(outcome.folder / "rounds" / f"{n:03d}") for n in range(3)]
        settings, values = [], []
        for results in rounds:
            mine = [a for task in results.tasks for a in task.agents if a.label == each.label]
            assert len(mine) == 2 and all(a.complete == 2 for a in mine)
            assert {len(run.scores) for a in mine for run in a.runs} == {20}
            settings.append(mine[0].hyperparameters)
            values.append(sum(run_value(run, a) for a in mine for run in a.runs) / 4)
        assert len({json.dumps(setting) for setting in settings}) == 3
        best = values.index(max(values))
        assert each.preset.hyperparameters == settings[best]
        assert (each.default_value, each.value) == pytest.approx((values[0], max(values)))
        stored = load_preset(each.file, "genetic")
        assert stored.tasks == ("Outside-v0 run fast", "Outside-v0 run area")
        assert stored.provenance["chosen"] == best
        assert stored.provenance["seeds"] == [10, 11]
        assert stored.provenance["versions"]["numpy"]
    small = outcome.agents[1].preset.hyperparameters
    assert small["population"] == 4
    first = yamlfile.read(outcome.folder / "rounds/000/experiment.yaml")["agents"][0]
    assert first.items() >= DEFAULTS.items()


def test_of_two_runs_that_find_the_same_the_faster_is_better(fair):
    outcome = tune(load_experiment(fair), workers=1)
    results = load_results(outcome.folder / "rounds" / "000")
    summary = results.tasks[0].agents[0]
    spec = dataclasses.replace(summary.runs[0].spec, budget=32)

    def value(scores):
        spent = np.arange(1.0, len(scores) + 1)
        run = dataclasses.replace(summary.runs[0], spec=spec, scores=np.array(scores), spent=spent)
        return run_value(run, dataclasses.replace(summary, optimum=None))

    # Judged after 8, 16 and 32 designs.
    assert value([0.0] * 3 + [1.0] * 29) == pytest.approx(1)
    assert value([0.0] * 10 + [1.0] * 22) == pytest.approx(2 / 3)
    assert value([0.0] * 20 + [1.0] * 12) == pytest.approx(1 / 3)
    assert value([-np.inf] * 8 + [0.0] * 24) == pytest.approx(INFEASIBLE_REWARD / 3)
    assert value([0.0, 0.0, 1.0]) == pytest.approx(1), "a run that ended early keeps its best"


def test_an_interrupted_tuning_goes_on_as_if_nothing_had_happened(fair):
    whole = tune(load_experiment(fair), "whole", workers=1)
    listener = Listener()
    stopped = tune(load_experiment(fair), "parts", workers=1, listener=listener)
    assert (stopped.interrupted, stopped.rounds, stopped.agents) == (True, 1, ())
    assert listener.totals == [(24, 0)]
    with pytest.raises(ValueError, match="holds rounds of this tuning; continue it with --resume"):
        tune(load_experiment(fair), "parts")
    again = Listener()
    again.ends = 100
    resumed = tune(load_experiment(fair), "parts", resume=True, workers=1, listener=again)
    assert again.totals[0][0] == 24 and again.totals[0][1] >= 10
    for one, other in zip(whole.agents, resumed.agents, strict=True):
        assert one.preset.hyperparameters == other.preset.hyperparameters
        assert one.value == other.value


def test_tuning_on_what_is_reported_is_refused(workplace):
    data = yamlfile.parse(TUNE, "test")
    data["tuning"] |= {"seeds": [1, 12], "tasks": [{"env": "Outside-v0"}]}
    assert refused(data) == [
        "tuning.tasks: task 'Outside-v0 walk fast' is also reported, tune on other tasks",
        "tuning.seeds: 1 are also reported, tune on other seeds",
    ]
    assert problem_of("A-v0 sort fidelity=table x") == problem_of("A-v0 sort x")
    assert not (workplace / "results").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning": None}, "tuning: is missing, it must give trials, tasks and seeds"),
        ({"agents": ["random"]}, "agents: none has hyperparameters to tune"),
        ({"agents": [{"name": "genetic", "sweep": {"population": [4]}}]}, "agents[0]: has a sweep"),
        (
            {"agents": [{"name": "genetic", "population": 0}]},
            "agent 'genetic': population: value 0",
        ),
    ],
)
def test_what_cannot_be_tuned_is_one_line(workplace, changes, message):
    (line,) = refused({**yamlfile.parse(TUNE, "test"), **changes})
    assert line.startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "tuning.trials: value 0 is below 1"),
        ({"sedes": [1]}, "tuning: key: unknown name 'sedes'; did you mean 'seeds'?"),
        ({"tasks": [{"env": "Outsid-v0"}]}, "tuning.tasks[0]: environment: unknown name 'Outsid"),
    ],
)
def test_mistakes_in_the_section_are_one_line(workplace, changes, message):
    data = yamlfile.parse(TUNE, "test")
    data["tuning"] |= changes
    (line,) = refused(data)
    assert line.startswith(message)


def preset_file(workplace, **changes):
    file = workplace / "preset.yaml"
    fields = {
        "agent": "genetic",
        "hyperparameters": {"population": 7, "mutation": 2.0},
        "tasks": ("Outside-v0 run fast",),
        "provenance": {},
    }
    file.write_text(Preset(**{**fields, **changes}).dump())
    return file


def experiment_with(entry):
    return parse_experiment(
        {**yamlfile.parse(TUNE, "test"), "agents": ["genetic", entry], "tuning": None}
    )


def test_a_preset_gives_hyperparameters_that_values_beside_it_override(workplace):
    file = preset_file(workplace)
    entry = {"name": "genetic", "preset": str(file), "mutation": 0.5}
    run = plan(experiment_with(entry))[-1]
    assert run.label == "genetic tuned"
    assert (run.hyperparameters["population"], run.hyperparameters["mutation"]) == (7, 0.5)
    swept = plan(experiment_with({**entry, "sweep": {"population": [3, 5]}}))
    assert {run.hyperparameters["population"] for run in swept} == {DEFAULTS["population"], 3, 5}


def test_a_preset_may_hold_the_defaults(workplace):
    file = preset_file(workplace, hyperparameters={})
    runs = plan(experiment_with({"name": "genetic", "preset": str(file)}))
    assert {run.label for run in runs} == {"genetic", "genetic tuned"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": "tpe"}, "preset.yaml: is for agent 'tpe', not 'genetic'"),
        ({"hyperparameters": {"population": 0}}, "population: value 0 is outside 2..1024"),
        ({"hyperparameters": {"popluation": 4}}, "unknown name 'popluation'; did you mean"),
        ({"tasks": ("Outside-v0 walk fidelity=table fast",)}, "was tuned on task 'Outside-v0 walk"),
    ],
)
def test_presets_that_do_not_fit_are_refused(workplace, changes, message):
    file = preset_file(workplace, **changes)
    with pytest.raises(ExperimentError) as caught:
        plan(experiment_with({"name": "genetic", "preset": str(file)}))
    (line,) = caught.value.problems
    assert line.startswith("agents[1].preset: ") and message in line


@pytest.mark.parametrize(
    "text", ["agent: genetic\n", "- 1\n", "version: 1\nagent: genetic\ntuned: 3\n"]
)
def test_files_that_are_no_presets(workplace, text):
    file = workplace / "preset.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"preset\.yaml: is not a preset"):
        load_preset(file, "genetic")
    with pytest.raises(
        ValueError, match=r"none\.yaml: there is no such file; `archgym tune` writes"
    ):
        load_preset("none.yaml", "genetic")
    with pytest.raises(ValueError, match=r"preset: unknown name 'none'"):
        load_preset("none", "genetic")


def test_bundled_presets_fit_their_agents():
    for name, file in bundled_presets().items():
        preset = load_preset(name, yamlfile.read(file)["agent"])
        resolve(preset.agent, find_agent(preset.agent), preset.hyperparameters)
        assert preset.tasks, name


def test_proposals_lie_in_the_ranges_and_learn_from_the_values():
    free = [
        Hyperparameter("count", int, 8, Range(1, 64, log=True)),
        Hyperparameter("rate", float, 0.5, Range(0.0, 1.0)),
        Hyperparameter("mode", str, "a", Choice(("a", "b"))),
        Hyperparameter("flag", bool, True, None),
    ]
    tried: list = []
    for _ in range(40):
        setting = _proposed(free, tried, seed=3)
        assert setting == _proposed(free, tried, seed=3)
        for each in free:
            if each.domain:
                each.check("test", setting[each.name])
        assert isinstance(setting["flag"], bool)
        failed = setting["mode"] == "b" and setting["count"] > 40
        tried.append((setting, None if failed else -abs(setting["rate"] - 0.8)))
    late = [setting["rate"] for setting, _ in tried[-10:]]
    assert abs(sum(late) / 10 - 0.8) < 0.15


def test_the_command_prints_the_presets(fair, capsys):
    from archgym import cli

    with pytest.raises(SystemExit) as caught:
        cli.main(["tune", str(fair), "--workers", "1", "--set", "tuning.trials=2"])
    assert not caught.value.code
    told = capsys.readouterr()
    assert "24 runs" not in told.err and "16 of 16 runs" in told.err
    assert "results/fair-tuning/presets/genetic.yaml" in told.out
    assert "without hyperparameters: random" in told.out
