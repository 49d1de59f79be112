"""Copies of the skill where agents look for them: put there, judged, taken away. Nothing that somebody else wrote is touched.

Where (`PLACES`): each agent's own folder, in the user's home or in a project. Several agents read one another's folders and
`.agents/skills` too; a second copy there does no harm, as the skill's name is the same.

A copy is ours where its manifest says so. It is replaced or removed file by file, and only files that are as we wrote them; where
one was changed, or is not ours, the whole is left alone and named. In a project nothing is written through a link that leads
out of it: the tree may be anybody's.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from stillvault.agents import bundle
from stillvault.agents.bundle import MANIFEST, NAME, Manifest
from stillvault.protocol.errors import Failed, Refused

# agent: (below the home, below a project)
PLACES = {
    "claude": (".claude/skills", ".claude/skills"),
    "codex": (".codex/skills", ".agents/skills"),
    "cursor": (".cursor/skills", ".cursor/skills"),
    "gemini": (".gemini/skills", ".gemini/skills"),
    "copilot": (".copilot/skills", ".github/skills"),
}
SCOPES = ("user", "project")
OURS = "/stillvault/agents/plugin/skills/stillvault"


@dataclass(frozen=True)
class Place:
    """Where one agent looks in one scope. `root` is the home or the project."""

    agent: str
    scope: str
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / PLACES[self.agent][SCOPES.index(self.scope)] / NAME


@dataclass(frozen=True)
class State:
    """What is there: `absent`, `current`, `older`, `newer`, `changed` (ours, but not as we wrote it), `foreign`, `linked`."""

    state: str
    version: str = ""
    files: list[str] = field(default_factory=list)


def state(place: Place) -> State:
    """Judges one copy. What is changed is named."""
    folder = place.folder
    if folder.is_symlink():
        return State("linked", bundle.own().version) if _is_own_link(folder) else State("foreign")
    if not folder.exists():
        return State("absent")
    try:
        theirs = bundle.parse(bundle.read(folder / MANIFEST) or b"")
    except ValueError:
        return State("foreign")
    mine = bundle.own()
    wrong = bundle.changes(folder, mine if theirs.version == mine.version else theirs)
    if theirs.version == mine.version and theirs.files != mine.files:
        wrong = sorted({*wrong, MANIFEST})
    if wrong:
        return State("changed", theirs.version, wrong)
    if theirs.version == mine.version:
        return State("current", theirs.version)
    return State("newer" if bundle.newer(theirs.version, mine.version) else "older", theirs.version)


def install(place: Place, *, link: bool = False) -> State:
    """Puts the skill there, in place of an older copy of ours too. Raises `Failed` where something else is in the way."""
    before = state(place)
    begun = before.state == "changed" and not any(os.path.lexists(place.folder / one) for one in before.files)  # interrupted
    if before.state == "foreign" or (before.state == "changed" and not begun):
        what = f"{', '.join(before.files[:3])} in it changed" if before.files else "it is not ours"
        raise Failed("in-the-way", f"{place.folder} is left alone: {what}", "move it away, then install again")
    if before.state == "newer":
        raise Failed("newer", f"{place.folder} holds version {before.version}, which is newer than this program",
                     "update Stillvault, or uninstall that copy first")
    mine = bundle.own()
    if wrong := bundle.changes(bundle.skill(), mine):
        raise Refused("skill-changed", f"{wrong[0]} of this installation is damaged", "install Stillvault again")
    _inside(place)
    if before.state != "absent":
        uninstall(place)
    place.folder.parent.mkdir(parents=True, exist_ok=True)
    if link:
        place.folder.symlink_to(bundle.skill(), target_is_directory=True)
        return state(place)
    place.folder.mkdir(exist_ok=True)
    # The manifest first: where the rest does not follow, the copy is known as ours with files missing, and is taken up again.
    for name in (MANIFEST, *mine.files):
        _write(place.folder / name, bundle.read(bundle.skill() / name) or b"")
    return state(place)


def uninstall(place: Place) -> State:
    """Takes away what install wrote, file by file; what is not as it was written stays, and is named."""
    before = state(place)
    if before.state == "absent":
        return before
    if before.state == "foreign":
        raise Failed("in-the-way", f"{place.folder} is left alone: it is not ours", "remove it by hand if you mean to")
    _inside(place)
    if before.state == "linked":
        place.folder.unlink()
        return State("absent")
    wrote = _written(place.folder)
    for name, wanted in wrote.items():
        if bundle.digest(place.folder / name) == wanted and not bundle.behind_link(place.folder, name):
            (place.folder / name).unlink()
    if MANIFEST not in before.files and not any(os.path.lexists(place.folder / name) for name in wrote):
        (place.folder / MANIFEST).unlink()
    for folder, _, _ in os.walk(place.folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # only where nothing is left in it
    left = list(bundle.listed(place.folder)) if place.folder.exists() else []
    return State("changed", before.version, left) if left else State("absent")


def _written(folder: Path) -> dict[str, str]:
    """What install wrote: by our own manifest where the copy says that it is of our version, else by its own."""
    theirs, mine = bundle.parse(bundle.read(folder / MANIFEST) or b""), bundle.own()
    chosen: Manifest = mine if theirs.version == mine.version else theirs
    return chosen.files


def _is_own_link(folder: Path) -> bool:
    """Whether a link leads to a bundle of ours: this one, or one of an installation that is gone."""
    target = os.readlink(folder)
    return target == str(bundle.skill()) or (not folder.exists() and target.endswith(OURS))


def _inside(place: Place) -> None:
    """A project's folders must not lead out of it: nothing is written through another's link."""
    parent = place.folder.parent
    if place.scope == "project" and not parent.resolve().is_relative_to(place.root.resolve()):
        raise Failed("outside", f"{parent} leads out of the project", "remove the link, then run this again")


def _write(path: Path, raw: bytes) -> None:
    """A file whole or not at all, readable by all."""
    path.parent.mkdir(exist_ok=True)
    if path.parent.is_symlink():
        raise Failed("outside", f"{path.parent} is a link", "remove it, then run this again")
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
        os.rename(fresh, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()

