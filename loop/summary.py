"""A campaign's facts, assembled for reports, tables and `loop status`."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from loop.campaign import Campaign
from loop.errors import UserError
from loop.level_summaries import level_summaries
from loop.records import CampaignRecord, CycleRecord, FieldRecord


def campaign_record(campaign: Campaign) -> CampaignRecord:
    """Everything that a report may use, read from the database alone."""
    meta = campaign.database.meta
    numbers = [row["number"] for row in campaign.database.query("SELECT number FROM cycles ORDER BY number")]
    return CampaignRecord(
        name=campaign.settings.name,
        settings=campaign.settings.plain(),
        settings_hash=meta("settings_hash") or "",
        versions=json.loads(meta("versions") or "{}"),
        data=json.loads(meta("data") or "{}"),
        cycles=tuple(_cycle_record(campaign, number) for number in numbers),
        fields=tuple(_field_records(campaign)),
        calculations=campaign.calculations.table(),
        created=meta("created") or "",
    )


def _cycle_record(campaign: Campaign, number: int) -> CycleRecord:
    row = campaign.database.query("SELECT * FROM cycles WHERE number = ?", (number,))[0]
    verdicts = [v for v in campaign.verdicts() if v["cycle"] == number]
    return CycleRecord(
        number=number,
        state=row["state"],
        n_training=row["n_training"],
        n_candidates=row["n_candidates"],
        ranking=campaign.ranking(number),
        diagnostics=json.loads(row["diagnostics"]),
        latent=pd.DataFrame(json.loads(row["latent"])),
        proposals=campaign.proposals(number),
        positives=tuple(v["phase_field"] for v in verdicts if v["verdict"] == "positive"),
        filtered=tuple(v["phase_field"] for v in verdicts if v["verdict"] == "filtered"),
        started=row["started"],
        finished=row["finished"],
        seconds=json.loads(row["seconds"]),
    )


def _field_records(campaign: Campaign) -> list[FieldRecord]:
    proposed = campaign.chosen_fields()
    verdicts = {verdict["phase_field"]: verdict for verdict in campaign.verdicts()}
    return [_field_record(campaign, row["cycle"], row["phase_field"], verdicts) for row in proposed]


def _field_record(campaign: Campaign, cycle: int, name: str, verdicts: dict[str, dict[str, Any]]) -> FieldRecord:
    from loop.levels_of_field import AT, levels_of

    verdict = verdicts.get(name, {"phase_field": name, "cycle": cycle})
    known = {key: value for key, value in verdict.items() if value is not None}
    levels = levels_of(campaign, name)
    if not levels:
        return FieldRecord(**known)
    *below, top = levels
    source = str(known.get("competing_source", "")).partition(AT)[0]
    common = {"phase_field": name, "cycle": cycle, "verdict": known.get("verdict", "open"), "competing_source": source}
    lower = tuple(FieldRecord(**common, **level.columns, error_band=level.error_band) for level in below)
    return FieldRecord(**{"error_band": top.error_band, **top.columns, **known}, lower=lower)


def on_launchpad(campaign: Campaign) -> dict[str, Any] | None:
    """What the LaunchPad knows of a campaign; none if it has nothing there, a key `problem` if it cannot be asked."""
    from loop.executors import connected, heal_settings, tag_of

    tag = tag_of(campaign)
    if tag is None:
        return None
    settings = heal_settings(campaign.settings.execution)
    from dft.cluster.overview import overview

    try:
        launchpad = connected(lambda text: None, patience=10.0, with_store=False)
        return overview(launchpad, tag.campaign, settings.lost_after)
    except (UserError, ConnectionError) as error:
        return {"problem": str(error)}


def status(campaign: Campaign) -> dict[str, Any]:
    """What `loop status --json` prints; its keys are fixed."""
    calculations = campaign.calculations.table()
    verdicts = {v["phase_field"]: v for v in campaign.verdicts()}
    proposed = campaign.chosen_fields()
    return {
        "name": campaign.settings.name,
        "cycles_completed": campaign.completed_cycles(),
        "calculations": campaign.calculations.states(),
        "cpu_hours": round(float(calculations["cpu_s"].sum()) / 3600, 4),
        "fields": [
            {
                "phase_field": row["phase_field"],
                "cycle": row["cycle"],
                "verdict": verdicts.get(row["phase_field"], {}).get("verdict", "open"),
                "best_e_above_hull": verdicts.get(row["phase_field"], {}).get("best_e_above_hull"),
                "best_e_above_competing": verdicts.get(row["phase_field"], {}).get("best_e_above_competing"),
                "best_composition": verdicts.get(row["phase_field"], {}).get("best_composition") or None,
                "reason": verdicts.get(row["phase_field"], {}).get("reason", row["reason"]),
                "levels": level_summaries(campaign, row["phase_field"]),
            }
            for row in proposed
        ],
    }
