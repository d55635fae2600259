"""Bayesian optimisation with BoTorch, for one goal or several."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from archgym.agent import Agent
from archgym.agents._acquisition import GOOD, Chooser, fresh, unseen_sample, warped
from archgym.agents._gaussian_process import Encoding, subset
from archgym.agents._operators import Seen, balanced_sample, finite_or_worst, keys, ordered_mask
from archgym.hyperparameters import Choice, Range
from archgym.metric import BUDGET_FLOOR, FloatArray, floored
from archgym.pareto import front
from archgym.space import BoolArray, DesignSpace, IntArray
from archgym.task import Evaluation

if TYPE_CHECKING:
    import torch

LARGEST, SMALLEST = 0.8, 0.05
"""Side of a trust region at the start, and the side under which the search begins anew."""

ITERATIONS = 50
"""Largest number of steps of a fit: most of the likelihood is gained in the first tens."""

SUCCESSES = 3
"""Rounds in a row with a new best design after which a trust region doubles."""


class BoTorchAgent(Agent):
    """Proposes the designs with the largest expected improvement under BoTorch's processes.

    For one goal the acquisition is qLogEI (Ament et al. 2023, arXiv:2310.20708), for a Pareto
    objective qNEHVI, the expected gain in hypervolume (Daulton, Balandat and Bakshy 2021,
    arXiv:2105.08195), with one process per goal. Categories are one-hot. Infeasible designs teach
    one more process, which enters the acquisition as a constraint. With `trust_region`, proposals
    stay near the best design, in a region that grows while they improve on it and shrinks while
    they do not, after which the search begins anew (TuRBO, Eriksson et al. 2019, arXiv:1910.01739;
    of categories a share may differ, Wan et al. 2021, arXiv:2102.07188). Needs the extra `botorch`.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        startup: designs of a Latin hypercube before the model is used; designs of a warm start
            count.
        batch: designs that are chosen at once in a run.
        trust_region: `on` keeps proposals in a trust region, `off` searches the whole space.
        samples: Monte Carlo samples of an acquisition.
        pool: random designs and changes of good ones that the acquisition is looked up for, before
            the best of them are climbed from.
        starts: designs from which the acquisition is climbed for each proposal.
        points: largest number of evaluated designs in the model.
        refit: share by which the number of designs grows between two fits of the kernels.
    """

    multi_objective: ClassVar[bool] = True
    extra: ClassVar[str] = "botorch"
    needs: ClassVar[tuple[str, ...]] = ("torch", "gpytorch", "botorch")

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        startup: Annotated[int, Range(2, 256, log=True)] = 12,
        batch: Annotated[int, Range(1, 64, log=True)] = 8,
        trust_region: Annotated[str, Choice(("off", "on"))] = "off",
        samples: Annotated[int, Range(16, 1024, log=True)] = 64,
        pool: Annotated[int, Range(16, 4096, log=True)] = 256,
        starts: Annotated[int, Range(1, 32, log=True)] = 3,
        points: Annotated[int, Range(32, 2000, log=True)] = 300,
        refit: Annotated[float, Range(0.01, 2.0, log=True)] = 0.25,
    ) -> None:
        super().__init__(space, seed)
        self._startup, self._batch, self._samples = startup, batch, samples
        self._points, self._growth = points, refit
        self._region = _Region(space) if trust_region == "on" else None
        self._chooser = Chooser(space, pool, starts)
        self._encoding = Encoding(space)
        self._first = balanced_sample(space, startup, self.rng)
        self._rows = np.zeros((0, len(space)), np.int64)
        self._scores = np.zeros(0)
        self._goals: FloatArray | None = None
        self._begin = 0
        self._proposed, self._told = Seen(), Seen()
        self._pending: dict[bytes, IntArray] = {}
        self._fitted: list[dict[str, Any]] = []
        self._due = 0

    @property
    def batch_size(self) -> int:
        """As set by `batch`."""
        return self._batch

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Keeps designs that are new, and resizes the trust region."""
        rows = self.space.canonical(designs)
        for key in keys(rows):
            self._pending.pop(key, None)
        self._proposed.add(rows)
        new = self._told.add(rows)
        if not new.any():
            return
        scores, goals = finite_or_worst(evaluation)[new], evaluation.objectives[new]
        before = len(self._rows)
        self._rows = np.concatenate([self._rows, rows[new]])
        self._scores = np.concatenate([self._scores, scores])
        self._goals = goals.copy() if self._goals is None else np.concatenate([self._goals, goals])
        if self._region is not None and before - self._begin >= self._startup:
            ahead = bool((self._begin + self._front() >= before).any())
            if self._region.resize(ahead):
                self._begin, self._due = len(self._rows), 0
                self._first = balanced_sample(self.space, self._startup, self.rng)

    def _values(self) -> FloatArray:
        """Returns the goals `(n, m)` of the designs in the model, `-inf` where there are none.

        A Pareto objective is told by its score, the mean of the goals and not their sum.
        """
        assert self._goals is not None
        scores, goals = self._scores[self._begin :], self._goals[self._begin :]
        some = np.isfinite(scores) & np.isfinite(goals).all(axis=1) & (scores > BUDGET_FLOOR)
        mean, total = goals[some].mean(axis=1), goals[some].sum(axis=1)
        gaps = [
            np.minimum(abs(scores[some] - each), abs(scores[some] - floored(each, BUDGET_FLOOR)))
            for each in (mean, total)
        ]
        if goals.shape[1] == 1 or gaps[0].sum() >= gaps[1].sum():
            return scores[:, None]
        return np.where(some[:, None], goals, -np.inf)

    def _front(self) -> IntArray:
        """Returns which designs of the model no other dominates."""
        return front(self._values())

    def ask(self, n: int) -> IntArray:
        """Proposes `n` designs: the rest of the first ones, then by the model."""
        if len(self._rows) - self._begin >= self._startup:
            self._first = self._first[:0]
        first, self._first = self._first[:n], self._first[n:]
        first = fresh(self.space.canonical(first), self._proposed)
        self._proposed.add(first)
        rest = n - len(first)
        ready = rest > 0 and len(self._rows) > self._begin and len(self._front()) > 0
        chosen = self._choose(rest) if ready else first[:0]
        self._proposed.add(chosen)
        more = unseen_sample(self.space, rest - len(chosen), self._proposed, self.rng)
        self._proposed.add(more)
        rows = np.concatenate([first, chosen, more])
        self._pending.update(zip(keys(rows), rows.copy(), strict=True))
        return rows

    def _choose(self, n: int) -> IntArray:
        """Returns up to `n` new designs by the acquisition, fewer where none are left."""
        import torch

        rows, values = self._rows[self._begin :], self._values()
        threads = torch.get_num_threads()
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(int(self.rng.integers(2**31)))
            # The same bits whatever the machine, and faster for small matrices.
            torch.set_num_threads(1)
            try:
                surrogate = _Improvement(self, self._acquisition(rows, values))
                best = rows[self._front()]
                if self._region is not None:
                    self._region.centre = best[self.rng.integers(len(best))]
                order = np.argsort(-self._scores[self._begin :], kind="stable")
                good = np.concatenate([best, rows[order]])[:GOOD]
                return self._chooser.choose(
                    n, self.space, surrogate, good, self._proposed, self.rng
                )
            finally:
                torch.set_num_threads(threads)

    def _acquisition(self, rows: IntArray, values: FloatArray) -> Any:
        """Returns the acquisition of designs `(n, d)` with goals `(n, m)`."""
        from botorch.models.model_list_gp_regression import ModelListGP

        feasible = np.isfinite(values).all(axis=1)
        columns = [warped(column[feasible]) for column in values.T]
        kept = subset(columns[0], self._points, self.rng)
        if len(columns) > 1:
            kept = np.union1d(kept, front(values[feasible]))
        data = [(rows[feasible][kept], column[kept]) for column in columns]
        if not feasible.all():
            labels = np.where(feasible, -1.0, 1.0)
            some = subset(-labels, self._points, self.rng)
            data.append((rows[some], labels[some]))
        fresh = len(self._fitted) != len(data)
        refit = fresh or len(rows) >= self._due
        if refit:
            self._due = len(rows) + max(8, int(self._growth * len(rows)))
        states = [None] * len(data) if fresh else self._fitted
        models = [
            self._model(*pair, state, refit) for pair, state in zip(data, states, strict=True)
        ]
        self._fitted = [dict(model.state_dict()) for model in models]
        model = ModelListGP(*models) if len(models) > 1 else models[0]
        targets = np.stack([column for _, column in data[: len(columns)]], axis=1)
        return self._improvement(model, data[0][0], targets, len(data) > len(columns))

    def _model(
        self, rows: IntArray, targets: FloatArray, state: dict[str, Any] | None, fit: bool
    ) -> Any:
        """Returns a process of BoTorch with the given hyperparameters, or fitted from there."""
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        model = SingleTaskGP(
            self.tensor(rows), torch.as_tensor(targets)[:, None], outcome_transform=None
        )
        if state is not None:
            model.load_state_dict(state)
        if fit:
            likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
            fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": ITERATIONS}})
        return model.eval()

    def _improvement(self, model: Any, rows: IntArray, targets: FloatArray, bounded: bool) -> Any:
        """Returns qLogEI for one column of targets, qNEHVI for several."""
        import torch
        from botorch.acquisition.logei import qLogExpectedImprovement
        from botorch.acquisition.multi_objective.monte_carlo import (
            qNoisyExpectedHypervolumeImprovement,
        )
        from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
        from botorch.acquisition.objective import GenericMCObjective
        from botorch.sampling.normal import SobolQMCNormalSampler
        from botorch.utils.multi_objective.hypervolume import infer_reference_point

        seed = int(self.rng.integers(2**31))
        waiting = np.array([*self._pending.values()], np.int64).reshape(-1, len(self.space))
        common: dict[str, Any] = {
            "model": model,
            "sampler": SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed),
            "X_pending": self.tensor(waiting) if len(waiting) else None,
            "constraints": [lambda outputs: outputs[..., -1]] if bounded else None,
        }
        goals = targets.shape[1]
        if goals == 1:
            first = GenericMCObjective(_first_output)
            return qLogExpectedImprovement(best_f=float(targets.max()), objective=first, **common)
        best = front(targets)
        # Its logarithm compiles a kernel for this machine's processor, and so answers differently.
        return qNoisyExpectedHypervolumeImprovement(
            ref_point=infer_reference_point(torch.as_tensor(targets[best])),
            X_baseline=self.tensor(rows[best]),
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(goals))),
            **common,
        )

    def tensor(self, rows: IntArray) -> torch.Tensor:
        """Returns canonical rows `(n, d)` as points `(n, p)`."""
        import torch

        return torch.as_tensor(self._encoding.encode(self.space, rows))

    def outside(self, rows: IntArray) -> BoolArray:
        """Returns which rows `(n, d)` lie outside the trust region, if there is one."""
        if self._region is None:
            return np.zeros(len(rows), np.bool_)
        return self._region.outside(rows)


