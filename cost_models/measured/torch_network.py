"""Any torch module as a measured network: its dense layers and convolutions can be replaced.

Needs torch (extra `rl`). See `docs/quantization-own-model.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from archgym.cost_models.measured.arrays import Array, Quantizer
from archgym.cost_models.measured.losses import classification
from archgym.cost_models.measured.network import (
    Evaluation,
    Layer,
    LayerStatistics,
    Network,
    Setting,
    nearest,
)
from archgym.cost_models.measured.recorder import Recorder

Evaluate: TypeAlias = Callable[[nn.Module, str], tuple[Any, Any]]
Calibrate: TypeAlias = Callable[[nn.Module], object]

_SUPPORTED = (nn.Linear, nn.Conv2d)


class TorchNetwork(Network):
    """A torch module whose loss is measured with the functions of its owner.

    Attributes:
        default_tokens: Of the validation split.
    """

    def __init__(
        self,
        module: nn.Module,
        evaluate: Evaluate,
        calibrate: Calibrate,
        *,
        name: str = "own",
        keep: Collection[str] = (),
    ) -> None:
        """Check the module, and run it once over the calibration and the validation data.

        Args:
            module: Put into evaluation mode; its parameters are as before after every call.
            evaluate: Called with the module and `validation` or `test`; runs the module over the
                split and returns logits (sequences, ..., classes) and targets (sequences, ...),
                as tensors or arrays.
            calibrate: Called with the module; runs it over the calibration data.
            name: What to call it.
            keep: Names of modules that stay as they are.

        Raises:
            ValueError: On a parameter that is not finite, a layer that is not supported or never
                runs, or results of wrong shapes; names the layer.
        """
        self.name = name
        self._module, self._evaluate, self._calibrate = module.eval(), evaluate, calibrate
        _check_finite(module)
        self._modules = _replaceable(module, frozenset(keep))
        self._results: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
        recorders: dict[str, Recorder] = {}
        with self._observed(recorders):
            calibrate(module)
        missing = [layer for layer in self._modules if layer not in recorders]
        if missing:
            raise ValueError(
                f"layer {missing[0]}: never ran in calibrate; name it in `keep` if it is not used"
            )
        self._statistics = {name: recorder.statistics() for name, recorder in recorders.items()}
        self.weights = {name: _as_matrix(self._modules[name]) for name in recorders}
        for matrix in self.weights.values():
            matrix.flags.writeable = False
        counts = {name: 0 for name in recorders}
        with self._observed({}, counts):
            _, targets = self._reference("validation")
        self.tokens_per_sequence = max(targets.size // len(targets), 1)
        self.default_tokens = targets.size
        self.layers = tuple(self._layers(counts, targets.size))
        replaced = sum(matrix.size for matrix in self.weights.values())
        self.other_parameters = sum(p.numel() for p in module.parameters()) - replaced

    def sequences(self, split: str) -> int:
        """Number of sequences in a split."""
        return len(self._reference(split)[1])

    def calibration(self) -> Mapping[str, LayerStatistics]:
        """Statistics of every layer's input over the calibration data."""
        return self._statistics

    def evaluate(
        self,
        weights: Mapping[str, Array] | None = None,
        activations: Mapping[str, Quantizer] | None = None,
        *,
        scales: Mapping[str, Array] | None = None,
        split: str = "validation",
        sequences: int | slice | None = None,
        tokens: int | None = None,
    ) -> Evaluation:
        """Measure the loss as `Network.evaluate` says.

        The module always runs over the whole split, of which some sequences can be chosen. An
        activation quantizer is called whenever its layer is.
        """
        settings = self.settings(weights, activations, scales)
        reference, targets = self._reference(split)
        first, end = self.chosen(split, sequences, tokens)
        with self._replaced(settings):
            logits, again = self._run(split)
        if logits.shape != reference.shape or not np.array_equal(again, targets):
            raise ValueError(f"evaluate: other shapes or targets in another run over {split}")
        return classification(logits[first:end], reference[first:end], targets[first:end])

    def _reference(self, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
        if split == "calibration":
            raise ValueError("split: an own module is evaluated on validation or test")
        if split not in self._results:
            self._results[split] = self._run(split)
        return self._results[split]

    def _run(self, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Logits and targets, checked.

        Raises:
            ValueError: If they do not fit together, or logits are not finite.
        """
        with _one_thread():
            logits, targets = (np.asarray(x) for x in self._evaluate(self._module, split))
        if logits.shape[:-1] != targets.shape or not targets.size:
            raise ValueError(
                f"evaluate: logits {logits.shape} need targets {logits.shape[:-1]}, "
                f"not {targets.shape}"
            )
        if not np.isfinite(logits).all():
            raise ValueError(f"evaluate: logits of {split} have NaN or infinity")
        return logits, targets.astype(np.int64)

    @contextmanager
    def _observed(
        self, recorders: dict[str, Recorder], counts: dict[str, int] | None = None
    ) -> Iterator[None]:
        """Record each layer's inputs, in the order of their first use, or count them only."""

        def see(name: str, module: nn.Module, x: torch.Tensor) -> None:
            flat, operand = _rows(module, x)
            if counts is not None:
                counts[name] += len(operand)
                return
            if name not in recorders:
                recorders[name] = Recorder(_layer(name, module, 0, 0))
            recorders[name].see(flat, operand)

        with ExitStack() as stack:
            for name, module in self._modules.items():
                hook = module.register_forward_pre_hook(
                    lambda module, arguments, name=name: see(name, module, arguments[0])
                )
                stack.callback(hook.remove)
            stack.enter_context(_one_thread())
            yield

    @contextmanager
    def _replaced(self, settings: Mapping[str, Setting]) -> Iterator[None]:
        """The module with other weights and inputs; as it was afterwards, whatever happens."""
        with ExitStack() as stack:
            for name, setting in settings.items():
                module = self._modules[name]
                if setting.weight is not self.weights[name]:
                    stack.callback(setattr, module.weight, "data", module.weight.data)
                    module.weight.data = _as_tensor(setting.weight, module)
                if setting.activation is not None or setting.scale is not None:
                    hook = module.register_forward_pre_hook(
                        lambda module, arguments, name=name, setting=setting: _quantized_input(
                            module, arguments[0], setting, name
                        )
                    )
                    stack.callback(hook.remove)
            yield

    def _layers(self, counts: Mapping[str, int], tokens: int) -> Iterator[Layer]:
        for block, name in enumerate(self.weights):
            macs = round(counts[name] * self.weights[name].size / tokens)
            yield _layer(name, self._modules[name], block, macs)


def _check_finite(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ValueError(f"parameter {name}: NaN or infinity")


def _replaceable(root: nn.Module, keep: frozenset[str]) -> dict[str, Any]:
    """Layers by name.

    Raises:
        ValueError: On a module with matrices that is none of those supported and not kept.
    """
    modules = dict(root.named_modules())
    for name in keep:
        if name not in modules:
            raise ValueError(f"keep: no module {name!r}{nearest(name, modules)}")
    owners: dict[int, list[str]] = {}
    for name, module in modules.items():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(name)
    found: dict[str, Any] = {}
    for name, module in modules.items():
        matrices = [p for p in module.parameters(recurse=False) if p.ndim > 1]
        if not matrices or isinstance(module, nn.Embedding) or _within(name, keep):
            continue
        reason = _refused(module)
        shared = [other for other in owners[id(matrices[0])] if other != name]
        if shared and not reason:
            reason = f"shares its weight with {shared[0]}"
        if reason:
            raise ValueError(f"layer {name}: {reason}; name it in `keep` to leave it as it is")
        found[name] = module
    if not found:
        raise ValueError("module: no Linear or Conv2d layer to quantize")
    return found


def _within(name: str, keep: frozenset[str]) -> bool:
    return any(name == kept or name.startswith(f"{kept}.") for kept in keep)


def _refused(module: nn.Module) -> str:
    """Why a layer cannot be replaced; empty if it can."""
    if type(module) not in _SUPPORTED:
        return f"{type(module).__name__} is not supported (Linear and Conv2d are)"
    if isinstance(module, nn.Conv2d):
        if module.groups != 1:
            return f"Conv2d with groups={module.groups} is not supported"
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            return f"Conv2d with padding {module.padding} of {module.padding_mode} is not supported"
    return ""


def _layer(name: str, module: Any, block: int, macs: int) -> Layer:
    rows, channels = module.weight.shape[:2]
    columns = module.weight[0].numel()
    return Layer(name, type(module).__name__.lower(), block, rows, columns, channels, macs)


def _as_matrix(module: Any) -> Array:
    """(rows, columns) of a layer's weight, the channels last within a filter position."""
    weight = module.weight.detach()
    if weight.ndim == 4:
        weight = weight.permute(0, 2, 3, 1).flatten(1)
    return np.array(weight.cpu().numpy(), np.float32)


def _as_tensor(matrix: Array, module: Any) -> torch.Tensor:
    """A layer's weight from (rows, columns), on its device and of its type."""
    old = module.weight
    tensor = torch.tensor(matrix)
    if old.ndim == 4:
        rows, channels, height, width = old.shape
        tensor = tensor.view(rows, height, width, channels).permute(0, 3, 1, 2).contiguous()
    return tensor.to(old.device, old.dtype)


def _rows(module: Any, x: torch.Tensor) -> tuple[Array, Array]:
    """(inputs, channels) of a layer, and the (rows, columns) that its matrix multiplies."""
    x = x.detach().float().cpu()
    if not isinstance(module, nn.Conv2d):
        flat = x.reshape(-1, x.shape[-1]).numpy()
        return flat, flat
    flat = x.movedim(-3, -1).reshape(-1, x.shape[-3]).numpy()
    batch = x if x.ndim == 4 else x[None]
    patches = nn.functional.unfold(
        batch,
        cast(Any, module.kernel_size),
        cast(Any, module.dilation),
        cast(Any, module.padding),
        cast(Any, module.stride),
    )
    n, _, positions = patches.shape
    operand = patches.view(n, x.shape[-3], -1, positions).permute(0, 3, 2, 1)
    return flat, operand.reshape(n * positions, -1).numpy()


def _quantized_input(
    module: nn.Module, x: torch.Tensor, setting: Setting, name: str
) -> tuple[torch.Tensor]:
    """What a layer is given instead of x."""
    last = x.movedim(-3, -1) if isinstance(module, nn.Conv2d) else x
    flat = np.ascontiguousarray(last.detach().float().cpu().reshape(-1, last.shape[-1]).numpy())
    y = torch.tensor(setting.input(flat, name)).reshape(last.shape).to(x.device, x.dtype)
    return (y.movedim(-1, -3).contiguous() if isinstance(module, nn.Conv2d) else y,)


@contextmanager
def _one_thread() -> Iterator[None]:
    """No gradients, and one thread, so that results do not depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)
