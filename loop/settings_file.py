"""Settings as a YAML file: read with a sentence for each mistake, and written with a comment for each key."""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from loop.config import Known, Settings
from loop.errors import UserError


def load_settings(path: Path) -> Settings:
    """Read settings from a YAML file; what the file does not name keeps its default.

    Raises:
        UserError: If the file is missing, no YAML, or has a key or value that is not understood.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"configuration {path} does not exist; `loop init DIR` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"configuration {path} cannot be read: {error}") from None
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" (line {line + 1})" if line is not None else ""
        raise UserError(f"configuration {path} is no valid YAML{where}: {getattr(error, 'problem', error)}") from None
    if not isinstance(values, dict):
        raise UserError(f"configuration {path} holds a {type(values).__name__}, not `key: value` lines")
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise UserError(f"configuration {path}: {_first_problem(error)}") from None
    return _with_paths_beside(settings, path)


def _with_paths_beside(settings: Settings, path: Path) -> Settings:
    """A relative file name in a configuration is meant relative to the configuration; `~` is the home folder."""

    def beside_it(name: str) -> str:
        # os.path leaves a user that does not exist as it stands, where pathlib would raise.
        return str((path.parent / os.path.expanduser(name)).resolve())

    beside: dict[str, BaseModel] = {}
    if settings.known.source not in ("bundled", "materials_project"):
        beside["known"] = Known(source=beside_it(settings.known.source))
    if settings.competing.folder is not None:
        folder = beside_it(settings.competing.folder)
        beside["competing"] = settings.competing.model_copy(update={"source": folder})
    if settings.probes.folder is not None:
        folder = beside_it(settings.probes.folder)
        beside["probes"] = settings.probes.model_copy(update={"folder": folder})
    if settings.execution.store is not None:
        store = beside_it(settings.execution.store)
        beside["execution"] = settings.execution.model_copy(update={"store": store})
    checkpoint = settings.checkpoint and beside_it(settings.checkpoint)
    return settings.model_copy(update={**beside, "checkpoint": checkpoint})


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"]) or "settings"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}, choose from {_keys_beside(problem['loc'])}"
    message = problem["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")  # as YAML calls it
    found = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
    if isinstance(problem["input"], bool) and problem["type"] == "string_type":
        found += '; YAML reads No, Yes, On and Off as false and true: write "No" in quotes'
    return f"{key}: {message}{found}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        model = model.model_fields[str(part)].annotation  # type: ignore[assignment]
    return sorted(model.model_fields)


def commented_yaml(settings: Settings) -> str:
    """The settings as YAML in which a comment explains each key."""
    lines = ["# Settings of a phaseloop campaign. Every key may be left out; these are the values used then.", ""]
    for name, info in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            lines += ["", f"# {(type(value).__doc__ or '').strip()}", f"{name}:"]
            lines += [f"  {line}" for key, sub in type(value).model_fields.items() for line in _entry(key, value, sub)]
        else:
            lines += _entry(name, settings, info)
    return "\n".join(lines) + "\n"


def _entry(name: str, section: BaseModel, info: FieldInfo) -> list[str]:
    value = section.model_dump(mode="json")[name]
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip()
    return [f"# {info.description}", f"{name}: {text}"]