def _first_output(outputs: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:
    """Returns the score `(...)` of outputs `(..., m)`; BoTorch names the designs `X`."""
    return outputs[..., 0]


class _Improvement:
    """An acquisition of BoTorch at a growing list of candidates."""

    def __init__(self, agent: BoTorchAgent, acquisition: Any) -> None:
        self._agent, self._acquisition = agent, acquisition
        self._rows = np.zeros((0, len(agent.space)), np.int64)
        self._found = np.zeros(0)

    def _evaluate(self, rows: IntArray) -> FloatArray:
        import torch

        points = self._agent.tensor(rows)
        with torch.no_grad():
            parts = [
                self._acquisition(points[start : start + 512, None]).numpy()
                for start in range(0, len(points), 512)
            ]
        values = np.concatenate(parts) if parts else np.zeros(0)
        return np.where(self._agent.outside(rows), -np.inf, values)

    def add(self, rows: IntArray) -> None:
        """Adds candidates `(m, d)`."""
        self._rows = np.concatenate([self._rows, rows])
        self._found = np.append(self._found, self._evaluate(rows))

    def values(self, first: int = 0) -> FloatArray:
        """Returns the acquisition of the candidates from number `first` on."""
        return self._found[first:].copy()

    def believe(self, i: int) -> None:
        """Takes candidate `i` as waited for."""
        import torch

        waiting = self._acquisition.X_pending
        point = self._agent.tensor(self._rows[i : i + 1])
        self._acquisition.set_X_pending(point if waiting is None else torch.cat([waiting, point]))
        self._found = self._evaluate(self._rows)


class _Region:
    """A region around a design that grows with success and shrinks with failure."""

    def __init__(self, space: DesignSpace) -> None:
        self.centre = np.zeros(len(space), np.int64)
        self._ordered = ordered_mask(space)
        self._last = space.cardinalities - 1
        self._side = LARGEST
        self._successes = self._failures = 0
        self._patience = max(4, len(space) // 4)

    def outside(self, rows: IntArray) -> BoolArray:
        """Returns which rows `(n, d)` lie outside."""
        steps = np.maximum(1.0, 0.5 * self._side * self._last)
        far = (np.abs(rows - self.centre) > steps) & self._ordered
        changed = ((rows != self.centre) & ~self._ordered).sum(axis=1)
        allowed = max(1.0, self._side * float((~self._ordered).sum()))
        return np.asarray(far.any(axis=1) | (changed > allowed))

    def resize(self, success: bool) -> bool:
        """Counts a round; returns whether the region has become too small."""
        self._successes = self._successes + 1 if success else 0
        self._failures = 0 if success else self._failures + 1
        if self._successes >= SUCCESSES:
            self._side, self._successes = min(2.0 * self._side, 1.6), 0
        if self._failures >= self._patience:
            self._side, self._failures = 0.5 * self._side, 0
        if self._side >= SMALLEST:
            return False
        self._side, self._successes, self._failures = LARGEST, 0, 0
        return True
