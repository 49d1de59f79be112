"""The audit log on its way out: syslog to a real rsyslog over TLS, a signed webhook, a cursor that outlives the relay."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import hmac
import json
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from stillvault.relay import tls
from stillvault.relay.notify.apart import connected
from tests.relay.listeners import Listener, certificate, closed_port, listening, until
from tests.relay.parties import Json, Organisation
from tests.relay.process import PATIENCE, RelayProcess

SECRET = "f" * 40


@contextlib.contextmanager
def running(directory: Path, **settings: str) -> Iterator[Organisation]:
    relay = RelayProcess(directory / "data", **{f"forward.{name}": value for name, value in settings.items()}).start()
    try:
        yield Organisation(relay).create()
    finally:
        relay.stop()


def refusals(org: Organisation) -> list[Json]:
    """What the relay's own log says of tries that failed."""
    return [json.loads(line) for line in org.relay.stderr if b"not forwarded" in line]


def index_of(rows: list[Json]) -> list[int]:
    return [row["index"] for row in rows]


# ---- syslog ------------------------------------------------------------------------------------------------------------

RSYSLOG = """
global(workDirectory="{folder}" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca}"
       defaultNetstreamDriverCertFile="{chain}" defaultNetstreamDriverKeyFile="{key}" maxMessageSize="64k")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="{auth}" {peer})
template(name="parts" type="list") {{
  property(name="pri") constant(value=" ") property(name="timereported" dateFormat="rfc3339") constant(value=" ")
  property(name="hostname") constant(value=" ") property(name="app-name") constant(value=" ") property(name="msgid")
  constant(value=" ") property(name="structured-data") constant(value=" ") property(name="msg") constant(value="\\n")
}}
input(type="imtcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{folder}/rows" template="parts")
"""


class Rsyslog:
    """A real rsyslog with TLS, on a port that stays the same when it starts again."""

    def __init__(self, directory: Path, *, client_certificates: bool = False) -> None:
        self.folder = directory / "rsyslog"
        self.folder.mkdir()
        self.ca, _ = certificate(self.folder)
        with closed_port() as holder:
            self.port = holder.getsockname()[1]
        tail = self.ca.parent
        peer = 'permittedPeer=["relay.test"]' if client_certificates else ""
        auth = "x509/name" if client_certificates else "anon"
        text = RSYSLOG.format(
            folder=self.folder, ca=self.ca, chain=tail / "relay.pem", key=tail / "relay.key", port=self.port, auth=auth, peer=peer
        )
        (self.folder / "conf").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
        assert program, "rsyslog is not installed: run tools/setup"
        command = [program, "-n", "-iNONE", "-f", str(self.folder / "conf")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._listens)

    def _listens(self) -> bool:
        assert self.process and self.process.poll() is None, "rsyslog has ended"
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def lines(self) -> list[str]:
        file = self.folder / "rows"
        return file.read_text().splitlines() if file.exists() else []

    def rows(self) -> list[Json]:
        return [json.loads(line[line.index("{") :]) for line in self.lines() if " stillvault " in line]

    def settings(self) -> dict[str, str]:
        return {"egress": f"localhost:{self.port}", "syslog": f"localhost:{self.port}", "ca": str(self.ca)}


@pytest.fixture
def rsyslog(directory: Path) -> Iterator[Rsyslog]:
    server = Rsyslog(directory)
    yield server
    server.stop()


def test_rsyslog_gets_every_row_in_order(directory: Path, rsyslog: Rsyslog) -> None:
    rsyslog.start()
    with running(directory, **rsyslog.settings()) as org:
        db, secret = org.client(), org.seal()
        request, _, _ = db.ask()
        org.deny(org.admin, (request, secret)).ok()
        leaves = org.leaves()
        until(lambda: len(rsyslog.rows()) >= len(leaves))
    rows = rsyslog.rows()
    assert index_of(rows)[: len(leaves)] == list(range(len(leaves)))
    assert [row["kind"] for row in rows][: len(leaves)] == [leaf["kind"] for leaf in leaves]
    denied = next(line for line in rsyslog.lines() if " denied " in line)
    stamp = datetime.datetime.fromtimestamp(next(row["time"] for row in rows if row["kind"] == "denied"), datetime.UTC)
    head = f"109 {stamp:%Y-%m-%dT%H:%M:%S}"
    assert denied.startswith(head), "facility 13 (log audit), severity notice, the time of the row"
    assert ' localhost stillvault denied [origin software="stillvault-relay" swVersion="' in denied


