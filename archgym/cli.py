"""The `archgym` command. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archgym import (
    commands,
    dataset_commands,
    model_commands,
    network_commands,
    plot_commands,
    proxy_commands,
    verify_commands,
)

if TYPE_CHECKING:
    from archgym.runner import Outcome

app = typer.Typer(
    name="archgym",
    help="Design-space exploration for computer architects: environments, search methods, "
    "experiments and reports.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def _print_json(data: Any) -> None:
    import json

    print(json.dumps(data, indent=2, ensure_ascii=False))


def _print_version(wanted: bool) -> None:
    if wanted:
        import archgym

        print(f"archgym {archgym.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the command as a whole."""


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="envs, agents, workloads or experiments")],
    env: Annotated[
        str | None, typer.Option(help="For workloads: the environment they are for.")
    ] = None,
    json: Json = False,
) -> None:
    """List environments, agents, workloads or bundled experiments."""
    from archgym import tables

    if env is not None and kind != "workloads":
        raise ValueError(f"--env: is for `archgym list workloads`, not for {kind}")
    entries = tables.listing(kind, env)
    if json:
        _print_json(entries)
    else:
        tables.print_listing(entries)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def describe(
    context: typer.Context,
    env: Annotated[str, typer.Argument(help="environment id, such as DramController-v0")],
    json: Json = False,
) -> None:
    """Show an environment: design space, metrics, objectives, options, workloads.

    Options of the environment follow its id, such as `--workload xz --space archgym2023`.
    """
    from archgym import tables
    from archgym.environment import find_environment
    from archgym.task import make_task

    find_environment(env)
    told = tables.description(make_task(env, **_environment_options(context.args)))
    if json:
        _print_json(told)
    else:
        tables.print_description(told)


def _environment_options(arguments: list[str]) -> dict[str, Any]:
    """Reads `--name value` and `--name=value` pairs, values as YAML."""
    from archgym import yamlfile

    options = {}
    rest = list(arguments)
    while rest:
        flag, equals, text = rest.pop(0).partition("=")
        if not flag.startswith("--") or len(flag) < 3:
            raise ValueError(
                f"describe: argument {flag!r} is not an option such as --workload NAME"
            )
        if not equals:
            if not rest:
                raise ValueError(f"{flag}: a value is missing")
            text = rest.pop(0)
        options[flag[2:].replace("-", "_")] = yamlfile.parse(text, flag)
    return options


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="a YAML file, or the name of a bundled one")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Results folder.  [default: results/NAME]"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what the folder already holds.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes.  [default: one per core]")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="auto|ADDRESS",
            help="Run as tasks of Ray: of a cluster, or on this machine where there is none.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a value, such as budget.samples=100."
        ),
    ] = None,
) -> None:
    """Run an experiment, print the result table and write the report."""
    from archgym import console, tables
    from archgym.experiment import load_experiment
    from archgym.leaderboard import load_leaderboard
    from archgym.leaderboard_page import write_leaderboard
    from archgym.results import load_results
    from archgym.runner import run_experiment

    loaded = load_experiment(experiment, settings or [])
    with console.progress() as progress:
        outcome = run_experiment(
            loaded, output, resume=resume, workers=workers, ray=ray, listener=progress
        )
    if outcome.interrupted:
        _say_how_to_resume(outcome, "interrupted")
        raise typer.Exit(130)
    results = load_results(outcome.folder)
    tables.print_results(results)
    left = results.planned - outcome.total - (results.complete - outcome.complete)
    if left:
        print(f"{left} runs of external agents are left to a script, see archgym.external_runs")
    # A cost model that breaks must not break the report.
    board = load_leaderboard([outcome.folder], evaluate=False)
    print(f"report: {write_leaderboard(board, outcome.folder / 'report')}")
    if outcome.failures:
        for spec, reason in outcome.failures[:20]:
            print(f"error: {outcome.folder / spec.folder}: {reason}", file=sys.stderr)
        _say_how_to_resume(outcome, f"{len(outcome.failures)} runs failed")
        raise typer.Exit(1)


