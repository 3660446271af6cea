"""Element descriptors: the 37 Magpie properties of the published ranking, from matminer.

Twenty-seven columns are matminer's own Magpie tables, one is pymatgen's Pettifor number. Magpie's eight columns of
hypothetical bcc elements and the effective lattice constant are not in matminer: the constant follows from the volume,
and volume and energy of the bcc elements were computed with CHGNet (``scripts/derive_bcc_elements.py``). Where values
differ from the published table: Zn polarizability is 5.8 (there -5.8); the Pettifor scale is that of 1984 as pymatgen
has it; the bcc magnetic moment is that of the ground state; the bcc Fermi level is not available and its column holds
the first ionization energy; the bcc band gap is zero, as in the published table. See docs/ranker.md.

Sources:
    Ward et al., npj Comput. Mater. 2, 16028 (2016), doi 10.1038/npjcompumats.2016.28 (Magpie);
    Pettifor, Solid State Commun. 51, 31 (1984), doi 10.1016/0038-1098(84)90765-8;
    Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi 10.1038/s42256-023-00716-3 (CHGNet).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Element

from vae.phase_fields import PhaseField

#: In the order of the published table.
DESCRIPTORS = (
    "Pettifor", "Number", "AtomicVolume", "AtomicWeight", "BCCbandgap", "BCCefflatcnt", "BCCenergydiff",
    "BCCenergy_pa", "BCCfermi", "BCCmagmom", "BCCvolume_padiff", "BCCvolume_pa", "Column", "CovalentRadius",
    "Electronegativity", "FirstIonizationEnergy", "GSbandgap", "GSefflatcnt", "GSenergy_pa", "GSestBCClatcnt",
    "GSestFCClatcnt", "GSmagmom", "GSvolume_pa", "ICSDVolume", "MendeleevNumber", "NdUnfilled", "NdValence",
    "NfUnfilled", "NfValence", "NpUnfilled", "NpValence", "NsUnfilled", "NsValence", "NUnfilled", "NValance",
    "Polarizability", "Row",
)  # fmt: skip

#: Heavier elements have no complete Magpie data.
_LAST_ELEMENT = 96


@cache
def element_descriptors() -> pd.DataFrame:
    """The descriptors of every element that has all of them, one row per symbol, 37 columns.

    Units are Magpie's: Å^3, eV, pm, u, Bohr magnetons, 10^-24 cm^3 and pure numbers.
    """
    symbols = [Element.from_Z(z).symbol for z in range(1, _LAST_ELEMENT + 1)]
    magpie = _magpie(symbols)
    volume, energy = magpie["GSvolume_pa"], magpie["GSenergy_pa"]
    bcc = pd.read_csv(_BCC_FILE, keep_default_na=False).set_index("element").reindex(symbols)
    bcc_volume = bcc["bcc_volume"].astype(float).fillna(volume)
    bcc_above = bcc["bcc_energy_above"].astype(float).fillna(0.0)
    table = magpie.rename(columns={"NValence": "NValance"}).assign(
        Pettifor=[float(Element(symbol).mendeleev_no or np.nan) for symbol in symbols],
        # Noble gases form no bonds that Pauling could have measured; the published table has zero.
        Electronegativity=magpie["Electronegativity"].fillna(0.0),
        GSefflatcnt=_effective_lattice_constant(volume),
        BCCbandgap=0.0,
        BCCefflatcnt=_effective_lattice_constant(bcc_volume),
        BCCenergydiff=bcc_above,
        BCCenergy_pa=energy + bcc_above,
        BCCfermi=magpie["FirstIonizationEnergy"],
        BCCmagmom=magpie["GSmagmom"],
        BCCvolume_padiff=bcc_volume - volume,
        BCCvolume_pa=bcc_volume,
    )
    return table.loc[:, list(DESCRIPTORS)].dropna().astype(float)


def read_descriptors(path: str | Path) -> pd.DataFrame:
    """Descriptors of the user's own: a CSV file with a column ``element`` and any number of numeric columns.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the column is missing or a value is not a finite number.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: give a CSV file of element descriptors")
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    if "element" not in table:
        raise ValueError(f"{path} has no column 'element', only {list(table.columns)[:8]}")
    values = table.set_index("element").apply(pd.to_numeric, errors="coerce").astype(float)
    check_finite(values, str(path))
    return values


def check_finite(table: pd.DataFrame, origin: str) -> None:
    """Refuse descriptors that are not finite numbers.

    Raises:
        ValueError: Naming the first element and column at fault.
    """
    bad = np.argwhere(~np.isfinite(table.to_numpy(dtype=float)))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{origin}: descriptor {table.columns[column]!r} of {table.index[row]} is not a finite number; "
            "correct it or leave the element out"
        )


def set_aside(fields: Iterable[PhaseField], table: pd.DataFrame) -> tuple[list[PhaseField], dict[str, int]]:
    """Split off the fields with an element that has no descriptors.

    Returns:
        The fields that can be described, and for every other element the number of fields it costs.
    """
    known = set(table.index)
    describable: list[PhaseField] = []
    missing: dict[str, int] = {}
    for phase_field in fields:
        lacking = sorted(set(phase_field) - known)
        if not lacking:
            describable.append(phase_field)
        for symbol in lacking:
            missing[symbol] = missing.get(symbol, 0) + 1
    return describable, missing


def field_descriptors(fields: Sequence[PhaseField], table: pd.DataFrame) -> np.ndarray:
    """Descriptors of fields, shape (n_fields, n_elements, n_descriptors), elements in the field's own order.

    Raises:
        ValueError: If an element has no descriptors.
    """
    _, missing = set_aside(fields, table)
    if missing:
        raise ValueError(f"no descriptors for {sorted(missing)}: leave these elements out")
    rows = {symbol: row for row, symbol in enumerate(table.index)}
    indices = np.array([[rows[symbol] for symbol in phase_field] for phase_field in fields], dtype=int)
    return table.to_numpy(dtype=np.float32)[indices]


def permuted(descriptors: np.ndarray) -> np.ndarray:
    """Every order of the elements, flattened.

    Args:
        descriptors: Shape (n_fields, n_elements, n_descriptors).

    Returns:
        Shape (n_fields, n_elements!, n_elements * n_descriptors); for quaternary fields (n_fields, 24, 148).
    """
    n_fields, n_elements, _ = descriptors.shape
    orders = np.array(list(permutations(range(n_elements))))
    return descriptors[:, orders].reshape(n_fields, len(orders), -1)


def _magpie(symbols: list[str]) -> pd.DataFrame:
    from matminer.utils.data import MagpieData  # here, because matminer is slow to import

    names = [name for name in DESCRIPTORS if not name.startswith("BCC") and name not in _NOT_IN_MATMINER]
    properties = MagpieData(impute_nan=False).all_elemental_props
    return pd.DataFrame({name: [properties[name][s] for s in symbols] for name in [*names, "NValence"]}, index=symbols)


def _effective_lattice_constant(volume: pd.Series) -> pd.Series:
    # Reproduces Magpie's columns *efflatcnt to 1e-13 Å: the edge of a cube of sixteen atoms.
    return (16 * volume) ** (1 / 3)


_NOT_IN_MATMINER = {"Pettifor", "GSefflatcnt", "NValance"}
_BCC_FILE = Path(str(files("vae") / "data" / "bcc_elements.csv"))
