"""`stillvault inbox`, `approve`, `deny`, `freeze`.

A decision is about a whole card: every secret on it is named before the question. Without a terminal `approve` wants `--yes`,
so that nothing approves by accident; saying no never needs a passphrase's key.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from stillvault.cli.base import DURATION, STATE, Verb, colour, emit, now, say
from stillvault.protocol.errors import Expired, Failed, Refused, Usage
from stillvault.protocol.text import HIDDEN, plain

MAX_NOTE = 500  # characters
MAX_USES = 1_000_000
MAX_WAIT = 86_400.0  # seconds
FREEZE = 3600  # seconds that a freeze lasts where nobody says how long


@click.command(cls=Verb)
def inbox() -> None:
    """Cards that wait for you, each verified on this device."""
    from stillvault.approver import device, prompts
    from stillvault.approver.screen import draw
    from stillvault.cli.account import open_account

    found = prompts.waiting(open_account())
    shown = [device.describe(card, now()) for card in found.cards]
    lines = [f"card       {one['id']}\n{draw(one)}".rstrip("\n") for one in shown]
    _say_refused(found)
    emit({"cards": shown, "refused": [{"request": one.request, "code": one.code} for one in found.refused], "held": found.held},
         "\n\n".join(lines) if lines else "nothing waits for you")


def _say_refused(found: Any) -> None:
    for one in found.refused:
        say(f"warning: a prompt cannot be verified ({one.code}) and cannot be approved")
    if found.held:
        say(f"warning: {found.held} more cards are held back: too many in an hour")


@click.command(cls=Verb)
@click.argument("name", metavar="ID", default="")
@click.option("--next", "following", is_flag=True, help="The card that waits longest.")
@click.option("--wait", "seconds", type=float, default=0.0, help="Seconds to wait for a card.")
@click.option("--window", type=DURATION, default=None, help="A shorter lease than the policy allows.")
@click.option("--uses", type=click.IntRange(1, MAX_USES), default=None, help="Fewer uses of it than the policy allows.")
@click.option("--code", default="", help="The six digits on the asking screen, where the policy wants them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def approve(name: str, following: bool, seconds: float, window: int | None, uses: int | None, code: str, yes: bool) -> None:
    """Approve a card: release its secrets to the program it names."""
    from stillvault.approver import device
    from stillvault.approver.screen import draw
    from stillvault.cli.account import open_account

    if bool(name) == following:
        raise Usage("card", "say which card", "give its ID, or --next", "ID")
    if not 0 <= seconds <= MAX_WAIT:
        raise Usage("wait", "a wait is between 0 seconds and a day", "give --wait SECONDS", "--wait")
    if not yes and not STATE.interactive:
        raise Usage("no-terminal", "there is no terminal to ask", "give --yes to approve without a question", "--yes")
    account = open_account()
    card = _await(account, name, seconds)
    shown = device.describe(card, now())
    verdict = "approve"
    if not yes:
        print(draw(shown, colour=colour()), end="", file=sys.stderr)
        verdict = _ask(account, card, code)
    elif not STATE.json:
        print(draw(shown), end="", file=sys.stderr)
    if verdict == "leave":
        raise Failed("undecided", "nothing was decided", "the card waits until it expires")
    if verdict == "approve":
        if card.code_required:
            _check_code(account, card, code or _typed_code())
        _emit_approved(account, card, shown, window, uses or 0)
    else:
        _refuse(account, card, shown, verdict, "", now() + FREEZE if verdict == "freeze" else None)


def _await(account: Any, name: str, seconds: float) -> Any:
    """The card: that of the id, else the one that waits longest. Waits as long as it was told."""
    from stillvault.approver import device, prompts

    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        found = prompts.waiting(account) if name else prompts.wait(account, max(0.0, left))
        if found.cards and not name:
            _say_refused(found)
            return found.cards[0]
        if name:
            try:
                return device.choose(found.cards, name)
            except Failed as error:
                if left <= 0:
                    _say_refused(found)
                    if seconds:
                        raise Expired("nothing-waits", error.message, error.remedy) from None
                    raise
            time.sleep(min(0.5, max(0.0, left)))
            continue
        _say_refused(found)
        if found.refused:
            raise Refused(found.refused[0].code, "what waits cannot be verified, and nobody can approve it",
                          "the relay or somebody in between changed it: ask an administrator")
        raise Expired("nothing-waits", "nothing waits for you", "")


def _ask(account: Any, card: Any, code: str) -> str:
    from stillvault.approver import budget
    from stillvault.approver.memory import remembered

    answer = _answer("Deny (d), deny and freeze (f), or approve (a)? ")
    verdict = {"a": "approve", "approve": "approve", "d": "deny", "deny": "deny", "f": "freeze", "freeze": "freeze"}.get(
        answer, "leave")
    if verdict == "approve" and not card.code_required and not code and budget.wants_code(
            remembered(account.home), budget.limits_of(account.home), now()):
        say("You have approved several cards within minutes: type the code of the asking screen.")
        _check_code(account, card, _typed_code())
    return verdict


def _answer(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        raise click.Abort
    return answer.strip().lower()


def _typed_code() -> str:
    if not STATE.interactive:
        raise Usage("code", "the policy wants the code of the asking screen", "give --code NNNNNN", "--code")
    return _answer("Code on the asking screen: ")


def _check_code(account: Any, card: Any, typed: str) -> None:
    """One try: a wrong code denies the card, three in an hour freeze the client (threats.md, P5)."""
    from stillvault.approver import budget, decide, device
    from stillvault.approver.memory import remember, remembered

    if len(typed) != 6 or not typed.isascii() or not typed.isdigit():
        raise Usage("code", "a code is six digits", "type it as the asking screen shows it", "--code")
    if device.check_code(card, typed):
        return
    with account.home.lock():
        freeze, memory = budget.wrong_code(remembered(account.home), budget.limits_of(account.home), now())
        remember(account.home, memory)
    decide.refuse(account, card, "freeze" if freeze else "deny", note="wrong code", until=now() + FREEZE if freeze else None)
    raise Failed("wrong-code", "the code is wrong: the card is denied" + (" and its client frozen" if freeze else ""),
                 "the program must ask again")


def _emit_approved(account: Any, card: Any, shown: dict[str, Any], window: int | None, uses: int) -> None:
    from stillvault.approver import decide
    from stillvault.approver.device import fewer
    from stillvault.approver.screen import span

    done = decide.approve(account, card, window=window, uses=uses)
    names = ", ".join(plain(one["secret"]) for one in shown["requests"] if one["request"] not in done.late)
    for one in shown["requests"]:
        if one["request"] in done.late:
            say(f"{plain(one['secret'])}: decided, ended or sealed again before; your word changed nothing there")
    given = card.window if window is None else min(card.window, window)
    if "approved" not in done.states and "delivered" not in done.states:
        text = f"approved {names}: {shown['people_approved'] + 1} of {shown['people_needed']}"
    else:
        text = f"approved {names}: released" + (f", lease {span(given)}" if given else "")
    emit({"requests": [one["request"] for one in shown["requests"]], "verdict": "approve", "shown": shown,
          "decision": done.decision, "states": done.states, "late": done.late, "window": given,
          "uses": fewer(card.uses, uses)}, text)


@click.command(cls=Verb)
@click.argument("name", metavar="ID")
@click.option("--note", default="", help="A word to the asking side.")
def deny(name: str, note: str) -> None:
    """Deny a card; also takes an own approval back and ends its leases."""
    _decide_no(name, "deny", note, None)


@click.command(cls=Verb)
@click.argument("name", metavar="ID")
@click.option("--for", "length", type=DURATION, default=FREEZE, help="How long its client is held (1h, at most 24h).")
def freeze(name: str, length: int) -> None:
    """Deny a card and hold its client."""
    from stillvault.approver.device import MAX_FREEZE

    if not 1 <= length <= MAX_FREEZE:
        raise Usage("freeze", "a freeze lasts at most 24 hours", "give --for between 1s and 24h", "--for")
    _decide_no(name, "freeze", "", now() + length)


def _decide_no(name: str, verdict: str, note: str, until: int | None) -> None:
    from stillvault.approver import decide, device, prompts
    from stillvault.cli.account import open_account

    if HIDDEN.search(note) or "\\" in note or len(note) > MAX_NOTE:
        raise Usage("note", "the note is too long or holds characters that cannot be seen", "shorten it", "--note")
    account = open_account()
    found = prompts.waiting(account)
    try:
        card = device.choose(found.cards, name)
    except Failed:
        done, items = decide.take_back(account, name, verdict, note=note, until=until)
        names = ", ".join(one.path for one in items)
        emit({"requests": [one.request for one in items], "verdict": verdict, "decision": done.decision, "states": done.states,
              **({"until": until} if until else {})}, f"{_word(verdict)} {names}: an approval of yours is taken back")
        return
    _refuse(account, card, device.describe(card, now()), verdict, note, until)


def _refuse(account: Any, card: Any, shown: dict[str, Any], verdict: str, note: str, until: int | None) -> None:
    from stillvault.approver import decide
    from stillvault.approver.screen import moment

    done = decide.refuse(account, card, verdict, note=note, until=until)
    names = ", ".join(plain(one["secret"]) for one in shown["requests"])
    text = f"{_word(verdict)} {names}" + (f"; {shown['client']} is held until {moment(until)}" if until else "")
    emit({"requests": [one["request"] for one in shown["requests"]], "verdict": verdict, "shown": shown,
          "decision": done.decision, "states": done.states, **({"until": until} if until else {})}, text)


def _word(verdict: str) -> str:
    return {"deny": "denied", "freeze": "frozen"}[verdict]
