"""Settings of a campaign: frozen, unknown keys refused, every default explained where it stands."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from loop.execution_settings import Execution
from loop.ladder_settings import LadderSettings, check_levels, check_taken
from vae import ANIONS, PhaseField, enumerate_candidates

if TYPE_CHECKING:
    from vae.knowledge import Limits, Prior

#: Settings that change where, how fast or how far a campaign runs, but none of its results.
WITHOUT_EFFECT_ON_RESULTS = ("name", "cycles", "review", "execution")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Known(_Section):
    """The phase fields that are known to have yielded compounds."""

    source: str = Field("bundled", description="bundled; CSV of fields or formulas; folder of CIFs; materials_project")


class Candidates(_Section):
    """The fields M-M'-A-A' that are ranked, less the known and the filtered ones."""

    required: tuple[str, ...] = Field(("Li",), description="cations that every field holds (one or two)")
    cations: tuple[str, ...] = Field(
        ("Al", "B", "Ba", "Ca", "K", "La", "Mg", "P", "Si", "Sn", "Sr", "Ta", "Y", "Zn", "Zr"),
        description="where the other cation is taken from; default: those of the paper's 303 candidates",
    )
    anions: tuple[str, ...] = Field(
        ("S", "O", "Cl", "Br", "I", "N", "F"), description="where the two anions are taken from"
    )

    @field_validator("required", "cations", "anions")
    @classmethod
    def _elements_exist(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        from pymatgen.core import Element

        for symbol in symbols:
            if not Element.is_valid_symbol(symbol):
                raise ValueError(f"{symbol!r} is no element")
        return symbols

    @model_validator(mode="after")
    def _fields_can_be_made(self) -> Candidates:
        if not 1 <= len(set(self.required)) <= 2:
            raise ValueError(f"required: a field has two cations, but {len(set(self.required))} are required")
        if len(set(self.anions)) < 2:
            raise ValueError(f"anions: a field has two anions, but only {list(self.anions)} can be chosen from")
        for symbol in self.anions:
            if symbol not in ANIONS:
                raise ValueError(f"anions: {symbol} is no anion here, choose from {sorted(ANIONS)}")
        twice = (set(self.required) | set(self.cations)) & set(self.anions)
        if twice:
            raise ValueError(f"{sorted(twice)} stand among both cations and anions")
        if not self.enumerate(()):
            raise ValueError(f"cations: no field can be made of {list(self.cations)} beside {list(self.required)}")
        return self

    @property
    def elements(self) -> tuple[str, ...]:
        """Every element that a candidate may hold."""
        return (*self.required, *self.cations, *self.anions)

    def enumerate(self, exclude: tuple[PhaseField, ...]) -> list[PhaseField]:
        """The candidate fields, less `exclude`."""
        return enumerate_candidates(self.required, self.cations, self.anions, exclude)


class LimitSettings(_Section):
    """Elements that candidates may not hold, from pymatgen's tables and, for toxicity, from ICH Q3D."""

    exclude: tuple[str, ...] = Field((), description="elements by name")
    radioactive: bool = Field(True, description="whether elements without a stable isotope may be used")
    max_hhi_production: float | None = Field(None, gt=0, description="Herfindahl-Hirschman index; 2500: concentrated")
    max_hhi_reserve: float | None = Field(None, gt=0, description="the same of reserves")
    max_price: float | None = Field(None, gt=0, description="US dollars per kilogram")
    toxicity: tuple[Annotated[str, Field(coerce_numbers_to_str=True)], ...] = Field(
        (),
        description="classes of ICH Q3D to leave out: 1 (As, Cd, Hg, Pb), 2A (Co, Ni, V), 2B (Tl, ...), 3 (Li, ...)",
    )

    @model_validator(mode="after")
    def _can_be_applied(self) -> LimitSettings:
        self.limits()
        return self

    def limits(self) -> Limits:
        """The same for the ranker."""
        from vae.knowledge import Limits

        return Limits(**self.model_dump())


