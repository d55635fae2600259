"""Commands of `archgym` about proxies: models that are trained on a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

proxy = typer.Typer(
    name="proxy",
    help="Train models on a dataset that answer instead of a cost model.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@proxy.command()
def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="folder of a dataset")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    task: Annotated[
        str | None,
        typer.Option(help="Task or problem of the dataset.  [default: the only one]"),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="extra-trees, random-forest, gradient-boosting, mlp or gp."),
    ] = "extra-trees",
    metric: Annotated[
        list[str] | None,
        typer.Option(help="What to predict; may be repeated.  [default: all with a direction]"),
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option(help="Only trials of this agent; may be repeated.")
    ] = None,
    designs: Annotated[
        int | None, typer.Option(help="Train on so many designs, drawn at random.  [default: all]")
    ] = None,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    timing: Annotated[
        bool, typer.Option(help="Run the cost model too, to compare the speed.")
    ] = True,
    json: Json = False,
) -> None:
    """Train a model per metric, print its errors on designs it has not seen, and save it."""
    from archgym.dataset import load_dataset
    from archgym.proxy_report import note_on
    from archgym.proxy_train import Training, train_proxy

    data = load_dataset(dataset)
    if agent:
        data = data.filter(agent=agent)
    chosen = Training(model, tuple(metric) if metric else None, designs, folds, seed, timing)
    meta = train_proxy(data, task, output, chosen)
    note = note_on(model, meta["feasible"])
    if note:
        print(f"note: {note}", file=sys.stderr)
    _print(output, meta, json)


@proxy.command()
def info(
    folder: Annotated[Path, typer.Argument(metavar="PROXY", help="folder of a proxy")],
    json: Json = False,
) -> None:
    """Print what a proxy predicts, and how well."""
    from archgym.proxy import load_proxy

    found = load_proxy(folder)
    _print(folder, {**found.meta, "digest": found.digest}, json)


def _print(folder: Path, meta: dict[str, Any], as_json: bool) -> None:
    from archgym.console import print_table
    from archgym.proxy_report import summary_rows

    if as_json:
        import json

        print(json.dumps(meta, indent=2, ensure_ascii=False))
        return
    columns, rows = summary_rows(meta)
    title = f"{meta['problem']}: {meta['model']}, {meta['feasible']:,} feasible designs"
    print_table(columns, rows, title=title, right=columns[3:])
    print(f"errors: {meta['folds']}-fold cross-validation, each design by a model that lacked it")
    for name, told in meta["metrics"].items():
        held = ", ".join(f"{level}%: {share:.1f}" for level, share in told["calibration"].items())
        print(f"intervals of {name} hold {held}")
    for name, told in meta["rules"].items():
        shown = ", ".join(
            f"{what} {told[key]:.1f}%"
            for what, key in (("broken found", "found_percent"), ("others kept", "kept_percent"))
            if told[key] is not None
        )
        print(f"rule {name!r}: {shown} ({told['broken']} of {told['designs']} designs break it)")
    if "speed" in meta:
        speed = meta["speed"]
        for how, what in (("batch", f"batches of {speed['batch']}"), ("one_by_one", "one by one")):
            print(
                f"{what}: {speed[f'proxy_{how}_microseconds']} us of CPU time per design, "
                f"cost model {speed[f'cost_model_{how}_microseconds']} us: "
                f"{speed[f'times_faster_{how}']} times faster"
            )
    print(f"{folder}: use it with fidelity=proxy:{folder}")
