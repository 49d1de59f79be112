"""`LoadCredential` over a socket: by hand, as systemd speaks, and by a real user manager in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.helpers.conftest import Place
from tests.world import PATIENCE, STILLVAULT, end, read_line

LIMIT = 1024 * 1024  # bytes; what systemd takes for one credential (systemd.exec(5))
VALUE = b"\0\xff any bytes\n" * 100
TABLE = """# unit, credential, reference
web.service db sv://once/unit
worker@.service db sv://once/unit#k
probe.service db sv://once/text
a.service db sv://kept/unit
b.service key sv://kept/unit
"""


class Served:
    """The server, its table and its socket."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.folder = place.world.root / "sd"
        self.folder.mkdir(mode=0o755)
        self.socket, self.table = self.folder / "c.sock", self.folder / "table"
        self.table.write_text(TABLE)
        self.table.chmod(0o644)
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        words = [STILLVAULT, "credential", "systemd", "--map", self.table, "--socket", self.socket, "--ttl", "1m"]
        process = self.place.start(*words)
        assert json.loads(read_line(process)) == {"v": 1, "event": "ready", "socket": str(self.socket)}
        return process

    def connect(self, address: bytes | None) -> socket.socket:
        """As systemd connects: from an address that says who wants what, and with nothing to say."""
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(PATIENCE)
        if address is not None:
            link.bind(b"\0" + address)
        link.connect(str(self.socket))
        link.shutdown(socket.SHUT_WR)
        return link


def all_of(link: socket.socket) -> bytes:
    found = b""
    with link:
        while piece := link.recv(1 << 16):
            found += piece
    return found


@pytest.fixture(scope="module")
def served(place: Place) -> Iterator[Served]:
    place.seal("once/unit", VALUE)
    place.seal("once/text", b"the value of a unit")
    made = Served(place)
    yield made
    end(made.process)


def test_a_unit_gets_what_the_table_names(place: Place, served: Served) -> None:
    link = served.connect(b"0a1b2c/unit/web.service/db")
    card = place.decide("approve")
    assert all_of(link) == VALUE
    assert card["claimed"]["argv"] == ["systemd", "web.service", "db"]
    assert Path(card["exe"]).name == "stillvault"
    assert card["requests"][0]["secret"] == "once/unit"


def test_a_refusal_is_more_than_systemd_takes(place: Place, served: Served) -> None:
    """A plain close would be an empty credential, and the unit would start with it."""
    link = served.connect(b"1/unit/web.service/db")
    place.wait_for_card()
    place.alice.ok("deny", place.cards()[0]["id"])
    refused = all_of(link)
    assert len(refused) > LIMIT and set(refused) == {0}
    for address in (b"2/unit/web.service/other", b"3/unit/other.service/db", b"4/unit/worker@1.service/none",
                    b"5/user/web.service/db", b"6/unit/web.service", b"7/unit/web.service/db/x", b"8", None):
        assert len(all_of(served.connect(address))) > LIMIT, address
    # A field that the value does not have: asked, released, and refused on this side.
    link = served.connect(b"9/unit/worker@1.service/db")
    place.decide("approve")
    assert len(all_of(link)) > LIMIT
    assert place.cards() == []


def test_a_lease_is_the_servers(place: Place, served: Served) -> None:
    """Within the window, whatever the table maps to the same secret is served, as the guide says."""
    place.seal("kept/unit", VALUE)
    link = served.connect(b"1/unit/a.service/db")
    place.decide("approve")
    assert all_of(link) == VALUE
    assert all_of(served.connect(b"2/unit/b.service/key")) == VALUE
    assert len(all_of(served.connect(b"3/unit/b.service/db"))) > LIMIT
    assert place.cards() == []


def test_a_start_that_was_given_up_withdraws_its_card(place: Place, served: Served) -> None:
    link = served.connect(b"1/unit/web.service/db")
    place.wait_for_card()
    link.close()
    for _ in range(200):
        if not place.cards():
            return
    raise AssertionError("the card is still there")


