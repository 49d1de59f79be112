"""What the relay answers when it says no: application/problem+json with a stable code (RFC 9457).

A problem is chosen from `PROBLEMS`, or it is the code of a failed check of the protocol (`Refused`). It names the field, the
rule and the remedy in the relay's own words. It never repeats a byte of the request, and never shows where in the code it
arose.  # C13
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stillvault.protocol.errors import RateLimited, Refused, StillvaultError, Usage
from stillvault.protocol.messages import Problem


@dataclass(frozen=True, slots=True)
class Kind:
    """A line of the table: HTTP status, what happened, what to do next."""

    status: int
    title: str
    remedy: str


PROBLEMS: dict[str, Kind] = {
    # the edge: bytes, before anything is decoded
    "bad-request": Kind(400, "This is not a request that the relay reads", "Speak HTTP/1.1 as the client of this version does."),
    "path-form": Kind(
        400, "The path is not in its one canonical form", "Send the path plain: no escapes, no empty or dotted parts."
    ),
    "query": Kind(
        400, "The query has a parameter that is unknown, repeated or malformed", "See /openapi.json for the parameters."
    ),
    "host": Kind(400, "The Host header does not name this relay", "Use the public URL of the relay."),
    "origin": Kind(403, "This origin may not call the relay", "Use the console that the relay serves, or the command line."),
    "content-type": Kind(
        415, "A body must be plain application/json in UTF-8", "Send Content-Type: application/json, uncompressed."
    ),
    "body-size": Kind(413, "The body is larger than the limit", "Send less at a time; the limit is limits.body_bytes."),
    "json": Kind(400, "The body is not strict JSON", "No duplicate names, no floats, no null, integers 0 to 2^53-1, UTF-8."),
    "depth": Kind(400, "The body is nested too deeply", "No more than 16 levels."),
    "body-form": Kind(
        400, "The body does not have the form of this route", "See /openapi.json; unknown and missing fields are refused."
    ),
    "not-found": Kind(404, "No such route", "See /openapi.json."),
    "no-console": Kind(
        404, "This relay's package holds no web console", "Install the released wheel, or build the console: tools/console."
    ),
    "method": Kind(405, "This route does not take that method", "See /openapi.json."),
    "timeout": Kind(408, "The request did not arrive in time", "Send it again without pauses."),
    "headers": Kind(431, "The headers are larger than the limit", "Send fewer; the limit is limits.header_bytes."),
    # who may
    "sign-in": Kind(401, "A valid bearer is needed", "Sign in again."),
    "revoked": Kind(401, "The client was revoked", "Enrol it anew, if it should go on."),
    "forbidden": Kind(403, "The bearer's role does not allow this", "Ask an administrator."),
    "unknown": Kind(404, "No such thing, or not for this bearer", "Check the name and the scopes."),
    # use cases
    "no-organisation": Kind(409, "This relay has no organisation yet", "Run: stillvault org create."),
    "organisation-exists": Kind(409, "This relay already has an organisation", "Join it by an invite."),
    "conflict": Kind(409, "Somebody else was first", "Fetch the newest state and do it again."),
    "identity": Kind(
        409, "The root does not name this relay's URL or log", "Create the organisation with the relay's public URL."
    ),
    "enrolment": Kind(409, "The enrolment is not in the state that this needs", "Make a new invite."),
    "no-approver": Kind(409, "Too few approvers could answer", "Seal again for the present approvers, or change the policy."),
    "stale-secret": Kind(409, "The stored secret no longer stands", "Seal it again: stillvault reseal."),
    "hold": Kind(403, "The client is on hold", "An administrator or the end of the hold lifts it."),
    "rate-limited": Kind(429, "A limit was reached", "Wait, or raise the setting that `field` names."),
    "target": Kind(
        400, "The target is not of the form of its kind", "See docs/guides/notifications.md for the fields of each kind."
    ),
    "egress": Kind(
        403, "The operator of this relay allows no messages to that host", "Ask the operator to add it to notify.egress."
    ),
    # the machine
    "storage-full": Kind(507, "The relay's disk is full", "Free space on the volume of --data; denials are still taken."),
    "storage-failed": Kind(503, "The relay cannot write durably", "Check the disk, then restart the relay."),
    "stopping": Kind(503, "The relay is stopping", "Try again in a moment."),
    "internal": Kind(500, "The relay failed", "See the relay's log for the same time."),
}


class ProblemError(Exception):
    """A refusal of the relay, by a code of `PROBLEMS`."""

    def __init__(self, code: str, detail: str = "", field: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(code, field)
        self.code = code
        self.status = PROBLEMS[code].status
        self.detail = detail
        self.field = field
        self.headers = headers or {}


def _body(code: str, status: int, title: str, detail: str, field: str, remedy: str) -> bytes:
    problem = Problem(f"urn:stillvault:problem:{code}", title, status, code, detail or title, field, remedy)
    return msgspec.json.encode(problem)


def describe(error: ProblemError | StillvaultError) -> tuple[int, bytes]:
    """The status and the body for an error that a caller may see."""
    if isinstance(error, ProblemError):
        kind = PROBLEMS[error.code]
        return kind.status, _body(error.code, kind.status, kind.title, error.detail, error.field, kind.remedy)
    if isinstance(error, RateLimited):
        return 429, _body(error.code, 429, error.message, "", error.field, error.remedy)
    if isinstance(error, Refused):
        # The core's own words name the field and the rule; they hold nothing of the request.
        return 422, _body(error.code, 422, "A check of the protocol failed", "", "", "See the code in docs/protocol.md.")
    status = 400 if isinstance(error, Usage) else 409
    return status, _body(error.code, status, error.message, "", error.field, error.remedy)