def _say_how_to_resume(outcome: Outcome, what: str) -> None:
    import shlex

    file = shlex.quote(str(outcome.folder / "experiment.yaml"))
    folder = shlex.quote(str(outcome.folder))
    print(
        f"{what}: {outcome.complete} of {outcome.total} runs are complete, all trials are kept; "
        f"continue with `archgym run {file} -o {folder} --resume`",
        file=sys.stderr,
    )


@app.command()
def tune(
    experiment: Annotated[str, typer.Argument(help="a YAML file with a section `tuning`")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder.  [default: results/NAME-tuning]"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what the folder already holds.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes.  [default: one per core]")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value, such as tuning.trials=5."),
    ] = None,
) -> None:
    """Tune every agent with the same effort and write presets that experiments can name."""
    from archgym import console, tables
    from archgym.experiment import load_experiment
    from archgym.tuning import tune as tune_agents

    loaded = load_experiment(experiment, settings or [])
    with console.progress() as progress:
        outcome = tune_agents(loaded, output, resume=resume, workers=workers, listener=progress)
    if outcome.interrupted:
        print(
            f"interrupted: {outcome.rounds} settings per agent are complete, all trials are kept; "
            f"continue with the same command, -o {outcome.folder} and --resume",
            file=sys.stderr,
        )
        raise typer.Exit(130)
    tables.print_tuning(outcome)
    if outcome.failures:
        for spec, reason in outcome.failures[:20]:
            print(f"error: {spec.label} {spec.task_name}: {reason}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="results folder of an experiment")],
    json: Json = False,
) -> None:
    """Show the result table of an experiment, finished or not."""
    from archgym import tables
    from archgym.results import load_results

    results = load_results(folder)
    if json:
        _print_json(results.to_dict())
    else:
        tables.print_results(results)


@app.command()
def schema() -> None:
    """Print the JSON Schema of experiment files."""
    from archgym.experiment import experiment_schema

    _print_json(experiment_schema())


@app.command()
def validate(
    name: Annotated[str, typer.Argument(help="cost model or environment: dram, quantization, ...")],
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the reference figures.  [default: $ARCHGYM_REFERENCE, or ./reference]"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure on less data, where that takes long.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare a cost model with reference figures; exit status 1 if a check fails."""
    from archgym import tables
    from archgym.validate import run_checks

    checks = run_checks(name, reference, quick)
    if json:
        _print_json(checks)
    else:
        tables.print_checks(checks)
    if any(check.get("passed") is False for check in checks):
        raise typer.Exit(1)


app.command()(commands.tabulate)
app.command()(commands.landscape)
app.command()(commands.leaderboard)
app.command()(verify_commands.verify)
app.command()(verify_commands.submit)
app.add_typer(dataset_commands.dataset)
app.add_typer(proxy_commands.proxy)
app.add_typer(model_commands.trace)
app.add_typer(network_commands.network)
app.command()(plot_commands.plot)
app.command()(model_commands.curve)


def _command(arguments: list[str] | None) -> int:
    """Runs the command and returns its exit status; what a user did wrong becomes one line each."""
    try:
        return int(app(arguments, standalone_mode=False) or 0)
    except typer.Abort:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone; nothing more can be printed, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except (ValueError, OSError) as error:
        if os.environ.get("ARCHGYM_TRACEBACK"):
            raise
        _print_error(error)
        return 2
    except Exception as error:
        # Usage errors of typer's parser, whose class has moved between versions.
        if not hasattr(error, "format_message"):
            raise
        print(f"error: {' '.join(error.format_message().split())}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))


def _print_error(error: Exception) -> None:
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error) or type(error).__name__
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `archgym` command.

    Args:
        arguments: of the command; None takes those of this process.
    """
    sys.exit(_command(arguments))


if __name__ == "__main__":
    main()
