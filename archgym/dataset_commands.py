"""Commands of `archgym` about datasets: the trials of many runs for others to use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from archgym.dataset import Dataset

dataset = typer.Typer(
    name="dataset",
    help="Export the trials of runs as a dataset, and look into one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@dataset.command()
def export(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="results folders, or folders of runs")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    name: Annotated[str | None, typer.Option(help="Its title.  [default: the folder's]")] = None,
    license_: Annotated[
        str, typer.Option("--license", help="Licence you publish it under, such as CC-BY-4.0.")
    ] = "",
    url: Annotated[str, typer.Option(help="Address that you publish it at.")] = "",
    creator: Annotated[
        list[str] | None, typer.Option(help="Person or organisation; may be repeated.")
    ] = None,
    proxies: Annotated[
        bool, typer.Option("--proxies", help="Also export runs on a proxy, which are predictions.")
    ] = False,
    minari: Annotated[
        str | None,
        typer.Option(metavar="NAME-v0", help="Also write episodes to this dataset of Minari."),
    ] = None,
) -> None:
    """Write the trials of results folders as one partitioned parquet with its description."""
    from archgym.dataset import load_dataset
    from archgym.dataset_export import Description, export_dataset

    if minari is not None:
        from archgym.episodes import check_id

        check_id(minari)
    told = Description(name or output.name, license_, url, tuple(creator or ()))
    meta = export_dataset(folders, output, told, proxies=proxies)
    for note in meta["notes"]:
        print(f"note: {note}", file=sys.stderr)
    if not license_:
        print("note: no licence was given (--license), so nobody may use it", file=sys.stderr)
    written = load_dataset(output)
    print_dataset(written)
    if minari is not None:
        count = written.to_minari(minari).total_episodes
        print(f"minari: {minari}, {count:,} episodes")


@dataset.command()
def info(
    folder: Annotated[Path, typer.Argument(metavar="DATASET", help="folder of a dataset")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Print what is in a dataset, and check that its files are those that were exported."""
    from archgym.dataset import load_dataset

    found = load_dataset(folder)
    digest = found.digest
    if json:
        import json as json_

        print(json_.dumps({**found.meta, "digest": digest}, indent=2, ensure_ascii=False))
        return
    print_dataset(found)
    print(f"licence: {found.meta['license'] or 'none was given'}")
    for note in found.meta["notes"]:
        print(f"note: {note}")
    print(f"digest: {digest}")


def print_dataset(found: Dataset) -> None:
    """Prints the tasks of a dataset."""
    from archgym.console import print_table

    meta = found.meta
    counts = ("designs", "trials", "feasible", "runs")
    print_table(
        ["task", *counts, "agents", "archgym"],
        [
            [
                task["name"],
                *(f"{task[key]:,}" for key in counts),
                " ".join(task["agents"]),
                task["version"],
            ]
            for task in meta["tasks"].values()
        ],
        title=meta["name"],
        right=counts,
    )
    size = sum(told["bytes"] for told in meta["files"].values()) / 1e6
    parts = len(meta["files"]) - 1
    files = f"{parts} parquet file{'s' if parts != 1 else ''} of trials"
    print(f"{found.path}: {len(meta['spaces'])} design spaces, {files}, {size:.2f} MB")
