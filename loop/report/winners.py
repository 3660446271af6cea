"""Which way of building structures gave the lowest one, composition by composition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loop.report.found import Found


def winners(found: Sequence[Found]) -> str:
    """How often each generator gave the lowest structure, most often first, its families in brackets.

    Args:
        found: Computed compositions; those of unknown origin do not count.
    """
    families = Counter(probe.generator for probe in found if probe.generator)
    kinds: dict[str, Counter[str]] = {}
    for family, n in families.items():
        kind, _, detail = family.partition(": ")
        kinds.setdefault(kind, Counter())[detail] += n
    ordered = sorted(kinds.items(), key=lambda item: -item[1].total())
    return ", ".join(f"{details.total()} {kind}{_in_brackets(details)}" for kind, details in ordered)


def _in_brackets(details: Counter[str]) -> str:
    parts = [f"{n} {detail}" for detail, n in details.most_common() if detail]
    return f" ({'; '.join(parts)})" if parts else ""
