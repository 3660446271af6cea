"""POTCAR files without a pseudopotential in them: the header that pymatgen reads, with numbers made up."""

from __future__ import annotations

from pathlib import Path

from pymatgen.core import Element
from pymatgen.io.vasp.inputs import PotcarSingle

#: Valence electrons, which decide the charge that pymatgen gives a structure; and the date in the title.
VALENCE = {"Li_sv": 3, "Na_pv": 7, "Sn_d": 14, "S": 6, "Cl": 7}
DATES = {"Li_sv": "10Sep2004", "Na_pv": "05Jan2001", "Sn_d": "06Sep2000", "S": "17Jan2003", "Cl": "17Jan2003"}

_TEMPLATE = """\
  PAW_PBE {symbol} {date}
 {valence:.1f}
 parameters from PSCTR are:
   VRHFIN ={element}: no pseudopotential
   LEXCH  = PE
   EATOM  =   100.0000 eV

   TITEL  = PAW_PBE {symbol} {date}
   LULTRA =        F
   IUNSCR =        0
   RPACOR =     0.000
   POMASS =    {mass:.3f}; ZVAL   =    {valence:.3f}
   RCORE  =     1.500
   RWIGS  =     1.500
   ENMAX  =  300.000; ENMIN  =  200.000 eV
   LCOR   =        T
   LPAW   =        T
   EAUG   =  500.000
   RMAX   =     2.000
   RAUG   =     1.300
   RDEP   =     1.500
  Atomic configuration
   1 entries
     n  l   j            E        occ.
     2  0  0.50       -10.0000   {valence:.4f}
   Description
     l       E           TYP  RCUT    TYP  RCUT
     0    0.0000000      23  1.500
 END of PSCTR-controll parameters
 no pseudopotential
  0.0
 End of Dataset
"""


def write_potcars(folder: Path, functional: str = "PBE", symbols: tuple[str, ...] = tuple(VALENCE)) -> Path:
    """Write them where pymatgen looks below PMG_VASP_PSP_DIR.

    Args:
        folder: The value of that variable.
        functional: Set of POTCARs, such as ``PBE_54``.
        symbols: Those of `VALENCE` to write.

    Returns:
        The folder.
    """
    for symbol in symbols:
        element = Element(symbol.split("_")[0])
        place = folder / PotcarSingle.functional_dir[functional] / symbol
        place.mkdir(parents=True, exist_ok=True)
        header = _TEMPLATE.format(
            symbol=symbol,
            date=DATES[symbol],
            element=element.symbol,
            valence=float(VALENCE[symbol]),
            mass=float(element.atomic_mass),
        )
        (place / "POTCAR").write_text(header, encoding="utf-8")
    return folder
