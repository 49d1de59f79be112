"""Who could put another file in the place of one: whoever can write it, or a directory that the way to it leads through.

The way is walked as the kernel walks it, each part looked at by itself, links too. Whoever may change a part (its owner, or
everybody where the mode says so) may lead the rest of the way elsewhere, so the walk ends at the first such part. In a directory
with the sticky bit others can add names, but neither move nor remove those of somebody else: there a name must exist already.
What the mode bits cannot say (a file system whose server decides) is the business of whoever mounts it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass

MAX_LINKS = 40  # as the kernel
OTHERS = stat.S_IWGRP | stat.S_IWOTH  # an access list shows in the bits of the group


@dataclass(frozen=True)
class Replaceable:
    """Why a file could be replaced, as a clause, and the account that owns the part of the way that allows it."""

    why: str
    owner: int | None = None


def replaceable(path: str, owners: Collection[int]) -> Replaceable | None:
    """What lets anybody but `owners` (account numbers) replace an absolute path; None where nothing does.

    A path that leads nowhere yet is as safe as the directory in which its first missing part would be made.
    """
    way, at, links = _parts(path), "/", 0
    found = _open_to_others(at, os.lstat(at), owners)
    while found is None and way:
        name = way.pop(0)
        if name == "..":
            at = os.path.dirname(at)
            continue
        folder, at = at, os.path.join(at, name)
        try:
            status = os.lstat(at)
        except (FileNotFoundError, NotADirectoryError):
            status = os.lstat(folder)
            return Replaceable(f"others can make {at}", status.st_uid) if status.st_mode & OTHERS else None
        except OSError as error:
            return Replaceable(f"{at} cannot be looked at ({error.strerror}), so others may be able to change it")
        found = _open_to_others(at, status, owners)
        if found is None and stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MAX_LINKS:
                return Replaceable(f"{path} leads through more than {MAX_LINKS} links, which others may be able to change")
            target = os.readlink(at)
            way, at = _parts(target) + way, "/" if target.startswith("/") else folder
    return found


def _open_to_others(path: str, status: os.stat_result, owners: Collection[int]) -> Replaceable | None:
    if status.st_uid not in owners:
        return Replaceable(f"account {status.st_uid} can change {path}", status.st_uid)
    shared = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & OTHERS and not shared and not stat.S_ISLNK(status.st_mode):
        return Replaceable(f"others can write {path}", status.st_uid)
    return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
