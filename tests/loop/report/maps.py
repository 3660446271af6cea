"""Points of a field and parts of its map, for the tests of maps."""

from loop.report.points import MapPoint
from vae.phase_fields import PhaseField

FIELD = PhaseField.parse("Li-Sn-S-Cl")


def probe(formula, e_above_hull=0.05):
    return MapPoint(formula, e_above_hull, e_above_hull)


def artist(figure, gid):
    return figure.findobj(lambda each: each.get_gid() == gid)


#: Energies above the hull at the four corners of the square, eV/atom.
SQUARE = {"LiCl": 0.0, "Li2S": 0.02, "SnS2": 0.06, "SnCl4": 0.08}