def test_several_units_wait_at_once(place: Place, served: Served) -> None:
    links = [served.connect(f"{number}/unit/{unit}/db".encode()) for number, unit in enumerate(["web.service", "probe.service"])]
    answers: dict[int, bytes] = {}

    def take(number: int) -> None:
        answers[number] = all_of(links[number])

    threads = [threading.Thread(target=take, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        place.decide("approve")
    for thread in threads:
        thread.join()
    assert answers == {0: VALUE, 1: b"the value of a unit"}


@pytest.mark.skipif(os.getuid() != 0, reason="without root there is no second account")
def test_only_root_and_our_own_account_are_answered(place: Place, served: Served) -> None:
    assert served.socket.stat().st_mode & 0o777 == 0o600
    served.socket.chmod(0o666)
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(b'\\0' + b'9/unit/web.service/db')\n"
            f"s.connect({str(served.socket)!r})\nn = 0\nwhile p := s.recv(65536): n += len(p)\nprint(n)\n")
    done = subprocess.run(["python3", "-c", code], capture_output=True, user=65534, group=65534, extra_groups=[],
                          timeout=PATIENCE, check=False, env={"PATH": os.environ["PATH"]}, cwd="/")
    served.socket.chmod(0o600)
    if done.returncode == 0:
        assert int(done.stdout) > LIMIT
    else:
        assert b"PermissionError" in done.stderr  # the way to the socket is closed to it already
    assert place.cards() == []


def test_the_server_keeps_its_place(place: Place, served: Served) -> None:
    words = [STILLVAULT, "credential", "systemd", "--map", served.table, "--socket"]
    taken = place.run(*words, served.socket)
    assert taken.code == 1 and "in use" in taken.said
    (served.folder / "file").write_text("x")
    assert place.run(*words, served.folder / "file").code == 1
    wide = served.folder / "wide"
    wide.mkdir()
    wide.chmod(0o777)
    assert place.run(*words, wide / "s").code == 15
    served.table.chmod(0o666)
    assert place.run(*words, served.folder / "s").code == 15
    served.table.chmod(0o644)
    done = place.run(STILLVAULT, "credential", "systemd", "--map", served.table, stdin=b"")
    assert done.code == 2 and "not a connection" in done.said
    served.process.kill()  # a socket is left behind
    served.process.wait()
    served.process = served.start()
    end(served.process)
    assert not served.socket.exists()
    served.process = served.start()


@pytest.mark.skipif(os.getuid() != 0, reason="mount namespaces need root")
def test_a_real_manager_starts_a_unit_with_it_and_not_without(place: Place, served: Served) -> None:
    """systemd itself, as a user manager. It wants a booted system, which an empty directory in a /run of its own says."""
    manager = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), None)
    assert manager is not None, "systemd is not installed: run tools/setup as root"
    units, out = served.folder / "config" / "systemd" / "user", served.folder / "out"
    units.mkdir(parents=True)
    unit = f"[Service]\nType=oneshot\nTimeoutStartSec=2min\nLoadCredential=db:{served.socket}\n" \
           f"ExecStart=/bin/sh -c 'cat \"$${{CREDENTIALS_DIRECTORY}}/db\" >{out}'\n"
    (units / "probe.service").write_text(unit)
    script = f"""
mount -t tmpfs none /run && mount --make-rshared / && mkdir -p /run/systemd/system && mkdir -m 700 /run/own
export XDG_RUNTIME_DIR=/run/own XDG_CONFIG_HOME={served.folder}/config DBUS_SESSION_BUS_ADDRESS=
{manager} --user --unit=basic.target >{served.folder}/manager.log 2>&1 &
tries=0; until [ -S /run/own/systemd/private ]; do tries=$((tries + 1)); [ $tries -lt 300 ] || exit 9; sleep 0.1; done
read first; systemctl --user start probe.service; echo "ended $?"
read second; rm -f {out}; systemctl --user start probe.service; echo "ended $?"
systemctl --user show -p ExecMainStatus --value probe.service
systemctl --user exit; wait
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(place.work)}
    house = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    place.world.processes.append(house)
    assert house.stdin is not None
    house.stdin.write(b"\n")
    house.stdin.flush()
    card = place.decide("approve")
    assert card["claimed"]["argv"] == ["systemd", "probe.service", "db"]
    assert read_line(house) == b"ended 0\n"
    assert out.read_bytes() == b"the value of a unit"
    house.stdin.write(b"\n")
    house.stdin.flush()
    place.wait_for_card()
    place.alice.ok("deny", place.cards()[0]["id"])
    assert read_line(house) == b"ended 1\n"
    assert read_line(house) == b"243\n"  # CREDENTIALS: the unit never ran
    assert not out.exists()
    assert house.wait(PATIENCE) == 0
