"""The image of the appliance, built as `make image` builds it and run by a real podman with everything taken away that can be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest
import yaml

from tests.appliance.engine import DNS_NAME, HARDENED, RELAY, ROOT, Contained, Engine, engine, resolvable, until
from tests.world import PATIENCE, end, free_port

NAME = "localhost/stillvault:test"
VALUE = b"a value for the container's relay\n"
GIVEN = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv")  # what podman lays over the image
KERNELS = ("/proc", "/dev", "/sys")
LISTENS, LOOPBACK, EVERYWHERE = "0A", "0100007F:", f"00000000:{8443:04X}"  # as /proc/net/tcp writes them
# Both asked once: somebody may commit between two builds.
REVISION, EPOCH = subprocess.check_output(["git", "log", "-1", "--format=%H %ct"], cwd=ROOT, text=True).split()
MOST_MB = 150  # what the image adds to its base
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="containers without root need a set-up of their own"),
]


@dataclass(frozen=True)
class Built:
    """An engine and the image in it."""

    engine: Engine
    id: str
    megabytes: int


def build(podman: Engine, *words: str, **environment: str) -> Built:
    said = podman.run(*words, IMAGE=NAME, REVISION=REVISION, SOURCE_DATE_EPOCH=EPOCH, **environment)
    found = re.search(r" is (sha256:[0-9a-f]{64})\n(\d+) MB unpacked without its base", said)
    assert found, said
    print(said)
    return Built(podman, found[1], int(found[2]))


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    with engine() as podman:
        yield build(podman, "make", "--no-print-directory", "image")


@pytest.fixture
def world(built: Built) -> Iterator[Contained]:
    """As the fixture of the same name everywhere else, with the relay in a container."""
    root = Path(tempfile.mkdtemp(prefix="sv-"))
    made = Contained(root, built.engine, NAME)
    with resolvable(DNS_NAME):
        try:
            made.start()
            yield made
        finally:
            made.stop()
            built.engine.podman("rm", "--force", "--time", "1", made.name, code=None)
            shutil.rmtree(root, ignore_errors=True)


def test_the_image_says_what_it_is(built: Built) -> None:
    found = built.engine.inspect(NAME)
    config = found["Config"]
    assert config["User"] == "10001:10001"
    assert (list(config["ExposedPorts"]), list(config["Volumes"])) == (["8443/tcp"], ["/data"])
    assert (config["Entrypoint"], config["Cmd"]) == ([RELAY], ["serve"])
    assert found["Healthcheck"]["Test"] == ["CMD", RELAY, "health"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert set(labels) == {"title", "description", "licenses", "version", "revision", "created", "base.digest"}
    assert labels["version"] == "0.1.0" and re.fullmatch(r"sha256:[0-9a-f]{64}", labels["base.digest"])
    created = datetime.fromtimestamp(int(EPOCH), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (labels["revision"], labels["created"]) == (REVISION, created)
    assert built.megabytes < MOST_MB


def test_the_same_image_twice_without_a_network(built: Built) -> None:
    """From a base archive and a wheelhouse, by an engine that never saw either, in a namespace with nothing but itself."""
    given = {"BASE_ARCHIVE": str(ROOT / "build/image/base.tar"), "WHEELHOUSE": str(ROOT / "build/image/wheels")}
    with engine() as other:
        assert build(other, "unshare", "--net", "appliance/image", **given).id == built.id


def test_a_base_without_its_digest_is_refused(built: Built) -> None:
    built.engine.run("appliance/image", code=2, BASE="docker.io/library/python:3.11-slim", WHEELHOUSE="build/image/wheels")


def unprivileged(process: Path, user: str = "10001:10001") -> None:
    """What the kernel says of a process of the image, from outside."""
    lines = (process / "status").read_text().splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    uid, _, gid = user.partition(":")
    assert (set(status["Uid"]), set(status["Gid"])) == ({uid}, {gid})
    assert {status[f"Cap{which}"][0] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"])


@pytest.mark.parametrize("user", ["", "54321:0"])
def test_it_has_nothing_that_it_does_not_need(built: Built, user: str) -> None:
    """As it is documented, in its own network, for any uid, and with no shell to be found: /dev/null lies over it."""
    podman = built.engine
    name = f"bare-{user.partition(':')[0] or 'default'}"
    shells = [word for shell in ("dash", "bash") for word in ("--volume", f"/dev/null:/usr/bin/{shell}:ro")]
    account = ["--user", user] if user else []
    options = ["--network", "none", *account, *shells, "--volume", f"{name}:/data"]
    process = podman.start(name, *options, NAME)
    try:
        podman.ready(name, process)
        podman.podman("healthcheck", "run", name)
        process_id = int(podman.inspect(name)["State"]["Pid"])
        unprivileged(Path(f"/proc/{process_id}"), user or "10001:10001")
        mounts = [line.split() for line in Path(f"/proc/{process_id}/mountinfo").read_text().splitlines()]
        (root,) = (mount for mount in mounts if mount[4] == "/")
        assert "ro" in root[5].split(",")
        writable = {mount[4] for mount in mounts if "rw" in mount[5].split(",") and not mount[4].startswith(KERNELS)}
        assert {"/data"} <= writable <= {"/data", *GIVEN}
        sockets = [line.split() for line in Path(f"/proc/{process_id}/net/tcp").read_text().splitlines()[1:]]
        assert [end for _, end, _, state, *_ in sockets if state == LISTENS and not end.startswith(LOOPBACK)] == [EVERYWHERE]
        assert podman.podman("exec", name, RELAY, "setup-url").startswith("https://localhost:8443/setup#")
        podman.podman("stop", "--time", "5", name)
        assert process.wait(PATIENCE) == 0  # 137 after five seconds
    finally:
        end(process)


def held(world: Contained) -> int:
    """The connections that the relay holds open now."""
    ends = f"{world.port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{ends}") and line.split()[3] == "01" for line in lines)


def test_the_whole_loop_and_a_stop_with_open_streams(world: Contained) -> None:
    """The commands outside, the relay inside as it is shipped, between them TLS with the relay's own CA, under a DNS name."""
    alice = world.create()
    bob = world.person("bob", "approver")
    db = world.client("host/db-1")
    alice.ok("policy", "set", "prod", "--match", "prod/**", "--people", "bob")
    for path in ("prod/db", "prod/other"):
        alice.ok("seal", path, stdin=VALUE)
    with db.daemon():  # its long poll is open from here on
        asking = db.spawn("read", "sv://prod/db")
        bob.ok("approve", "--next", "--wait", "60", "--yes")
        out, said = asking.communicate(timeout=PATIENCE)
        assert (asking.returncode, out) == (0, VALUE), said
        assert "released" in alice.ok("audit", "tail").text
        recipient = str(pyrage.x25519.Identity.generate().to_public())
        world.engine.podman("exec", world.name, RELAY, "backup", "/data/backup.age", "--recipient", recipient)
        before = held(world)
        waiting = bob.spawn("approve", "--next", "--wait", "120", "--yes")  # the stream that a person's device holds open
        until(lambda: held(world) > before, "no stream was opened")
        assert world.relay is not None
        world.engine.podman("stop", "--time", "5", world.name)
        assert world.relay.wait(PATIENCE) == 0  # it ended by itself; podman would have killed it: 137
        end(waiting)
        world.start()  # another container, the same volume
        again = db.spawn("read", "sv://prod/other")
        bob.ok("approve", "--next", "--wait", "60", "--yes")
        out, said = again.communicate(timeout=PATIENCE * 2)
        assert (again.returncode, out) == (0, VALUE), said
    alice.ok("audit", "verify")