class PriorSettings(_Section):
    """What is known beside the list: fields that hold these elements go up (negative shift) or down."""

    field: str = Field(description="a subfield such as Li-Sn-S, or one element")
    shift: float = Field(description="in standard deviations of the scores; negative raises a field")
    note: str = Field(description="why; printed beside the field")

    @model_validator(mode="after")
    def _can_be_applied(self) -> PriorSettings:
        self.prior()
        return self

    def prior(self) -> Prior:
        """The same for the ranker."""
        from vae.knowledge import Prior

        return Prior(tuple(part.strip() for part in self.field.split("-")), self.shift, self.note)


class RankerSettings(_Section):
    """The variational autoencoder that ranks the candidates."""

    name: Literal["masked", "paper"] = Field(
        "masked", description="masked: a VAE over sets of elements; paper: the published VAE, which has collapsed"
    )


Generator = Literal[
    "ordered", "frameworks", "prototypes", "molecules", "molecular-ions", "complexes", "chains",
    "random", "substitution", "given",
]  # fmt: skip
DEFAULT_GENERATORS: tuple[Generator, ...] = ("ordered", "molecular-ions", "chains", "complexes")
_GENERATORS = f"ways of building structures: {', '.join(get_args(Generator))}"


class Probes(_Section):
    """Probe compositions and structures in a chosen field."""

    compositions_per_field: int = Field(8, ge=1, description="charge-neutral compositions per field")
    first_batch: int = Field(4, ge=1, description="compositions spread over the field before anything is known")
    batch: int = Field(4, ge=1, description="compositions chosen at a time from what is known by then")
    generators: tuple[Generator, ...] = Field(DEFAULT_GENERATORS, min_length=1, description=_GENERATORS)
    folder: str | None = Field(None, description="your structures, for the generators substitution and given")
    strategy: Literal["hull", "spread", "grid", "random"] = Field(
        "hull", description="hull: by the chance to lie near the hull; spread, grid or random: to compare with"
    )
    max_atoms: int = Field(20, ge=4, le=96, description="atoms per cell, at most")
    search: Literal["quick", "thorough"] = Field(
        "quick", description="structures tried and relaxed per composition; thorough costs two to three times as much"
    )
    budget_calculations: int | None = Field(
        None, ge=1, description="calculations of the whole campaign, competing phases included; null: no limit"
    )
    budget_cpu_hours: float | None = Field(None, gt=0, description="CPU-hours of the whole campaign; null: no limit")
    stop_below_improvement: float | None = Field(
        None, gt=0, description="eV/atom: leave a field when the hull is expected to sink by less; null: do not ask"
    )
    stop_after_idle_batches: int | None = Field(
        None, ge=1, description="leave a field after so many batches without a find; null: do not ask"
    )

    @property
    def folder_read(self) -> str | None:
        """The folder, where one of the generators takes structures from it."""
        return self.folder if {"given", "substitution"} & {*self.generators} else None


class Competing(_Section):
    """The competing phases of a field: its elements and the compounds of its chemical system."""

    source: str = Field(
        "offline", description="offline: search at known formulas; materials_project; or a folder of CIFs and the like"
    )
    window: float = Field(0.05, gt=0, description="eV/atom above the hull of the Materials Project, at most")
    energies: Literal["computed", "materials_project"] = Field(
        "computed", description="materials_project: its energies at the level vasp; only what it lacks is computed"
    )
    max_atoms: int = Field(24, ge=4, le=96, description="atoms per cell in a search; larger formulas get no energy")
    formulas: tuple[str, ...] = Field((), description="compounds to search for beside the known ones: [Li2SnS3]")
    by_analogy: int = Field(2, ge=0, le=12, description="formulas by analogy per ternary subfield; 0: listed alone")
    search_again: bool = Field(True, description="before a field is positive, search for its phases again, harder")

    @property
    def folder(self) -> str | None:
        """The user's folder of structures, where the source is one."""
        return None if self.source in ("offline", "materials_project") else self.source

    @field_validator("formulas")
    @classmethod
    def _are_formulas(cls, formulas: tuple[str, ...]) -> tuple[str, ...]:
        if formulas:
            from dft.competing import parse_formula  # takes a quarter of a second to load

            for formula in formulas:
                parse_formula(formula)
        return formulas


