"""A Gaussian process over a phase field: what the known energies say about the compositions not yet computed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

#: Hyperparameters are fitted to at most this many points; all points count in the prediction.
FIT_ON = 250

#: Steps of the optimiser in one fit of the hyperparameters.
STEPS = 25

#: What scikit-learn's numbers are counted in, eV/atom.
UNIT = 0.05


class Neighbourhood(Matern):
    """A Matérn kernel over the first coordinates, as many as it has lengths."""

    def __call__(self, X: np.ndarray, Y: np.ndarray | None = None, eval_gradient: bool = False) -> Any:
        """Covariance, shape (n, n) or (n, m), with its gradient if asked for."""
        n = np.size(self.length_scale)
        return super().__call__(X[:, :n], None if Y is None else Y[:, :n], eval_gradient)


class CheaperLevel(DotProduct):
    """Straight lines over the last two coordinates: what a cheaper level says; see `SurrogatePrior.slopes`."""

    def __call__(self, X: np.ndarray, Y: np.ndarray | None = None, eval_gradient: bool = False) -> Any:
        """Covariance, shape (n, n) or (n, m), with its gradient if asked for."""
        return super().__call__(X[:, -2:], None if Y is None else Y[:, -2:], eval_gradient)

    def diag(self, X: np.ndarray) -> np.ndarray:
        """Variance at each point, shape (n,)."""
        return super().diag(X[:, -2:])


@dataclass(frozen=True)
class SurrogatePrior:
    """What is taken for granted of a field before any of its energies is known, as it is for salts of many kinds.

    A handful of energies cannot tell a smooth field from a rough one: without a prior the first choices follow the
    accidents of five points. Each scale is log-normal: its median, and the spread of its logarithm.

    Attributes:
        mean: Of the energies over the whole field, eV/atom.
        mean_spread: Of that mean from field to field, eV/atom.
        amplitude: How far neighbourhoods differ from it, eV/atom, and the spread of its logarithm.
        scatter: What no neighbour foretells, eV/atom, and the spread of its logarithm.
        length: Over which coordinates (all between 0 and about 1) energies change, and the spread of its logarithm.
        slopes: How much of a difference at a cheaper level, in eV/atom, is one here: of what neighbours foretell there,
            and of what they do not. The last two coordinates are these energies, and no neighbourhood lies along them.
        slope_spread: Of both slopes from field to field.
    """

    mean: float = 0.050
    mean_spread: float = 0.030
    amplitude: tuple[float, float] = (0.040, 0.6)
    scatter: tuple[float, float] = (0.028, 0.4)
    length: tuple[float, float] = (0.5, 0.7)
    slopes: tuple[float, float] | None = None
    slope_spread: float = 0.25

    def kernel(self, n_coordinates: int) -> Kernel:
        """A constant over the field, a Matérn kernel with a length for each coordinate, slopes, and white noise."""
        constant = ConstantKernel((self.mean_spread / UNIT) ** 2, "fixed")
        smooth = Neighbourhood(np.full(self._n_lengths(n_coordinates), self.length[0]), (0.03, 30.0), nu=2.5)
        kernel = constant + ConstantKernel((self.amplitude[0] / UNIT) ** 2, (1e-4, 100.0)) * smooth
        if self.slopes:
            kernel += ConstantKernel((self.slope_spread / UNIT) ** 2, "fixed") * CheaperLevel(0.0, "fixed")
        return kernel + WhiteKernel((self.scatter[0] / UNIT) ** 2, (1e-4, 10.0))

    def expected(self, X: np.ndarray) -> np.ndarray:
        """What is expected before the data speak, eV/atom, shape (n,)."""
        return self.mean + (X[:, -2:] @ np.array(self.slopes) if self.slopes else np.zeros(len(X)))

    def _n_lengths(self, n_coordinates: int) -> int:
        return n_coordinates - 2 if self.slopes else n_coordinates

    def optimizer(self, n_coordinates: int) -> Callable[..., tuple[np.ndarray, float]]:
        """Maximises the posterior where scikit-learn by itself maximises the likelihood."""
        centre = self.kernel(n_coordinates).theta
        lengths = [self.length[1]] * self._n_lengths(n_coordinates)
        spread = np.array([2 * self.amplitude[1], *lengths, 2 * self.scatter[1]])

        def optimise(
            objective: Callable[..., tuple[float, np.ndarray]], start: np.ndarray, bounds: np.ndarray
        ) -> tuple[np.ndarray, float]:
            def penalised(theta: np.ndarray) -> tuple[float, np.ndarray]:
                value, slope = objective(theta, eval_gradient=True)
                z = (theta - centre) / spread
                return value + 0.5 * z @ z, slope + z / spread

            found = minimize(penalised, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
            return found.x, found.fun

        return optimise


#: Of energies relative to the competing phases.
ENERGIES = SurrogatePrior()

#: The same where a cheaper level of theory tells a part of them. Its neighbourhoods are right more often than its
#: single compositions, whose errors of 25 to 40 meV/atom are as large as what they are to tell.
WITH_CHEAPER = SurrogatePrior(
    mean=0.030, amplitude=(0.030, 0.6), scatter=(0.024, 0.4), slopes=(0.8, 0.5), slope_spread=0.25
)


@dataclass
class Surrogate:
    """Gaussian process regression (scikit-learn) of energies relative to the competing phases.

    Neighbouring compositions have like energies, over a length that is learned for each coordinate (Matérn kernel),
    except for a scatter that no neighbour foretells (white noise): how well the structures of one composition happened
    to be built, and phases that are there at one ratio only.

    Attributes:
        refit_after: Hyperparameters are fitted again when the data have grown by this share.
        kernel: The fitted kernel; None before the first fit.
    """

    refit_after: float = 0.1
    kernel: Kernel | None = None
    _fitted_on: int = field(default=0, repr=False)

    def fit(self, X: np.ndarray, y: np.ndarray, prior: SurrogatePrior = ENERGIES) -> Surrogate:
        """Condition on data.

        Args:
            X: Coordinates, shape (n, n_coordinates).
            y: Energies relative to the competing phases, eV/atom, shape (n,).
            prior: What is taken for granted before the data speak.
        """
        self._prior = prior
        scaled = (y - prior.expected(X)) / UNIT
        if self.kernel is None or len(y) > self._fitted_on * (1 + self.refit_after):
            self._fit_kernel(X, scaled, prior)
        self._process = GaussianProcessRegressor(self.kernel, optimizer=None)
        if len(y):
            self._process.fit(X, scaled)
        return self

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the energy a calculation would give, scatter included, eV/atom, each (n,)."""
        mean, deviation = self._process.predict(X, return_std=True)
        return mean * UNIT + self._prior.expected(X), deviation * UNIT

    def joint(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (n,), eV/atom, and covariance (n, n), eV²/atom², scatter included."""
        mean, covariance = self._process.predict(X, return_cov=True)
        return mean * UNIT + self._prior.expected(X), covariance * UNIT**2

    def _fit_kernel(self, X: np.ndarray, scaled: np.ndarray, prior: SurrogatePrior) -> None:
        """The most probable hyperparameters; of too many points, by the lowest ones and an even choice of the rest."""
        order = np.argsort(scaled, kind="stable")
        if len(order) > FIT_ON:
            rest = order[FIT_ON // 2 :]
            order = np.concatenate([order[: FIT_ON // 2], rest[:: -(-len(rest) // (FIT_ON // 2))]])
        n_coordinates = X.shape[1]
        self.kernel, self._fitted_on = prior.kernel(n_coordinates), len(scaled)
        if len(order):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer
                process = GaussianProcessRegressor(self.kernel, optimizer=prior.optimizer(n_coordinates))
                self.kernel = process.fit(X[order], scaled[order]).kernel_
