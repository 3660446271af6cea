"""One cycle of the loop: rank, choose fields, explore them. Each step is recorded before the next begins."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dft.execute import Executor
from dft.tasks import nothing_more
from loop.acquisition import choose_fields, verdict_log_odds
from loop.campaign import Campaign
from loop.config import Settings
from loop.database import to_json
from loop.errors import UserError, Waiting
from loop.executors import open_executor
from loop.exploration import Exploration, Show
from loop.feedback import left_out, training_fields
from loop.ladder import checked_ladder
from loop.report.live import Event
from loop.stopping import budget_spent
from loop.tasks import load_engine
from loop.user_structures import tell_of_folder, tell_of_phases
from vae import PhaseField
from vae.datasets import KnownFields
from vae.descriptors import element_descriptors, set_aside
from vae.knowledge import exclude
from vae.phase_fields import data_hash
from vae.sources import BUNDLED, dropped_in_words, known_fields_from

if TYPE_CHECKING:
    from vae.ranking import Ranker


@dataclass
class Cycle:
    """One pass of the loop over a campaign.

    Attributes:
        campaign: Where everything is recorded.
        number: From 1.
        executor: Where calculations run.
        show: Told what happens.
        last: Whether no further cycle is to follow.
    """

    campaign: Campaign
    number: int
    executor: Executor
    show: Show
    last: bool = False

    def run(self) -> None:
        """Bring the cycle to its end from wherever it stands."""
        self.campaign.begin_cycle(self.number)
        self.show(Event("cycle", cycle=self.number))
        self.rank()
        proposed = [self._exploration(phase_field) for phase_field in self.propose()]
        for exploration, following in zip(proposed, [*proposed[1:], self._likely_next()], strict=True):
            tell_of_phases(self.campaign, exploration.phase_field, self.show)
            self._foresee(exploration, following)
            exploration.run()
        self.campaign.complete_cycle(self.number)

    def _exploration(self, phase_field: PhaseField) -> Exploration:
        return Exploration(self.campaign, self.number, phase_field, self.executor, self.show)

    def _foresee(self, exploration: Exploration, following: Exploration | None) -> None:
        """Let idle workers compute for the field after this one; what has been foreseen for this one stays."""
        now = exploration.foreseen()
        later = following.foreseen() if following else []
        self.executor.foresee([*now, *later], following.foreseen_calculation if following else nothing_more)

    def _likely_next(self) -> Exploration | None:
        """The field that the next cycle would begin with if this one changed nothing; none in the last cycle."""
        if self.last:
            return None
        taken = {*self.campaign.settled_fields(), *self.campaign.proposals(self.number)}
        return next((self._exploration(PhaseField.parse(name)) for name in self._choose(1, taken)), None)

    @cached_property
    def known(self) -> KnownFields:
        """The known phase fields, before anything that the campaign found."""
        return load_known(self.campaign)

    def rank(self) -> None:
        """Train on what is known by now and rank the candidates."""
        if not self.campaign.ranking(self.number).empty:
            return
        from vae.knowledge import apply_priors
        from vae.ranking import make_ranker, rank
        from vae.training import WARM_STARTS

        settings = self.campaign.settings
        training, candidates = self._training(), self._candidates()
        self.show(Event("stage", text=f"training on {len(training)} known fields to rank {len(candidates)} candidates"))
        with self.campaign.timed(self.number, "training"):
            last = self._last_ranker()
            if last is not None and last.trained_on == data_hash(training):
                ranker = last
            else:
                start = last if last is not None and last.warm_starts < WARM_STARTS else None
                ranker = make_ranker(settings.ranker.name, seed=settings.seed).fit(training, start=start)
        with self.campaign.timed(self.number, "ranking"):
            ranking = apply_priors(rank(ranker, candidates, training), [prior.prior() for prior in settings.priors])
            ranking.table["verdict_log_odds"] = self._log_odds(ranker, ranking.table["phase_field"])
            self._checkpoint(self.number).parent.mkdir(exist_ok=True)
            ranker.save(self._checkpoint(self.number))
        table, diagnostics = ranking.table, ranking.diagnostics
        self.campaign.record_ranking(self.number, table, diagnostics, len(training), ranking.latent)

    def _checkpoint(self, cycle: int) -> Path:
        return self.campaign.folder / "checkpoints" / f"cycle-{cycle}.pt"

    def _last_ranker(self) -> Ranker | None:
        """The ranker of the last cycle, if there is one of these settings."""
        from vae.ranking import make_ranker

        name, seed = self.campaign.settings.ranker.name, self.campaign.settings.seed
        try:
            last = type(make_ranker(name, seed=seed)).load(self._checkpoint(self.number - 1))
        except (OSError, ValueError):
            return None
        return last if last.seed == seed else None

    def _earlier(self) -> list[dict[str, Any]]:
        return [verdict for verdict in self.campaign.verdicts() if verdict["cycle"] < self.number]

    def _training(self) -> list[PhaseField]:
        fields = training_fields(self.known.fields, self._earlier(), self.campaign.settings.feedback)
        describable, lacking = set_aside(fields, element_descriptors())
        self._say_what_is_set_aside("known", lacking)
        return describable

    def _candidates(self) -> list[PhaseField]:
        settings = self.campaign.settings
        fields = settings.candidates.enumerate(left_out(self.known.fields, self._earlier(), settings.feedback))
        allowed, reasons = exclude(fields, settings.limits.limits())
        if reasons:
            told = ", ".join(f"{symbol} ({reason})" for symbol, reason in reasons.items())
            self.show(Event("message", text=f"{len(fields) - len(allowed)} candidates left out for {told}"))
        describable, lacking = set_aside(allowed, element_descriptors())
        self._say_what_is_set_aside("candidate", lacking)
        if not describable:
            raise UserError("no candidate fields are left; widen `candidates` or `limits` in the configuration")
        return describable

    def _say_what_is_set_aside(self, kind: str, lacking: dict[str, int]) -> None:
        if lacking:
            told = ", ".join(f"{symbol} ({n} fields)" for symbol, n in lacking.items())
            self.show(Event("message", text=f"{kind} fields set aside, no descriptors for {told}"))

    def _log_odds(self, ranker: Ranker, names: Iterable[str]) -> list[float | None]:
        """What the verdicts so far say of each candidate; nothing before there is one for and one against."""
        usual = [field for field in map(PhaseField.parse, names) if len(field.anions) == 2]
        positive, negative = self._judged("positive"), self._judged("filtered", "undecided")
        if not (self.campaign.settings.feedback.reweight_by_verdicts and positive and negative and usual):
            return [None for _ in names]
        # A known field that was explored all the same counts by its verdict alone: each field has one row.
        judged = {*positive, *negative}
        rest = [field for field in self.known.fields if field not in judged]
        known = [field for field in rest if len(field.anions) == 2 and not field.has_repeats]
        everything = list(dict.fromkeys([*usual, *positive, *negative, *known]))
        seed = self.campaign.settings.seed
        odds = verdict_log_odds(usual, known, positive, negative, seed, ranker.coordinates(everything))
        return [odds.get(name) for name in names]

    def _judged(self, *verdicts: str) -> list[PhaseField]:
        """The fields M-M'-A-A' that earlier cycles gave one of these verdicts, in their order.

        One without any energy, as where a folder holds none of its phases, says nothing of the field.
        """
        given = [v for v in self._earlier() if v["verdict"] in verdicts and v["best_composition"]]
        fields = [PhaseField.parse(v["phase_field"]) for v in given]
        return [field for field in fields if len(field.anions) == 2]

    def propose(self) -> list[PhaseField]:
        """Choose the fields of this cycle.

        Raises:
            UserError: If every candidate field has been explored.
            Waiting: If the user is to look at them first.
        """
        if not self.campaign.proposals(self.number):
            settings = self.campaign.settings
            proposals = self._choose(settings.fields_per_cycle, self.campaign.settled_fields())
            if not proposals:
                raise UserError("every candidate field has been explored; widen `candidates` in the configuration")
            self.campaign.record_proposals(self.number, proposals)
        self._wait_for_review()
        proposals = self.campaign.proposals(self.number)
        for name, reason in proposals.items():
            self.show(Event("message", self.number, name, f"exploring {name}: {reason}"))
        return [PhaseField.parse(name) for name in proposals]

    def _choose(self, n: int, taken: Collection[str]) -> dict[str, str]:
        """Fields to explore, with the reason for each, from this cycle's ranking."""
        ranking = self.campaign.ranking(self.number)
        odds = ranking.set_index("phase_field").get("verdict_log_odds")
        said = {} if odds is None else odds.dropna().to_dict()
        return choose_fields(ranking, taken, n, self.campaign.settings.field_strategy, said or None)

    def _wait_for_review(self) -> None:
        open_proposals = [n for n, state in self.campaign.proposal_states(self.number).items() if state == "proposed"]
        if self.campaign.settings.review and open_proposals:
            raise Waiting(
                f"cycle {self.number} proposes {', '.join(open_proposals)}; look at them with "
                f"`loop review {self.campaign.folder}`, approve, veto or add, then run again"
            )


