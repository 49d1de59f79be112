"""`leases`, `whoami`, `help`, and the verbs that the front hands on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.front.conftest import FRONT, Front
from tests.front.standin import Call

LEASES = [
    {"number": 1, "client": "host/db-1", "path": "prod/db", "version": 3, "uid": 1001, "scope": "process", "left": 245, "uses": 2,
     "program": "/usr/bin/x\\u{1b}"},
    {"number": 2, "client": "host/db-1", "path": "dev/db", "version": 1, "uid": 1001, "scope": "exe", "left": 30},
]
WHO = {"uid": 1001, "user": "ben", "exe": "/usr/bin/psql", "exe_sha256": "A" * 43, "grade": "system", "front": True,
       "chain": [{"exe": "/bin/bash", "exe_sha256": "B" * 43}, {"exe": "/usr/sbin/sshd\x1b", "exe_sha256": "C" * 43}],
       "clients": [{"subject": "host/db-1", "host": "db-1", "scopes": ["prod/**", "dev/db"]}], "why": "the front's parent"}


def test_leases(front: Front) -> None:
    with front.daemon(lambda call: call.say(event="leases", leases=LEASES)) as daemon:
        ended = front("leases")
        assert json.loads(front("leases", "--format", "json").out) == {"v": 1, "leases": LEASES}
    assert daemon.calls == [{"v": 1, "verb": "leases"}] * 2
    assert ended.out.decode() == (
        "1 prod/db v3  4m05s left, 2 uses\n"
        "    host/db-1 for uid 1001 by process of /usr/bin/x\\u{1b}\n"
        "2 dev/db v1  30s left\n"
        "    host/db-1 for uid 1001 by exe of -\n"
    )
    with front.daemon(lambda call: call.say(event="leases", leases=[])):
        ended = front("leases")
    assert (ended.exit, ended.out, "no live lease" in ended.err) == (0, b"", True)


def test_purge(front: Front) -> None:
    with front.daemon(lambda call: call.say(event="purged", count=2)) as daemon:
        assert front("leases", "purge").out == b"2 leases ended\n"
        assert json.loads(front("leases", "purge", "sv://prod/db", "--format=json").out) == {"v": 1, "count": 2}
        front("leases", "purge", "prod/db")
    assert [call.get("path") for call in daemon.calls] == [None, "prod/db", "prod/db"]
    for words in (["purge", "A"], ["purge", "a", "b"], ["list"]):
        assert front("leases", *words).exit == 2


def test_whoami(front: Front) -> None:
    with front.daemon(lambda call: call.say(event="whoami", **WHO)):
        text = front("whoami").out.decode()
        assert json.loads(front("whoami", "--format", "json").out) == {"v": 1, **WHO}
    assert text.splitlines() == [
        "program    /usr/bin/psql",
        "started by /bin/bash",
        "           /usr/sbin/sshd\\u{1b}",
        "account    ben (uid 1001)",
        "grade      system",
        "digest     " + "A" * 43,
        "client     host/db-1 on db-1",
        "  may ask  prod/** dev/db",
        "why        the front's parent",
    ]


def test_a_refusal_of_these_verbs(front: Front) -> None:
    def script(call: Call) -> None:
        call.refuse(15, "untrusted", check="caller-changed")

    with front.daemon(script):
        for verb in ("leases", "whoami"):
            ended = front(verb)
            assert (ended.exit, ended.err.startswith("untrusted: caller-changed\n")) == (15, True)


def test_help_and_version(front: Front) -> None:
    version = front("--version").out.decode()
    assert version.startswith("stillvault ") and version == front("-V").out.decode()
    assert front().out == front("help").out == front("--help").out
    for verb in ("read", "run", "inject", "leases", "whoami"):
        ended = front("help", verb)
        assert ended.out.startswith(f"stillvault {verb}".encode())
        assert front(verb, "--help").out == ended.out
    assert b"15   untrusted" in front("help", "exit-codes").out


@pytest.fixture
def beside(front: Front) -> Path:
    """A copy of the front beside a `stillvault-python` that says how it was called."""
    place = front.place / "bin"
    place.mkdir()
    shutil.copy(FRONT, place / "stillvault")
    script = place / "stillvault-python"
    script.write_text('#!/bin/sh\nfor word in "$@"; do printf "[%s]" "$word"; done\nexit 9\n')
    script.chmod(0o755)
    (front.place / "link").symlink_to(place / "stillvault")
    return front.place / "link"


@pytest.mark.parametrize(
    ("words", "handed"),
    [
        (["org", "show", "--format", "json"], "[org][show][--format][json]"),
        (["--format", "json", "org", "show"], "[--format][json][org][show]"),
        (["seal", "a", "--from-file", ""], "[seal][a][--from-file][]"),
        (["--unknown", "read", "sv://a"], "[--unknown][read][sv://a]"),
        (["help", "org"], "[org][--help]"),
        (["no-such-verb"], "[no-such-verb]"),
    ],
)
def test_other_verbs_go_to_the_rest(front: Front, beside: Path, words: list[str], handed: str) -> None:
    ended = front(*words, executable=beside)
    assert (ended.exit, ended.out.decode()) == (9, handed)


def test_completion_goes_to_the_rest(front: Front, beside: Path) -> None:
    ended = front("read", executable=beside, env={"_STILLVAULT_COMPLETE": "bash_complete"})
    assert (ended.exit, ended.out) == (9, b"[read]")


def test_the_rest_is_missing(front: Front, beside: Path) -> None:
    (front.place / "bin" / "stillvault-python").unlink()
    ended = front("org", "show", executable=beside)
    assert (ended.exit, "install Stillvault again" in ended.err) == (1, True)
