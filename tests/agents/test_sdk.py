"""`import stillvault` against a stand-in for the daemon: what a program sees, and what it never sees by accident.

What people, leases and the kernel have to do with it is in test_sdk_real.py.
"""

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stillvault
from tests.blindness.scan import in_process, needles
from tests.front.conftest import Front
from tests.front.standin import Call

ROOT = Path(__file__).resolve().parents[2]
CANARY = b"canary-" + bytes(range(1, 256)) * 3 + b"\n$(id) \"'\x00 end"
HANDLE = "h-" + "A" * 22


@pytest.fixture
def front() -> Iterator[Front]:
    with tempfile.TemporaryDirectory(prefix="sv-sdk-") as place:
        yield Front(Path(place))


def client(front: Front) -> stillvault.Client:
    return stillvault.Client(front.socket)


def one_way(verb: str, front: Front, **options: Any) -> Any:
    """`read` the blocking way or the other; what comes out must not differ."""
    if verb == "sync":
        return client(front).read("sv://prod/db", **options)
    return asyncio.run(stillvault.AsyncClient(front.socket).read("sv://prod/db", **options))


WAYS = pytest.mark.parametrize("way", ["sync", "async"])


# ---- the value -------------------------------------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("value", [b"", b"x", CANARY, b"\n", os.urandom(60 * 1024)], ids=len)
def test_every_value_comes_as_it_was_sealed(front: Front, way: str, value: bytes) -> None:
    with front.holding(prod_db=value) as daemon, one_way(way, front, reason="to see\nit", ttl=60, window=0, uses=1) as secret:
        assert secret.reveal() == value
        assert (secret.reference, secret.version) == ("sv://prod/db", 3)
        reading, writing = os.pipe()
        assert secret.write_to(writing) == len(value) or len(value) > 65536
        os.close(writing)
        with open(reading, "rb") as pipe:
            assert pipe.read() == value
    asked = {"v": 1, "verb": "get", "refs": ["prod/db"], "reason": "to see\\u{a}it", "ttl": 60, "window": 0, "uses": 1}
    assert daemon.calls == [asked]
    assert CANARY not in bytes(daemon.traffic)


def test_text_is_asked_for_by_name(front: Front) -> None:
    with front.holding(a="gr\u00fcn".encode(), b=b"\xffnot text, but a value") as _:
        with client(front).read("sv://a") as secret:
            assert secret.reveal_text() == "gr\u00fcn"
        with client(front).read("sv://b") as secret, pytest.raises(stillvault.Failed, match="not-text") as caught:
            secret.reveal_text()
    assert shown(caught.value).count("not text, but a value") == 0
    assert caught.value.__context__ is None


def shown(error: BaseException) -> str:
    """All that a traceback can show of the SDK, local variables and chained errors too. This file has values of its own."""
    text, chain = "", [error]
    for one in chain:
        text += "".join(traceback.format_exception_only(one))
        frames = [frame for frame, _ in traceback.walk_tb(one.__traceback__) if frame.f_code.co_filename != __file__]
        text += "".join(f"{name}={local!r}\n" for frame in frames for name, local in frame.f_locals.items())
        chain += [other for other in (one.__cause__, one.__context__) if other is not None and other not in chain]
    return text


def test_a_secret_hides_itself(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    with front.holding(prod_db=b"swordfish-canary"), client(front).read("sv://prod/db") as secret:
        texts = [repr(secret), str(secret), f"{secret}", f"{secret!r:>90}", f"{secret:20}", repr([secret]), repr({"a": secret}),
                 "%s %r" % (secret, secret)]  # noqa: UP031  the old way must hide it too
        logging.getLogger("x").warning("got %s", secret)
        buffer = io.StringIO()
        print(secret, file=buffer)
        for refused in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, bytes, memoryview, iter, len, list):
            with pytest.raises(TypeError) as caught:
                refused(secret)  # type: ignore[operator]
            texts.append(shown(caught.value))
        try:
            password = secret
            raise RuntimeError(f"connection to {password} failed")
        except RuntimeError as error:
            texts.append(shown(error))
        assert not hasattr(secret, "__dict__")
        assert not any("swordfish" in text for text in [*texts, buffer.getvalue(), caplog.text])
        assert "sv://prod/db" in str(secret)


@WAYS
def test_a_block_wipes(front: Front, way: str) -> None:
    with front.holding(prod_db=b"swordfish-canary"):
        with one_way(way, front) as secret:
            assert not secret.wiped
        assert secret.wiped
        for use in (secret.reveal, secret.reveal_text, lambda: secret.write_to(1), lambda: secret.field("a")):
            with pytest.raises(stillvault.Failed, match="wiped"):
                use()  # type: ignore[no-untyped-call]
        secret.wipe()
        with client(front).read_many(["sv://prod/db"]) as secrets:
            kept = secrets["sv://prod/db"]
        assert kept.wiped
        with pytest.raises(TypeError):
            pickle.dumps(secrets)