def run_campaign(
    campaign: Campaign, cycles: int, show: Show, write_report: Callable[[Campaign], object], detach: bool = False
) -> int:
    """Bring a campaign to `cycles` completed cycles in total, with a report after each.

    Args:
        campaign: Opened by its only driver.
        cycles: In total, those of earlier runs included.
        show: Told what happens.
        write_report: Called after each cycle.
        detach: Wait for no calculation on a cluster.

    Returns:
        How many cycles were made now.

    Raises:
        UserError: If a level cannot run here or no field is left.
        Waiting: If proposals wait for the user, or with `detach` when calculations are submitted.
    """
    first = campaign.completed_cycles() + 1
    screening = checked_ladder(campaign, elements_of_candidates(campaign.settings) if first <= cycles else ())[0]
    tell_of_folder(campaign, show)
    with open_executor(campaign, show, cycles, detach) as executor:
        executor.warm_up(load_engine, screening.maker)  # while the ranker is trained
        for number in range(first, cycles + 1):
            if stopped := budget_spent(campaign):
                show(Event("message", text=f"no further cycle: {stopped}"))
                break
            Cycle(campaign, number, executor, show, last=number == cycles).run()
            with campaign.timed(number, "report"):
                write_report(campaign)
    show(Event("finished"))
    return max(0, campaign.completed_cycles() + 1 - first)


def elements_of_candidates(settings: Settings) -> list[str]:
    """What the candidates hold, less what limits take out and what has no descriptors."""
    described, limits = element_descriptors().index, settings.limits.limits()
    return [e for e in settings.candidates.elements if e in described and not limits.reason_against(e)]


def load_known(campaign: Campaign) -> KnownFields:
    """The known fields that the campaign was begun with.

    Raises:
        UserError: If the list cannot be read or has changed since the campaign was begun.
    """
    source = campaign.settings.known.source
    try:
        known = known_fields_from(source, campaign.folder)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise UserError(f"known.source: {error}") from None
    facts = {
        "source": known.source,
        "licence": known.licence,
        "n_fields": len(known.fields),
        "hash": known.hash,
        **({"left_out": dropped_in_words(known)} if known.dropped and source != BUNDLED else {}),
    }
    recorded = campaign.database.meta("data")
    if recorded is None:
        campaign.database.set_meta(data=to_json(facts))
    elif json.loads(recorded)["hash"] != known.hash:
        raise UserError(
            f"known.source: {source} holds other fields than when {campaign.folder} was begun; "
            "restore it, or begin a new campaign with --dir"
        )
    return known
