"""Study: Bayesian search for the Pareto front, by Optuna's multi-objective TPE.

Tree-structured Parzen estimators (Bergstra et al. 2011, NeurIPS), of several objectives
as in Ozaki et al. 2022 (doi 10.1613/jair.1.13188); points that are being tried count as
bad ones ("constant liar"), so that workers do not try the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..toolchain.errors import TargetUnavailable
from .front import costs
from .point import Outcome, Point
from .search import Chosen, drawn
from .space import DEFAULT, Range, Space, Value, typed

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

TRIES = 16  # suggestions of points known already, before one is drawn at random


class Study:
    """Optuna's study, made anew of the points that are finished."""

    def __init__(self, space: Space, finished: Mapping[int, Outcome]) -> None:
        """A study that goes on from what is known.

        Raises:
            TargetUnavailable: Optuna is not installed.
        """
        try:
            import optuna
        except ImportError as error:
            raise TargetUnavailable(
                'Sweep: Optuna is not installed, which search = "bayes" needs; pip '
                'install \'snn-deploy[sweep]\', or take "random" or "grid"'
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._space = space
        self._failed = optuna.trial.TrialState.FAIL
        self._distributions = {
            name: _distribution(optuna, values) for name, values in space.varied.items()
        }
        self._study = optuna.create_study(
            directions=["minimize"] * len(space.objectives),
            sampler=optuna.samplers.TPESampler(seed=space.seed + len(finished)),
        )
        self._numbers = iter(n for n in range(space.count) if n not in finished)
        self._seen = {_key(outcome.options) for outcome in finished.values()}
        self._others = drawn(space)
        self._running: dict[int, Trial] = {}
        for outcome in finished.values():
            cost = self._cost(outcome)
            trial = optuna.trial.create_trial(
                params=self._params(outcome.options),
                distributions=self._distributions,
                values=cost,
                state=optuna.trial.TrialState.COMPLETE if cost else self._failed,
            )
            self._study.add_trial(trial)

    def ask(self) -> Point | None:
        """A point like those of the front, that is not known yet."""
        number = next(self._numbers, None)
        if number is None:
            return None
        trial, options = self._suggested()
        for _ in range(TRIES):
            if _key(options) not in self._seen:
                break
            self._study.tell(trial, state=self._failed)
            trial, options = self._suggested()
        else:
            self._study.tell(trial, state=self._failed)
            trial, options = self._other()
        self._seen.add(_key(options))
        self._running[number] = trial
        return Point(number=number, options=options)

    def tell(self, outcome: Outcome) -> None:
        """Learn from it."""
        trial, cost = self._running.pop(outcome.number), self._cost(outcome)
        if cost is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, cost)

    def _cost(self, outcome: Outcome) -> tuple[float, ...] | None:
        if outcome.figures is None:
            return None
        return costs(outcome.figures, self._space.objectives)

    def _suggested(self) -> tuple[Trial, dict[str, str]]:
        trial = self._study.ask(self._distributions)
        return trial, self._space.options(self._chosen(trial.params))

    def _other(self) -> tuple[Trial, dict[str, str]]:
        """One drawn at random; where all can be counted, one is left."""
        options = next(
            options
            for chosen in self._others
            if _key(options := self._space.options(chosen)) not in self._seen
        )
        self._study.enqueue_trial(self._params(options))
        trial, _ = self._suggested()
        return trial, options

    def _chosen(self, params: Mapping[str, Any]) -> Chosen:
        """Optuna's parameters → values."""
        return {
            name: values.rounded(params[name])
            if isinstance(values, Range)
            else values[_index(values, params[name])]
            for name, values in self._space.varied.items()
        }

    def _params(self, options: Mapping[str, str]) -> dict[str, Any]:
        """A point's options → Optuna's parameters."""
        found: dict[str, Any] = {}
        for name, values in self._space.varied.items():
            text = options.get(name, DEFAULT)
            if isinstance(values, Range):
                found[name] = float(text)
            else:
                i = list(map(typed, values)).index(text)
                found[name] = _sorted(values).index(i) if _ordered(values) else i
        return found


def _distribution(optuna: Any, values: tuple[Value, ...] | Range) -> BaseDistribution:
    """Numbers have an order that is learnt from; words have none."""
    distributions = optuna.distributions
    if isinstance(values, Range):
        found = distributions.FloatDistribution(values.low, values.high, log=values.log)
    elif _ordered(values):
        found = distributions.IntDistribution(0, len(values) - 1)
    else:
        found = distributions.CategoricalDistribution(tuple(range(len(values))))
    return found  # type: ignore[no-any-return]


def _ordered(values: tuple[Value, ...]) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in values
    )


def _sorted(values: tuple[Value, ...]) -> list[int]:
    """Place by size → index."""
    return sorted(range(len(values)), key=lambda i: values[i])


def _index(values: tuple[Value, ...], parameter: int) -> int:
    return _sorted(values)[parameter] if _ordered(values) else parameter


def _key(options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(options.items()))
