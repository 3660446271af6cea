"""Which pairs of cations go with which pairs of anions: a log-linear term, fitted after everything else.

The kernels of `vae.evidence` ask for a known field nearby. What holds for many fields that are not near one another,
such as that like cations go with like anions (solid solutions), is left to a bilinear form of properties of both
pairs. Its weights are those of the greatest likelihood of the known fields, with a penalty on their squares, all
else fixed: a convex problem, so that they depend on nothing but the rest of the model.

Properties: Pauling electronegativity, ionic radii and common oxidation states as pymatgen has them; kinds of metals;
substitution profiles and known compounds of the bundled list.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from pymatgen.core import Element
from torch import Tensor

from vae.element_indices import known_compounds
from vae.phase_fields import ANIONS
from vae.profiles import substitution_profiles
from vae.training import seeded

if TYPE_CHECKING:
    from vae.masked_model import MaskedVAE

#: Components of the profiles, and of likeness, among the properties.
_LEADING, _LIKENESS = 8, 94
#: On the squares of the weights, in nats for all known fields together.
PENALTY = 100.0
_STEPS = 40


@cache
def pair_properties(elements: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Of two elements as the cations and as the anions of a field, in either order.

    Returns:
        Shape (n_elements, n_elements, n_properties) each; one of the properties is 1.
    """
    known = known_compounds(elements).float().sum(2).log1p().numpy()
    shared = [_likeness(substitution_profiles(elements, _LIKENESS)), known]
    of_cations = [*_mean_and_difference(_as_cations(elements)), *shared]
    of_anions = [*_mean_and_difference(_as_anions(elements)), *shared]
    leading = _standardised(substitution_profiles(elements, _LEADING).T, axis=1)
    products = [np.outer(component, component) for component in leading]
    profiles = [*_mean_and_difference(leading, centred=True), *products]
    which = [np.add.outer(one, one) for one in (np.array(elements) == np.array(sorted(ANIONS))[:, None]).astype(float)]
    return _table(of_cations, profiles), _table(of_anions, which)


def fit_interactions(model: MaskedVAE, rows: Tensor, penalty: float = PENALTY) -> None:
    """Find the weights of a fitted model's interactions and of its counts of known compounds, in place.

    Args:
        model: Fitted; decoded at its latent means, no known field being evidence for itself.
        rows: Known fields to learn from, shape (n, 4), each of them in the memory.
        penalty: On the squares of the weights of the interactions.
    """
    evidence = model.evidence
    evidence.interactions.zero_()
    evidence.count_weights.zero_()
    with torch.no_grad():
        _, grid = model.decode(model.encode()[0], own=False)
    (c, d), (a, b) = model.cation_pairs.T, model.anion_pairs.T
    left, right = evidence.of_cations[c, d], evidence.of_anions[a, b]
    counts = evidence.counts((c[:, None], d[:, None], a[None], b[None]))
    places = model.places(rows)
    interactions = torch.zeros_like(evidence.interactions, requires_grad=True)
    of_counts = torch.zeros_like(evidence.count_weights, requires_grad=True)
    optimizer = torch.optim.LBFGS([interactions, of_counts], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        whole = grid + (left @ interactions) @ right.T + counts @ of_counts
        value = torch.logsumexp(whole.flatten(), 0) - whole[places].mean()
        value = value + (penalty * interactions.square().sum() + of_counts.square().sum()) / len(rows)
        value.backward()
        return value

    with seeded(0):
        optimizer.step(loss)
    evidence.interactions.copy_(interactions.detach())
    evidence.count_weights.copy_(of_counts.detach())


def _as_cations(elements: tuple[str, ...]) -> np.ndarray:
    """Electronegativity, mean ionic radius (Å), highest and lowest common positive charge, and kinds of metals."""
    rows = []
    for element in map(Element, elements):
        charges = [charge for charge in _charges(element) if charge > 0] or [1]
        radius = float(element.average_ionic_radius) or float(element.atomic_radius_calculated or 1.5)
        rare_earth = element.is_lanthanoid or element.symbol in ("Sc", "Y")
        kinds = rare_earth, element.is_transition_metal, element.is_alkali or element.is_alkaline
        rows.append([_electronegativity(element), radius, max(charges), min(charges), *map(float, kinds)])
    return np.array(rows).T


def _as_anions(elements: tuple[str, ...]) -> np.ndarray:
    """Electronegativity, mean radius of the anions (Å), lowest common charge."""
    rows = []
    for element in map(Element, elements):
        radii = [float(radius) for charge, radius in element.ionic_radii.items() if charge < 0] or [1.8]
        lowest = min([charge for charge in _charges(element) if charge < 0] or [-1])
        rows.append([_electronegativity(element), float(np.mean(radii)), lowest])
    return np.array(rows).T


def _charges(element: Element) -> tuple[int, ...]:
    return tuple(element.common_oxidation_states or element.icsd_oxidation_states or element.oxidation_states)


def _electronegativity(element: Element) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noble gases have none; pymatgen says so for each
        return float(np.nan_to_num(element.X))


def _mean_and_difference(rows: np.ndarray, centred: bool = False) -> list[np.ndarray]:
    """Of every two elements, two tables per row."""
    tables = []
    for row in rows:
        apart = np.abs(np.subtract.outer(row, row))
        tables += [np.add.outer(row, row) / 2, apart - apart.mean() if centred else apart]
    return tables


def _likeness(profiles: np.ndarray) -> np.ndarray:
    """Cosine of the profiles of every two elements; zero for those without compounds."""
    along = profiles / np.maximum(np.linalg.norm(profiles, axis=1, keepdims=True), 1e-6)
    return along @ along.T


def _standardised(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    spread = values.std(axis, keepdims=axis is not None)
    return (values - values.mean(axis, keepdims=axis is not None)) / np.maximum(spread, 1e-6)


def _table(standardised: list[np.ndarray], as_they_are: list[np.ndarray]) -> Tensor:
    columns = [np.ones_like(standardised[0]), *map(_standardised, standardised), *as_they_are]
    return torch.tensor(np.stack(columns, -1), dtype=torch.float32)
