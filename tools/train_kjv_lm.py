"""Train the small language models that `archgym.cost_models.measured` ships.

For developers, on Linux with Debian's `bible-kjv` and `bible-kjv-text`, torch, and PyPI
`tokenizers`. One thread; the schedule is fixed by the number of steps, and a run that was stopped
goes on from its checkpoint:

    python tools/train_kjv_lm.py kjv-lm --out /tmp/kjv
    python tools/train_kjv_lm.py kjv-lm-3m --out /tmp/kjv
    python tools/train_kjv_lm.py kjv-lm --out /tmp/kjv --export cost_models/measured/data

The recipe of each model, its seed and its log are in `docs/models/kjv-lm.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kjv_text import LEGEND, read_chapters, split_chapters, tokenize, train_tokenizer
from model_entries import write_entry
from torch import nn
from torch.nn import functional as F

ROPE_BASE = 10_000.0
NORM_EPS = 1e-5
CALIBRATION_TOKENS = 40_961
"""Of the training text that ships for calibration: 320 sequences of 128 and the last target."""


LOG_STEPS = 100


@dataclass(frozen=True)
class Recipe:
    """A model's shape and how it is trained."""

    width: int
    hidden: int
    blocks: int
    heads: int
    steps: int
    context: int = 128
    vocabulary: int = 1024
    batch: int = 16
    muon_lr: float = 0.02
    muon_decay: float = 0.05
    adamw_lr: float = 0.004
    adamw_decay: float = 0.01
    warm_up: int = 50
    dropout: float = 0.0
    seed: int = 1


RECIPES = {
    "kjv-lm": Recipe(width=128, hidden=256, blocks=4, heads=4, steps=5_600),
    "kjv-lm-3m": Recipe(width=256, hidden=512, blocks=4, heads=8, steps=2_000),
}


