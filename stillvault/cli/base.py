"""The rules of the command line, kept by every verb.

* Data goes to stdout, everything else to stderr. `--format json` prints one object with `"v": 1`; times are unix seconds there
  and RFC 3339 in text.
* `--format` and `--no-input` are taken before and after the verb.
* An error says what happened, what to do, and a stable code; a check that failed is named as `untrusted: <code>`. Nothing that
  came from elsewhere reaches the terminal with a control, bidi or invisible character.
* A question is asked on the terminal alone, never under `--no-input`; the passphrase comes from --passphrase-file,
  STILLVAULT_PASSPHRASE_FILE or the terminal, in this order.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from stillvault.protocol.errors import Refused, StillvaultError, Usage
from stillvault.protocol.text import plain
from stillvault.transport.home import Home

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PASSPHRASE_LIMIT = 4096  # bytes
MIN_PASSPHRASE = 1


class State:
    """What the common options said. One a process."""

    def __init__(self) -> None:
        self.format = os.environ.get("STILLVAULT_FORMAT", "text")
        self.no_input = os.environ.get("STILLVAULT_NO_INPUT", "") not in ("", "0")
        self.passphrase_file = ""
        self.root_key_file = ""

    @property
    def json(self) -> bool:
        return self.format == "json"

    @property
    def interactive(self) -> bool:
        """Whether a question may be asked."""
        return not self.no_input and sys.stdin.isatty() and sys.stderr.isatty()


STATE = State()


def _set_format(_context: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        STATE.format = value


def _set_no_input(_context: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        STATE.no_input = True


def common() -> list[click.Parameter]:
    """The options that every verb takes."""
    return [
        click.Option(["--format"], type=click.Choice(["text", "json"]), expose_value=False, callback=_set_format,
                     help="How to print: text (default) or json."),
        click.Option(["--no-input"], is_flag=True, expose_value=False, callback=_set_no_input, help="Never ask anything."),
    ]


class Verb(click.Command):
    """A verb with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += common()