CHILD = """
import os, stillvault, sys
with stillvault.read("sv://prod/db") as secret:
    with open("/dev/null", "wb") as nowhere:
        secret.write_to(nowhere)
    print("has", flush=True)
    sys.stdin.readline()
    child = os.fork()
    if not child:
        try:
            secret.reveal()
        except stillvault.Failed as error:
            os._exit(7 if error.code == "forked" else 8)
        os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
print("wiped", flush=True)
sys.stdin.readline()
"""


def test_nothing_is_left_in_memory(front: Front) -> None:
    value = os.urandom(24)
    wanted = needles(value)
    with front.holding(prod_db=value):
        child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
                                 env={**os.environ, "STILLVAULT_SOCKET": str(front.socket)}, text=True)
        assert child.stdin is not None
        assert child.stdout is not None
        with child:
            assert child.stdout.readline() == "has\n"
            assert in_process(child.pid, wanted) != []  # the scan can see it
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "7\n"
            assert child.stdout.readline() == "wiped\n"
            assert in_process(child.pid, wanted) == []
            child.communicate("\n")


# ---- fields ----------------------------------------------------------------------------------------------------------------

OBJECT = (b' {"a": "x\\n\\u00e9\\ud83d\\ude00\\/", "b":-1.50e+3,"c" : true,"d":null,"e":{"a":[1,{}]},"f.g":"","\\u0068":"i"}\n')
LINES = b"# db\nexport HOST=db-1 # here\n\nPASSWORD='a # b'\r\nQUOTED=\"x\\ny\"\nEMPTY=\nHASH=a#b\n"
NEITHER = [b"", b"swordfish", b"[1]", b'"a"', b"{", b'{"a":1', b'{"a":1}x', b'{"a":01}', b'{"a":.5}', b'{"a":1e}', b'{"a" 1}',
           b"{a:1}", b'{"a":"\\x"}', b'{"a":1,"b":"\\ud800"}', b'{"a":"\\ud800\\u0041"}', b'{"a":"\t"}', b'{"a":tru}',
           b'{"a":1,}', b'{"a":[1,]}',
           b"A=1\nswordfish", b"A B=1", b"a='x", b"# only a comment", b'{"a":"\\', b"\xff=1", b'{"a":"\xff"}',
           b'{"a":1,"b":' + b"[" * 70 + b"]" * 70 + b"}"]
FIELDS = [
    *[(OBJECT, name) for name in ("a", "b", "c", "d", "e", "f.g", "h", "zz", "A")],
    *[(LINES, name) for name in ("HOST", "PASSWORD", "QUOTED", "EMPTY", "HASH", "host", "db")],
    (b'{"a":"x","\\u0061":"y"}', "a"), (b"A=1\nA=2", "A"), (b"{}", "a"), (b'{"a":"' + b"\\n" * 20000 + b'"}', "a"),
    *[(value, "a") for value in NEITHER],
]


@pytest.mark.parametrize(("value", "name"), FIELDS, ids=lambda part: str(part)[:30])
def test_a_field_is_what_the_front_says_it_is(front: Front, value: bytes, name: str) -> None:
    with front.holding(x=value):
        ended = front("read", f"sv://x#{name}")
        problem = None
        try:
            with client(front).read(f"sv://x#{name}") as secret:
                found, reference = secret.reveal(), secret.reference
        except stillvault.Failed as error:
            problem = error
    if problem is None:
        assert (ended.exit, ended.out, reference) == (0, found, f"sv://x#{name}")
    else:
        assert (problem.code, problem.exit) == ("field", ended.exit), ended
        assert problem.message in ended.err
        assert "swordfish" not in shown(problem)


def test_fields_of_one_secret_are_asked_for_once(front: Front) -> None:
    wanted = ["sv://x#a", "sv://y", "sv://x#b"]
    with front.holding(x=b'{"a":"1","b":2}', y=b"three") as daemon, client(front).read_many(wanted) as secrets:
        assert [secret.reveal() for secret in secrets.values()] == [b"1", b"three", b"2"]
        assert list(secrets) == wanted
        assert secrets["sv://x"].reveal() == b'{"a":"1","b":2}'
        with pytest.raises(KeyError):
            secrets["sv://z"]
    assert daemon.calls[0]["refs"] == ["x", "y"]


