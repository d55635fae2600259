"""Commands of `archgym` about neural networks as workloads: list them, show their operators."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

network = typer.Typer(
    name="network",
    help="List neural networks and show their operators.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _module(name: str) -> Any:
    """A module of the accelerator models, reached by name as the framework stands without them."""
    return importlib.import_module(f"archgym.cost_models.accelerator.{name}")


def _print_json(data: Any) -> None:
    import json

    print(json.dumps(data, indent=2, ensure_ascii=False))


@network.command("list")
def network_list(json: Json = False) -> None:
    """List the networks that ship, with multiply-accumulates and parameters at their defaults."""
    from archgym.console import print_table

    networks = _module("networks")
    told = []
    for name in networks.network_names():
        entry = networks.network_entry(name)
        made = networks.load_network(name)
        told.append(
            {
                "name": name,
                "summary": entry.summary,
                "context": entry.context or None,
                "stages": list(entry.stages),
                "parameters": made.parameters,
                "macs": made.macs,
            }
        )
    if json:
        _print_json(told)
        return
    headers = ["name", "summary", "context", "stages", "parameters", "MACs"]
    rows = [
        [
            each["name"],
            each["summary"],
            each["context"] or "-",
            ", ".join(each["stages"]) or "-",
            f"{each['parameters']:,}",
            f"{each['macs']:,}",
        ]
        for each in told
    ]
    print_table(headers, rows, right=("context", "parameters", "MACs"), optional=("summary",))


@network.command("show")
def network_show(
    name: Annotated[
        str, typer.Argument(help="network, as `archgym network list` has it, or FILE.onnx")
    ],
    batch: Annotated[int | None, typer.Option(help="Images or sequences.  [default: 1]")] = None,
    context: Annotated[
        int | None, typer.Option(help="Tokens per sequence.  [default: the network's]")
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(help="Of a language model, prefill or decode.  [default: the first]"),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=SIZE,SIZE", help="Of an ONNX file, the shape of an input; repeatable."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the operators of a network: sizes, multiply-accumulates, parameters, how often."""
    if name.endswith(".onnx"):
        for option, value in (("batch", batch), ("context", context), ("stage", stage)):
            if value is not None:
                raise ValueError(f"--{option}: is not for ONNX files, give --shape INPUT=SIZE,SIZE")
        made = _module("onnx_import").load_onnx(name, _shapes(shape or []))
    elif shape:
        raise ValueError(f"--shape: is for ONNX files, not for {name}")
    else:
        made = _module("networks").load_network(name, 1 if batch is None else batch, context, stage)
    if json:
        _print_json(_described(made))
    else:
        _print_network(made)


def _shapes(texts: list[str]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for text in texts:
        name, equals, sizes = text.rpartition("=")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            equals = ""
        if not name or not equals:
            raise ValueError(f"--shape: {text!r} is not INPUT=SIZE,SIZE with whole numbers")
    return shapes


def _described(made: Any) -> dict[str, Any]:
    return {
        "name": made.name,
        "source": made.source,
        "macs": made.macs,
        "parameters": made.parameters,
        "operations": made.operations,
        "inputs": {name: list(shape) for name, shape in made.inputs.items()},
        "outputs": list(made.outputs),
        "operators": [
            {
                "name": each.name,
                "kind": each.kind,
                "reads": list(made.edges[each.name]),
                "size": each.size,
                "output_shape": list(each.output_shape),
                "count": each.count,
                "macs": each.macs,
                "parameters": each.parameters,
                "operations": each.operations,
            }
            for each in made
        ],
    }


def _print_network(made: Any) -> None:
    from archgym.console import print_table

    rows = [
        [
            each.name,
            each.kind,
            each.size,
            f"{each.count}",
            f"{each.macs:,}",
            f"{each.parameters:,}",
            f"{each.operations:,}",
        ]
        for each in made
    ]
    total = ["total", "", "", "", made.macs, made.parameters, made.operations]
    rows.append([f"{cell:,}" if isinstance(cell, int) else cell for cell in total])
    print_table(
        ["operator", "kind", "size", "count", "MACs", "parameters", "other operations"],
        rows,
        title=f"{made.name} ({made.source})",
        right=("count", "MACs", "parameters", "other operations"),
        optional=("other operations",),
    )
    print("Figures of an operator are those of one run; the total counts every run.")