class Verbs(click.Group):
    """A group of verbs, with the common options too."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += common()


def emit(record: dict[str, Any], text: str) -> None:
    """Prints a result: the record as JSON, or the text (without its last line feed)."""
    if STATE.json:
        print(msgspec.json.encode({"v": 1, **record}).decode(), flush=True)
    elif text:
        print(text, flush=True)


def say(text: str) -> None:
    """Says something beside the result, on stderr."""
    print(plain(text), file=sys.stderr, flush=True)


def complain(error: StillvaultError) -> None:
    """Prints an error on stderr: its code, what happened, what to do. A failed check is named on a line of its own."""
    code, message, remedy = plain(error.code), plain(error.message), plain(error.remedy)
    if isinstance(error, Refused):
        print(f"untrusted: {code}", file=sys.stderr)
    if STATE.json:
        record = {"code": code, "exit": error.exit, "message": message}
        record |= {"remedy": remedy} if remedy else {}
        record |= {"field": plain(error.field)} if error.field else {}
        record |= {"untrusted": code} if isinstance(error, Refused) else {}
        print(msgspec.json.encode({"v": 1, "error": record}).decode(), file=sys.stderr)
    else:
        print(f"stillvault: {code}: {message}" + (f" ({plain(error.field)})" if error.field else ""), file=sys.stderr)
        if remedy:
            print(f"  {remedy}", file=sys.stderr)
    sys.stderr.flush()


def now() -> int:
    """The clock, unix seconds."""
    return int(time.time())


def home() -> Home:
    """The home that STILLVAULT_HOME names."""
    return Home()


def ask_passphrase(what: str) -> bytes:
    """The passphrase of a key file that has one."""
    found = passphrase_from_file()
    if found is not None:
        return found
    if not STATE.interactive:
        raise Usage("passphrase", f"the {what} key has a passphrase: there is no terminal to ask for it, and "
                    "STILLVAULT_PASSPHRASE_FILE is not set",
                    "run it on a terminal, or set STILLVAULT_PASSPHRASE_FILE to a file that holds the passphrase")
    return getpass.getpass(f"Passphrase of the {what} key: ", stream=sys.stderr).encode()


def passphrase_from_file() -> bytes | None:
    """From --passphrase-file or STILLVAULT_PASSPHRASE_FILE, without the last line feed; None where neither is given."""
    name = STATE.passphrase_file or os.environ.get("STILLVAULT_PASSPHRASE_FILE", "")
    if not name:
        return None
    try:
        with open(name, "rb") as file:
            raw = file.read(PASSPHRASE_LIMIT + 1)
    except OSError as error:
        raise Usage("passphrase-file", f"{name} cannot be read: {error.strerror}", "name a readable file") from None
    raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not MIN_PASSPHRASE <= len(raw) <= PASSPHRASE_LIMIT:
        raise Usage("passphrase-file", f"{name} is empty or too long", "one line with the passphrase")
    return raw


def new_passphrase(none: bool) -> bytes | None:
    """The passphrase for new keys: None only when the person said --no-passphrase."""
    if none:
        if STATE.passphrase_file:
            raise Usage("passphrase", "--passphrase-file and --no-passphrase exclude each other", "give one")
        return None
    found = passphrase_from_file()
    if found is not None:
        return found
    if not STATE.interactive:
        raise Usage("passphrase", "new keys need a passphrase, and there is no terminal to ask",
                    "give --passphrase-file F (or STILLVAULT_PASSPHRASE_FILE) or, for keys in the clear, --no-passphrase")
    first = getpass.getpass("New passphrase for the keys of this device: ", stream=sys.stderr)
    if not first or getpass.getpass("Again: ", stream=sys.stderr) != first:
        raise Usage("passphrase", "the two passphrases differ or are empty", "try again, or give --no-passphrase")
    return first.encode()


def passphrase_options(command: Any) -> Any:
    """`--passphrase-file` and `--no-passphrase`, for the verbs that make keys."""
    command = click.option("--no-passphrase", is_flag=True, help="Keep the keys in the clear, safe by the file's mode.")(command)
    return click.option("--passphrase-file", default="", callback=_set_passphrase_file, expose_value=False,
                        help="A file that holds the passphrase for the keys.")(command)


def _set_passphrase_file(_context: click.Context, _param: click.Parameter, value: str) -> None:
    if value:
        STATE.passphrase_file = value


def yes_or_no(question: str) -> bool:
    """Asks on the terminal; `y` alone means yes."""
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        raise click.Abort
    return answer.strip().lower() in ("y", "yes")


class Duration(click.ParamType[int]):
    """`15m`, `1h30m`, `90s`, `300`: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        if text.isascii() and text.isdigit() and len(text) < 10:
            return int(text)
        parts = re.findall(r"([0-9]{1,9})([smhd])", text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.fail(f"{plain(text)!r} is not a length of time: write 300, 90s, 15m, 1h30m", param, ctx)
        return sum(int(number) * UNITS[unit] for number, unit in parts)


class Grammar(click.ParamType[str]):
    """An argument that the protocol's grammar must take: `path`, `pattern` or `id`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from stillvault.crypto import public

        check = {"path": public.check_path, "pattern": public.check_pattern, "id": public.check_id}[self.name]
        text = str(value)
        try:
            check(text.removeprefix("sv://") if self.name == "path" else text)
        except (Refused, UnicodeEncodeError):
            rules = {"path": "lower-case words of a-z 0-9 . _ - joined by /, at most 200 bytes",
                     "pattern": "an exact path, prefix/** or **",
                     "id": "a-z 0-9 . _ -, at most 64, beginning with a letter or digit"}
            self.fail(f"{plain(text)[:80]!r} is not a {self.name}: {rules[self.name]}", param, ctx)
        return text.removeprefix("sv://") if self.name == "path" else text


DURATION = Duration()
PATH = Grammar("path")
PATTERN = Grammar("pattern")
ID = Grammar("id")


class Commas(click.ParamType[list[str]]):
    """`alice,bob`: ids."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        if isinstance(value, list):
            return value
        return [ID.convert(one, param, ctx) for one in str(value).split(",")]


def colour() -> bool:
    """Whether stderr may have colour."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def table(rows: list[list[str]]) -> str:
    """Columns of text, as wide as they must be."""
    if not rows:
        return ""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ("  ".join(plain(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def path_of(name: str) -> Path:
    """A file that the user named."""
    return Path(name)
