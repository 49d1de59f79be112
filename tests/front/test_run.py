"""`stillvault run`: values reach the child's environment and nothing else; its output is masked; its end is ours."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.front.conftest import Front
from tests.front.standin import Call

MASK = b"<concealed by stillvault>"
VALUE = b"sword/fish\"43 \xc3\xa9"


def test_references_from_three_places_are_one_question(front: Front) -> None:
    (front.place / "env").write_text("# settings\nexport B=sv://b\nPLAIN='p # q'\nA=sv://old\n")
    shown = 'printf "%s|%s|%s|%s|%s" "$A" "$B" "$C" "$D" "$PLAIN"'
    with front.holding(a=b"v-a", b=b"v-b", c=b"v-c") as daemon:
        ended = front("run", "--env-file", "env", "--env", "A=sv://a", "--env", "D=sv://a", "--", "sh", "-c", shown, env={"C": "sv://c"})
    assert (ended.exit, ended.out) == (0, b"v-a|v-b|v-c|v-a|p # q")
    (call,) = daemon.calls
    # sv://old was replaced before anybody was asked, and a secret that is wanted twice is asked for once.
    assert sorted(call["refs"]) == ["a", "b", "c"]
    assert call["argv"] == ["sh", "-c", shown]
    assert "3 of the values are shorter than 6 bytes and are not masked" in ended.err


def test_the_command_is_a_claim_and_visible(front: Front) -> None:
    with front.holding(a=b"value-a") as daemon:
        assert front("run", "--env", "A=sv://a", "--", "true", b"\xff\x1b\\", "y" * 300, *["z"] * 50).exit == 0
    argv = daemon.calls[0]["argv"]
    assert argv[:2] == ["true", "\\x{ff}\\u{1b}\\u{5c}"]
    assert (len(argv[2]), argv[2][-1], len(argv), argv[-1]) == (200, "…", 41, "… 13 more")


def test_own_settings_do_not_reach_the_child(front: Front) -> None:
    given_ = {"STILLVAULT_PASSPHRASE_FILE": "/p", "STILLVAULT_SETUP_TOKEN_FILE": "/t", "STILLVAULT_HOME": "/h", "KEPT": "1"}
    with front.holding(a=b"value-a"):
        out = front("run", "--env", "A=sv://a", "--", "env", env=given_).out.decode()
    names = {line.partition("=")[0] for line in out.splitlines()}
    assert {n for n in names if n.startswith("STILLVAULT_")} == {"STILLVAULT_HOME", "STILLVAULT_SOCKET"}
    assert {"KEPT", "A"} <= names


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda v: v,
    "base64": base64.b64encode,
    "base64 url": base64.urlsafe_b64encode,
    "inside base64 +1": lambda v: base64.b64encode(b"x" + v + b"yy"),
    "inside base64 +2": lambda v: base64.b64encode(b"xx" + v + b"y"),
    "basic auth": lambda v: base64.b64encode(b"user:" + v),
    "hex": lambda v: v.hex().encode(),
    "HEX": lambda v: v.hex().upper().encode(),
    "url": lambda v: urllib.parse.quote(v).encode(),
    "url component": lambda v: urllib.parse.quote(v, safe="").encode(),
    "form": lambda v: urllib.parse.quote_plus(v).encode(),
    "json": lambda v: json.dumps({"k": v.decode()}).encode(),
    "json utf-8": lambda v: json.dumps({"k": v.decode()}, ensure_ascii=False).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_masking_knows_the_form(front: Front, form: str) -> None:
    said = b"before " + FORMS[form](VALUE) + b" after\n"
    (front.place / "said").write_bytes(said)
    with front.holding(a=VALUE + b"\n"):
        ended = front("run", "--env", "A=sv://a", "--", "sh", "-c", "cat said; cat said >&2")
    assert ended.out.startswith(b"before ")
    assert ended.out.endswith(b" after\n")
    assert MASK in ended.out
    assert ended.err.encode() == ended.out
    # At most one character of a base64 text, that mixes with its neighbour, stays on each side.
    assert FORMS[form](VALUE)[4:-4] not in ended.out


SCRIPT = """
import os, sys
text, cuts = bytes.fromhex(sys.argv[1]), [int(c) for c in sys.argv[2].split(",")]
for begin, end in zip([0, *cuts], [*cuts, len(text)]):
    os.write(1, text[begin:end])
