import json

import pytest

from archgym import yamlfile
from archgym.experiment import (
    ExperimentError,
    bundled_experiments,
    experiment_schema,
    load_experiment,
    parse_experiment,
)

BASE = {
    "version": 1,
    "name": "toy",
    "budget": {"samples": 10},
    "seeds": 2,
    "tasks": [{"env": "Outside-v0"}],
    "agents": ["random"],
}


def problems(**changes):
    with pytest.raises(ExperimentError) as caught:
        parse_experiment({**BASE, **changes}).runs()
    return list(caught.value.problems)


def runs(**changes):
    return parse_experiment({**BASE, **changes}).runs()


SHAPE = [
    ({"version": 2}, "version: value 2 is not 1"),
    ({"name": "a/b"}, "name: value 'a/b' is not a name of at most 64 letters, digits"),
    ({"name": ".."}, "name: value '..' is not a name"),
    ({"budget": 5}, "budget: value 5 is not a mapping"),
    ({"budget": {"samples": 0}}, "budget.samples: value 0 is below 1"),
    ({"budget": {"samples": 1.5}}, "budget.samples: value 1.5 is not a whole number"),
    ({"budget": {"samples": True}}, "budget.samples: value True is not a whole number"),
    ({"budget": {"samples": "9"}}, "budget.samples: value '9' is not a whole number"),
    ({"budget": {}}, "budget.samples: is missing"),
    ({"budget": {"sampels": 5, "samples": 5}}, "budget: key: unknown name 'sampels'; did you mean"),
    ({"budget": {"samples": 5, "max_repeats": 0}}, "budget.max_repeats: value 0 is below 1"),
    (
        {"agents": [{"name": "random", "budget": {"sampels": 3, "samples": 3}}]},
        "agents[0].budget: key: unknown name 'sampels'; did you mean 'samples'?",
    ),
    ({"budjet": {}}, "key: unknown name 'budjet'; did you mean 'budget'?"),
    ({"seeds": 0}, "seeds: value 0 is outside 1..10000"),
    ({"seeds": True}, "seeds: value True is not a list"),
    ({"seeds": []}, "seeds: is empty"),
    ({"seeds": [1, 1]}, "seeds: value [1, 1] repeats a seed"),
    ({"seeds": [-1]}, "seeds[0]: value -1 is below 0"),
    ({"seeds": ["a"]}, "seeds[0]: value 'a' is not a whole number"),
    ({"tasks": []}, "tasks: is empty"),
    ({"tasks": [{}]}, "tasks[0].env: is missing"),
    ({"tasks": ["x"]}, "tasks[0]: value 'x' is not a mapping"),
    ({"tasks": [{"env": "Outside-v0", "objective": 3}]}, "tasks[0].objective: value 3 is not a"),
    ({"agents": []}, "agents: is empty"),
    ({"agents": [7]}, "agents[0]: value 7 is not a mapping"),
    ({"agents": [{"name": "random", "sweep": 3}]}, "agents[0].sweep: value 3 is not a mapping"),
    ({"agents": [{"name": "random", "sweep": {"a": 1}}]}, "agents[0].sweep.a: value 1 is not a li"),
    ({"agents": [{"name": "random", "x": float("nan")}]}, "agents[0].x: value nan is not finite"),
]
NAMES = [
    ({"tasks": [{"env": "Outsid-v0"}]}, "tasks[0]: environment: unknown name 'Outsid-v0'; did you"),
    (
        {"tasks": [{"env": "Outside-v0", "wrkload": 1}]},
        "option: unknown name 'wrkload'; did you me",
    ),
    (
        {"tasks": [{"env": "Outside-v0", "mode": "slo"}]},
        "mode: unknown name 'slo'; did you mean 's",
    ),
    (
        {"tasks": [{"env": "Outside-v0", "objective": "fats"}]},
        "objective: unknown name 'fats'; did",
    ),
    ({"tasks": BASE["tasks"] * 2}, "tasks[1]: is the same task as tasks[0] (Outside-v0 walk fast)"),
    ({"agents": ["randm"]}, "agents[0]: agent: unknown name 'randm'; did you mean 'random'?"),
    ({"agents": ["random", "random"]}, "'random' and 'random' are the same agent"),
    ({"agents": [{"name": "genetic", "popluation": 4}]}, "unknown name 'popluation'; did you mean"),
    ({"agents": [{"name": "genetic", "population": 0}]}, "population: value 0 is outside"),
    (
        {"agents": [{"name": "genetic", "population": "4"}]},
        "population: value '4' is not of type i",
    ),
    (
        {"agents": [{"name": "genetic", "sweep": {"population": [8, 0]}}]},
        "agents[0].sweep: agent 'genetic': population: value 0 is outside",
    ),
    ({"agents": [{"name": "genetic", "sweep": {"population": []}}]}, "sweep.population: is empty"),
    ({"agents": [{"name": "genetic", "sweep": {"population": [8, 8]}}]}, "repeats a value"),
    ({"agents": [{"name": "genetic", "sweep": {"popul": [8]}}]}, "unknown name 'popul'; did you"),
    (
        {"agents": [{"name": "genetic", "population": 8, "sweep": {"population": [16]}}]},
        "sweep.population: is also given one value",
    ),
    (
        {"agents": [{"name": "genetic", "sample": 3, "sweep": {"population": [16]}}]},
        "agents[0]: sweep and sample exclude each other",
    ),
    (
        {"agents": [{"name": "random", "sample": 3}]},
        "agents[0].sample: value 3 is above the number",
    ),
    (
        {"agents": [{"name": "random", "label": "a"}, {"name": "genetic", "label": "a"}]},
        "agents: label 'a' is given twice",
    ),
    (
        {
            "agents": [
                {"name": "genetic", "sweep": {"population": list(range(2, 502))}},
            ],
            "seeds": 1000,
        },
        "the experiment has 500,000 runs, at most 100,000 are allowed",
    ),
]


