"""`identities.toml`: which callers are which agent, as an administrator wrote it. Parsed strictly; what is meant is in `agents`.

    [[identity]]
    client = "agent/claude"             # whose certificate asks
    exe = "/usr/bin/claude"             # the program, by the file that the kernel runs
    sha256 = "0123..."                  # its digest, 64 hexadecimal digits
    uid = 1000                          # the account, or user = "dev"
    unit = "claude.service"             # as `whoami` shows it
    container = "0123..."               # likewise
    session = "/usr/bin/claude"         # the program of the session's leader

The file, every directory above it and every link on the way must belong to root or the daemon's account and be writable by nobody
else. The same holds for the programs that it names (`replaceable`). Entries are in the order of their precedence; one that could
never hold because of one above it is refused. That there is none must be said: `identity = []`. A file that says nothing may be
half written.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import stat
import tomllib
from pathlib import Path

import msgspec

from stillvault.client.replaceable import replaceable
from stillvault.crypto.leases import is_interpreter
from stillvault.protocol.errors import Usage

FILE = "identities.toml"
MAX_FILE = 256 * 1024  # bytes
MAX_ENTRIES = 256
SUBJECT = re.compile(r"agent/[a-z0-9][a-z0-9._-]{0,62}")
DIGEST = re.compile(r"[0-9a-f]{64}")
FILE_REMEDY = "see docs/guides/hosts.md, \"Agents\""


class Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One [[identity]]."""

    client: str
    exe: str = ""
    sha256: str = ""
    uid: int | None = None
    user: str = ""
    unit: str = ""
    container: str = ""
    session: str = ""

    @property
    def conditions(self) -> frozenset[tuple[str, object]]:
        """What must hold."""
        named = [(name, getattr(self, name)) for name in ("exe", "sha256", "unit", "container", "session")]
        return frozenset([(name, value) for name, value in named if value] + ([] if self.uid is None else [("uid", self.uid)]))


