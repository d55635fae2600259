"""Commands of `archgym` that check results and hand them over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from archgym.verify import Verification

_SHOWN = 20


def verify(
    folder: Annotated[Path, typer.Argument(help="results folder, or the folder of one run")],
    sample: Annotated[
        int, typer.Option(help="Trials per run to replay besides those that were best so far.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of the sample.")] = 0,
    everything: Annotated[bool, typer.Option("--all", help="Replay every trial.")] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Also repeat every run and compare all its trials.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Replay results through the cost model; exit status 1 if anything does not hold."""
    from archgym.verify import verify as check

    told = check(folder, sample=None if everything else sample, seed=seed, rerun=rerun)
    if json:
        import json as json_

        print(json_.dumps(told.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_verification(told)
    if not told.ok:
        raise typer.Exit(1)


def print_verification(told: Verification) -> None:
    """Prints what was found, the first mismatch first."""
    from archgym.verify import current_version

    findings = told.all_findings
    for finding in findings[:_SHOWN]:
        print(f"mismatch: {finding}")
    if len(findings) > _SHOWN:
        print(f"and {len(findings) - _SHOWN:,} more (--json lists them all)")
    print(f"{told.folder}: {len(told.runs):,} runs, {told.count('trials'):,} trials")
    repeated = "; every run was repeated" if told.rerun else ""
    print(
        f"replayed: {told.count('replayed'):,}, of which {told.count('agreeing'):,} agree{repeated}"
    )
    for note in told.notes:
        print(f"note: {note}")
    print(f"made with: {', '.join(told.made_with) or 'unknown'}")
    print(f"checked with: {current_version()}")
    if findings and told.made_with != [current_version()]:
        print("note: the versions differ; only the one it was made with can tell a changed model")
    print("everything that was checked holds" if told.ok else f"{len(findings):,} mismatches")


def submit(
    folder: Annotated[
        Path | None, typer.Argument(help="results folder of a complete experiment")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.tar.zst", help="To write.")
    ] = None,
    description: Annotated[
        Path | None,
        typer.Option(help="The filled-in template.  [default: DIR/submission.yaml]"),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an empty description to fill in, and end."),
    ] = None,
) -> None:
    """Verify results and pack them, with a description of what made them, into one file."""
    from archgym.submission import submit as pack
    from archgym.submission import write_template

    if template is not None:
        if folder is not None or output is not None:
            raise ValueError("--template: writes a description only, leave out DIR and -o")
        write_template(template)
        print(f"{template}: fill it in, then `archgym submit DIR -o FILE --description {template}`")
        return
    if folder is None or output is None:
        raise ValueError("submit: DIR and -o FILE.tar.zst are needed, or --template FILE")
    if not output.name.endswith(".tar.zst"):
        raise ValueError(f"--output: {output} does not end in .tar.zst")
    told = pack(folder, output, description or folder / "submission.yaml")
    if not told.ok:
        print_verification(told)
        print(f"error: {folder}: is not packed, it does not hold", file=sys.stderr)
        raise typer.Exit(1)
    size = output.stat().st_size / 1e6
    print(f"{output}: {len(told.runs):,} runs, {told.count('trials'):,} trials, {size:.2f} MB")
