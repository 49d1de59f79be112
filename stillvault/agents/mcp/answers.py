"""What the tools say: one shape for a handle, one for an error, in fixed words.

An agent reads all of this as instructions, so every sentence is written here. Of what the daemon says, only codes, numbers and
names of their grammars pass; the words of a person (the note of a denial) stand in `quoted`, escaped and cut. The relay's words
do not pass at all.
"""

from __future__ import annotations

import re
from typing import Any

from stillvault.protocol import errors
from stillvault.protocol.errors import StillvaultError
from stillvault.protocol.text import plain, whole
from stillvault.sdk.questions import PATH, SCHEME, HandleFacts, StillPending, Waiting

VERSION = 1
MAX_WAIT = 25  # seconds that a call may wait for people
MAX_QUOTED = 300  # characters
CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
WORD = re.compile(r"[A-Za-z_]{1,40}")  # an argument of ours, a rule of JSON Schema
DIGITS = re.compile(r"[0-9]{6}")
WHY = re.compile(rf"(?:{PATH.pattern}: )?[a-z][a-z ,;]{{0,99}}")  # a sentence of the daemon's own
PERSON = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")  # protocol section 2: an id

# exit: (meaning, next, whether asking again makes sense)
MEANINGS: dict[int, tuple[str, str, str]] = {
    errors.EXIT_ERROR: ("It did not work, and nobody refused it.", "Read the code; if it stays unclear, tell the user.",
                        "maybe"),
    errors.EXIT_USAGE: ("The call is not of the form that it must have.", "Correct the arguments and call again.",
                        "after-change"),
    errors.EXIT_DENIED: ("A person saw the request and said no.",
                         "Stop. Do not ask again and do not look for another way to the secret; tell the user, who can talk "
                         "to them.", "no"),
    errors.EXIT_EXPIRED: ("Nobody answered before the request ended. This is no denial.",
                          "Tell the user that approvers did not answer; ask again once when the user says so.", "ask-user"),
    errors.EXIT_NO_APPROVER: ("No person exists who could approve this now.",
                              "Tell the user that an administrator must enrol an approver; do not retry.", "no"),
    errors.EXIT_FORBIDDEN: ("This secret is outside of what this host or agent may ask for, or a policy forbids it.",
                            "Stop. Tell the user; an administrator grants scopes. Do not try other names.", "no"),
    errors.EXIT_UNAVAILABLE: ("The daemon or the relay cannot be reached.",
                              "Tell the user; `stillvault doctor` says what is wrong. Later the same call may work.", "later"),
    errors.EXIT_UNTRUSTED: ("A check failed: what was received is not trusted.",
                            "Stop and tell the user the code; this may be an attack.", "no"),
    errors.EXIT_RATE_LIMITED: ("A limit on prompts was reached.", "Wait some minutes before anything else is asked.", "later"),
}
# Without run_with_secrets. The lease scope of a policy decides whether the shell may take what this server asked for.
IN_A_SHELL = ("Released. Use it before it expires, in a shell: `stillvault run --handle HANDLE --env NAME=sv://PATH -- COMMAND`. "
              "If that ends with 13, leave --handle out and give --reason WHY: people are then asked for that command.")
