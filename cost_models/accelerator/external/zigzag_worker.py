"""Runs ZigZag's cost model on one mapping at a time; see `worker` for how it is asked.

A question holds an accelerator, a layer and the loops of every operand and memory as
`archgym.cost_models.accelerator.loopnest.zigzag` has them, as JSON objects. The mapping is given to
the cost model as it is: none of ZigZag's searches and none of its allocation of loops takes part.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# ZigZag's operands of memories and of layers.
OPERANDS = {"I": "I1", "W": "I2", "O": "O"}
# Its names of our directions, in port allocations and in results.
PORTS = {"rd_low": "tl", "wr_low": "fl", "rd_high": "th", "wr_high": "fh"}
RESULTS = {
    "rd_low": "rd_out_to_low",
    "wr_low": "wr_in_by_low",
    "rd_high": "rd_out_to_high",
    "wr_high": "wr_in_by_high",
}
EQUATION = "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]"

# A window of ZigZag's stalls is an array over its cycles; one that large is refused, not tried.
MOST_BYTES = 4 << 30

TRIAL = {
    "accelerator": {
        "mac_pj": 1.0,
        "memories": [
            {
                **{"name": "m", "size": 1024, "read_pj": 1.0, "write_pj": 1.0},
                **{"width": 8, "least": 8, "serves": []},
                "ports": [
                    [["W", "rd_low"], ["I", "rd_low"], ["O", "rd_low"], ["O", "rd_high"]],
                    [["W", "wr_high"], ["I", "wr_high"], ["O", "wr_low"], ["O", "wr_high"]],
                ],
            }
        ],
        "unrolling": {"D1": []},
    },
    "layer": {
        "sizes": {"B": 1, "K": 2, "C": 2, "OY": 1, "OX": 1, "FY": 1, "FX": 1},
        "stride": [1, 1],
        "dilation": [1, 1],
        "bits": {"W": 8, "I": 8, "O": 8},
        "final_bits": 8,
    },
    "temporal": {operand: [[["C", 2], ["K", 2]]] for operand in OPERANDS},
}


def start() -> tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """The version of ZigZag, and its answers."""
    its = SimpleNamespace(
        **_names("datatypes", "LayerDim", "LayerOperand"),
        **_names("parser.accelerator_factory", "AcceleratorFactory"),
        **_names("parser.workload_factory", "LayerNodeFactory"),
        **_names("mapping.temporal_mapping", "TemporalMapping", "TemporalMappingType"),
        **_names("stages.mapping.spatial_mapping_conversion", "SpatialMappingConversionStage"),
        **_names("stages.evaluation.cost_model_evaluation", "CostModelStage"),
        **_names("cost_model.cost_model", "CostModelEvaluation"),
    )
    evaluate(its, TRIAL)
    limit_memory()
    return importlib.metadata.version("zigzag-dse"), partial(evaluate, its)


def limit_memory() -> None:
    """Makes what takes too much memory from here on fail by itself, where the system can."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = pages * resource.getpagesize() + MOST_BYTES
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _names(module: str, *names: str) -> dict[str, Any]:
    found = importlib.import_module(f"zigzag.{module}")
    return {name: getattr(found, name) for name in names}


def evaluate(its: Any, question: dict[str, Any]) -> dict[str, Any]:
    """Energy, latency and accesses of a mapping."""
    accelerator = its.AcceleratorFactory(accelerator_of(question["accelerator"])).create()
    unrolling = question["accelerator"]["unrolling"]
    layer = its.LayerNodeFactory(layer_of(question["layer"]), [mapping_of(unrolling)]).create()
    layer.spatial_mapping.initialize_oa_dims(accelerator.operational_array.dimension_sizes)
    stage = its.SpatialMappingConversionStage(
        [its.CostModelStage], accelerator=accelerator, layer=layer
    )
    spatial, whole = stage.convert_user_spatial_mapping(layer.spatial_mapping)
    loops = {
        its.LayerOperand(operand): [[(its.LayerDim(d), f) for d, f in level] for level in levels]
        for operand, levels in question["temporal"].items()
    }
    found = its.CostModelEvaluation(
        accelerator=accelerator,
        layer=layer,
        spatial_mapping=spatial,
        spatial_mapping_int=whole,
        temporal_mapping=its.TemporalMapping(loops, layer, its.TemporalMappingType.UNEVEN),
    )
    by_name = {operand.name: operand for operand in layer.layer_operands}
    return {
        "energy_pj": found.energy_total,
        "level_pj": {name: found.mem_energy_breakdown[op] for name, op in by_name.items()},
        "accesses": {
            name: [_accesses(each) for each in found.memory_word_access[op]]
            for name, op in by_name.items()
        },
        "steps": found.ideal_temporal_cycle,
        "stalls": found.stall_slack_comb,
        "latency": found.latency_total2,
    }


def _accesses(moved: Any) -> dict[str, int]:
    by_name = {str(direction): number for direction, number in moved.data.items()}
    return {ours: by_name[theirs] for ours, theirs in RESULTS.items()}


def accelerator_of(ours: dict[str, Any]) -> dict[str, Any]:
    """An accelerator as ZigZag's file of it has it."""
    unrolling = ours["unrolling"]
    return {
        "name": "accelerator",
        "operational_array": {
            "is_imc": False,
            "unit_energy": ours["mac_pj"],
            "unit_area": 0.0,
            "dimensions": list(unrolling),
            "sizes": [math.prod(f for _, f in loops) for loops in unrolling.values()],
            "systolic_dimensions": [],
        },
        "dataflows": None,
        "memories": {memory["name"]: memory_of(memory) for memory in ours["memories"]},
    }


def memory_of(ours: dict[str, Any]) -> dict[str, Any]:
    """A memory as ZigZag's file of an accelerator has it."""
    operands = sorted({OPERANDS[operand] for port in ours["ports"] for operand, _ in port})
    return {
        "size": ours["size"],
        "r_cost": ours["read_pj"],
        "w_cost": ours["write_pj"],
        "area": 0.0,
        "latency": 1,
        "mem_type": "sram",
        "auto_cost_extraction": False,
        "force_double_buffering": False,
        "operands": operands,
        "ports": [
            {
                "name": f"rw_port_{i}",
                "type": "read_write",
                "bandwidth_min": ours["least"],
                "bandwidth_max": ours["width"],
                "allocation": [f"{OPERANDS[op]}, {PORTS[way]}" for op, way in port],
            }
            for i, port in enumerate(ours["ports"], 1)
        ],
        "served_dimensions": ours["serves"],
    }


def layer_of(ours: dict[str, Any]) -> dict[str, Any]:
    """A layer as ZigZag's file of a network has it."""
    (rows, columns), (down, right) = ours["stride"], ours["dilation"]
    sizes = ours["sizes"]
    return {
        "id": 0,
        "name": "layer",
        "operator_type": "Conv",
        "equation": EQUATION,
        "dimension_relations": [
            f"ix={columns}*ox+{right}*fx",
            f"iy={rows}*oy+{down}*fy",
        ],
        "loop_dims": list(sizes),
        "loop_sizes": list(sizes.values()),
        "operand_precision": {**ours["bits"], "O_final": ours["final_bits"]},
        "operand_source": {"W": 0, "I": 1},
    }


def mapping_of(unrolling: dict[str, Any]) -> dict[str, Any]:
    """A mapping, but for its temporal loops, as ZigZag's file of it has it."""
    return {
        "name": "default",
        "spatial_mapping": {
            array: [f"{d},{f}" for d, f in loops] for array, loops in unrolling.items()
        },
        "memory_operand_links": dict(OPERANDS),
    }
