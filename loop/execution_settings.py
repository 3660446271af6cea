"""Settings of where a campaign's calculations run, and of what is done when they fail there."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Execution(BaseModel):
    """Where the calculations run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: int | None = Field(None, ge=1, description="worker processes; null: as many as there are cores")
    store: str | None = Field(
        None, description="folder of raw outputs, may be shared by campaigns; null: in the campaign"
    )
    executor: Literal["local", "fireworks"] = Field(
        "local", description="local: worker processes here; fireworks: a LaunchPad, its workers and a JobStore"
    )
    advance: Literal["here", "cluster"] = Field(
        "here", description="with fireworks; cluster: a last Firework of each batch takes the next step of the campaign"
    )
    retries: int = Field(2, ge=0, description="with fireworks: how often a lost or failed calculation is run again")
    deadline: float | None = Field(
        None, gt=0, description="with fireworks: hours after which a cycle goes on without what is not finished"
    )
    lost_after: float = Field(
        4.0, gt=0, description="with fireworks: hours without a sign of life after which a run counts as lost"
    )
    walltime: float | None = Field(
        None, gt=0, description="with qlaunch -r: hours asked of the queue per calculation, doubled after a timeout"
    )
    memory: float | None = Field(
        None,
        gt=0,
        description="with qlaunch -r: GB asked of the queue per calculation, doubled where it was too little",
    )
