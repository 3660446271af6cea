"""Which elements are toxic, by the classes of the guideline on elemental impurities in medicines.

Neither pymatgen nor SMACT has a table of toxicity. This one is ICH Q3D, "Guideline for elemental impurities" (step 4,
16 December 2014; European Medicines Agency EMA/CHMP/ICH/353369/2013). It classes 24 elements by their permitted daily
exposure and by how likely they get into a medicine. It is about traces in the body, not about the hazard of a solid in
a furnace or a battery, and it leaves out elements for which no exposure was set: beryllium, uranium and thorium are in
no class. Such elements can be left out by name.
"""

from __future__ import annotations

#: Class 1: known human toxicants. 2A and 2B: toxic depending on the route, likely (2A) or unlikely (2B) to occur where
#: nobody added them. 3: low toxicity by mouth.
TOXICITY_CLASSES: dict[str, frozenset[str]] = {
    "1": frozenset({"As", "Cd", "Hg", "Pb"}),
    "2A": frozenset({"Co", "Ni", "V"}),
    "2B": frozenset({"Ag", "Au", "Ir", "Os", "Pd", "Pt", "Rh", "Ru", "Se", "Tl"}),
    "3": frozenset({"Ba", "Cr", "Cu", "Li", "Mo", "Sb", "Sn"}),
}


def toxicity_class(symbol: str) -> str:
    """The class of an element, empty if the guideline has none for it."""
    return next((name for name, symbols in TOXICITY_CLASSES.items() if symbol in symbols), "")