class Block(nn.Module):
    """RMSNorm, attention with rotary positions, RMSNorm, SwiGLU; no bias."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width, hidden = recipe.width, recipe.hidden
        self.heads, self.dropout = recipe.heads, recipe.dropout
        self.attention_norm = nn.Parameter(torch.ones(width))
        self.mlp_norm = nn.Parameter(torch.ones(width))
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """(n, length, width) after the block."""
        n, length, width = x.shape
        drop = lambda y: F.dropout(y, self.dropout, self.training)  # noqa: E731
        y = F.rms_norm(x, (width,), self.attention_norm, NORM_EPS)
        q, k, v = (
            p(y).view(n, length, self.heads, -1).transpose(1, 2) for p in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True
        )
        x = x + drop(self.o(y.transpose(1, 2).reshape(n, length, width)))
        y = F.rms_norm(x, (width,), self.mlp_norm, NORM_EPS)
        return x + drop(self.down(F.silu(self.gate(y)) * self.up(y)))


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions in the half-split layout of Llama's released code for transformers."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Model(nn.Module):
    """A Llama-shaped decoder whose output projection is the transposed embedding."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(recipe.vocabulary, recipe.width) * 0.02)
        self.blocks = nn.ModuleList(Block(recipe) for _ in range(recipe.blocks))
        self.norm = nn.Parameter(torch.ones(recipe.width))
        half = recipe.width // recipe.heads // 2
        angle = torch.outer(
            torch.arange(recipe.context).double(),
            ROPE_BASE ** (-torch.arange(half).double() / half),
        )
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)
        self.dropout = recipe.dropout
        for block in self.blocks:
            for name, matrix in block.named_parameters():
                if matrix.ndim == 2:
                    scale = (2 * recipe.blocks) ** -0.5 if name[:2] in ("o.", "do") else 1.0
                    nn.init.normal_(matrix, std=scale * matrix.shape[1] ** -0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (n, length, vocabulary) of (n, length) token ids."""
        x = F.dropout(F.embedding(tokens, self.embedding), self.dropout, self.training)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.rms_norm(x, x.shape[-1:], self.norm, NORM_EPS) @ self.embedding.T


def rate(step: int, recipe: Recipe) -> float:
    """Share of the learning rate at a step: warm-up, constant, linear decay over the last half."""
    return min(1.0, (step + 1) / recipe.warm_up, 2 * (1 - step / recipe.steps))


def windows(tokens: np.ndarray, context: int) -> torch.Tensor:
    """(sequences, context + 1) tokens: consecutive inputs, each with its last target."""
    n = (len(tokens) - 1) // context
    rows = np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context][:n]
    return torch.from_numpy(rows.astype(np.int64))


@torch.no_grad()
def mean_nll(model: Model, rows: torch.Tensor) -> float:
    """Mean cross-entropy (nats per token) over all sequences."""
    model.eval()
    total = sum(
        float(F.cross_entropy(model(r[:, :-1]).flatten(0, 1), r[:, 1:].flatten())) * len(r)
        for r in rows.split(32)
    )
    model.train()
    return total / len(rows)


def optimizers(model: Model, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the embedding and the norms' gains."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    return [
        torch.optim.Muon(matrices, lr=recipe.muon_lr, weight_decay=recipe.muon_decay),
        torch.optim.AdamW(
            others, lr=recipe.adamw_lr, betas=(0.9, 0.95), weight_decay=recipe.adamw_decay
        ),
    ]


def batch_at(step: int, tokens: np.ndarray, recipe: Recipe) -> torch.Tensor:
    """The batch of a step: windows at random places, the same in a run that was resumed."""
    rng = np.random.default_rng([recipe.seed, step])
    starts = rng.integers(0, len(tokens) - recipe.context - 1, recipe.batch)
    index = starts[:, None] + np.arange(recipe.context + 1)
    return torch.from_numpy(tokens[index].astype(np.int64))


class Training:
    """A run that can be stopped and taken up: model, optimizers, step, log."""

    def __init__(self, recipe: Recipe, tokens: dict[str, np.ndarray], checkpoint: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.tokens, self.checkpoint = recipe, tokens, checkpoint
        self.model = Model(recipe)
        self.optimizers = optimizers(self.model, recipe)
        self.rates = [group["lr"] for group in self._groups()]
        self.validation = windows(tokens["validation"], recipe.context)
        self.step, self.cpu_seconds = 0, 0.0
        self.log: list[dict[str, float]] = []
        if checkpoint.exists():
            self._resume()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=False)
        if state["recipe"] != asdict(self.recipe):
            raise ValueError(f"{self.checkpoint} is of another recipe: {state['recipe']}")
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["rng"])
        self.step, self.log, self.cpu_seconds = state["step"], state["log"], state["cpu_seconds"]

    def _save(self) -> None:
        state = {
            "recipe": asdict(self.recipe),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rng": torch.get_rng_state(),
            "step": self.step,
            "log": self.log,
            "cpu_seconds": self.cpu_seconds,
        }
        torch.save(state, self.checkpoint.with_suffix(".tmp"))
        self.checkpoint.with_suffix(".tmp").replace(self.checkpoint)

    def _learn(self) -> float:
        """One step; returns its loss."""
        for group, lr in zip(self._groups(), self.rates, strict=True):
            group["lr"] = lr * rate(self.step, self.recipe)
        rows = batch_at(self.step, self.tokens["train"], self.recipe)
        loss = F.cross_entropy(self.model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        return loss.item()

    def to_the_end(self) -> None:
        """Train through the rest of the schedule, saved every `LOG_STEPS`."""
        losses = []
        started = time.process_time() - self.cpu_seconds
        while self.step < self.recipe.steps:
            losses.append(self._learn())
            if self.step % LOG_STEPS and self.step != self.recipe.steps:
                continue
            every = 1 if self.step == self.recipe.steps else 8
            nll = mean_nll(self.model, self.validation[::every])
            self.cpu_seconds = time.process_time() - started
            entry = {
                "step": self.step,
                "cpu_s": round(self.cpu_seconds, 1),
                "train_loss": round(float(np.mean(losses)), 4),
                "validation_ppl": round(math.exp(nll), 3),
            }
            print(json.dumps(entry), flush=True)
            self.log.append(entry)
            losses = []
            self._save()


def half(model: Model) -> dict[str, np.ndarray]:
    """Parameters in half precision under the names that ship; the model keeps what was rounded."""
    arrays = {}
    for name, values in model.named_parameters():
        rounded = values.detach().half()
        values.data.copy_(rounded)
        arrays[name.removeprefix("blocks.").removesuffix(".weight")] = rounded.numpy()
    return arrays


def export(name: str, run: Training, folder: Path, log: Path) -> None:
    """Write the parameters, token ids, legend and an entry of `models.yaml`, and the log."""
    recipe, tokens = run.recipe, run.tokens
    folder.mkdir(parents=True, exist_ok=True)
    arrays = half(run.model)
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    np.savez_compressed(
        folder / "kjv-tokens.npz",
        validation=tokens["validation"],
        test=tokens["test"],
        calibration=tokens["train"][:CALIBRATION_TOKENS],
    )
    (folder / "kjv-legend.txt").write_text(LEGEND + "\n", encoding="utf-8")
    kept = ("width", "hidden", "blocks", "heads", "context", "vocabulary")
    shape = {key: value for key, value in asdict(recipe).items() if key in kept}
    entry = {
        "shape": {**shape, "rope_base": ROPE_BASE, "norm_epsilon": NORM_EPS},
        "parameters": sum(a.size for a in arrays.values()),
        "recipe": {key: value for key, value in asdict(recipe).items() if key not in kept},
        "cpu_seconds": round(run.cpu_seconds),
        "tools": f"torch {torch.__version__}, one thread, float32",
    }
    for split in ("validation", "test"):
        nll = mean_nll(run.model, windows(tokens[split], recipe.context))
        entry[f"{split}_perplexity"] = round(math.exp(nll), 4)
        print(split, "perplexity", entry[f"{split}_perplexity"], flush=True)
    first = windows(tokens["validation"], recipe.context)[: 2048 // recipe.context]
    entry["validation_perplexity_2048_tokens"] = round(math.exp(mean_nll(run.model, first)), 4)
    write_entry(folder, name, entry)
    log.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(line) for line in run.log]
    (log / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare(folder: Path, vocabulary: int) -> dict[str, np.ndarray]:
    """Token ids of the splits, kept in a folder so that all models see the same."""
    kept = folder / f"tokens-{vocabulary}.npz"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = split_chapters(read_chapters())
        tokenizer = train_tokenizer(parts["train"], vocabulary)
        tokenizer.save(str(folder / "tokenizer.json"))
        np.savez(kept, **tokenize(parts, tokenizer))
    with np.load(kept) as arrays:
        return dict(arrays)


def main() -> None:
    """Train to the end of the schedule, and write what ships if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", choices=RECIPES)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint and tokens go here")
    parser.add_argument("--steps", type=int, help="another length of the schedule")
    parser.add_argument("--export", type=Path, help="write the trained model's files here")
    parser.add_argument("--log", type=Path, default=Path("docs/models"), help="and its log here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = RECIPES[arguments.model]
    if arguments.steps:
        recipe = Recipe(**{**asdict(recipe), "steps": arguments.steps})
    tokens = prepare(arguments.out, recipe.vocabulary)
    print({name: len(ids) for name, ids in tokens.items()}, flush=True)
    run = Training(recipe, tokens, arguments.out / f"{arguments.model}.pt")
    run.to_the_end()
    if arguments.export:
        export(arguments.model, run, arguments.export, arguments.log)


if __name__ == "__main__":
    main()