CODES: dict[str, tuple[str, str, str]] = {
    "pending": ("Nobody has decided yet. This is neither a denial nor an error.",
                "Call release_status with the handle to wait on, as often as needed.", "wait"),
    "handle": ("There is no such handle for this task: it ended long ago, or another task asked.",
               "Ask anew with request_release if the secret is still needed.", "yes"),
    "handle-other": ("Another program asked for this handle than the one that takes it.",
                     "Let the program ask that will use it: `stillvault run --env NAME=sv://PATH --reason WHY -- COMMAND`.",
                     "yes"),
    "unknown": ("The relay knows no secret of that name, or none for this host or agent. Nobody was asked.",
                "Check the reference with list_references. Do not try other names; tell the user, who can have it sealed.",
                "after-change"),
    "taken": ("The values of this handle were used already.",
              "Ask anew with request_release; where a lease lives nobody is asked again.", "yes"),
    "cancelled": ("The request was withdrawn.", "Ask anew only if the secret is still needed.", "yes"),
    "run-not-allowed": ("The person who set this server up did not allow it to run commands.",
                        "Run `stillvault run --env NAME=sv://PATH --reason WHY -- COMMAND` in a shell, if you have one.", "no"),
}
NEXT = {
    "pending": "A person decides. Tell the user the code; then call release_status with this handle until it is ready or "
               "ended.",
    "ready": "Released. Use it before it expires, with run_with_secrets.",
    "delivered": "It was used. Ask anew for another use.",
    "ended": "It ended; see error.",
}


def handle(facts: HandleFacts, *, may_run: bool) -> dict[str, Any]:
    """How it stands with a handle. `may_run`: run_with_secrets is offered."""
    known = facts.state if facts.state in NEXT else "ended"
    then = IN_A_SHELL if known == "ready" and not may_run else NEXT[known]
    shown: dict[str, Any] = {"v": VERSION, "handle": facts.id, "state": known, "next": then,
                             "references": [SCHEME + path for path in facts.paths if PATH.fullmatch(path)]}
    if facts.expires:
        shown["expires"] = facts.expires
    if facts.waiting is not None:
        shown |= waiting(facts.waiting)
    if facts.error is not None:
        shown["error"] = error(facts.error)
    return shown


def waiting(facts: Waiting) -> dict[str, Any]:
    """Who is asked, the code that an approver may have to type, and why people are asked although there was a lease."""
    shown: dict[str, Any] = {"asked": people(facts.asked), "needed": facts.needed, "approved": facts.approved}
    if DIGITS.fullmatch(facts.code):
        shown["code"] = facts.code
    if WHY.fullmatch(facts.why):
        shown["why_again"] = facts.why
    return shown


def people(names: Any) -> list[str]:
    """The names that are names."""
    given = names if isinstance(names, list | tuple) else []
    return [name for name in given if isinstance(name, str) and PERSON.fullmatch(name)][:50]


def error(found: StillvaultError) -> dict[str, Any]:
    """An error in our words; those of the people who denied are quoted."""
    code = found.code if CODE.fullmatch(found.code) else "other"
    if isinstance(found, StillPending):
        code = "pending"
    meaning, then, again = CODES.get(code) or MEANINGS.get(found.exit, MEANINGS[errors.EXIT_ERROR])
    shown: dict[str, Any] = {"code": code, "exit": found.exit, "meaning": meaning, "next": then, "ask_again": again}
    if code == "arguments":
        shown |= {name: word for name, word in (("argument", found.field), ("rule", found.message)) if WORD.fullmatch(word)}
    if found.exit == errors.EXIT_DENIED:
        # Verified to be theirs, and still no instruction.
        shown["quoted"] = [{"by": "approvers", "text": quote(found.message)}]
    return shown


def meaning(code: str) -> dict[str, Any] | None:
    """The same for a code or exit status alone; None where nobody knows it."""
    names = {"denied": 10, "expired": 11, "no-approver": 12, "forbidden": 13, "unavailable": 14, "untrusted": 15,
             "rate-limited": 16}
    if code in CODES:
        what, then, again = CODES[code]
        return {"code": code, "meaning": what, "next": then, "ask_again": again}
    status = names.get(code, int(code) if code.isascii() and code.isdigit() and len(code) < 4 else -1)
    if status not in MEANINGS:
        return None
    what, then, again = MEANINGS[status]
    return {"code": code, "exit": status, "meaning": what, "next": then, "ask_again": again}


def quote(text: str, limit: int = MAX_QUOTED) -> str:
    """Words of others: on one line, without hidden characters, cut."""
    shown = plain(text)
    return shown if len(shown) <= limit else shown[: whole(shown, limit - 1)] + "…"
