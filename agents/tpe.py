"""Tree-structured Parzen estimator, by Optuna in memory."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from archgym.agent import Agent
from archgym.agents._operators import (
    Seen,
    finite_or_worst,
    keys,
    mutate,
    ordered_mask,
    pick_genes,
    propose_new,
)
from archgym.hyperparameters import Choice, Range
from archgym.metric import reward
from archgym.space import DesignSpace, IntArray
from archgym.task import Evaluation
from archgym.views import OptunaView


class TPEAgent(Agent):
    """Samples where good designs are dense and bad ones are sparse (Bergstra et al. 2011).

    The densities of the better and of the other designs are modelled by Parzen estimators, and the
    candidate with the largest ratio is proposed ("Algorithms for Hyper-Parameter Optimization",
    NeurIPS 2011; defaults and multivariate kernels: Watanabe 2023, arXiv:2304.11127). The sampler
    is Optuna's `TPESampler`, with its trials in memory. A proposal made before is changed in as few
    parameters as it takes to be new. Infeasible designs are told with a finite poor value.

    A suggestion costs milliseconds and more with every trial: use it where an evaluation takes
    longer than that.

    Args:
        space: the design space to search.
        seed: an integer, or the run's generator.
        startup: designs that are drawn uniformly before the estimators are used; designs of a warm
            start count.
        candidates: designs drawn from the better density, of which the best ratio is proposed.
        multivariate: `on` models the better designs with one joint kernel per design, `off` treats
            each parameter alone.
        constant_liar: `on` counts designs that are asked and not yet told as poor ones, which
            spreads the proposals of a batch.
    """

    def __init__(
        self,
        space: DesignSpace,
        seed: int | np.random.Generator = 0,
        startup: Annotated[int, Range(1, 256, log=True)] = 16,
        candidates: Annotated[int, Range(1, 256, log=True)] = 24,
        multivariate: Annotated[str, Choice(("on", "off"))] = "on",
        constant_liar: Annotated[str, Choice(("on", "off"))] = "on",
    ) -> None:
        super().__init__(space, seed)
        import optuna

        self._ordered = ordered_mask(space)
        self._proposed = Seen()
        self._told = Seen()
        self._numbers: dict[bytes, int] = {}
        with _quiet():
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=startup,
                n_ei_candidates=candidates,
                multivariate=multivariate == "on",
                constant_liar=constant_liar == "on",
                seed=int(self.rng.integers(2**31)),
            )
            self._study = optuna.create_study(direction="maximize", sampler=sampler)

    @property
    def _view(self) -> OptunaView:
        # Made where it is needed: the state of an agent holds no design space.
        return OptunaView(self.space)

    def ask(self, n: int) -> IntArray:
        """Proposes `n` designs."""
        with _quiet():
            rows = [self._suggest() for _ in range(n)]
        return np.array(rows, np.int64).reshape(n, len(self.space))

    def _suggest(self) -> IntArray:
        """Returns one design `(d,)`, changed if Optuna suggests one that was proposed before."""
        import optuna

        view = self._view
        trial = self._study.ask(view.distributions)
        suggested = view.to_rows([trial.params])
        row = propose_new(self.space, suggested, self._proposed, self.rng, self._changed)
        key = next(iter(keys(row)))
        if key in self._numbers or (row != self.space.canonical(suggested)).any():
            # Failed trials are ignored by the sampler; the changed design is added when it is told.
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._numbers[key] = trial.number
        design: IntArray = row[0]
        return design

    def _changed(self, rows: IntArray, genes: int) -> IntArray:
        mask = pick_genes(self.space, rows, genes, self.rng)
        return mutate(self.space, self._ordered, rows, mask, self.rng)

    def tell(self, designs: IntArray, evaluation: Evaluation) -> None:
        """Completes Optuna's trials; a design that Optuna did not suggest is added as a trial."""
        import optuna

        rows = self.space.canonical(designs)
        self._proposed.add(rows)
        fresh = self._told.add(rows)
        values = reward(finite_or_worst(evaluation))
        view = self._view
        with _quiet():
            for row, value in zip(rows[fresh], values[fresh].tolist(), strict=True):
                number = self._numbers.pop(row.tobytes(), None)
                if number is not None:
                    self._study.tell(number, value)
                else:
                    self._study.add_trial(
                        optuna.trial.create_trial(
                            params=view.to_params(row[None])[0],
                            distributions=view.distributions,
                            value=value,
                        )
                    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences Optuna's log and its warnings about experimental options, for this block only."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
