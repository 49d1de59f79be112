"""Protocol section 9: a request's life. `step` applies one event to a row, in place, and names the effects.

Effects of one event: what expiry does comes first, then what the event itself does, `delete-releases` before the rest. A
function of an event gives None where no line of the table fits: nothing changes, and what was signed is `late`.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
Event = dict[str, Any]

END = ["delete-releases", "withdraw"]  # of every way out of `pending` but the hand-over


def released(row: Row) -> bool:
    """`approved*`: the client has the releases and has not said what came of them."""
    return bool(row["state"] == "approved" or (row["state"] == "expired" and row["handed"]))


def move(row: Row, state: str, *effects: str) -> list[str]:
    row["state"] = state
    return list(effects)


def step(row: Row, event: Event) -> list[str]:
    effects: list[str] = []
    now = event["at"]
    if row["state"] in ("pending", "approved") and now >= row["expires"]:
        effects += move(row, "expired", *END)
    if row["state"] == "pending":  # an expired approve no longer counts
        row["approvals"] = {person: until for person, until in row["approvals"].items() if now < until}
    if "oid" in event:
        if event["oid"] in row["seen"]:
            return [*effects, "repeat"]
        row["seen"].append(event["oid"])
    done = EVENTS[event["kind"]](row, event)
    return effects + (["late"] if done is None and "oid" in event else done or [])


def approve(row: Row, event: Event) -> list[str] | None:
    person = event["person"]
    if person not in row["people"]:
        return ["stranger"]
    decided = person in row["approvals"] or person in row["denied"]
    if row["state"] != "pending" or decided or event["expires"] <= event["at"]:
        return None
    row["approvals"][person] = event["expires"]
    if len(row["approvals"]) < row["threshold"]:
        return ["keep"]
    row["handed"] = True
    return move(row, "approved", "hand-over", "withdraw")


def deny(row: Row, event: Event) -> list[str] | None:
    person = event["person"]
    if person not in row["people"]:
        return ["stranger"]
    if person in row["denied"]:
        return None
    if row["state"] != "pending":
        return revoke(row)
    row["approvals"].pop(person, None)  # a deny replaces one's own approve
    row["denied"].append(person)
    left = [name for name in row["people"] if name not in row["denied"]]
    if event["kind"] == "freeze":
        return move(row, "denied", *END, "cool-down", "hold")
    if row["deny"] == "veto" or len(left) < row["threshold"]:
        return move(row, "denied", *END, "cool-down")
    return []


def revoke(row: Row) -> list[str] | None:
    """The last row of the table: who approved, before the hand-over, stays as it was."""
    if released(row) or row["state"] == "delivered":
        return move(row, "revoked", "delete-releases", "purge")
    return None


def cancel(row: Row, event: Event) -> list[str] | None:
    return move(row, "cancelled", *END) if row["state"] == "pending" else None


def newer_request(row: Row, event: Event) -> list[str] | None:
    return move(row, "cancelled", "delete-releases", "move-prompt") if row["state"] == "pending" else None


def client_revoked(row: Row, event: Event) -> list[str] | None:
    return cancel(row, event) or revoke(row)


def receipt(row: Row, event: Event) -> list[str] | None:
    if not released(row):
        return None
    if event["result"] == "delivered":
        return move(row, "delivered", "delete-releases", "lease")
    return move(row, "failed", "delete-releases", *(["alarm"] if event["result"] == "failed" else []))


def newer_version(row: Row, event: Event) -> list[str] | None:
    if row["state"] == "pending":
        row["approvals"] = {}
        return ["delete-releases", "refresh-prompt"]
    return revoke(row)


def roster_drops(row: Row, event: Event) -> list[str] | None:
    person = event["person"]
    row["people"] = [name for name in row["people"] if name != person]
    if row["state"] == "pending":
        row["approvals"].pop(person, None)
        return []
    return revoke(row) if person in row["approvals"] else None


def tick(row: Row, event: Event) -> list[str] | None:
    return []


EVENTS = {
    "approve": approve, "deny": deny, "freeze": deny, "cancel": cancel, "newer-request": newer_request, "receipt": receipt,
    "roster-drops": roster_drops, "client-revoked": client_revoked, "newer-version": newer_version, "tick": tick,
}  # fmt: skip


def run(row: Row, events: list[Event]) -> list[list[Any]]:
    """Per event: the state after it, the number of live approvals, the effects."""
    row = {**row, **{name: type(row[name])(row[name]) for name in ("approvals", "denied", "seen", "people")}}
    steps = []
    for event in events:
        effects = step(row, event)
        steps.append([row["state"], len(row["approvals"]), effects])
    return steps