@pytest.mark.parametrize(("changes", "message"), SHAPE + NAMES)
def test_mistakes_are_one_line_each(outside, changes, message):
    found = problems(**changes)
    assert any(message in line for line in found), found
    assert all("\n" not in line for line in found)


def test_all_mistakes_are_found_at_once(outside):
    found = problems(
        tasks=[{"env": "Outside-v0", "mode": "x", "nix": 1}, {"env": "no"}],
        agents=["randm", {"name": "genetic", "population": 0, "mutation": -1.0}],
    )
    assert len(found) == 6


def test_a_missing_key_and_an_unknown_one(outside):
    data = {key: value for key, value in BASE.items() if key != "seeds"}
    with pytest.raises(ExperimentError) as caught:
        parse_experiment({**data, "seed": 3})
    assert caught.value.problems == (
        "seeds: is missing, it must be given",
        "key: unknown name 'seed'; did you mean 'seeds'? Allowed: agents, budget, description, "
        "name, seeds, tasks, tuning, version.",
    )


@pytest.mark.parametrize("data", [None, 3, [], "text"])
def test_a_document_that_is_no_mapping(data):
    with pytest.raises(ExperimentError, match="not a mapping with the keys version, name"):
        parse_experiment(data)


def test_endless_nesting_is_refused():
    nested = {"a": 1}
    nested["a"] = nested
    with pytest.raises(ExperimentError, match="nested too deeply"):
        parse_experiment({**BASE, "tasks": [nested]})


