"""Reading /proc's text. Pure: bytes in, typed facts out, and a `ValueError` for anything that is not of the kernel's form.

A process chooses its own `comm` (it may hold spaces, brackets and newlines), so `stat` is read from the last `)`. Nothing here
is ever taken from `comm` as an identity: it is compared, never believed. `cmdline` and `environ` are not read at all: they are
memory of the process, and where that is a mapped file of a file system of its own, reading them waits for as long as it likes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# /proc/<pid>/stat, numbered as in proc(5); the first field after the last `)` is number 3.
FIELD_PPID = 4
FIELD_SESSION = 6
FIELD_STARTED = 22  # clock ticks after boot
FIELDS_IMAGE = (26, 28, 47)  # startcode, startstack, start_brk: each execve lays them out anew
FIELDS_ARGUMENTS = (48, 49, 50, 51)  # where arguments and environment begin and end
FIRST_FIELD = 3

CONTAINER = re.compile(r"(?:^|[-:/])([0-9a-f]{64})(?:\.scope)?$")
UNIT = re.compile(r".+\.(?:service|scope|socket|mount)$")


class Stat(NamedTuple):
    """What one line of `stat` says about a process."""

    pid: int
    comm: bytes
    ppid: int
    session: int
    started: int
    image: tuple[int, ...]
    arguments: tuple[int, ...]


class Place(NamedTuple):
    """Where the kernel accounts a process: a systemd unit, a container, both or neither. Raw text, not yet made visible."""

    unit: str
    container: str


def parse_stat(line: bytes) -> Stat:
    """`/proc/<pid>/stat`. The name ends at the last `)`, whatever stands in it."""
    opening, closing = line.find(b" ("), line.rfind(b")")
    if opening < 0 or closing < opening:
        raise ValueError("stat: no name")
    fields = line[closing + 1 :].split()
    if len(fields) <= FIELDS_ARGUMENTS[-1] - FIRST_FIELD:
        raise ValueError("stat: too short")
    return Stat(
        int(line[:opening]), line[opening + 2 : closing], int(fields[FIELD_PPID - FIRST_FIELD]),
        int(fields[FIELD_SESSION - FIRST_FIELD]), int(fields[FIELD_STARTED - FIRST_FIELD]),
        tuple(int(fields[number - FIRST_FIELD]) for number in FIELDS_IMAGE),
        tuple(int(fields[number - FIRST_FIELD]) for number in FIELDS_ARGUMENTS),
    )  # fmt: skip


def parse_pidfd(fdinfo: bytes) -> int:
    """The pid behind a pidfd, from `/proc/self/fdinfo/<fd>`; 0 or less: not of our pid namespace, or gone."""
    for line in fdinfo.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"Pid":
            return int(value)
    raise ValueError("fdinfo: no Pid")


def parse_euid(status: bytes) -> int:
    """The effective uid, from `/proc/<pid>/status`."""
    # `Name:` comes first and is escaped by the kernel (no raw newline), so the first `Uid:` line is the kernel's.
    for line in status.split(b"\n"):
        if line.startswith(b"Uid:"):
            fields = line.split()
            if len(fields) != 5:
                break
            return int(fields[2])
    raise ValueError("status: no Uid")


def parse_place(cgroup: bytes) -> Place:
    """Unit and container, from `/proc/<pid>/cgroup`.

    Looks at the unified hierarchy, else at systemd's own, else at that of memory. The unit is the outermost one, which root made;
    below a user's own manager (`user@1000.service`) the user may invent names, so those are shown as `user@1000.service/name`.
    A container is known by its 64-digit id.
    """
    paths: dict[str, str] = {}
    for line in cgroup.split(b"\n"):
        number, _, rest = line.partition(b":")
        controllers, separator, path = rest.partition(b":")
        if separator:
            name = "unified" if number == b"0" else controllers.decode("ascii", "replace")
            paths[name] = path.decode("utf-8", "surrogateescape")
    unit = container = ""
    for name in ("unified", "name=systemd", "memory"):
        parts = paths.get(name, "").split("/")
        units = [part for part in parts if UNIT.fullmatch(part)]
        if not unit and units:
            unit = "/".join(units[:2]) if units[0].startswith("user@") else units[0]
        if not container:
            container = next((found.group(1) for part in reversed(parts) if (found := CONTAINER.search(part))), "")
    return Place(unit=unit, container=container)