def test_rows_wait_for_a_receiver_and_for_a_relay(directory: Path, rsyslog: Rsyslog) -> None:
    """The receiver is not there, then the relay is killed, then both are: nothing is missing."""
    with running(directory, **rsyslog.settings()) as org:
        org.seal()
        org.relay.stop(signal.SIGKILL)
        org.relay.start()
        org.seal("prod/other")
        leaves = org.leaves()
        rsyslog.start()
        until(lambda: len(rsyslog.rows()) >= len(leaves))
        assert index_of(rsyslog.rows()) == list(range(len(leaves)))
        # The place is kept: a relay that starts again sends what is new and not the rest.
        until(lambda: _kept(org, len(leaves)))
        rsyslog.stop()
        org.relay.stop()
        org.relay.start()
        org.seal("prod/third")
        rsyslog.start()
        until(lambda: any(row.get("secret") == "prod/third" for row in rsyslog.rows()))
    rows = rsyslog.rows()
    assert index_of(rows) == sorted(index_of(rows))
    assert index_of(rows).count(0) == 1


def _kept(org: Organisation, size: int) -> bool:
    connection = apsw.Connection(str(org.relay.data / "stillvault.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = connection.execute("SELECT value FROM meta WHERE name LIKE 'forwarded syslog %'").get
        return int(found or 0) >= size
    finally:
        connection.close()


def test_a_receiver_that_wants_a_certificate_gets_one(directory: Path) -> None:
    server = Rsyslog(directory, client_certificates=True)
    chain, key = tls.prepare(server.folder, ["relay.test", "localhost", "127.0.0.1"], datetime.datetime.now(datetime.UTC))
    server.start()
    try:
        with running(directory, **server.settings(), syslog_cert=str(chain), syslog_key=str(key)) as org:
            until(lambda: len(server.rows()) >= len(org.leaves()))
    finally:
        server.stop()


@pytest.mark.parametrize("end", ["goodbye", "close", "reset"])
def test_only_a_receiver_that_closes_in_order_has_the_rows(directory: Path, end: str) -> None:
    ca, context = certificate(directory / "receiver")
    batches: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        taking = threading.Thread(target=_take, args=(listener, context, batches, end))
        taking.start()
        with running(directory, egress=f"localhost:{port}", syslog=f"localhost:{port}", ca=str(ca)) as org:
            if end == "reset":
                until(lambda: len(batches) > 1)
                assert batches[1].startswith(batches[0][:100]), "the same rows again"
                assert refusals(org)[0]["code"] == "connect"
                assert not _kept(org, 1)
            else:
                until(lambda: _kept(org, 1))
        listener.shutdown(socket.SHUT_RDWR)
        taking.join()


def _take(listener: socket.socket, context: ssl.SSLContext, batches: list[bytes], end: str) -> None:
    while True:
        try:
            raw, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as connection:
            got = connection.recv(65536)
            if end == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                while part := connection.recv(65536):
                    got += part
            batches.append(got)
            if end == "goodbye":
                connection.unwrap()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9"])
def test_a_receiver_at_any_address_of_its_name_is_found(directory: Path, address: str) -> None:
    """The name has two addresses, and nobody is at the other one. Which of them comes first is the resolver's matter."""
    (directory / "hosts").write_text("127.0.0.9 localhost\n127.0.0.1 localhost\n")
    ca, context = certificate(directory / "receiver")
    batches: list[bytes] = []
    with socket.create_server((address, 0)) as listener:
        port = listener.getsockname()[1]
        taking = threading.Thread(target=_take, args=(listener, context, batches, "goodbye"))
        taking.start()
        settings = {"egress": f"localhost:{port}", "syslog": f"localhost:{port}", "ca": str(ca)}
        relay = RelayProcess(directory / "data", **{f"forward.{name}": value for name, value in settings.items()})
        own_hosts = f'mount --bind {directory}/hosts /etc/hosts && exec "$0" "$@"'
        relay.before = ("unshare", "--mount", "sh", "-c", own_hosts)  # needs root, and fails without it
        try:
            org = Organisation(relay.start()).create()
            until(lambda: _kept(org, 1))
        finally:
            relay.stop()
            listener.shutdown(socket.SHUT_RDWR)
            taking.join()
    assert batches


def test_an_address_that_swallows_everything_leaves_time_for_the_next() -> None:
    with socket.create_server(("127.0.0.9", 0), backlog=0) as hole, contextlib.ExitStack() as waiting:
        port = hole.getsockname()[1]
        for _ in range(4):  # its queue is full: what comes now gets no answer
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.9", port))
        with socket.create_server(("127.0.0.1", port)), connected(["127.0.0.9", "127.0.0.1"], port, 2) as made:
            assert made.getpeername() == ("127.0.0.1", port)
        with pytest.raises(TimeoutError):
            connected(["127.0.0.9"], port, 0.1)


def test_a_receiver_of_another_authority_gets_nothing(directory: Path, rsyslog: Rsyslog) -> None:
    other, _ = certificate(directory / "other")
    rsyslog.start()
    with running(directory, **{**rsyslog.settings(), "ca": str(other)}) as org:
        said = until(lambda: refusals(org))
        assert said[0]["code"] == "certificate"
    assert rsyslog.rows() == []


# ---- the webhook -------------------------------------------------------------------------------------------------------


def webhook(listener: Listener, **more: str) -> dict[str, str]:
    host = f"http://127.0.0.1:{listener.port}"
    return {"egress": host, "webhook": f"{host}/siem", "webhook_secret": SECRET, **more}


def arrived(listener: Listener) -> list[Json]:
    return [row for one in listener.arrived for row in json.loads(one.body)["rows"]]


def test_the_webhook_is_signed_and_complete(directory: Path) -> None:
    with listening() as listener, running(directory, **webhook(listener)) as org:
        org.seal()
        leaves = org.leaves()
        until(lambda: len(arrived(listener)) >= len(leaves))
    assert index_of(arrived(listener)) == list(range(len(arrived(listener))))
    for one in listener.arrived:
        said = json.loads(one.body)
        assert (said["v"], said["event"], said["format"], said["first"]) == (1, "audit", "json", said["rows"][0]["index"])
        stamp = one.headers["stillvault-timestamp"]
        tag = hmac.new(SECRET.encode(), f"{stamp}.".encode() + one.body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(one.headers["stillvault-signature"], f"v1={tag}")


def test_a_refused_batch_comes_again(directory: Path) -> None:
    with listening(500, 403, 200) as listener, running(directory, **webhook(listener)) as org:
        leaves = org.leaves()
        until(lambda: len(listener.arrived) >= 3 and max(index_of(arrived(listener))) >= len(leaves) - 1)
        assert [json.loads(one.body)["first"] for one in listener.arrived[:3]] == [0, 0, 0]


def test_a_form_for_collectors(directory: Path) -> None:
    with listening() as listener, running(directory, **webhook(listener, format="ocsf")) as org:
        org.seal()
        sealed = until(lambda: [one for one in arrived(listener) if one["metadata"]["event_code"] == "sealed"])[0]
    assert (sealed["class_uid"], sealed["type_uid"], sealed["entity"]["name"]) == (3004, 300401, "prod/db")


# ---- where to ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"syslog": "siem.corp:6514"}, "forward.syslog: forward.egress does not list it. Add siem.corp:6514 there."),
        ({"webhook": "https://siem.corp/x", "webhook_secret": SECRET}, "forward.webhook: forward.egress does not list it."),
        ({"traces": "https://otel.corp:4318/v1/traces"}, "forward.traces: forward.egress does not list it."),
        ({"egress": "SIEM.corp"}, "forward.egress: an entry is not"),
        ({"egress": "siem.corp", "webhook": "https://siem.corp/x"}, "forward.webhook_secret: it is not 32 to 256"),
        ({"egress": "http://siem.corp", "syslog": "http://siem.corp"}, "always with TLS"),
        ({"syslog_cert": "/x.pem"}, "forward.syslog_cert: a certificate and its key come together"),
        ({"egress": "siem.corp", "syslog": "siem.corp", "ca": "/nonexistent"}, "forward.ca: it cannot be read"),
    ],
)
def test_a_receiver_that_is_not_allowed_is_refused(directory: Path, settings: dict[str, str], said: str) -> None:
    relay = RelayProcess(directory / "data", **{f"forward.{name}": value for name, value in settings.items()})
    done = relay.command("serve", "--data", str(relay.data), "--listen", "127.0.0.1:0")
    assert (done.returncode, said in done.stderr.decode()) == (78, True), done.stderr


def test_the_secret_is_never_shown(directory: Path) -> None:
    relay = RelayProcess(directory / "data", **{"forward.webhook_secret": SECRET})
    shown = relay.command("config", "--data", str(relay.data), "show").stdout
    assert b'forward.webhook_secret = "(hidden)"' in shown
    assert SECRET.encode() not in shown
