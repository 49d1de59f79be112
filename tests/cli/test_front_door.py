"""The rules that every verb keeps: options before and after, errors, exit codes, help, JSON, hostile strings."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from stillvault.crypto.public import b64encode
from stillvault.protocol.text import HIDDEN
from tests.world import PATIENCE, SCRIPTS, STILLVAULT, World

VERBS = [
    "org create", "org show", "org renew", "org admin add", "person invite", "person set", "person remove", "client invite",
    "client list", "client revoke", "join", "invites", "confirm", "hold", "policy set", "policy remove",
    "policy list", "reseal", "seal", "secrets",
    "daemon", "read", "wait", "run", "inject", "leases", "whoami", "credential", "requests", "cancel", "inbox", "approve", "deny",
    "freeze", "audit tail", "audit export", "audit verify", "doctor", "completion", "scan", "hook", "init", "mcp",
    "skill install", "skill status", "skill verify", "skill uninstall", "skill marketplace",
]


def run(*arguments: str, home: Path = Path("/nonexistent"), program: Path = STILLVAULT,
        **extra: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "STILLVAULT_HOME": str(home), "HOME": str(home), "LANG": "C.UTF-8", **extra}
    return subprocess.run([str(program), *arguments], capture_output=True, env=environment, stdin=subprocess.DEVNULL,
                          timeout=PATIENCE, check=False)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_the_contract_has_help(verb: str) -> None:
    done = run(*verb.split(), "--help", program=SCRIPTS / "stillvault-python")
    assert done.returncode == 0, done.stderr
    assert b"--format" in done.stdout
    assert b"--no-input" in done.stdout


def test_the_exit_codes_are_told() -> None:
    done = run("--format", "json", "help", "exit-codes", program=SCRIPTS / "stillvault-python")
    codes = [one["code"] for one in json.loads(done.stdout)["exit_codes"]]
    assert codes == [0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 125, 126, 127, 130]
    assert run("help", "exit-codes").returncode == 0
    assert run("help", "approve").returncode == 0
    assert run("help", "nonsense").returncode == 2


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["approve", "--nonsense"], ["org"], ["org", "nonsense"],
                                       ["daemon", "--socket", ""], ["daemon", "--identities", ""],
                                       ["--format", "xml", "inbox"], ["policy", "set"], ["confirm", "bob"], ["hold"]])
def test_a_bad_line_is_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_verb_of_several_that_is_missing_is_shown_the_list() -> None:
    done = run("policy")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Commands:\n  list " in done.stderr and b"\\u{" not in done.stderr
    record = json.loads(run("--format", "json", "policy").stderr)["error"]
    assert (record["code"], record["message"]) == ("usage", "a verb is missing")


def test_options_are_taken_before_and_after_the_verb() -> None:
    for arguments in (["--format", "json", "--no-input", "inbox"], ["inbox", "--format", "json", "--no-input"],
                      ["--no-input", "inbox", "--format", "json"]):
        done = run(*arguments)
        assert done.returncode == 2
        assert done.stdout == b""
        assert json.loads(done.stderr)["error"]["code"] == "no-home"


def test_a_home_that_is_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    wide = tmp_path / "wide"
    wide.mkdir(mode=0o777)
    wide.chmod(0o777)
    for home in (file, wide, tmp_path / "missing"):
        for verb in (["inbox"], ["org", "show"], ["doctor"], ["secrets"]):
            done = run(*verb, home=home)
            assert done.returncode in (1, 2)
            assert b"Traceback" not in done.stderr
    assert b"chmod 700" in run("inbox", home=wide).stderr


def test_a_daemon_with_a_damaged_pin_does_not_start(small: World) -> None:
    db = small.parties["host/db-1"]
    whole = (db.home / "ca.pem").read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\xff garbage", b"[]"):
        (db.home / "ca.pem").write_bytes(damaged)
        said = db.fails(15, "daemon", "--socket", str(small.root / "d.sock"))
        assert said.startswith("untrusted: tls\n"), said
    (db.home / "ca.pem").write_bytes(whole)
    with db.daemon():
        assert db.json("leases")["leases"] == []


HOSTILE = [
    "\x1b[2J\x1b]0;x\x07\x7f\x9b31m", "\u202etxt a\u200bb\ufeff\U000e0041", "new\nline\ttab", "../../etc/passwd", "-rf",
    "--help=1",
    "$(id)`id`'; drop table x; --<script>alert(1)</script>", "%00%s%n", "x" * 5000, "\u212a", "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_reach_no_terminal(town: World, text: str) -> None:  # X2, X3, X8, C3
    alice = town.parties["alice"]
    for verb in (["seal", "--", text], ["approve", "--yes", "--", text], ["deny", "--", text],
                 ["person", "invite", "--role", "sealer", "--", text],
                 ["policy", "set", "--match", text, "--people", "alice", "x"],
                 ["policy", "set", "--people", text, "x"], ["confirm", "--words", text, "bob"], ["join", "--", text],
                 ["cancel", "--", text], ["hold", "--for", "1h", "--", text],
                 ["audit", "verify", "--file", text], ["reseal", "--", text], ["client", "revoke", "--", text]):
        done = alice.run(*verb, stdin=b"x")
        assert done.code in (1, 2, 13, 14, 15), (verb, done.code, done.said)
        printed = (done.out + done.err).decode()
        assert not HIDDEN.search(printed.replace("\n", "")), verb
        assert "Traceback" not in printed


def test_nothing_is_said_twice(town: World) -> None:
    """Data on stdout alone, everything else on stderr: a pipe gets nothing but the answer."""
    alice = town.parties["alice"]
    for verb in (["inbox"], ["org", "show"], ["secrets"], ["policy", "list"], ["invites"], ["requests"], ["doctor"]):
        done = alice.run("--format", "json", *verb)
        assert done.json["v"] == 1, verb
        assert len(done.out.splitlines()) == 1
    assert "code" not in alice.run("secrets", "NOPE").text


def test_completion_knows_every_verb() -> None:
    for shell in ("bash", "zsh", "fish"):
        done = run("completion", shell)
        assert done.returncode == 0
        assert b"_STILLVAULT_COMPLETE" in done.stdout
    done = run(_STILLVAULT_COMPLETE="bash_complete", COMP_WORDS="stillvault ", COMP_CWORD="1")
    offered = set(re.findall(r"plain,(\S+)", done.stdout.decode()))
    assert {verb.split()[0] for verb in VERBS} <= offered


def test_a_closed_pipe_is_no_traceback(town: World) -> None:
    alice = town.parties["alice"]
    process = subprocess.Popen([str(STILLVAULT), "audit", "tail", "-n", "100000"], env=alice.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(PATIENCE) in (0, 1)
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_interrupted_is_130(town: World) -> None:
    import signal

    carol = town.parties["carol"]
    waiting = carol.spawn("approve", "--next", "--wait", "600", "--yes")
    try:
        waiting.wait(1.5)
    except subprocess.TimeoutExpired:
        pass
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(PATIENCE) == 130


def test_the_audit_is_verified_here_and_elsewhere(town: World, tmp_path: Path) -> None:  # B7
    alice = town.parties["alice"]
    assert alice.json("audit", "verify")["verified"] is True
    org = alice.json("org", "show")["org_id"]
    exported = alice.ok("audit", "export").out
    good = tmp_path / "log.jsonl"
    good.write_bytes(exported)
    nowhere = town.party("auditor-without-a-home")
    assert nowhere.json("audit", "verify", "--file", str(good), "--org", org)["size"] == len(exported.splitlines()) - 1
    assert "pin" in nowhere.fails(2, "audit", "verify", "--file", str(good))
    nowhere.fails(15, "audit", "verify", "--file", str(good), "--org", "A" * 43)
    for kind in ("ocsf", "cef"):
        assert len(alice.ok("audit", "export", "--as", kind).out.splitlines()) == len(exported.splitlines()) - 1
    lines = exported.splitlines(keepends=True)
    damaged = {"edited": exported.replace(b'"bob"', b'"eve"', 1), "removed": b"".join(lines[:3] + lines[4:]),
               "reordered": b"".join([lines[1], lines[0], *lines[2:]]), "truncated": b"".join(lines[:-1]),
               "added": b"".join([*lines[:-1], lines[-2], lines[-1]]), "cut": exported[:-20], "empty": b"",
               "shorter": b"".join(lines[:-2] + lines[-1:]), "deep": b"".join([b'{"index":' + b"[" * 9000 + b"\n", *lines[1:]]),
               "renumbered": b"".join([*lines[:3], re.sub(rb'"index":\d+', b'"index":3', lines[4]), *lines[5:]])}
    for name, content in damaged.items():
        bad = tmp_path / name
        bad.write_bytes(content)
        assert "untrusted: log-" in nowhere.fails(15, "audit", "verify", "--file", str(bad), "--org", org), name
    last = json.loads(lines[-1])
    last["roster"]["payload"] = b64encode(b'{"issued":"never"}')
    good.write_bytes(b"".join([*lines[:-1], json.dumps(last, separators=(",", ":")).encode()]))
    assert "untrusted: field" in nowhere.fails(15, "audit", "verify", "--file", str(good), "--org", org)
