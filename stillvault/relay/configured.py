"""Where settings come from.

    flags > STILLVAULT_RELAY_* > DIR/config.toml > the defaults of `settings`

`STILLVAULT_RELAY_LIMITS_PROMPTS_PER_HOUR` is `limits.prompts_per_hour`. Any variable may end in `_FILE` and then names a file
that holds the value; use that for secrets. An unknown name, anywhere, is an error that says what was meant.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from stillvault.relay.refusals import checked
from stillvault.relay.settings import GROUPS, LABORATORY, BadSetting, Settings, names

PREFIX = "STILLVAULT_RELAY_"


def load(flags: Mapping[str, str], environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that count. `flags` hold only what was given.

    Raises:
        BadSetting: unknown name, wrong type, out of range, unreadable file.
    """
    given: dict[str, tuple[str, Any]] = {}
    environ = os.environ if environment is None else environment
    from_environment = _environment(environ)
    where, data = _pick("data", flags, from_environment)
    if not data:
        raise BadSetting("command line", "data", "the data directory is not given", "Add --data DIR.")
    given["data"] = where, data
    file = _toml(Path(data) / "config.toml")
    _built({**given, **file})  # also what a flag will override must be of the right form
    given.update(file)
    given.update(from_environment)
    given.update({name: (f"--{name.replace('_', '-')}", value) for name, value in flags.items()})
    profile = given.get("profile", ("", "standard"))[1]
    if profile == "laboratory":
        given = {**{f"limits.{name}": ("profile laboratory", value) for name, value in LABORATORY.items()}, **given}
    try:
        return checked(_built(given))
    except BadSetting as error:
        if error.where != "settings" or error.field not in given:
            raise
        raise BadSetting(given[error.field][0], error.field, error.rule, error.fix) from None


def _pick(name: str, flags: Mapping[str, str], environment: Mapping[str, tuple[str, Any]]) -> tuple[str, Any]:
    if name in flags:
        return f"--{name}", flags[name]
    return environment.get(name, ("", ""))


def _unknown(where: str, name: str, known: list[str], shown_as: str) -> BadSetting:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    fix = f"Did you mean {close[0]}?" if close else "See docs/configuration.md for all settings."
    return BadSetting(where, shown_as, "there is no such setting", fix)


def _environment(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    known = {PREFIX + name.upper().replace(".", "_"): name for name in names()}
    found: dict[str, tuple[str, Any]] = {}
    for variable in sorted(key for key in environ if key.startswith(PREFIX)):
        plain = variable.removesuffix("_FILE")
        if variable in known:
            name, value = known[variable], environ[variable]
        elif plain in known:
            name, value = known[plain], _from_file(variable, environ[variable])
        else:
            raise _unknown("environment", variable, sorted(known), variable)
        if name in found:
            raise BadSetting("environment", variable, "the setting is given twice", f"Unset {plain} or {plain}_FILE.")
        found[name] = f"environment {variable}", value
    return found


def _from_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"environment {variable}", path, "the file cannot be read", "Check its name and mode.") from error


def _toml(path: Path) -> dict[str, tuple[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}  # what is wrong with the directory is said when it is opened
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(str(path), "file", "it cannot be read as UTF-8", "Check its owner, mode and encoding.") from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(str(path), "file", f"it is not TOML: {error}", "Mend that line.") from error
    except (ValueError, RecursionError) as error:
        rule = "a number in it is too long, or a list too deep"
        raise BadSetting(str(path), "file", rule, "See docs/configuration.md for all settings.") from error
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if name in GROUPS and isinstance(value, dict):
            flat.update({f"{name}.{inner}": one for inner, one in value.items()})
        else:
            flat[name] = value
    known = [name for name in names() if name != "data"]
    found: dict[str, tuple[str, Any]] = {}
    for name, value in flat.items():
        where = f"{path} line {_line(text, name)}"
        if name not in known:
            raise _unknown(where, name, known, name)
        found[name] = where, value
    return found


def _line(text: str, name: str) -> int:
    pattern = re.compile(rf"^\s*{re.escape(name.rpartition('.')[2])}\s*=")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _built(given: Mapping[str, tuple[str, Any]]) -> Settings:
    built: dict[str, dict[str, Any]] = {"": {}, **{group: {} for group in GROUPS}}
    for name, (where, value) in given.items():
        group, _, inner = name.rpartition(".")
        struct: type[Struct] = GROUPS[group] if group else Settings
        declared = next(field for field in fields(struct) if field.name == inner)
        if isinstance(value, str) and "\0" in value:
            raise BadSetting(where, name, "it holds a NUL character", "Take it out.")
        # Text from flags and variables may stand for a number or a list; TOML has types of its own, and they must fit.
        from_text = isinstance(value, str) and ("environment" in where or where.startswith("--"))
        if from_text and isinstance(declared.default, tuple):
            value, from_text = value.replace(",", " ").split(), False
        try:
            converted = msgspec.convert(value, declared.type, strict=not from_text)
        except msgspec.ValidationError as error:
            raise BadSetting(where, name, str(error), "See docs/configuration.md for its range.") from error
        if from_text and isinstance(converted, int) and str(converted) != value:
            raise BadSetting(where, name, "it is not a plain number", "Write digits alone.")
        built[group][inner] = converted
    groups: dict[str, Any] = {group: struct(**built[group]) for group, struct in GROUPS.items()}
    return Settings(**built[""], **groups)