def test_runs_are_tasks_x_agents_x_seeds(outside):
    specs = runs(
        tasks=[{"env": "Outside-v0"}, {"env": "archgym/Outside-v0", "workload": "run"}],
        agents=["random", {"name": "genetic", "sweep": {"population": [8, 16], "tournament": [2]}}],
        seeds=[3, 7],
    )
    assert len(specs) == 2 * 3 * 2
    assert len({spec.folder.casefold() for spec in specs}) == len(specs)
    last = specs[-1]
    assert last.folder == "runs/Outside-v0_run_fast/genetic_population=16_tournament=2/seed-7"
    assert last.task == {
        "env": "Outside-v0",
        "workload": "run",
        "mode": "ok",
        "fidelity": "full",
        "objective": "fast",
    }
    assert (last.label, last.seed, last.budget) == ("genetic population=16 tournament=2", 7, 10)
    assert last.hyperparameters["population"] == 16
    json.dumps(last.to_dict())


def test_settings_that_differ_are_named_in_labels(outside):
    specs = runs(seeds=1, agents=["genetic", {"name": "genetic", "elitism": 0.0}])
    default = specs[0].hyperparameters["elitism"]
    assert [spec.label for spec in specs] == [f"genetic elitism={default}", "genetic elitism=0.0"]


def test_awkward_labels_get_folders_of_their_own(outside):
    labels = ["a b", "a_b", "A b", "../..", "x" * 150, "Ж", "<script>"]
    agents = [
        {"name": "genetic", "population": 8 + i, "label": label} for i, label in enumerate(labels)
    ]
    folders = [spec.folder for spec in runs(seeds=1, agents=agents)]
    assert len({folder.casefold() for folder in folders}) == len(labels)
    for folder in folders:
        part = folder.split("/")[2]
        assert len(folder.split("/")) == 4
        assert part.strip(".")
        assert len(part) < 100


def test_random_sweeps_are_seeded_and_inside_the_ranges(outside):
    agent = {"name": "genetic", "population": 8, "sample": 5}
    first, again = (runs(seeds=1, agents=[agent]) for _ in range(2))
    assert first == again
    assert [spec.label for spec in first] == [f"genetic #{i}" for i in range(1, 6)]
    assert {spec.hyperparameters["population"] for spec in first} == {8}
    assert len({spec.hyperparameters["mutation"] for spec in first}) == 5
    other = runs(seeds=1, agents=[{**agent, "sample_seed": 1}])
    assert [s.hyperparameters for s in other] != [s.hyperparameters for s in first]


def test_a_dump_reads_as_the_same_experiment(outside):
    experiment = parse_experiment(
        {**BASE, "agents": ["random", {"name": "genetic", "sweep": {"population": [8, 9]}}]}
    )
    assert parse_experiment(yamlfile.parse(yamlfile.dump(experiment.dump()), "x")) == experiment


YAML = [
    ("a: [1,\n", r"toy.yaml:2:1: expected the node content, but found"),
    ("a: 1\nb: 2\na: 3\n", r"toy.yaml:3:1: key 'a' appears twice"),
    ("a:\n\t- b\n", r"toy.yaml:2:1: a tab character, YAML is indented with spaces"),
    ("!!python/object/apply:os.system [echo]\n", r"toy.yaml:1:1: the tag .* is not allowed"),
    ("1: 2\n", r"toy.yaml:1:1: key 1 is not a text"),
    ("a: *b\n", r"toy.yaml:1:4: found undefined alias 'b'"),
    ("a: 1\n---\nb: 2\n", r"toy.yaml:2:1: "),
    ("a: \x00\n", r"toy.yaml: not valid YAML"),
    ("", r"toy.yaml: the document is not a mapping"),
]


@pytest.mark.parametrize(("text", "message"), YAML)
def test_bad_yaml_names_file_and_place_in_one_line(tmp_path, text, message):
    file = tmp_path / "toy.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_experiment(file)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text(tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a UTF-8 text file"):
        load_experiment(file)


def test_scalars_mean_what_they_look_like():
    text = "[no, on, 1e-3, 1:30, 2024-01-01, 010, 0x10, true, ~, .5, '7']"
    read = ["no", "on", 0.001, "1:30", "2024-01-01", 10, 16, True, None, 0.5, "7"]
    assert yamlfile.parse(text, "x") == read
    assert yamlfile.parse(yamlfile.dump(read), "x") == read


