"""What a request says about this very command, for `observed` of a re-seal (protocol section 6).

The daemon identifies strangers from the kernel; here the command describes itself, under the grade `user`: an approver sees
that it is a person's own program. Reads /proc alone.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from pathlib import Path

from msgspec import UNSET

from stillvault.crypto.public import b64encode, visible
from stillvault.protocol.objects import Ancestor, Observed

MAX_CHAIN = 8
BLOCK = 1 << 20  # bytes


def observed_here(host: str) -> Observed:
    """This process: account, executable by content, ancestors up to the session leader."""
    exe, digest = _executable(os.getpid())
    return Observed(host=host, uid=os.geteuid(), user=_user(), exe=exe, exe_sha256=digest, chain=_chain(), grade="user",
                    unit=UNSET, container=UNSET)


def _user() -> str:
    try:
        return visible(os.fsencode(pwd.getpwuid(os.geteuid()).pw_name))
    except KeyError:
        return str(os.geteuid())


def _chain() -> list[Ancestor]:
    """Nearest first. Ends at the session leader, at eight, or where the kernel does not let us look."""
    found: list[Ancestor] = []
    pid, leader = os.getpid(), os.getsid(0)
    while pid != leader and len(found) < MAX_CHAIN:
        try:
            # The name in field 2 may hold anything: the fields count from the last `)`.
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
            exe, digest = _executable(pid)
        except (OSError, ValueError, IndexError):
            break
        found.append(Ancestor(exe=exe, exe_sha256=digest))
    return found


def _executable(pid: int) -> tuple[str, str]:
    link = f"/proc/{pid}/exe"
    digest = hashlib.sha256()
    with open(link, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return visible(os.fsencode(os.readlink(link))), b64encode(digest.digest())
