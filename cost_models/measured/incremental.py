"""Evaluations in a row, of which each takes up the last one's pass where the first change is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archgym.cost_models.measured.arrays import Array, Quantizer
from archgym.cost_models.measured.decoder import STAGES, AttentionQuantizers, Buffers
from archgym.cost_models.measured.language_model import Batch, LanguageModel
from archgym.cost_models.measured.network import Evaluation, Setting
from archgym.cost_models.measured.threads import one_thread


class Incremental:
    """A language model on fixed sequences, for searches that change layers one by one.

    The residual stream and the inputs of `o` and `down` are kept for every block: 20 MB per 2,048
    tokens of a model of width 128, hidden 256 and 4 blocks. Whether a layer changed is told by the
    identity of its arrays and functions, so write no new values into an array that was given.

    Attributes:
        resumed_at: Stage of the decoder that the last evaluation began with, 4 per block.
    """

    def __init__(self, network: LanguageModel, batches: Sequence[Batch]) -> None:
        """Make the arrays; the first evaluation is a whole one."""
        self._network, self._batches = network, batches
        self._buffers = [
            Buffers(network.shape, batch.end - batch.start, keep=True) for batch in batches
        ]
        self._last: tuple[dict[str, Setting], AttentionQuantizers] | None = None
        self.resumed_at = 0

    def evaluate(
        self,
        weights: Mapping[str, Array] | None = None,
        activations: Mapping[str, Quantizer] | None = None,
        *,
        scales: Mapping[str, Array] | None = None,
        kv: Sequence[Quantizer | None] | None = None,
    ) -> Evaluation:
        """Measure the loss as `LanguageModel.evaluate` does, with the same result."""
        network = self._network
        settings, quantizers = (
            network.settings(weights, activations, scales),
            AttentionQuantizers(*(kv or ())),
        )
        start = self._first_change(settings, quantizers)
        self._last = None  # an error on the way leaves the arrays of no use
        parts = []
        with one_thread():
            for batch, buffers in zip(self._batches, self._buffers, strict=True):
                reference = network.reference(batch)
                hidden = network.decoder.run(
                    network.ids(batch), settings, buffers, kv=quantizers, start=start
                )
                parts.append(network.losses(batch, hidden, reference))
        self._last, self.resumed_at = (settings, quantizers), start
        return network.evaluation(parts)

    def _first_change(self, settings: Mapping[str, Setting], kv: AttentionQuantizers) -> int:
        """First stage that differs from the last evaluation; the number of stages if none does."""
        if self._last is None:
            return 0
        before, kv_before = self._last
        if any(now is not then for now, then in zip(kv, kv_before, strict=True)):
            return 0
        stages = self._network.decoder.stages
        for stage in range(stages):
            block, step = divmod(stage, len(STAGES))
            names = (f"{block}.{kind}" for kind in STAGES[step])
            if not all(settings[name].same(before[name]) for name in names):
                return stage
        return stages
