"""`stillvault skill`: the skill bundle where agents look for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stillvault.agents import bundle
from stillvault.agents.installing import PLACES, SCOPES, Place, State
from stillvault.agents.installing import install as put
from stillvault.agents.installing import state as judge
from stillvault.agents.installing import uninstall as take
from stillvault.cli.base import Verbs, emit, say, table
from stillvault.protocol.errors import EXIT_ERROR, EXIT_OK, Failed, Refused, StillvaultError, Usage
from stillvault.protocol.text import plain


def agents(command: Any) -> Any:
    """`--agent` and `--scope`."""
    command = click.option("--scope", type=click.Choice(SCOPES), help="The user's home, or the project that is here.")(command)
    return click.option("--agent", type=click.Choice([*PLACES, "all"]), default="all", help="Whose (default: all).")(command)


@click.group(cls=Verbs)
def skill() -> None:
    """The skill that teaches agents to use Stillvault: installed, compared, removed."""


@skill.command()
@agents
@click.option("--link", is_flag=True, help="Link to this installation instead of copying: it follows updates.")
def install(agent: str, scope: str | None, link: bool) -> int:
    """Put the skill where agents look for it. Nothing that somebody else wrote is replaced."""
    return _each(_places(agent, scope or "user"), lambda place: put(place, link=link))


@skill.command()
@agents
def status(agent: str, scope: str | None) -> None:
    """Which copies there are, of which version, and whether each is as it was written."""
    _report([(place, judge(place)) for place in _places(agent, scope)])


@skill.command()
@agents
def verify(agent: str, scope: str | None) -> None:
    """Check this installation's skill and every copy, byte for byte. Ends with 15 and the names of what differs."""
    wrong = [bundle.skill() / one for one in bundle.changes(bundle.skill(), bundle.own())]
    found = [(place, judge(place)) for place in _places(agent, scope)]
    wrong += [place.folder / one for place, state in found if state.state == "changed" for one in state.files]
    if wrong:
        raise Refused("skill-changed", "not as it was written: " + ", ".join(plain(str(one)) for one in wrong[:20]),
                      "move it away and run `stillvault skill install`")
    _report([(place, state) for place, state in found if state.state != "absent"])


@skill.command()
@agents
def uninstall(agent: str, scope: str | None) -> int:
    """Remove what `install` wrote, and nothing else: a file that was changed stays, and is named."""
    return _each(_places(agent, scope or "user"), take)


@skill.command()
def marketplace() -> None:
    """Print the folder that Claude Code takes as a plugin marketplace: skill, MCP server and hook in one."""
    emit({"folder": str(bundle.plugin())}, str(bundle.plugin()))


def _places(agent: str, scope: str | None) -> list[Place]:
    roots = {"project": Path.cwd()}
    try:
        roots["user"] = Path(os.environ["HOME"]) if os.environ.get("HOME") else Path.home()
    except RuntimeError:
        raise Usage("home", "no home directory is known", "set HOME") from None
    wanted = [(one, where) for where in ([scope] if scope else SCOPES) for one in PLACES if agent in ("all", one)]
    return [Place(one, where, roots[where]) for one, where in wanted]


def _each(places: list[Place], do: Callable[[Place], State]) -> int:
    """Does it at each place, tells of those where it could not, and reports how all stand."""
    done, failed = [], False
    for place in places:
        try:
            done.append((place, do(place)))
        except StillvaultError as error:
            failed = True
            say(f"{place.agent}: {error.message}; {error.remedy}")
            done.append((place, judge(place)))
        except OSError as error:
            raise Failed("skill", f"{place.folder} cannot be written: {error.strerror}", "see who owns it") from None
    _report(done)
    return EXIT_ERROR if failed or any(state.state == "changed" for _, state in done) else EXIT_OK


def _report(found: list[tuple[Place, State]]) -> None:
    rows = [[place.agent, place.scope, state.state, state.version or "-", str(place.folder), ", ".join(state.files[:5])]
            for place, state in found]
    records = [{"agent": place.agent, "scope": place.scope, "path": plain(str(place.folder)), "state": state.state}
               | ({"version": state.version} if state.version else {})
               | ({"files": [plain(one) for one in state.files]} if state.files else {}) for place, state in found]
    emit({"version": bundle.own().version, "skills": records}, table(rows))
