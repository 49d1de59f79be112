"""A card on the terminal. The rules:

* The order of facts is that of every other screen: secret, program, host and account, time, then seal, unit, grade, digest.
* Labels in a left column, 80 columns, no boxes. A long value breaks at `/`, `-` or a blank and is never cut.
* What the caller claims stands apart, last, indented under "The caller says:". Nothing of it appears elsewhere.
* No control byte leaves this module but the line feed, and colour when asked for; colour is never the only sign.

Pure: the card as `device.describe` gives it goes in, lines come out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from stillvault.protocol.text import plain

WIDTH = 80
LABEL = 11
AMBER = "\x1b[33m"
STRONG = "\x1b[1m"
RESET = "\x1b[0m"
DIGEST_SHOWN = 16
NAMES = {"exe": "program", "host": "host", "user": "account"}


def moment(seconds: int) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: int) -> str:
    """A length of time as people write it: 15m, 1h30m, 45s."""
    if seconds <= 0:
        return "0s"
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts[:2])


def draw(card: dict[str, Any], *, colour: bool = False) -> str:
    """The whole card, ending with one blank line, after which the question comes."""
    lines: list[str] = []
    for one in card["requests"]:
        lines += _row("secret", one["secret"], f"version {one['version']}", strong=colour)
    lines += _row("program", card["exe"])
    for ancestor in card["chain"]:
        lines += _row("started by", ancestor["exe"])
    lines += _row("host", card["host"], f"client {card['client']}")
    lines += _row("account", card["user"], f"uid {card['uid']}")
    left = card["expires"] - card["issued"] - card["age"]
    lines += _row("asked", f"{span(card['age']) if card['age'] else 'now'}" + (" ago" if card["age"] else ""),
                  f"{span(left)} left")
    lines += _row("lease", *_lease(card["window"], card.get("uses", 0)))
    if card["people_needed"] > 1:
        dots = "●" * card["people_approved"] + "○" * (card["people_needed"] - card["people_approved"])
        lines += _row("quorum", f"{dots} {card['people_approved']} of {card['people_needed']}", ", ".join(card["approved_by"]))
    several = len(card["requests"]) > 1
    for one in card["requests"]:
        lines += _row("sealed by", one["sealed_by"], moment(one["sealed"]) + (f"   {one['secret']}" if several else ""))
    if card.get("unit"):
        lines += _row("unit", card["unit"])
    if card.get("container"):
        lines += _row("container", card["container"])
    lines += _row("grade", card["grade"])
    lines += _row("digest", card["exe_sha256"][:DIGEST_SHOWN], "sha256 of the program")
    if "code" in card:
        lines += _row("code", card["code"], "must be the one on the asking screen")
    lines += [_amber(line, colour) for line in _warnings(card)]
    claimed = card["claimed"]
    if claimed:
        lines += ["", "The caller says:"]
        if "reason" in claimed:
            lines += _row("reason", claimed["reason"], indent=2)
        if "argv" in claimed:
            lines += _row("command", " ".join(claimed["argv"]), indent=2)
    return "\n".join(lines) + "\n\n"


def _warnings(card: dict[str, Any]) -> Iterable[str]:
    if card["purpose"] == "reseal":
        yield "look twice: this re-seals for other devices; the value goes to the person's own command"
    if card["grade"] == "user":
        yield "look twice: grade user: another program of this account could pretend to be this one"
    if "ahead" in card:
        yield f"look twice: made {span(card['ahead'])} in the future by this device's clock: one of the two clocks is off"
    for name in ("exe", "host", "user"):
        if not card[name].isascii():
            yield f"look twice: the name of the {NAMES[name]} holds letters that may look like others"
    if card.get("code_required"):
        yield "look twice: the policy wants the code of the asking screen, typed"
    for one in card["requests"]:
        if one.get("outside"):
            yield f"look twice: {plain(one['secret'])} is also sealed for {', '.join(map(plain, one['outside']))}"


def _lease(window: int, uses: int) -> tuple[str, str]:
    if not window or uses == 1:
        return "none: this once", ""
    return f"up to {span(window)}", f"{uses} uses" if uses else ""


def _amber(line: str, colour: bool) -> str:
    return f"{AMBER}{line}{RESET}" if colour else line


def _row(label: str, value: str, aside: str = "", *, indent: int = 0, strong: bool = False) -> list[str]:
    text = plain(value)  # without exception: whatever of the value looks like a control sequence is written out
    whole = f"{text}   {plain(aside)}" if aside else text
    room = WIDTH - LABEL - indent - 1
    pieces = _break(whole, room)
    if strong and len(pieces) == 1:
        pieces = [f"{STRONG}{text}{RESET}{pieces[0][len(text):]}"]
    start = " " * indent + label.ljust(LABEL) + " "
    return [start + pieces[0]] + [" " * len(start) + piece for piece in pieces[1:]]


def _break(text: str, room: int) -> list[str]:
    """Breaks at a blank, `/` or `-` where there is one, else in the middle; loses no character but blanks at a break."""
    pieces = []
    while len(text) > room:
        at = max(text.rfind(sign, 0, room) for sign in "/- ") + 1
        at = at if at > room // 3 else room
        pieces.append(text[:at].rstrip(" "))
        text = text[at:].lstrip(" ")
    return [*pieces, text] if text or not pieces else pieces