class Verdicts(_Section):
    """When a field is positive or filtered; outside the error band of the level of theory, else undecided."""

    stable_below: float = Field(0.025, ge=0, description="eV/atom above the hull: a probe below makes a field positive")
    filtered_above: float = Field(0.100, gt=0, description="eV/atom above the hull: all probes above filter a field")
    error_band: float | None = Field(None, ge=0, description="eV/atom; null: what is known of the level of theory")

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> Verdicts:
        if self.filtered_above <= self.stable_below:
            raise ValueError(
                f"filtered_above ({self.filtered_above} eV/atom) must be larger than stable_below ({self.stable_below})"
            )
        return self


class Feedback(_Section):
    """What verdicts change in the next cycle."""

    reweight_by_verdicts: bool = Field(
        True, description="a classifier in the latent space, fitted to the verdicts so far, reweights the candidates"
    )
    positives_join_training: bool = Field(True, description="positive fields join the training set")
    filtered_leave_candidates: bool = Field(True, description="filtered fields leave the candidates")


class Settings(_Section):
    """All settings of a campaign."""

    name: str = Field("demo", min_length=1, description="name of the campaign, printed on its page")
    seed: int = Field(0, ge=0, description="seed of every random number of the campaign")
    cycles: int = Field(3, ge=1, description="cycles in total, unless --cycles says otherwise")
    fields_per_cycle: int = Field(1, ge=1, description="fields explored in a cycle")
    field_strategy: Literal["exploit", "balanced", "explore"] = Field(
        "exploit", description="exploit: by score; explore: doubt and novelty count as much; balanced: between"
    )
    review: bool = Field(False, description="each cycle waits until `loop review` approves its fields")
    level_of_theory: str = Field("chgnet", description="engine and settings of every energy of the campaign")
    levels: tuple[str, ...] = Field(
        (),
        description="a ladder such as [chgnet, sevennet, cp2k] in place of one level_of_theory, see `ladder`",
    )
    level_settings: dict[str, dict[str, Any]] = Field(
        {}, description="settings of a level's engine, such as {cp2k: {cutoff: 400}}; see docs/levels.md"
    )
    checkpoint: str | None = Field(None, description="model file, for the level mace")
    known: Known = Known()
    candidates: Candidates = Candidates()
    limits: LimitSettings = LimitSettings()
    priors: tuple[PriorSettings, ...] = Field(
        (), description="a list of {field: Li-Sn-S, shift: -1.0, note: why}; shift in standard deviations, negative: up"
    )
    ranker: RankerSettings = RankerSettings()
    probes: Probes = Probes()
    competing: Competing = Competing()
    ladder: LadderSettings = LadderSettings()
    verdicts: Verdicts = Verdicts()
    feedback: Feedback = Feedback()
    execution: Execution = Execution()

    @property
    def ladder_of_levels(self) -> tuple[str, ...]:
        """Names of the levels of theory, the screening level first."""
        return self.levels or (self.level_of_theory,)

    @model_validator(mode="after")
    def _levels_make_a_ladder(self) -> Settings:
        check_levels(self.levels, self.level_of_theory, self.level_settings)
        if self.competing.energies == "materials_project":
            check_taken(self.competing.source, self.ladder_of_levels, self.level_settings)
        return self

    def plain(self) -> dict[str, Any]:
        """The settings as plain values that JSON and YAML can hold."""
        return self.model_dump(mode="json")

    def hash(self) -> str:
        """Hash of the settings that change results."""
        relevant = {key: value for key, value in self.plain().items() if key not in WITHOUT_EFFECT_ON_RESULTS}
        relevant["known"] = None  # the data have a hash of their own
        if self.competing.energies == "computed":
            del relevant["competing"]["energies"]  # the hash of a campaign begun before there was a choice stays
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
