"""The command `archgym plot`: a picture of one design, as an environment offers it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archgym.commands import Settings, Space, Workload, environment_options


def plot(
    kind: Annotated[str, typer.Argument(help="what to draw, such as roofline or breakdown")],
    env: Annotated[str, typer.Argument(help="environment id, such as Accelerator-v0")],
    design: Annotated[
        str,
        typer.Argument(
            help="default, optimum, best:FOLDER of an experiment's results, or a YAML or JSON file "
            "with a value per parameter"
        ),
    ] = "default",
    workload: Workload = None,
    space: Space = None,
    settings: Settings = None,
    part: Annotated[
        str | None, typer.Option(help="Part of the workload, such as an operator or a network.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="FILE.svg, FILE.html or FILE.txt.  [default: text]"),
    ] = None,
) -> None:
    """Draw a design: its roofline, where time and energy go, its mapping; SVG, a page or text."""
    from archgym import plot as pictures
    from archgym.environment import find_environment
    from archgym.errors import unknown

    plots = find_environment(env).plots
    if kind not in plots:
        raise unknown(f"{env}: plot", kind, plots)
    chosen = pictures.choose(env, environment_options(workload, space, settings), design)
    picture = pictures.draw(kind, chosen, part)
    if output is None:
        print(picture.text)
        return
    pictures.write(picture, chosen, output)
    print(output)