@pytest.mark.parametrize("reference", ["prod/db", "sv://", "sv://A", "sv://a b", "sv://a//b", "sv://" + "a" * 201, "sv://a#",
                                       "sv://a#b c", "sv://a#b#c", "op://a/b", ""])
def test_what_is_no_reference_is_refused_here(front: Front, reference: str) -> None:
    with pytest.raises(stillvault.Usage) as caught:  # no daemon listens
        client(front).read(reference)
    assert caught.value.exit == 2
    for many in ([], [f"sv://a/{number}" for number in range(101)]):
        with pytest.raises(stillvault.Usage):
            client(front).read_many(many)


# ---- the same errors and exit meanings -------------------------------------------------------------------------------------

KINDS = [(1, stillvault.Failed), (2, stillvault.Usage), (10, stillvault.Denied), (11, stillvault.Expired),
         (12, stillvault.NoApprover), (13, stillvault.Forbidden), (14, stillvault.Unavailable), (15, stillvault.Untrusted),
         (16, stillvault.RateLimited)]


@WAYS
@pytest.mark.parametrize(("exit", "kind"), KINDS)
def test_every_end_has_its_type(front: Front, way: str, exit: int, kind: type[stillvault.StillvaultError]) -> None:
    with front.daemon(lambda call: call.refuse(exit, "word", check="check-name")):
        ended = front("read", "sv://prod/db")
        with pytest.raises(kind) as caught:
            one_way(way, front)
    assert (type(caught.value), caught.value.exit, ended.exit) == (kind, exit, exit)
    assert (caught.value.code, caught.value.message, caught.value.remedy) == ("check-name", "it was refused", "ask again")


BAD: list[tuple[str, Callable[[Call], Any]]] = [
    ("silence", lambda call: None), ("unknown", lambda call: call.say(event="surprise")),
    ("no values", lambda call: call.say(event="delivered")),
    ("too few", lambda call: call.say(event="delivered", values=[])),
    ("other", lambda call: call.say(event="delivered", values=[{"path": "other", "length": 1}])),
    ("long", lambda call: call.say(event="delivered", values=[{"path": "prod/db", "length": 10**9}])),
    ("short", lambda call: (call.put([b"ab"]), call.say(event="delivered", values=[{"path": "prod/db", "length": 3}]))),
    ("more", lambda call: (call.put([b"abcd"]), call.say(event="delivered", values=[{"path": "prod/db", "length": 3}]))),
    ("no frame", lambda call: call.sock.sendall(b"\xff\xff\xff\xff")), ("no JSON", lambda call: call.sock.sendall(b"\0\0\0\2{]")),
    ("list", lambda call: call.sock.sendall(b"\0\0\0\2[]")),
]


