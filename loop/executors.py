"""Where a campaign's calculations run: worker processes here, or a LaunchPad's workers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dft.execute import Executor, LocalExecutor, Outcome, Task
from dft.tasks import Then, nothing_more
from loop.campaign import Campaign
from loop.errors import RunError, UserError, Waiting
from loop.execution_settings import Execution
from loop.report.live import Event

if TYPE_CHECKING:
    from dft.cluster.connections import Cluster
    from dft.cluster.executor import FireWorksExecutor
    from dft.cluster.healing import HealSettings
    from dft.cluster.submission import Tag

Say = Callable[[str], None]


@contextmanager
def open_executor(
    campaign: Campaign, show: Callable[[Event], None], cycles: int = 1, detach: bool = False
) -> Iterator[Executor]:
    """The executor that `execution.executor` names.

    Args:
        campaign: Whose calculations.
        show: Told what a person should know.
        cycles: Completed cycles that the campaign is to be brought to, for the steps taken on the cluster.
        detach: Return as soon as all is submitted.

    Raises:
        UserError: If there is no LaunchPad or JobStore that can be used.
    """
    execution = campaign.settings.execution
    with LocalExecutor(execution.workers, log=campaign.folder / "workers.log") as local:
        if execution.executor == "local":
            yield local
            return
        cluster = connected(lambda text: show(Event("message", text=text)))
        yield ClusterExecutor(_fireworks(campaign, cluster, local, cycles, detach), campaign.folder)


@dataclass
class ClusterExecutor:
    """A FireWorksExecutor whose interruptions are told as those of a campaign.

    Attributes:
        inner: Does the work.
        folder: The campaign folder.
    """

    inner: FireWorksExecutor
    folder: Path

    def warm_up(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Nothing: engines are loaded by the cluster's workers."""

    def foresee(self, tasks: Iterable[Task], then: Then = nothing_more) -> None:
        """Nothing: no worker of this machine waits."""

    def foresee_first(self, task: Task | None) -> None:
        """Nothing, as above."""

    def run(self, tasks: Iterable[Task], started: Callable[[str], None] = lambda key: None) -> Iterator[Outcome]:
        """As `FireWorksExecutor.run`.

        Raises:
            Waiting: If calculations go on, or were taken back, on the cluster.
            RunError: If a database stays away.
        """
        from dft.cluster import StillOpen, TakenBack

        try:
            yield from self.inner.run(tasks, started)
        except StillOpen as waiting:
            raise Waiting(f"{waiting}; `loop status {self.folder}` shows them, {self._next_step()}") from None
        except TakenBack as taken:
            raise Waiting(f"{taken}; run again to submit them anew") from None
        except ConnectionError as error:
            raise RunError(f"{error}; the log is {self.folder / 'loop.log'}") from None

    def _next_step(self) -> str:
        return "the cluster takes the next step" if self.inner.last else "run again to collect them and go on"


def connected(say: Say, patience: float | None = None, with_store: bool = True) -> Cluster:
    """The LaunchPad and JobStore of this machine's configuration.

    Args:
        say: Told what a person should know.
        patience: Seconds for which a database may be away; none for what a driver bears.
        with_store: Without, the LaunchPad alone.

    Raises:
        UserError: If one cannot be used.
    """
    from dft.cluster.connections import connect

    try:
        cluster = connect(say, with_store)
        cluster.patience = cluster.patience if patience is None else patience
        return cluster
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from None


def tag_of(campaign: Campaign) -> Tag | None:
    """What marks the campaign's Fireworks; none if it never had any."""
    identity = campaign.database.meta("campaign_id")
    if not identity:
        return None
    from dft.cluster.submission import Tag

    return Tag(identity, campaign.settings.name)


def heal_settings(execution: Execution) -> HealSettings:
    """How failures on the cluster are treated."""
    from dft.cluster.healing import HealSettings

    return HealSettings(execution.retries, execution.lost_after * 3600, execution.walltime, execution.memory)


def _fireworks(
    campaign: Campaign, cluster: Cluster, local: LocalExecutor, cycles: int, detach: bool
) -> FireWorksExecutor:
    from dft.cluster.executor import FireWorksExecutor

    if campaign.database.meta("campaign_id") is None:
        campaign.database.set_meta(campaign_id=uuid.uuid4().hex)
    tag = tag_of(campaign)
    assert tag is not None
    execution = campaign.settings.execution
    on_cluster = execution.advance == "cluster"
    last = _last_firework(campaign, tag, cycles) if on_cluster else None
    return FireWorksExecutor(cluster, tag, local, heal_settings(execution), wait=not (detach or on_cluster), last=last)


def _last_firework(campaign: Campaign, tag: Tag, cycles: int) -> Callable[[], Any]:
    from loop.cluster_step import last_firework

    return lambda: last_firework(campaign.folder.resolve(), tag, cycles)
