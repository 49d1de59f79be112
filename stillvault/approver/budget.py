"""How many cards a relay may put before a person: the device's own limits, because the relay may be hostile (threats.md).

Pure. A card counts once, when it is first shown; an approved card is given back. What is over the limit is held, said as a
number and shown when there is room again. The owner may change the limits in `settings.json` of the home.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stillvault.approver.memory import Memory, Shown
from stillvault.transport.home import Home

HOUR = 3600  # seconds
TEN_MINUTES = 600  # seconds


class Limits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """settings.json: `limits`."""

    shown_at_once: int = 10
    shown_per_hour: int = 20
    approvals_before_code: int = 3  # in ten minutes; from the next on, the code is typed
    wrong_codes_before_freeze: int = 3  # in an hour


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """settings.json."""

    limits: Limits = Limits()
    v: int = 1


def limits_of(home: Home) -> Limits:
    """The limits of this home."""
    return (home.read("settings.json", Settings) or Settings()).limits


def admit(cards: Sequence[str], memory: Memory, limits: Limits, now: int) -> tuple[list[str], Memory]:
    """The cards that may be shown now, in order of arrival, and the memory that counts them."""
    recent = [one for one in memory.shown if now - HOUR < one.at]
    known = {one.card for one in recent}
    spent = sum(not one.approved for one in recent)
    admitted: list[str] = []
    for card in cards:
        if len(admitted) >= limits.shown_at_once:
            break
        if card not in known:
            if spent >= limits.shown_per_hour:
                continue
            recent.append(Shown(card=card, at=now))
            spent += 1
        admitted.append(card)
    return admitted, msgspec.structs.replace(memory, shown=recent)


def approved(card: str, memory: Memory, now: int) -> Memory:
    """Gives the card's place back, and counts the approval for the ramp."""
    shown = [msgspec.structs.replace(one, approved=True) if one.card == card else one for one in memory.shown]
    recent = [at for at in memory.approvals if now - TEN_MINUTES < at]
    return msgspec.structs.replace(memory, shown=shown, approvals=[*recent, now])


def wants_code(memory: Memory, limits: Limits, now: int) -> bool:
    """Whether an interactive approval must type the code: the fourth approval in ten minutes, and those after it."""
    return sum(now - TEN_MINUTES < at for at in memory.approvals) >= limits.approvals_before_code


def wrong_code(memory: Memory, limits: Limits, now: int) -> tuple[bool, Memory]:
    """Counts a wrong code. True: that was one too many in an hour, and the client is to be frozen."""
    recent = [at for at in memory.wrong_codes if now - HOUR < at] + [now]
    return len(recent) >= limits.wrong_codes_before_freeze, msgspec.structs.replace(memory, wrong_codes=recent)
