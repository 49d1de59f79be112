"""Rows of the audit log in the forms that log collectors read: JSON, OCSF and CEF, one line each. Pure.

The row itself is the truth: only it can be verified against the signed checkpoint. What is made of it here is for searching.
Strings of a row came from hosts and people. Each line is plain ASCII on one line, whatever they hold: JSON writes the rest as
`\\uXXXX`, CEF as `\\u{xx}` where a character is hidden, so that nothing can end a line, begin a field or turn a display.

OCSF 1.3.0 (schema.ocsf.io): `Authentication` (3002) for signing in and out, `Entity Management` (3004) for the rest; what has no
word there is activity 99, named. CEF 0 by the ArcSight guide: pipes and backslashes are escaped in the header, equals signs and
backslashes in the extension.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from stillvault.protocol.rows import Row
from stillvault.protocol.text import plain

OCSF = "1.3.0"
AUTHENTICATION, ENTITY_MANAGEMENT, IAM = 3002, 3004, 3
OTHER = 99
NOTICE, LOW, MEDIUM = 1, 2, 3  # severities of OCSF: informational, low, medium

# What a row of a kind is to OCSF: the activity, what it is done to, how much it matters. Any other kind is 99 and plain.
ACTIVITY = {
    "enrolled": (1, "device", NOTICE),
    "roster": (3, "roster", LOW),
    "policy": (3, "policy", LOW),
    "sealed": (1, "secret", NOTICE),
    "requested": (OTHER, "secret", NOTICE),
    "prompted": (OTHER, "request", NOTICE),
    "approved": (OTHER, "request", NOTICE),
    "denied": (OTHER, "request", LOW),
    "frozen": (OTHER, "client", MEDIUM),
    "released": (2, "secret", NOTICE),
    "delivered": (2, "secret", NOTICE),
    "failed": (2, "secret", MEDIUM),
    "lease-used": (2, "secret", NOTICE),
    "lease-ended": (OTHER, "lease", NOTICE),
    "expired": (OTHER, "request", NOTICE),
    "cancelled": (OTHER, "request", NOTICE),
    "revoked": (4, "client", MEDIUM),
    "suppressed": (OTHER, "request", MEDIUM),
    "signed-in": (1, "session", NOTICE),
    "signed-out": (2, "session", NOTICE),
    "renewed": (3, "organisation", NOTICE),
    "restored": (3, "organisation", MEDIUM),
    "config": (3, "configuration", LOW),
}
UNSUCCESSFUL = frozenset({"denied", "failed", "expired", "suppressed"})
CEF_SEVERITY = {NOTICE: 3, LOW: 5, MEDIUM: 7}
# CEF's own names where it has one for what a field is; the rest goes into its custom fields, each with a label.
CEF_FIELDS = {"host": "shost", "uid": "suid", "exe": "sproc", "outcome": "outcome", "count": "cnt"}
CEF_CUSTOM = {
    "secret": "cs1", "request": "cs2", "oid": "cs3", "people": "cs4", "device": "cs5", "channel": "cs6",
    "version": "cn1", "window": "cn2", "user": "flexString1", "chain": "flexString2",
}  # fmt: skip


def as_json(row: Row) -> str:
    """The row as it is."""
    return _line(row)


def as_ocsf(row: Row, version: str) -> str:
    """An OCSF event. Nothing of the row is lost: what has no place of its own stands in `unmapped`."""
    return _line(ocsf(row, version))


def ocsf(row: Row, version: str) -> dict[str, Any]:
    """The event as an object. `version` is the product's."""
    kind, actor = str(row["kind"]), str(row.get("actor", ""))
    activity, entity, severity = _sort(row)
    session = kind in ("signed-in", "signed-out")
    class_uid = AUTHENTICATION if session else ENTITY_MANAGEMENT
    failed = kind in UNSUCCESSFUL
    event: dict[str, Any] = {
        "activity_id": activity,
        "category_uid": IAM,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity,
        "severity_id": severity,
        "time": int(row.get("time", 0)) * 1000,
        "message": f"{actor} {kind}",
        "metadata": {
            "version": OCSF,
            "product": {"name": "Stillvault", "vendor_name": "Stillvault", "version": version},
            "log_name": "audit",
            "event_code": kind,
            "sequence": row["index"],
            **({"correlation_uid": row["request"]} if "request" in row else {}),
            **({"profiles": ["host"]} if "host" in row else {}),
        },
        "status": "Failure" if failed else "Success",
        "status_id": 2 if failed else 1,
        "actor": {"user": {"name": actor}, **({"app_name": str(row["exe"])} if "exe" in row else {})},
        "unmapped": {name: value for name, value in row.items() if name not in ("index", "time", "kind", "actor")},
    }
    if activity == OTHER:
        event["activity_name"] = kind
    if row.get("outcome"):
        event["status_detail"] = str(row["outcome"])
    if "host" in row:
        event["device"] = {"hostname": str(row["host"]), "type_id": 0}
    if session:
        event |= {"user": {"name": actor}, "service": {"name": "stillvault-relay"}}
    else:
        named = row.get("secret") or row.get("request") or row.get("oid") or kind
        made = {"version": str(row["version"])} if "version" in row else {}
        event["entity"] = {"type": entity, "name": str(named), **made}
    return event


def _sort(row: Row) -> tuple[int, str, int]:
    """Activity, entity and severity. A passkey that may have been copied is no everyday sign-in."""
    activity, entity, severity = ACTIVITY.get(str(row["kind"]), (OTHER, "other", NOTICE))
    return activity, entity, MEDIUM if row.get("outcome") == "counter-back" else severity


def as_cef(row: Row, version: str) -> str:
    """A CEF line. Fields that this version does not know stay out: the JSON row has them."""
    kind = str(row["kind"])
    _, _, severity = _sort(row)
    head = ("CEF:0", "Stillvault", "Stillvault", version, kind, kind.replace("-", " "), str(CEF_SEVERITY[severity]))
    extension = {"rt": int(row.get("time", 0)) * 1000, "externalId": row["index"], "act": kind, "suser": row.get("actor", "")}
    for name, field in CEF_FIELDS.items():
        if name in row:
            extension[field] = row[name]
    for name, field in CEF_CUSTOM.items():
        if name in row:
            extension[field] = row[name]
            extension[f"{field}Label"] = name
    said = " ".join(f"{name}={_extension(value)}" for name, value in extension.items())
    return "|".join(_header(one) for one in head) + f"|{said}"


def _line(found: dict[str, Any]) -> str:
    return json.dumps(found, ensure_ascii=True, separators=(",", ":"))


def _text(value: Any) -> str:
    """One line of visible ASCII."""
    text = " ".join(str(one) for one in value) if isinstance(value, list) else str(value)
    return "".join(one if one.isascii() else f"\\u{{{ord(one):x}}}" for one in plain(text))


def _header(value: str) -> str:
    return _text(value).replace("\\", "\\\\").replace("|", "\\|")


def _extension(value: Any) -> str:
    return _text(value).replace("\\", "\\\\").replace("=", "\\=")


FORMS: dict[str, Callable[[Row, str], str]] = {
    "json": lambda row, _version: as_json(row),
    "ocsf": as_ocsf,
    "cef": as_cef,
}
