"""A Gaussian process over a phase field: what the known energies say about the compositions not yet computed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel

#: Hyperparameters are fitted from so many points on.
ENOUGH = 5

#: Hyperparameters are fitted to at most this many points; all points count in the prediction.
FIT_ON = 250


@dataclass
class Surrogate:
    """Gaussian process regression (scikit-learn) of energies relative to the competing phases.

    Neighbouring compositions have like energies, over a length that is learned for each coordinate (Matérn kernel),
    except for a scatter that no neighbour foretells (white noise): how well the structures of one composition happened
    to be built, and phases that are there at one ratio only.

    Attributes:
        unknown: Standard deviation taken where there is too little to fit, eV/atom.
        refit_after: Hyperparameters are fitted again when the data have grown by this share.
        kernel: The fitted kernel; None before the first fit.
    """

    unknown: float = 0.030
    refit_after: float = 0.05
    kernel: Kernel | None = None
    _fitted_on: int = field(default=0, repr=False)

    def fit(self, X: np.ndarray, y: np.ndarray) -> Surrogate:
        """Condition on data.

        Args:
            X: Coordinates, shape (n, n_coordinates).
            y: Energies relative to the competing phases, eV/atom, shape (n,).
        """
        if len(y) < ENOUGH:
            self._centre, self._scale = float(y.mean()) if len(y) else 0.0, self.unknown
            self._process = GaussianProcessRegressor(_kernel(X.shape[1]), optimizer=None)
            if len(y):
                self._process.fit(X, (y - self._centre) / self._scale)
            return self
        self._centre, self._scale = float(y.mean()), max(float(y.std()), 1e-4)
        scaled = (y - self._centre) / self._scale
        if self.kernel is None or len(y) >= self._fitted_on * (1 + self.refit_after):
            self._fit_kernel(X, scaled)
        self._process = GaussianProcessRegressor(self.kernel, optimizer=None).fit(X, scaled)
        return self

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the energy a calculation would give, scatter included, eV/atom, each (n,)."""
        mean, deviation = self._process.predict(X, return_std=True)
        return mean * self._scale + self._centre, deviation * self._scale

    def joint(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (n,), eV/atom, and covariance (n, n), eV²/atom², scatter included."""
        mean, covariance = self._process.predict(X, return_cov=True)
        return mean * self._scale + self._centre, covariance * self._scale**2

    def _fit_kernel(self, X: np.ndarray, scaled: np.ndarray) -> None:
        """Maximise the marginal likelihood; of too many points, on the lowest ones and an even choice of the rest."""
        order = np.argsort(scaled, kind="stable")
        if len(order) > FIT_ON:
            rest = order[FIT_ON // 2 :]
            order = np.concatenate([order[: FIT_ON // 2], rest[:: -(-len(rest) // (FIT_ON // 2))]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer: no dependence
            process = GaussianProcessRegressor(_kernel(X.shape[1])).fit(X[order], scaled[order])
        self.kernel, self._fitted_on = process.kernel_, len(scaled)


def _kernel(n_coordinates: int) -> Kernel:
    smooth = ConstantKernel(1.0, (0.1, 20.0)) * Matern(np.full(n_coordinates, 0.5), (0.05, 10.0), nu=2.5)
    return smooth + WhiteKernel(0.1, (1e-3, 1.0))
