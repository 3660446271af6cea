"""Derive the packaged lists of known phase fields and formulas from the formulas that matminer's wheel ships.

Takes about a minute on one core:

    python scripts/derive_known_phase_fields.py [--out vae/data]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pandas as pd
from pymatgen.core import Composition

from vae.datasets import field_from_formula

ARCHIVE = "utils/data_files/mp_transport/transport_database.tar.xz"


def shipped_formulas() -> pd.DataFrame:
    """The formulas and Materials Project identifiers in matminer's wheel, read without unpacking to disk."""
    archive = Path(str(files("matminer"))) / ARCHIVE
    with tarfile.open(archive) as tar:
        member = next(entry for entry in tar if entry.name.endswith("transport_database.csv"))
        content = tar.extractfile(member)
        if content is None:
            raise FileNotFoundError(f"{archive} holds no transport_database.csv")
        return pd.read_csv(io.BytesIO(content.read()), usecols=["mp_id", "pretty_formula"], keep_default_na=False)


def derive_fields(formulas: Iterable[str]) -> tuple[dict[str, str], Counter[str]]:
    """Known quaternary fields with exactly two anions, each with its shortest formula, and what was left out."""
    fields: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    for formula in sorted(set(formulas), key=lambda text: (len(text), text)):
        field, reason = field_from_formula(formula)
        if field is None:
            dropped[reason] += 1
        else:
            fields.setdefault(str(field), formula)
    return dict(sorted(fields.items())), dropped


def derive_formulas(formulas: Iterable[str]) -> list[tuple[str, str]]:
    """Chemical system and reduced formula of every binary and ternary, sorted."""
    compositions = {Composition(formula) for formula in set(formulas)}
    pairs = {(c.chemical_system, c.reduced_formula) for c in compositions if len(c) in (2, 3)}
    return sorted(pairs)


def main() -> None:
    """Write known_fields.csv, known_formulas.csv.gz and source.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("vae/data"))
    out = parser.parse_args().out
    table = shipped_formulas()
    fields, dropped = derive_fields(table["pretty_formula"])
    pairs = derive_formulas(table["pretty_formula"])
    with (out / "known_fields.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("phase_field", "formula"), *fields.items()])
    text = "\n".join(["chemical_system,formula", *(",".join(pair) for pair in pairs)]) + "\n"
    # No time stamp inside, so that deriving again gives the same bytes.
    (out / "known_formulas.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    source = {
        "source": "Materials Project formulas of Ricci et al., Sci. Data 4, 170085 (2017), doi 10.1038/sdata.2017.85, "
        "as shipped in matminer's wheel (matminer/utils/data_files/mp_transport)",
        "licence": "matminer, which ships the table: modified BSD (LBNL); the formulas are the Materials Project's, "
        "CC-BY 4.0; the licence of the data set's own record could not be verified offline (docs/ranker.md)",
        "derived": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("matminer", "pymatgen")},
        "rule": "four elements; exactly two, both among N, P, As, O, S, Se, Te, F, Cl, Br, I, negative in pymatgen's "
        "oxidation-state guess of the formula",
        "counts": {
            "entries": len(table),
            "formulas": table["pretty_formula"].nunique(),
            "fields": len(fields),
            "binary_and_ternary_formulas": len(pairs),
        },
        "dropped": dict(sorted(dropped.items())),
    }
    (out / "source.json").write_text(json.dumps(source, indent=2, ensure_ascii=False) + "\n")
    print(f"{len(fields)} known fields, {len(pairs)} binary and ternary formulas; left out: {dict(dropped)}")


if __name__ == "__main__":
    main()
