"""In place of a worker with ZigZag: answers by our model of it, through the protocol's JSON."""

import json
from dataclasses import asdict
from typing import Any

from archgym.cost_models.accelerator.external import WorkerError
from archgym.cost_models.accelerator.loopnest.zigzag import Accelerator, Layer, Memory, evaluate


class FakeTool:
    """Fails where as many output channels as `refused` lie on one dimension of an array."""

    refused = 0

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        read = json.loads(json.dumps(question))
        own = read["accelerator"]
        unrolling = {d: tuple((n, f) for n, f in loops) for d, loops in own["unrolling"].items()}
        if ("K", self.refused) in [loop for loops in unrolling.values() for loop in loops]:
            raise WorkerError("failed: out of order")
        memories = tuple(
            Memory(**{**each, "ports": tuple(tuple(map(tuple, port)) for port in each["ports"])})
            for each in own["memories"]
        )
        accelerator = Accelerator(own["mac_pj"], memories, unrolling)
        found = asdict(evaluate(accelerator, Layer(**read["layer"]), read["temporal"]))
        return dict(json.loads(json.dumps(found)))
