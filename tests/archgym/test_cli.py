import json
import re
import subprocess
import sys
import types
from dataclasses import asdict, dataclass

import numpy as np
import pytest

from archgym.console import fitting_columns, number, plain_table

MISTAKES = [
    (["list", "agnts"], "list: unknown name 'agnts'; did you mean 'agents'?"),
    (["list", "agents", "--env", "Outside-v0"], "--env: is for `archgym list workloads`"),
    (["list", "workloads", "--env", "Outsid-v0"], "environment: unknown name 'Outsid-v0'; did"),
    (["describe", "Outsid-v0"], "environment: unknown name 'Outsid-v0'; did you mean 'Outside-v0'"),
    (["describe", "Outside-v0", "--wrkload", "x"], "option: unknown name 'wrkload'; did you mean"),
    (["describe", "Outside-v0", "--workload"], "--workload: a value is missing"),
    (["describe", "Outside-v0", "walk"], "argument 'walk' is not an option"),
    (["describe", "Outside-v0", "--objective", "fats"], "objective: unknown name 'fats'; did you"),
    (["run", "quikstart"], "experiment: unknown name 'quikstart'; did you mean 'quickstart'?"),
    (["run", "none.yaml"], "none.yaml: there is no such file"),
    (["run", "toy.yaml", "--workers", "0"], "workers: value 0 is below 1"),
    (["run", "toy.yaml", "--workers", "x"], "Invalid value for '--workers'"),
    (["run", "toy.yaml", "--set", "sees=3"], "toy.yaml: key: unknown name 'sees'; did you mean 's"),
    (["run", "toy.yaml", "-o", "toy.yaml"], "toy.yaml: is a file"),
    (["run"], "Missing argument"),
    (["show", "nothing"], "nothing: holds no results"),
    (["verify", "nothing"], "nothing: holds no results (there is no runs.json and no run.json)"),
    (["verify", ".", "--sample", "x"], "Invalid value for '--sample'"),
    (["submit"], "submit: DIR and -o FILE.tar.zst are needed, or --template FILE"),
    (["submit", ".", "-o", "x.zip"], "--output: x.zip does not end in .tar.zst"),
    (["submit", ".", "--template", "x"], "--template: writes a description only, leave out DIR"),
    (["submit", ".", "-o", "x.tar.zst"], "submission.yaml: cannot be read (No such file"),
    (["validate", "drm", "--reference", "."], "validate: unknown name 'drm'"),
    (["validate", "dram", "--reference", "nowhere"], "--reference: nowhere is not a folder"),
    (
        ["validate", "dram"],
        "no folder with reference figures is given, use --reference DIR or set ",
    ),
    (["explode"], "No such command 'explode'"),
    (["list", "envs", "--jsn"], "No such option"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes_are_one_line_with_exit_status_2(toy, command, monkeypatch, arguments, message):
    monkeypatch.delenv("ARCHGYM_REFERENCE", raising=False)
    status, out, errors = command(*arguments)
    assert status == 2
    assert out == ""
    lines = [line for line in errors.splitlines() if not line.startswith("preparing")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def test_every_mistake_of_an_experiment_has_its_line(toy, command):
    status, _, errors = command(
        "run", "toy.yaml", "--set", "agents=[randm, geentic]", "--set", "tasks.0.mode=5"
    )
    assert status == 2
    assert len(errors.splitlines()) == 3
    assert all(line.startswith("error: ") for line in errors.splitlines())


def test_list(toy, command):
    status, out, errors = command("list", "envs")
    assert (status, errors) == (0, "")
    assert re.search(r"^Outside-v0 +an environment of another package$", out, re.MULTILINE)
    agents = json.loads(command("list", "agents", "--json")[1])
    assert {"random", "loud", "genetic"} <= {agent["name"] for agent in agents}
    genetic = next(agent for agent in agents if agent["name"] == "genetic")
    assert "population" in {each["name"] for each in genetic["hyperparameters"]}
    workloads = json.loads(command("list", "workloads", "--env", "Outside-v0", "--json")[1])
    assert [each["name"] for each in workloads] == ["walk", "run"]
    assert "quickstart" in command("list", "experiments")[1]


def test_describe(toy, command):
    status, out, _ = command("describe", "Outside-v0", "--workload", "run", "--objective=both")
    assert status == 0
    for text in ("6 parameters, 1,152 designs", "p0 and p1 both 0", "cost_ns, area_mm2 (Pareto)"):
        assert text in out
    told = json.loads(command("describe", "archgym/Outside-v0", "--json")[1])
    assert [each["name"] for each in told["metrics"]] == ["cost_ns", "area_mm2", "spare_mw"]
    assert told["space"]["parameters"][0]["values"] == [0, 1, 2, 3]


def test_schema(command):
    assert json.loads(command("schema")[1])["additionalProperties"] is False


def test_run_and_show_through_the_command(toy, archgym_command):
    status, out, errors = archgym_command("run", "toy.yaml", "--workers", "1")
    assert status == 0, errors
    assert "\x1b" not in out + errors
    assert out.isascii()
    lines = out.splitlines()
    assert lines[0] == "asked for 7"  # what an agent prints while it runs in this process
    table = out[out.index("Outside-v0 walk fast") :].splitlines()
    assert table[1].split() == [
        "agent",
        "best",
        "score",
        "95%",
        "interval",
        "x",
        "default",
        "cost_ns",
        "area_mm2",
        "samples/s",
    ]
    assert {table[3].split()[0], table[4].split()[0]} == {"random", "loud"}
    assert lines[-1] == "report: results/toy/report/index.html"
    assert (toy.parent / "results/toy/report/index.html").is_file()
    assert "4 of 4 runs" in errors
    status, shown, errors = archgym_command("show", "results/toy")
    assert (status, errors) == (0, "")
    assert shown == out[out.index("Outside-v0 walk fast") : out.index("report: ")]


def test_run_again(toy, command):
    assert command("run", "toy.yaml", "--workers", "1")[0] == 0
    status, _, errors = command("run", "toy.yaml")
    assert status == 2
    assert errors == (
        "error: results/toy: holds this experiment, complete; see it with "
        "`archgym show results/toy`, or choose another folder with -o\n"
    )
    status, out, errors = command("run", "toy.yaml", "--resume")
    assert status == 0
    assert "4 runs, 4 of them complete" in errors
    assert "report: " in out
    shown = json.loads(command("show", "results/toy", "--json")[1])
    assert shown["runs"] == {"planned": 4, "complete": 4}


def test_failed_runs_are_reported_with_exit_status_1(toy, command):
    arguments = ["run", "toy.yaml", "--workers", "1", "--set", "tasks.0.mode=fail"]
    status, out, errors = command(*arguments)
    assert status == 1
    assert "partial: 0 of 4 runs are complete." in out
    reason = "RuntimeError: the model broke"
    folder = "results/toy/runs/Outside-v0_walk_mode=fail_fast/random/seed-0"
    assert f"error: {folder}: {reason}" in errors.splitlines()
    assert errors.splitlines()[-1].startswith("4 runs failed: 0 of 4 runs are complete, all trials")
    assert "Traceback" not in errors


@dataclass(frozen=True)
class Check:
    check: str
    subject: str
    passed: bool | None
    spearman: float = 0.99
    metric: str = "total_time_ns"
    n: int = 3
    exact: float = 0.5
    median_error: float = 0.01
    p95_error: float = 0.02
    max_error: float = 0.03
    target: str = "median <= 5%"

    def to_dict(self):
        return asdict(self)


@pytest.fixture
def checks(monkeypatch):
    """A cost model `fake` whose checks are the list that is returned."""
    found = []
    module = types.ModuleType("archgym.cost_models.fake.validation")
    module.validate = lambda reference: found
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("archgym.validate._validations", lambda: {"fake": module.__name__})
    return found


def test_validate(toy, command, checks, monkeypatch):
    checks += [Check("times", "a", True), Check("times", "all", None, spearman=float("nan"))]
    status, out, _ = command("validate", "fake", "--reference", ".")
    assert status == 0
    assert "median <= 5%" in out
    assert "1.00%" in out
    monkeypatch.setenv("ARCHGYM_REFERENCE", str(toy.parent))
    status, out, _ = command("validate", "fake", "--json")
    assert status == 0
    told = json.loads(out)
    assert [each["passed"] for each in told] == [True, None]
    assert told[1]["spearman"] is None
    checks.append(Check("times", "b", np.bool_(False)))
    assert command("validate", "fake")[0] == 1


def test_validate_prints_rows_of_other_kinds(toy, command, monkeypatch):
    class Claim(dict):
        to_dict = dict.copy

    module = types.ModuleType("archgym.cost_models.fake.validation")
    module.REFERENCE_NEEDED = False

    def validate(reference, quick=False):
        assert reference is None
        yield Check("times", "a", True)
        for z, passed in ((5.125, True), (1.0, None)) if quick else ((-9.0, False),):
            yield Claim(claim="b before c", n=1000, z=z, passed=passed)

    module.validate = validate
    monkeypatch.delenv("ARCHGYM_REFERENCE", raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("archgym.validate._validations", lambda: {"fake": module.__name__})
    status, out, _ = command("validate", "fake", "--quick")
    assert status == 0
    assert [line.split()[-2:] for line in out.splitlines()[-2:]] == [
        ["5.125", "pass"],
        ["not", "shown"],
    ]
    status, out, _ = command("validate", "fake")
    assert status == 1
    assert out.splitlines()[-1].split()[-2:] == ["-9", "FAIL"]
    module.validate = lambda reference: []
    status, _, errors = command("validate", "fake", "--quick")
    assert (status, errors) == (2, "error: --quick: there is no quicker way to validate fake\n")


def test_version_and_help(command):
    assert re.fullmatch(r"archgym \d+\.\d+\.\d+\n", command("--version")[1])
    status, out, _ = command("--help")
    assert status == 0
    for name in ("list", "describe", "run", "show", "schema", "validate"):
        assert f"  {name} " in out
    status, out, _ = command("run", "-h")
    assert "--resume" in out


def test_help_imports_nothing_heavy():
    code = "import sys, archgym.cli as c\ntry: c.main(['--help'])\n"
    code += "except SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"numpy", "pydantic", "rich", "polars", "plotly", "gymnasium", "numba"}


def test_narrow_terminals_leave_optional_columns_out():
    headers = ["agent", "score", "latency_ns", "power_mw"]
    rows = [["ant-colony evaporation=0.1", "0.056", "72.64", "1,753"]]

    def shown(width):
        right = headers[1:]
        return fitting_columns(headers, rows, right, ["latency_ns", "power_mw"], width)

    assert shown(80) == [0, 1, 2, 3]
    assert shown(17 + 7 + 12 + 10) == [0, 1, 2, 3]
    assert shown(17 + 7 + 12 + 9) == [0, 1, 3]
    assert shown(10) == [0, 1]


def test_tables_keep_whole_names():
    text = plain_table(["agent", "score"], [["x" * 200, "1.000"], ["y", "10.000"]], {1})
    lines = text.splitlines()
    assert lines[2] == "x" * 200 + "   1.000"
    assert lines[3].endswith("10.000")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (float("-inf"), "-inf"),
        (0.0, "0"),
        (1234.5, "1,234"),
        (123456.0, "123,456"),
        (0.012345, "0.01235"),
        (9999.9, "10,000"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text