def test_a_backup_is_restored_into_a_fresh_volume(built: Built, tmp_path: Path) -> None:
    """As docs/operations/container.md has it; and the newer image's look at the data of one that runs."""
    podman = built.engine
    file = tmp_path / "relay.backup"
    told: dict[str, str] = {}
    for name in ("lost", "restored"):
        volume = ["--network", "none", "--volume", f"{name}:/data"]
        if name == "restored":
            os.chown(file, 10001, 10001)
            mount = ["--volume", f"{file}:/relay.backup:ro"]
            assert "restored from" in podman.podman("run", "--rm", *HARDENED, *volume, *mount, NAME, "restore", "/relay.backup")
        process = podman.start(name, *volume, NAME)
        try:
            podman.ready(name, process)
            told[name] = podman.podman("exec", name, RELAY, "fingerprint")
            podman.podman("exec", name, RELAY, "doctor")
            assert "this program's" in podman.podman("run", "--rm", *volume, NAME, "upgrade", "--check")
            podman.podman("exec", name, RELAY, "backup", "/data/relay.backup")
            podman.podman("cp", f"{name}:/data/relay.backup", str(file))
        finally:
            end(process)
    assert told["lost"] == told["restored"]


def test_kube_play(built: Built, tmp_path: Path) -> None:
    """appliance/kube.yaml, with its name, its port and the image of this test written in."""
    podman, port = built.engine, free_port()
    pod = yaml.safe_load((ROOT / "appliance/kube.yaml").read_text())
    (container,) = pod["spec"]["containers"]
    container["image"] = NAME
    del container["ports"]  # the host's network has no ports to map
    container["env"] = [{"name": "STILLVAULT_RELAY_PUBLIC_URL", "value": f"https://{DNS_NAME}:{port}"},
                        {"name": "STILLVAULT_RELAY_LISTEN", "value": f"127.0.0.1:{port}"}]
    (tmp_path / "kube.yaml").write_text(yaml.safe_dump(pod))
    podman.podman("kube", "play", "--network", "host", str(tmp_path / "kube.yaml"))
    try:
        until(lambda: '"ready"' in podman.podman("logs", "stillvault-relay"), "the relay never said that it is ready")
        podman.podman("healthcheck", "run", "stillvault-relay")
        unprivileged(Path(f"/proc/{podman.inspect('stillvault-relay')['State']['Pid']}"))
        assert podman.podman("exec", "stillvault-relay", RELAY, "setup-url").startswith(f"https://{DNS_NAME}:{port}/setup#")
    finally:
        podman.podman("kube", "down", str(tmp_path / "kube.yaml"))
