"""psql through `run`: a password in a variable, a pass file in memory, and what libpq does not take. A real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agents.helpers.conftest import PASSWORD, Place, needed, nothing_leaks
from tests.world import PATIENCE, STILLVAULT, end, free_port


class Server:
    """A PostgreSQL that wants the password of `postgres`."""

    def __init__(self) -> None:
        needed("psql")
        self.folder = Path(tempfile.mkdtemp(prefix="sv-pg-"))
        self.port = free_port()
        who: dict[str, Any] = {}
        if os.getuid() == 0:  # it refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        assert found, "no PostgreSQL server is installed: run tools/setup as root"
        programs = found[-1].parent
        first = self.folder / "first"
        first.write_text(PASSWORD + "\n")
        first.chmod(0o644)
        data = self.folder / "data"
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.folder)}
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={first}", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, env=environment, cwd=self.folder, **who)
        self.process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(self.port), "-k", self.folder, "-c", "listen_addresses=127.0.0.1",
             "-c", "fsync=off"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
            cwd=self.folder, **who)
        subprocess.run(["sh", "-c", f"until pg_isready -q -h 127.0.0.1 -p {self.port}; do sleep 0.1; done"], check=True,
                       timeout=PATIENCE)

    @property
    def psql(self) -> list[str]:
        return ["psql", "-w", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-XAtc", "select 6 * 7"]

    @property
    def pass_line(self) -> str:
        """A line of a pass file: `:` and `\\` are escaped (libpq, The Password File)."""
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        return f"127.0.0.1:{self.port}:*:postgres:{escaped}\n"

    def close(self) -> None:
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def test_a_password_in_a_variable(place: Place, server: Server) -> None:
    place.seal("once/pg", PASSWORD)
    done, card = place.approved(STILLVAULT, "run", "--env", "PGPASSWORD=sv://once/pg", "--", *server.psql)
    assert (done.code, done.out) == (0, b"42\n"), done.said
    assert card["claimed"]["argv"][0] == "psql"
    nothing_leaks(done, PASSWORD)


def test_a_pass_file_in_memory(place: Place, server: Server) -> None:
    place.seal("once/pgpass", server.pass_line)
    for masking in ([], ["--no-masking"]):
        done, _ = place.approved(STILLVAULT, "run", *masking, "--file", "PGPASSFILE=sv://once/pgpass", "--", *server.psql)
        assert (done.code, done.out) == (0, b"42\n"), done.said
        assert "password file" not in done.said  # no warning about its mode or kind
    place.seal("once/pgpass", server.pass_line.replace("$", "_"))
    wrong, _ = place.approved(STILLVAULT, "run", "--file", "PGPASSFILE=sv://once/pgpass", "--", *server.psql)
    assert wrong.code == 2 and "password authentication failed" in wrong.said


def test_what_the_file_in_memory_is(place: Place) -> None:
    """Of this account alone, whole, as it was sealed, unchangeable, not in the environment, and gone with the command."""
    value = b"binary \0\xff\n" * 6000
    place.seal("once/file", value)
    look = ('import os,sys;p=os.environ["F"];s=os.stat(p);d=open(p,"rb").read();print(oct(s.st_mode),len(d),p)\n'
            'try: os.write(os.open(p,os.O_WRONLY),b"x")\nexcept OSError as e: print(e.strerror)\n'
            'print(b"binary" in open("/proc/self/environ","rb").read(), hash(d) == hash(open(p,"rb").read()))')
    done, _ = place.approved(STILLVAULT, "run", "--file", "F=sv://once/file", "--", "python3", "-c", look)
    lines = done.text.splitlines()
    assert lines[0].startswith(f"0o100600 {len(value)} /proc/self/fd/"), (lines, done.said)
    assert lines[1:] == ["Operation not permitted", "False True"]
    shown, _ = place.approved(STILLVAULT, "run", "--file", "F=sv://once/file", "--", "sh", "-c", 'cat "$F"')
    assert value not in shown.out  # masked as any value is
    raw, _ = place.approved(STILLVAULT, "run", "--no-masking", "--file", "F=sv://once/file", "--", "sh", "-c", 'cat "$F"')
    assert raw.out == value
    both, card = place.approved(STILLVAULT, "run", "--no-masking", "--env", "A=sv://once/pg", "--file", "B=sv://once/pg", "--",
                                "sh", "-c", 'printf %s "$A"; cat "$B"')
    assert both.text == PASSWORD * 2 and len(card["requests"]) == 1
    for words in (["--file", "F"], ["--file", "F=x"], ["--file", "1=sv://a"]):
        assert place.run(STILLVAULT, "run", *words, "--", "true").code == 2, words
    dry = place.run(STILLVAULT, "run", "--dry-run", "--file", "F=sv://once/file", "--", "true")
    assert dry.code == 0 and "once/file" in dry.text + dry.said


def test_a_pipe_is_no_pass_file(place: Place, server: Server) -> None:
    """Why the guide does not say `PGPASSFILE=<(stillvault read ..)`."""
    place.seal("once/pgpass", server.pass_line)
    script = f"PGPASSFILE=<(stillvault read sv://once/pgpass) {' '.join(server.psql[:-2])} -XAtc 'select 1'"
    done = place.run("bash", "-c", script)
    assert done.code == 2 and "is not a plain file" in done.said