"""


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_masking_does_not_depend_on_the_pieces(front: Front, data: st.DataObject) -> None:
    value = data.draw(st.binary(min_size=6, max_size=12).filter(lambda v: 0 not in v and v[-1:] not in b"\r\n"))
    other = st.sampled_from([b"", b"a", value[:5], value[:-1], value[1:], b"\n"])
    text = b"".join(data.draw(st.lists(st.one_of(other, st.just(value), st.just(base64.b64encode(value))), max_size=8)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=1, max_size=6)))
    with front.holding(a=value):
        out = front("run", "--env", "A=sv://a", "--", sys.executable, "-c", SCRIPT, text.hex(), ",".join(map(str, cuts))).out
    assert value not in out
    # Where neither the value nor one of its forms is in the text, nothing was touched.
    if MASK not in out:
        assert out == text


def test_masking_of_values_that_begin_alike_mean_something_elsewhere_or_are_short(front: Front) -> None:
    """Values are bytes: none is a pattern, the longer one wins over its beginning, and one of a byte masks nothing."""
    values = {"a": b"secret", "b": b"secret-longer", "c": rb"se.*[a-z]+$\1", "d": b"x", "e": b"<conceal"}
    said = rb"1 secret-longer 2 secretsecret-longer 3 secret-long 4 se.*[a-z]+$\1 5 seXXzz x 6 <conceal 7 sec"
    (front.place / "said").write_bytes(said)
    with front.holding(**values):
        bindings = [word for name in values for word in ("--env", f"{name.upper()}=sv://{name}")]
        out = front("run", *bindings, "--", "cat", "said").out
    assert out.split(MASK) == [b"1 ", b" 2 ", b" 3 ", b"-long 4 ", b" 5 seXXzz x 6 ", b" 7 sec"]


def test_without_masking_the_command_takes_our_place(front: Front) -> None:
    words = ["run", "--no-masking", "--env", "A=sv://a", "--", "sh", "-c", 'echo $$ "$A"']
    with front.holding(a=b"value-a"), front.start(*words) as process:
        out, _ = process.communicate(timeout=30)
    assert out == f"{process.pid} value-a\n".encode()


def test_the_child_inherits_ordinary_limits(front: Front) -> None:
    """Neither the limit on core files nor held signals of the front reach the child."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)  # a hardened process of an earlier test may have left it low
    wanted = 4096 if most == resource.RLIM_INFINITY else min(4096, most)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (wanted, most))

    for flags in ([], ["--no-masking"]):
        with front.holding(a=b"value-a"):
            script = "ulimit -c; grep -E 'SigBlk|SigIgn' /proc/self/status"
            ended = front("run", *flags, "--env", "A=sv://a", "--", "sh", "-c", script, preexec_fn=limit)
        limit_, _, held, _, ignored = ended.out.split()
        # Above 31: glibc's posix_spawn leaves its own two real-time signals ignored.
        assert (limit_, int(held, 16), int(ignored, 16) & 0x7FFFFFFF) == (str(wanted // 512).encode(), 0, 0), ended


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_the_end_of_the_child_is_ours(front: Front, script: str, code: int) -> None:
    with front.holding(a=b"value-a"):
        assert front("run", "--env", "A=sv://a", "--", "sh", "-c", script).exit == code


def test_what_cannot_run_is_said_before_anybody_is_asked(front: Front) -> None:
    (front.place / "text").write_text("")
    (front.place / "dir").mkdir()
    with front.daemon(lambda call: call.deliver({})) as daemon:
        for word, code in [("no-such-command", 127), ("./none", 127), ("", 127), ("./text", 126), ("./dir", 126)]:
            ended = front("run", "--env", "A=sv://a", "--", word)
            assert ended.exit == code, ended
        assert daemon.calls == []
    (front.place / "odd").write_bytes(b"\x7fELFnot")
    (front.place / "odd").chmod(0o755)
    with front.holding(a=b"value-a"):
        assert front("run", "--env", "A=sv://a", "--", "./odd").exit == 126


@pytest.mark.parametrize(("value", "why"), [(b"a\0b", "zero byte"), (b"\0" * 7, "zero byte")])
def test_a_value_that_no_variable_holds(front: Front, value: bytes, why: str) -> None:
    with front.holding(a=value):
        ended = front("run", "--env", "A=sv://a", "--", "touch", "ran")
    assert (ended.exit, why in ended.err, "--out-file" in ended.err) == (125, True, True)
    assert not (front.place / "ran").exists()


def test_an_environment_that_no_program_gets(front: Front) -> None:
    values = {f"s{n}": b"x" * 61440 for n in range(100)}
    flags = [word for name in values for word in ("--env", f"{name.upper()}=sv://{name}")]
    with front.holding(**values):
        ended = front("run", *flags, "--", "touch", "ran")
    assert (ended.exit, "larger than the kernel gives" in ended.err) == (125, True)
    assert not (front.place / "ran").exists()


def test_large_values_and_line_ends_reach_the_child(front: Front) -> None:
    value = b"line\n\x01\xff" * 8000
    with front.holding(a=value):
        out = front("run", "--no-masking", "--env", "A=sv://a", "--", sys.executable, "-c",
                    "import os; os.write(1, os.environb[b'A'])").out
    assert out == value


def test_signals_go_to_the_child(front: Front) -> None:
    script = "trap 'echo got $?; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    with front.holding(a=b"value-a"), front.start("run", "--env", "A=sv://a", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().startswith(b"got")
    assert process.returncode == 9


def test_ctrl_c_reaches_the_child_once(front: Front) -> None:
    script = "import signal, sys, time\nn = 0\ndef got(*_):\n global n\n n += 1\nsignal.signal(2, got)\n"
    script += "print('ready', flush=True)\nwhile not n: time.sleep(0.01)\ntime.sleep(0.3)\nprint('times', n, flush=True)\n"
    with front.holding(a=b"value-a"):
        ended = front.on_terminal("run", "--env", "A=sv://a", "--", sys.executable, "-c", script, until=b"ready")
    assert b"times 1" in ended.out
    assert ended.exit == 0


def test_a_reader_that_left_ends_the_pipeline(front: Front) -> None:
    with front.holding(a=b"value-a"), front.start("run", "--env", "A=sv://a", "--", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"y\ny\n"
        process.stdout.close()
        assert process.wait(timeout=30) == 141


def test_a_stuck_reader_does_not_hold_us(front: Front) -> None:
    """The reader takes nothing more, the child is told to end: so do we."""
    with front.holding(a=b"value-a"), front.start("run", "--env", "A=sv://a", "--", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"y\ny\n"
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
    assert process.returncode == 143


def test_what_the_child_left_running_is_waited_for(front: Front) -> None:
    """As in a pipeline; an interrupt ends the wait with the child's own code."""
    script = "sleep 300 & echo $!; exit 4"
    with front.holding(a=b"value-a"), front.start("run", "--env", "A=sv://a", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        left = int(process.stdout.readline())
        while Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text():
            time.sleep(0.02)
        assert process.poll() is None
        while process.poll() is None:  # one that comes while the child's end is being noticed is still the child's
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
    os.kill(left, signal.SIGKILL)
    assert process.returncode == 4


def test_a_full_disk_under_the_output(front: Front) -> None:
    with front.holding(a=b"value-a"), open("/dev/full", "wb") as full:
        ended = front("run", "--env", "A=sv://a", "--", "echo", "text", stdout=full)
    assert (ended.exit, "could not be passed on" in ended.err) == (125, True)


def test_without_references_nobody_is_asked(front: Front) -> None:
    ended = front("run", "--", "sh", "-c", "exit 3")
    assert (ended.exit, "nobody is asked" in ended.err) == (3, True)


def test_dry_run(front: Front) -> None:
    ended = front("run", "--dry-run", "--env", "A=sv://x/y", "--env", "B=sv://x/y", "--", "true", env={"C": "sv://z"})
    assert (ended.exit, ended.out, ended.err) == (0, b"sv://z  as C\nsv://x/y  as A, B\n",
                                                   "nobody was asked; no daemon says who would be\n")
    ended = front("run", "--dry-run", "--format", "json", "--env", "A=sv://x/y", "--", "true")
    assert json.loads(ended.out) == {"v": 1, "references": [{"reference": "sv://x/y", "names": ["A"]}]}


def test_dry_run_says_what_would_be_asked_of_whom(front: Front) -> None:
    plan = {"path": "x/y", "client": "host/db-1", "policy": "prod", "people": ["alice", "bob"], "needed": 1, "window": 900,
            "uses": 0, "scope": "process", "leased": False}
    refused = {"path": "z", "error": {"code": "forbidden", "exit": 13, "message": "no", "remedy": ""}}
    leased = {**plan, "path": "a", "leased": True}
    words = ("run", "--dry-run", "--env", "A=sv://x/y#f", "--env", "B=sv://z", "--env", "C=sv://a", "--", "true")
    with front.daemon(lambda call: call.say(event="plan", refs=[plan, refused, leased])) as daemon:
        ended = front(*words)
        answer = json.loads(front(*words[:2], "--format", "json", *words[2:]).out)
    assert ended.out.decode() == ("sv://x/y#f  as A\n    asks 1 of alice, bob as host/db-1\nsv://z  as B\n    refused: no\n"
                                  "sv://a  as C\n    from a lease of host/db-1; nobody is asked\n")
    assert ended.err == "nobody was asked\n"
    assert daemon.calls[0] == {"v": 1, "verb": "plan", "refs": ["x/y", "z", "a"]}
    assert answer["references"][0] == {"reference": "sv://x/y#f", "names": ["A"], "plan": plan}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "takes a command"),
        (["--env", "A=sv://a"], "takes a command"),
        (["--env", "A", "--", "true"], "--env takes NAME=sv://PATH"),
        (["--env", "A=plain", "--", "true"], "is not a reference"),
        (["--env", "A B=sv://a", "--", "true"], "not the name of a variable"),
        (["--env", "=sv://a", "--", "true"], "not the name of a variable"),
        (["--env", "A=sv://B", "--", "true"], "not the path of a secret"),
        (["--env-file", "none", "--", "true"], "cannot be read"),
        (["--env-file", "bad", "--", "true"], "bad: line 2: there is no ="),
        (["--env-file", "binary", "--", "true"], "not text in UTF-8"),
        (["--bogus", "--", "true"], "does not take '--bogus'"),
    ],
)
def test_usage(front: Front, words: list[str], why: str) -> None:
    (front.place / "bad").write_text("A=1\nB\n")
    (front.place / "binary").write_bytes(b"A=\xff")
    ended = front("run", *words)
    assert (ended.exit, why in ended.err) == (2, True), ended.err


def test_a_variable_that_is_almost_a_reference(front: Front) -> None:
    ended = front("run", "--", "true", env={"DB": "sv://Not/A/Path"})
    assert (ended.exit, "DB: " in ended.err) == (2, True)


def test_more_than_one_card_holds(front: Front) -> None:
    flags = [word for n in range(101) for word in ("--env", f"A{n}=sv://s/{n}")]
    ended = front("run", *flags, "--", "true")
    assert (ended.exit, "one card holds 100" in ended.err) == (2, True)


def test_output_comes_as_it_is_made(front: Front) -> None:
    """What cannot be the beginning of a value is not held back while the child waits for its input."""
    reading, writing = os.pipe()
    words = ["run", "--env", "A=sv://a", "--", "sh", "-c", "printf 'name: '; read x; echo $x"]
    with front.holding(a=b"value-a"), front.start(*words, stdin=reading) as process:
        assert process.stdout is not None
        assert process.stdout.read(6) == b"name: "
        os.write(writing, b"me\n")
        assert process.stdout.read() == b"me\n"
    os.close(reading)
    os.close(writing)


def test_two_at_once(front: Front) -> None:
    both = threading.Barrier(2)

    def script(call: Call) -> None:
        both.wait(30)
        call.deliver({"a": b"value-a", "b": b"value-b"})

    with front.daemon(script), front.start("read", "sv://a") as one, front.start("read", "sv://b") as two:
        assert (one.communicate()[0], two.communicate()[0]) == (b"value-a", b"value-b")