def test_overrides(toy):
    changed = load_experiment(
        toy, ["budget.samples=7", "seeds=[4]", "agents.1.label=L", "tasks.0.workload=run"]
    )
    assert changed.budget.samples == 7
    assert changed.seeds == [4]
    assert changed.agents[1].label == "L"
    assert changed.tasks[0].options == {"workload": "run"}


BAD_SETTINGS = [
    ("budget.sampels=7", "budget: key: unknown name 'sampels'; did you mean 'samples'?"),
    ("budget", "--set budget: is not key=value"),
    ("=3", "--set =3: is not key=value"),
    ("a..b=3", "is not key=value"),
    ("seed=3", "key: unknown name 'seed'; did you mean 'seeds'?"),
    ("agents.5.label=x", "--set agents.5.label: '5' is not an entry number in 0..1"),
    ("agents.x=3", "'x' is not an entry number"),
    ("budget.samples.deep=3", "--set budget.samples.deep: there is nothing named 'deep' in 40"),
    ("seeds=[1", "--set seeds:1:3: "),
]


@pytest.mark.parametrize(("setting", "message"), BAD_SETTINGS)
def test_bad_overrides(toy, setting, message):
    with pytest.raises(ValueError) as caught:
        load_experiment(toy, [setting])
    assert message in str(caught.value)


def test_sources(toy):
    assert load_experiment("toy.yaml").name == "toy"
    with pytest.raises(ValueError, match="there is no such file"):
        load_experiment("no-file.yaml")
    with pytest.raises(ValueError, match="unknown name 'quikstart'; did you mean 'quickstart'"):
        load_experiment("quikstart")
    with pytest.raises(ValueError, match="is a folder"):
        load_experiment(toy.parent)


def test_bundled_experiments_fit_their_schema():
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(experiment_schema())
    assert "quickstart" in bundled_experiments()
    for file in bundled_experiments().values():
        validator.validate(yamlfile.read(file))
    assert not validator.is_valid({**BASE, "seeds": 0})
    assert not validator.is_valid({**BASE, "budjet": 0})
    assert validator.is_valid({**BASE, "seeds": [1, 2]})


def test_the_quickstart_is_what_the_readme_promises():
    quickstart = load_experiment("quickstart")
    assert quickstart.budget.samples == 500
    assert len(quickstart.seeds) == 5
    assert [agent.name for agent in quickstart.agents] == ["random", "genetic", "ant-colony"]


def test_agents_of_one_goal_are_refused_for_tasks_with_several_all_at_once(outside):
    lines = problems(
        tasks=[
            {"env": "Outside-v0"},
            {"env": "Outside-v0", "objective": "both"},
            {"env": "Outside-v0", "workload": "run", "objective": "both"},
        ],
        agents=["nsga2", "genetic", {"name": "tpe", "sweep": {"startup": [4, 8]}}, "random"],
    )
    assert len(lines) == 4
    for i, (agent, workload) in enumerate(
        [("genetic", "walk"), ("tpe", "walk"), ("genetic", "run"), ("tpe", "run")]
    ):
        place = 1 if agent == "genetic" else 2
        task = f"Outside-v0 {workload} both"
        start = f"agents[{place}]: agent '{agent}': searches one goal, task '{task}' has 2 (Pareto)"
        assert lines[i].startswith(start)


def test_an_agent_may_have_a_budget_of_its_own(outside):
    few = {"name": "random", "label": "few", "budget": {"samples": 3, "max_repeats": 7}}
    specs = runs(budget={"samples": 9, "max_proposals": 90}, agents=["random", few])
    found = {spec.label: (spec.budget, spec.max_repeats, spec.max_proposals) for spec in specs}
    assert found == {"random": (9, None, 90), "few": (3, 7, None)}
