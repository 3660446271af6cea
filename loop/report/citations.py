"""What a paper on a campaign should cite: the method and the programs it rests on, by what was used."""

from __future__ import annotations

from dataclasses import dataclass

from loop.records import CampaignRecord


@dataclass(frozen=True)
class Citation:
    """A work to cite.

    Attributes:
        what: What it stands for.
        text: Authors, journal, year.
        doi: Its digital object identifier.
        used_with: Names of programs; cited where one is among the campaign's versions, levels or settings; always
            where there are none.
        of_ranker: Whether it is cited only where a cycle has ranked.
    """

    what: str
    text: str
    doi: str
    used_with: tuple[str, ...] = ()
    of_ranker: bool = False


CITATIONS = (
    Citation(
        "method: ranking phase fields, hull map",
        "Vasylenko et al., Nat. Commun. 12, 5561 (2021)",
        "10.1038/s41467-021-25343-7",
    ),
    Citation("workflows: atomate2", "Ganose et al., Digital Discovery 4, 1944 (2025)", "10.1039/D5DD00019J"),
    Citation("workflows: jobflow", "Rosen et al., J. Open Source Softw. 9, 5995 (2024)", "10.21105/joss.05995"),
    Citation(
        "structures and analysis: pymatgen",
        "Ong et al., Comput. Mater. Sci. 68, 314 (2013)",
        "10.1016/j.commatsci.2012.10.028",
    ),
    Citation("phase diagrams: pymatgen", "Ong et al., Chem. Mater. 20, 1798 (2008)", "10.1021/cm702327g"),
    Citation(
        "structures: ASE", "Larsen et al., J. Phys. Condens. Matter 29, 273002 (2017)", "10.1088/1361-648X/aa680e"
    ),
    Citation(
        "element descriptors: matminer",
        "Ward et al., Comput. Mater. Sci. 152, 60 (2018)",
        "10.1016/j.commatsci.2018.05.018",
        of_ranker=True,
    ),
    Citation(
        "element descriptors: Magpie",
        "Ward et al., npj Comput. Mater. 2, 16028 (2016)",
        "10.1038/npjcompumats.2016.28",
        of_ranker=True,
    ),
    Citation(
        "known phase fields",
        "Ricci et al., Sci. Data 4, 170085 (2017)",
        "10.1038/sdata.2017.85",
        ("ricci", "mp_transport", "sdata"),
    ),
    Citation(
        "energies: CHGNet", "Deng et al., Nat. Mach. Intell. 5, 1031 (2023)", "10.1038/s42256-023-00716-3", ("chgnet",)
    ),
    Citation(
        "energies: SevenNet",
        "Park et al., J. Chem. Theory Comput. 20, 4857 (2024)",
        "10.1021/acs.jctc.4c00190",
        ("sevenn",),
    ),
    Citation("energies: MACE", "Batatia et al., arXiv 2401.00096 (2023)", "10.48550/arXiv.2401.00096", ("mace",)),
    Citation("energies: CP2K", "Kühne et al., J. Chem. Phys. 152, 194103 (2020)", "10.1063/5.0007045", ("cp2k",)),
    Citation(
        "energies: VASP",
        "Kresse and Furthmüller, Phys. Rev. B 54, 11169 (1996)",
        "10.1103/PhysRevB.54.11169",
        ("vasp",),
    ),
    Citation(
        "workflows: FireWorks", "Jain et al., Concurr. Comput. 27, 5037 (2015)", "10.1002/cpe.3505", ("launchpad",)
    ),
    Citation(
        "competing phases: AFLOW prototypes",
        "Mehl et al., Comput. Mater. Sci. 136, S1 (2017)",
        "10.1016/j.commatsci.2017.01.017",
        ("prototype", "aflow"),
    ),
    Citation(
        "competing phases: formulas by analogy",
        "Hautier et al., Inorg. Chem. 50, 656 (2011)",
        "10.1021/ic102031h",
        ("formulas by analogy",),
    ),
)


def citations(record: CampaignRecord) -> list[Citation]:
    """The works that apply to a campaign: by its levels of theory, settings, data and sources of competing phases."""
    levels = [f"{each.level} {each.competing_source}" for each in record.fields]
    told = " ".join([*levels, str(record.settings), str(record.data)]).lower()
    ranked = any(not cycle.ranking.empty for cycle in record.cycles)
    return [each for each in CITATIONS if _applies(each, told, ranked)]


def _applies(citation: Citation, told: str, ranked: bool) -> bool:
    if citation.of_ranker and not ranked:
        return False
    return not citation.used_with or any(name in told for name in citation.used_with)
