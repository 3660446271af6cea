"""Small charts as SVG inside the page, coloured by its style sheet: ranks over the cycles, latent map, budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from loop.records import CampaignRecord
from loop.units import cpu_time

#: Ranks shown by the bump chart; what lies beyond shares one line beneath.
_RANKS = 12
_VERDICT_MARK = {"positive": "●", "filtered": "×", "undecided": "○", "open": "…"}


@dataclass(frozen=True)
class Trace:
    """Ranks of one field over the cycles.

    Attributes:
        phase_field: The field.
        ranks: Cycle and rank, while it was a candidate.
        verdict: The verdict, if it was explored.
    """

    phase_field: str
    ranks: tuple[tuple[int, int], ...]
    verdict: str = ""


def traces(record: CampaignRecord, top: int = 8) -> list[Trace]:
    """The fields to follow: those proposed and those that were ever among the first, in order of their best rank."""
    verdicts = {each.phase_field: each.verdict for each in record.fields}
    ranks: dict[str, list[tuple[int, int]]] = {}
    for cycle in record.cycles:
        if cycle.ranking.empty:
            continue
        for name, rank in zip(cycle.ranking["phase_field"], cycle.ranking["rank"], strict=True):
            ranks.setdefault(str(name), []).append((cycle.number, int(rank)))
    followed = [
        Trace(name, tuple(steps), verdicts.get(name, ""))
        for name, steps in ranks.items()
        if name in verdicts or min(rank for _, rank in steps) <= top
    ]
    return sorted(followed, key=lambda trace: (min(rank for _, rank in trace.ranks), trace.phase_field))


def bump_chart(record: CampaignRecord) -> Markup:
    """Ranks of the leading fields over the cycles; a line ends where its field joined what is known or was filtered."""
    followed = traces(record)
    numbers = [cycle.number for cycle in record.cycles if not cycle.ranking.empty]
    if not followed or not numbers:
        return Markup("")
    left, step, row = 190.0, min(150.0, 620.0 / max(len(numbers) - 1, 1)), 24.0
    shown = min(_RANKS, max(rank for trace in followed for _, rank in trace.ranks))
    x = {number: left + i * step for i, number in enumerate(numbers)}
    y = {rank: 34 + row * (rank - 1) for rank in range(1, shown + 2)}
    parts = [_text(x[number], 16, f"cycle {number}", "middle") for number in numbers]
    parts += [_text(12, y[rank] + 4, str(rank), "start", "soft") for rank in range(1, shown + 1)]
    if any(rank > shown for trace in followed for _, rank in trace.ranks):
        parts.append(_text(12, y[shown + 1] + 4, "later", "start", "soft"))
    taken: set[int] = set()
    for i, trace in enumerate(followed):
        parts.append(_bump_line(trace, x, y, i % 8, taken))
    width, height = left + step * (len(numbers) - 1) + 190, y[shown + 1] + 20
    return _svg(width, height, parts, "Ranks of the leading phase fields over the cycles")


def _bump_line(trace: Trace, x: dict[int, float], y: dict[int, float], colour: int, taken: set[int]) -> str:
    places = [(x[cycle], y[min(rank, max(y))]) for cycle, rank in trace.ranks]
    title = f"{trace.phase_field}: " + ", ".join(f"rank {rank} in cycle {cycle}" for cycle, rank in trace.ranks)
    title += f"; {trace.verdict}" if trace.verdict else ""
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
    dots = "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4"/>' for px, py in places)
    first, last = trace.ranks[0], trace.ranks[-1]
    labels = ""
    if first[0] == min(x) and first[1] < max(y):
        labels = _text(places[0][0] - 12, places[0][1] + 4, trace.phase_field, "end")
    if last[1] < max(y) or trace.verdict:
        mark = f" {_VERDICT_MARK[trace.verdict]} {trace.verdict}" if trace.verdict else ""
        name = "" if len(x) == 1 or (labels and first == last) else trace.phase_field
        # those beyond the last rank share one line: only the first is named there
        if last[1] < max(y) or last[0] not in taken:
            labels += _text(places[-1][0] + 12, places[-1][1] + 4, name + mark, "start")
        taken.update([last[0]] if last[1] >= max(y) else [])
    return f'<g class="c{colour}"><title>{escape(title)}</title><polyline points="{line}"/>{dots}{labels}</g>'


def latent_map(record: CampaignRecord) -> Markup:
    """Known fields and candidates in the plane of the ranker's space; candidates darker the earlier their rank.

    Explored fields, and the first of the last ranking, are named.
    """
    cycles = [cycle for cycle in record.cycles if not cycle.latent.empty]
    if not cycles:
        return Markup("")
    latent, ranking = cycles[-1].latent, cycles[-1].ranking
    ranks = dict(zip(ranking["phase_field"], ranking["rank"], strict=True)) if not ranking.empty else {}
    verdicts = {each.phase_field: each.verdict for each in record.fields}
    plane = latent[["x", "y"]].to_numpy(float)
    low, span = plane.min(axis=0), np.maximum(np.ptp(plane, axis=0), 1e-9)
    places = 20 + (plane - low) / span * [600, 400]
    known, shown, named = [], [], []
    for (px, py), name, kind in zip(places, latent["phase_field"], latent["kind"], strict=True):
        rank, verdict = ranks.get(name), verdicts.get(str(name), "")
        if kind == "known":
            known.append(_dot(px, py, 2, "known", f"{name}, known"))
            continue
        level = min(4, int(5 * (int(rank) - 1) / max(len(ranks), 1))) if rank else 4
        told = ", ".join(filter(None, [str(name), f"rank {rank}" if rank else "", verdict]))
        shown.append(_dot(px, py, 6 if verdict or rank == 1 else 3.5, f"q{level}", told))
        if verdict or (rank and rank <= 3):
            named.append((px, py, f"{name} {_VERDICT_MARK.get(verdict, '')}".strip()))
    parts = [*known, *shown, *_labels(named)]
    return _svg(760, 440, parts, "Latent map: known fields and candidates in the plane of their largest spread")


def _labels(named: Sequence[tuple[float, float, str]]) -> list[str]:
    """Names beside their dots, moved up or down where they would cover one another, with a line to the dot."""
    parts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for x, y, text in sorted(named, key=lambda each: each[1]):
        width, right = 7.5 * len(text), x < 560
        left = x + 12 if right else x - 12 - width
        for step in sorted(range(-12, 13), key=abs):
            at = y + 9 * step
            if not any(abs(at - other) < 17 and left < end and start < left + width for other, start, end in taken):
                break
        taken.append((at, left, left + width))
        edge = left - 2 if right else left + width + 2
        parts.append(f'<path class="axis" d="M{x:.1f} {y:.1f} L{edge:.1f} {at:.1f}"/>')
        parts.append(_text(left if right else left + width, at + 4, text, "start" if right else "end", "halo"))
    return parts


def _dot(x: float, y: float, radius: float, kind: str, title: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"><title>{escape(title)}</title></circle>'


def found_against_spent(spent: Sequence[float], found: Sequence[int]) -> Markup:
    """A step line: compositions near the hull against CPU-hours, cycle by cycle.

    Args:
        spent: CPU-hours spent by the end of each cycle.
        found: Compositions near the hull by then.
    """
    if not spent or spent[-1] <= 0:
        return Markup("")
    top = max(max(found), 1)
    x = [60 + 560 * hours / spent[-1] for hours in (0.0, *spent)]
    y = [150 - 120 * n / top for n in (0, *found)]
    steps = " ".join(f"{x[i]:.1f},{y[i - 1]:.1f} {x[i]:.1f},{y[i]:.1f}" for i in range(1, len(x)))
    parts = [f'<g class="c0"><polyline points="{x[0]:.1f},{y[0]:.1f} {steps}"/></g>']
    parts += ['<path class="axis" d="M60 150 H630 M60 150 V20"/>']
    parts += [_text(52, 154, "0", "end", "soft"), _text(52, 34, str(top), "end", "soft")]
    parts += [_text(x[i], 168, f"cycle {i}", "end", "soft") for i in range(1, len(x))] if len(x) < 8 else []
    parts.append(_text(620, 186, cpu_time(spent[-1]), "end", "soft"))
    return _svg(680, 196, parts, "Compositions near the hull against CPU time spent")


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> Markup:
    head = f'<svg class="chart" role="img" aria-label="{escape(title)}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return Markup(f'{head} style="max-width:{width:.0f}px">' + "".join(parts) + "</svg>")
