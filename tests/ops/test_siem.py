"""Rows in the forms of log collectors: by their rules, one line each, whatever hosts and people wrote. X2, X3, X8."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillvault.protocol.siem import ACTIVITY, as_cef, as_json, as_ocsf, ocsf
from tests.world import World

HOSTILE = [
    "a|b", "a\\|b", "a=b", "x\nCEF:0|Evil|", "x\r\n<13>1 evil", "\x1b[2J", "\u202egpj.exe", "\u2028", "é", "\ud83d\ude00".encode(
        "utf-16", "surrogatepass").decode("utf-16"), "=cmd()", '"', "</script>", "\\", "\\n", "${jndi:x}", " suser=root",
]  # fmt: skip


def row(**more: Any) -> dict[str, Any]:
    return {
        "index": 7, "time": 1_700_000_000, "kind": "requested", "actor": "host/db-1", "secret": "prod/db", "request": "r" * 43,
        "host": "db-1", "uid": 1001, "user": "app", "exe": "/usr/bin/psql", "chain": ["/bin/sh", "/usr/sbin/cron"], "window": 600,
        **more,
    }  # fmt: skip


def cef(line: str) -> tuple[list[str], dict[str, str]]:
    """A reader of its own, by the guide: seven fields up to unescaped pipes, then keys before unescaped equals signs."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    header = [re.sub(r"\\([\\|])", r"\1", one) for one in parts[:7]]
    found = {}
    for match in re.finditer(r"(\w+)=((?:\\.|[^\\=])*?)(?=(?: \w+=)|$)", parts[7]):
        found[match[1]] = re.sub(r"\\([\\=])", r"\1", match[2])
    return header, found


def test_a_cef_line_reads_back() -> None:
    header, fields = cef(as_cef(row(), "0.1.0"))
    assert header == ["CEF:0", "Stillvault", "Stillvault", "0.1.0", "requested", "requested", "3"]
    assert fields == {
        "rt": "1700000000000", "externalId": "7", "act": "requested", "suser": "host/db-1", "shost": "db-1", "suid": "1001",
        "sproc": "/usr/bin/psql", "cs1": "prod/db", "cs1Label": "secret", "cs2": "r" * 43, "cs2Label": "request", "cn2": "600",
        "cn2Label": "window", "flexString1": "app", "flexString1Label": "user", "flexString2": "/bin/sh /usr/sbin/cron",
        "flexString2Label": "chain",
    }  # fmt: skip


def test_an_ocsf_event_has_what_its_class_requires() -> None:
    event = ocsf(row(), "0.1.0")
    assert (event["class_uid"], event["category_uid"], event["activity_id"], event["type_uid"]) == (3004, 3, 99, 300499)
    assert (event["activity_name"], event["time"], event["severity_id"]) == ("requested", 1_700_000_000_000, 1)
    assert event["metadata"]["version"] == "1.3.0"
    assert event["metadata"]["product"]["vendor_name"]
    assert event["entity"] == {"type": "secret", "name": "prod/db"}
    assert event["actor"] == {"user": {"name": "host/db-1"}, "app_name": "/usr/bin/psql"}
    assert event["device"] == {"hostname": "db-1", "type_id": 0}
    assert event["metadata"]["profiles"] == ["host"]
    assert event["unmapped"]["chain"] == ["/bin/sh", "/usr/sbin/cron"]
    signed_in = ocsf({"index": 0, "time": 1, "kind": "signed-in", "actor": "alice", "device": "laptop"}, "0.1.0")
    assert (signed_in["class_uid"], signed_in["type_uid"]) == (3002, 300201)
    assert signed_in["user"] == {"name": "alice"}
    assert signed_in["service"]


@pytest.mark.parametrize("kind", [*ACTIVITY, "a-kind-of-tomorrow"])
def test_every_kind_has_its_form(kind: str) -> None:
    event = ocsf({"index": 0, "time": 1, "kind": kind, "actor": "alice"}, "0.1.0")
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["activity_id"] != 99 or event["activity_name"] == kind
    assert "entity" in event or ("user" in event and "service" in event)
    assert cef(as_cef({"index": 0, "time": 1, "kind": kind, "actor": "alice"}, "0.1.0"))[1]["act"] == kind


def harmless(line: str) -> bool:
    return line.isascii() and line.isprintable()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["actor", "exe", "user", "host", "outcome", "secret"])
def test_hostile_words_stay_in_their_field(text: str, field: str) -> None:
    hostile = row(**{field: text})
    assert json.loads(as_json(hostile)) == hostile
    assert json.loads(as_ocsf(hostile, "0.1.0")) == ocsf(hostile, "0.1.0")
    line = as_cef(hostile, "0.1.0")
    assert [harmless(one) for one in (line, as_json(hostile), as_ocsf(hostile, "0.1.0"))] == [True] * 3
    header, fields = cef(line)
    expected = cef(as_cef(row(**{field: "harmless"}), "0.1.0"))
    assert (header, fields.keys()) == (expected[0], expected[1].keys()), "no field was added, none was lost"


@given(st.text(), st.text())
def test_no_text_leaves_its_line(actor: str, exe: str) -> None:
    # Leaves are UTF-8: a lone surrogate is in none of them.
    actor, exe = (one.encode(errors="replace").decode() for one in (actor, exe))
    hostile = row(actor=actor, exe=exe)
    assert all(harmless(line) for line in (as_cef(hostile, "1"), as_json(hostile), as_ocsf(hostile, "1")))
    assert cef(as_cef(hostile, "1"))[0][4] == "requested"


# ---- the command -------------------------------------------------------------------------------------------------------


def test_export_for_collectors(small: World) -> None:
    alice = small.parties["alice"]
    rows = [json.loads(line) for line in alice.ok("audit", "export").text.splitlines()][:-1]
    events = [json.loads(line) for line in alice.ok("audit", "export", "--as", "ocsf").text.splitlines()]
    assert [one["metadata"]["event_code"] for one in events][: len(rows)] == [one["kind"] for one in rows]
    lines = alice.ok("audit", "export", "--as", "cef").text.splitlines()
    assert [cef(line)[0][4] for line in lines][: len(rows)] == [one["kind"] for one in rows]
