"""Data inside a page."""

from __future__ import annotations

import json


def json_for_script(data: object) -> str:
    """JSON that no content can end early inside a script element."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")