@WAYS
@pytest.mark.parametrize("script", [script for _, script in BAD], ids=[name for name, _ in BAD])
def test_a_daemon_that_errs_gives_nothing(front: Front, way: str, script: Callable[[Call], Any]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with front.daemon(script), pytest.raises((stillvault.Unavailable, stillvault.Untrusted)):
        one_way(way, front)
    assert len(os.listdir("/proc/self/fd")) == before


@WAYS
def test_a_socket_of_others_is_not_spoken_to(front: Front, way: str) -> None:  # L14
    with pytest.raises(stillvault.Unavailable, match="daemon-absent"):
        one_way(way, front)
    with front.holding(prod_db=b"x") as daemon:
        front.place.chmod(0o777)
        with pytest.raises(stillvault.Untrusted, match="socket-directory"):
            one_way(way, front)
        front.place.chmod(0o700)
        if os.getuid() == 0:
            os.chown(front.socket, 65534, 65534)
            with pytest.raises(stillvault.Untrusted, match="socket-owner"):
                one_way(way, front)
        (front.place / "link").symlink_to(front.socket)
        with pytest.raises(stillvault.Untrusted, match="socket-link"):
            stillvault.Client(front.place / "link").read("sv://a")
    assert daemon.calls == []


@WAYS
def test_who_waits_is_told(front: Front, way: str) -> None:
    heard: list[stillvault.Waiting] = []

    def script(call: Call) -> None:
        call.pending()
        call.pending(approved=1)
        call.deliver({"prod/db": b"v"})

    with front.daemon(script):
        one_way(way, front, on_waiting=heard.append, timeout=30).wipe()
    assert [(one.code, one.asked, one.needed, one.approved) for one in heard] == [
        ("012345", ("alice", "bob"), 1, 0), ("012345", ("alice", "bob"), 1, 1)]


# ---- handles ---------------------------------------------------------------------------------------------------------------


def handle_script(states: list[str]) -> Callable[[Call], None]:
    def script(call: Call) -> None:
        facts: dict[str, Any] = {"handle": HANDLE, "refs": ["prod/db"], "state": "pending", "expires": 4000000000}
        pending = {"card": "0123456789ab", "code": "012345", "asked": ["alice"], "needed": 1, "approved": 0}
        match call.frame["verb"]:
            case "ask":
                call.say(event="handle", **facts, **pending)
            case "state":
                facts["state"] = states.pop(0) if len(states) > 1 else states[0]
                ended = {"error": {"code": "denied", "exit": 10, "message": "bob denied prod/db", "remedy": ""}}
                call.say(event="state", **facts, **(pending if facts["state"] == "pending" else ended))
            case "take":
                call.refuse(11, "expired", check="pending")
            case "cancel":
                call.say(event="cancelled", count=1)
    return script


@WAYS
def test_a_time_out_is_not_a_denial(front: Front, way: str) -> None:
    async def asynchronous() -> None:
        handle = await stillvault.AsyncClient(front.socket).ask("sv://prod/db", reason="r")
        assert (handle.id, handle.state, handle.waiting and handle.waiting.code) == (HANDLE, "pending", "012345")
        assert await handle.wait(0) is False
        with pytest.raises(stillvault.StillPending):
            await handle.take()
        assert await handle.cancel() == 1

    def synchronous() -> None:
        handle = client(front).ask(["sv://prod/db"], reason="r")
        assert (handle.id, handle.state, handle.waiting and handle.waiting.code) == (HANDLE, "pending", "012345")
        assert handle.wait(0) is False
        with pytest.raises(stillvault.StillPending) as caught:
            handle.take()
        assert (caught.value.exit, isinstance(caught.value, stillvault.Expired)) == (11, False)
        assert handle.cancel() == 1

    with front.daemon(handle_script(["pending"])) as daemon:
        synchronous() if way == "sync" else asyncio.run(asynchronous())
    assert [call["verb"] for call in daemon.calls] == ["ask", "state", "take", "cancel"]
    assert daemon.calls[1] == {"v": 1, "verb": "state", "handle": HANDLE, "wait": 0}


@WAYS
def test_a_handle_that_ended_says_why(front: Front, way: str) -> None:
    with front.daemon(handle_script(["pending", "ended"])):
        if way == "sync":
            handle = client(front).resume(HANDLE + "#field")
            assert handle.references == ("sv://prod/db",)
            with pytest.raises(stillvault.Denied, match="bob denied"):
                handle.wait()
        else:
            async def resumed() -> None:
                await (await stillvault.AsyncClient(front.socket).resume(HANDLE)).wait()
            with pytest.raises(stillvault.Denied, match="bob denied"):
                asyncio.run(resumed())
    for wrong in ("", "h-", "x" * 24, HANDLE + "#", HANDLE + "\n"):
        with pytest.raises(stillvault.Usage):
            client(front).resume(wrong)


# ---- cheap -----------------------------------------------------------------------------------------------------------------

HEAVY = {"asyncio", "http", "ssl", "urllib.request", "email", "msgspec", "click", "stillvault.crypto", "stillvault._native",
         "subprocess", "stillvault.transport.http", "logging", "dataclasses", "inspect", "concurrent.futures", "mcp", "pydantic"}


@pytest.mark.parametrize(("script", "absent"), [
    ("import stillvault", {"socket", "json", "mmap", "stillvault.sdk", "stillvault.transport", "stillvault.protocol"}),
    ("import stillvault; stillvault.read; stillvault.ask; stillvault.Denied; stillvault.Secret", HEAVY),
    ("import stillvault; stillvault.AsyncClient",
     HEAVY - {"asyncio", "ssl", "subprocess", "logging", "concurrent.futures", "inspect", "dataclasses", "email"}),
])
def test_only_what_is_used_is_imported(script: str, absent: set[str]) -> None:
    # The standard library's `asyncio` imports `ssl`; nothing here speaks it.
    done = subprocess.run([sys.executable, "-c", f"{script}; import sys; print(*sys.modules)"], cwd=ROOT, capture_output=True,
                          text=True, check=True)
    loaded = set(done.stdout.split())
    assert "stillvault" in loaded
    assert loaded & absent == set()


def test_the_stub_names_what_the_package_gives() -> None:
    stub: dict[str, Any] = {}
    exec((ROOT / "stillvault" / "__init__.pyi").read_text(), stub)
    assert stub["__all__"] == stillvault.__all__
    for name in stillvault.__all__:
        assert getattr(stillvault, name) is stub[name], name
    assert not hasattr(stillvault, "nonsense")