class Content(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The file."""

    identity: list[Entry] | msgspec.UnsetType = msgspec.UNSET


def parse(raw: bytes) -> tuple[Entry, ...]:
    """The entries of a file. Raises `Usage` with the place, the rule and the remedy."""
    try:
        content = msgspec.convert(tomllib.loads(raw.decode()), type=Content)
    except UnicodeDecodeError:
        raise wrong("", "it is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise wrong("", f"it is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$.")
        raise wrong(place.rstrip("`"), rule) from None
    if content.identity is msgspec.UNSET:
        raise wrong("", "it names no identity", "write `identity = []` where none is meant; put a file into place by a rename")
    if len(content.identity) > MAX_ENTRIES:
        raise wrong("identity", f"there are more than {MAX_ENTRIES}")
    entries: list[Entry] = []
    for number, found in enumerate(content.identity, 1):
        entry = _checked(found, f"identity {number}")
        for above, one in enumerate(entries, 1):
            if one.conditions <= entry.conditions:
                raise wrong(f"identity {number}", f"identity {above} holds wherever this one does, so this one never would",
                            "write the more specific one first, or remove one")
        entries.append(entry)
    return tuple(entries)


def wrong(place: str, rule: str, remedy: str = FILE_REMEDY) -> Usage:
    """A file that is not of the form that it must have."""
    return Usage("identities", f"{FILE}: {place}: {rule}" if place else f"{FILE}: {rule}", remedy, place)


def _checked(entry: Entry, place: str) -> Entry:
    if not SUBJECT.fullmatch(entry.client):
        raise wrong(f"{place}, client", "it is not agent/NAME", "write client = \"agent/NAME\", as in `stillvault client invite`")
    for name in ("exe", "session"):
        path = getattr(entry, name)
        if path and (not os.path.isabs(path) or os.path.normpath(path) != path):
            raise wrong(f"{place}, {name}", "it is not an absolute path in its simplest form", "write the whole path")
    if entry.sha256 and not DIGEST.fullmatch(entry.sha256):
        raise wrong(f"{place}, sha256", "it is not 64 hexadecimal digits", f"sha256sum {entry.exe or 'FILE'}")
    if entry.user and entry.uid is not None:
        raise wrong(f"{place}, user", "the account stands twice", "give uid or user")
    if entry.uid is not None and not 0 <= entry.uid < 2**32 - 1:
        raise wrong(f"{place}, uid", "it is not the number of an account")
    if entry.user:
        try:
            entry = msgspec.structs.replace(entry, uid=pwd.getpwnam(entry.user).pw_uid)
        except (KeyError, ValueError):
            raise wrong(f"{place}, user", "this host has no such account", "give uid, or make the account") from None
    if not entry.conditions:
        raise wrong(place, "it has no condition, so every caller would be this agent", "give exe, uid, unit or container")
    _check_program(entry, place)
    _check_owners(entry, place)
    return entry


def _check_owners(entry: Entry, place: str) -> None:
    """A program names an agent only where nobody else can put another in its place: else they would be that agent."""
    owners = {0, os.geteuid()} | ({entry.uid} if entry.uid is not None else set())
    for name in ("exe", "session"):
        path = getattr(entry, name)
        if not path or (name == "exe" and entry.sha256):  # a digest names the program itself
            continue
        found = replaceable(path, owners)
        if found is not None:
            whose = "" if found.owner is None or found.owner in owners else f"add uid = {found.owner}, its owner, or "
            digest = "add sha256, the program's digest, or " if name == "exe" else ""
            raise wrong(f"{place}, {name}", f"{found.why}, and so put another program in the place of {path}",
                        f"{whose}{digest}keep the program where only root can write")


def _check_program(entry: Entry, place: str) -> None:
    """An interpreter says nothing about the program that it runs, and a script is never what the kernel runs."""
    if not entry.exe:
        return
    alone = not (entry.unit or entry.container or entry.session) and entry.uid is None
    if alone and (is_interpreter(entry.exe) or is_interpreter(os.path.realpath(entry.exe))):
        raise wrong(f"{place}, exe", "an interpreter runs any program, so every script would be this agent",
                    "add uid, unit, container or session")
    if _is_script(entry.exe):
        raise wrong(f"{place}, exe", "it is a script; the kernel runs its interpreter",
                    "name the interpreter, with uid, unit, container or session beside it")


def _is_script(path: str) -> bool:
    """Whether a file begins as scripts do. The path may lie in somebody's home: a FIFO there holds nothing up."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode) and os.read(fd, 2) == b"#!"
    except OSError:
        return False
    finally:
        os.close(fd)


def read(path: Path) -> bytes:
    """The file's bytes. Raises `Usage` where somebody else could have written them."""
    owners = (0, os.geteuid())
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        gone = error.errno == errno.ENOENT
        remedy = "put it back; `identity = []` says that there is none" if gone else "name the file itself, not a link"
        raise wrong("", f"{path} cannot be read ({error.strerror})", remedy) from None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in owners or status.st_mode & 0o022:
            raise wrong("", f"{path} must be a file of root or of the daemon's account that nobody else can write",
                        f"chown root {path}; chmod 644 {path}")
        raw = file.read(MAX_FILE + 1)
        if (after := os.fstat(fd)).st_mtime_ns != status.st_mtime_ns or after.st_size != len(raw) <= MAX_FILE:
            raise wrong("", f"{path} was changed while it was read", "put a new file into place by a rename")
    if len(raw) > MAX_FILE:
        raise wrong("", f"{path} is larger than {MAX_FILE} bytes")
    # The way as it is written, links and all: one that others may point elsewhere leads to another file tomorrow.
    found = replaceable(os.path.abspath(path), owners)
    if found is not None:
        raise wrong("", f"{found.why}, and so put another file in the place of {path}",
                    "keep it where only root or the daemon's account can write")
    return raw
