"""Tables of the user's own: every cell as text, every row with its line in the file."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

#: As pandas says that a line has more values than the header.
_TOO_MANY = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def read_text_table(path: str | Path, **options: Any) -> pd.DataFrame:
    """A CSV table as text; the index is the number of each row's line in the file, blank lines are left out.

    Args:
        path: The file.
        options: Of `pandas.read_csv`.

    Raises:
        ValueError: In one sentence without the name of the file, if it holds no table.
    """
    # Otherwise pandas reads cells such as NA and NaN, sodium nitride, as missing values.
    options = {"dtype": str, "keep_default_na": False, **options}
    above = _blank_lines_above(Path(path))
    try:
        table = pd.read_csv(path, skip_blank_lines=False, skiprows=above, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(_in_words(str(error).strip())) from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first values for names of rows
        raise ValueError(f"its rows have more values than the header, which has {len(table.columns)}")
    table.index = table.index + above + 2
    return table[(table != "").any(axis=1)]


def _blank_lines_above(path: Path) -> int:
    """Lines above the header."""
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        return sum(1 for _ in takewhile(lambda line: not line.strip(), handle))


def _in_words(message: str) -> str:
    if found := _TOO_MANY.search(message):
        header, line, values = found.groups()
        return f"line {line} has {values} values, the header {header}"
    return message[:1].lower() + message[1:]
