"""The units of systemd, by systemd's own eyes: `verify` reads them, `security` says how much each could still do; and the host's
daemon as a real manager starts it, in a mount namespace of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.appliance.engine import until
from tests.world import PATIENCE, RELAY, STILLVAULT, World, end, read_line

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "appliance" / "systemd"
# The most exposure that each may have, in systemd's tenths from 0 to 100; docs/operations/install.md states what was measured.
MOST = {"stillvault-relay.service": 15, "stillvault.service": 23, "user/stillvault.service": 62}
CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE = 2, 19
PROGRAMS = {"stillvault": STILLVAULT, "stillvault-relay": RELAY}


@pytest.mark.parametrize("name", MOST)
def test_systemd_takes_it_whole_and_finds_it_tight(name: str, tmp_path: Path) -> None:
    """With the programs of this environment in the place of those that the page installs."""
    text = (UNITS / name).read_text()
    (program,) = re.findall(r"^ExecStart=(\S+)", text, flags=re.MULTILINE)
    text = text.replace(program, str(PROGRAMS[Path(program).name]))
    unit = tmp_path / Path(name).name
    unit.write_text(text)
    own = ["--user"] if name.startswith("user/") else ["--system"]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *own, unit], capture_output=True, text=True, check=False,
                          env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
    about = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, about) == (0, []), done.stderr
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST[name]}", unit]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout.splitlines()[-1])


def test_every_unit_is_looked_at() -> None:
    assert {str(path.relative_to(UNITS)) for path in UNITS.rglob("*.service")} == set(MOST)


MANAGER = """
mount -t tmpfs none /run && mount --make-rshared / && mkdir -p /run/systemd/system $I/dir && : >$I/reg && mkfifo $I/fifo
mknod $I/chr c 0 0; mknod $I/blk b 0 0; cp -a $I/reg $I/sock; chmod 000 $I/*
/lib/systemd/systemd --user --unit=basic.target >$XDG_RUNTIME_DIR/manager.log 2>&1 &
tries=0; until [ -S $XDG_RUNTIME_DIR/systemd/private ]; do tries=$((tries + 1)); [ $tries -lt 300 ] || exit 9; sleep 0.1; done
systemctl --user start stillvault.service; echo "started $?"
systemctl --user show -p MainPID --value stillvault.service
read stop; systemctl --user stop stillvault.service; systemctl --user show -p Result --value stillvault.service
systemctl --user exit; wait
"""


@pytest.mark.skipif(os.getuid() != 0, reason="mount namespaces need root")
def test_the_daemon_serves_and_sees_from_within_its_unit(small: World) -> None:
    """The unit takes the daemon's view of the file system apart from that of its callers; people are shown their paths as ever.

    The manager is one of an account, root's: the directories of the system are below its own.
    """
    root = Path(tempfile.mkdtemp(prefix="sv-", dir="/var/lib"))  # the unit has a /tmp of its own
    units = root / "config" / "systemd" / "user"
    units.mkdir(parents=True)
    text = (UNITS / "stillvault.service").read_text().replace("/opt/stillvault/bin/stillvault", str(STILLVAULT))
    if STILLVAULT.is_relative_to("/tmp"):  # nor would it see the programs of a clone there
        text += f"\n[Service]\nBindReadOnlyPaths={ROOT}\n"
    units.joinpath("stillvault.service").write_text(text)
    alice, bob, db = (small.parties[name] for name in ("alice", "bob", "host/db-1"))
    alice.ok("seal", "prod/db", stdin=b"value")
    shutil.copytree(db.home, root / "config" / "stillvault-host")
    db.extra["STILLVAULT_SOCKET"] = str(root / "stillvault" / "daemon.sock")
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "XDG_RUNTIME_DIR": str(root),
                   "XDG_CONFIG_HOME": str(root / "config"), "DBUS_SESSION_BUS_ADDRESS": "", "I": "/run/systemd/inaccessible"}
    house = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", MANAGER], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    small.processes.append(house)
    try:
        assert read_line(house) == b"started 0\n", (root / "manager.log").read_text()
        process = Path("/proc") / read_line(house).decode().strip()
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        assert int(status["CapEff"], 16) == 1 << CAP_SYS_PTRACE | 1 << CAP_DAC_READ_SEARCH
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert os.readlink(process / "ns/mnt") != os.readlink("/proc/self/ns/mnt")
        until(Path(db.extra["STILLVAULT_SOCKET"]).exists, "the daemon made no socket")
        # The caller is where the manager is, as all of a host are where systemd is.
        inside = ["--target", str(house.pid), "--mount", "sh", "-c", f"{STILLVAULT} read sv://prod/db; true"]
        asking = db.spawn(*inside, program=Path("/usr/bin/nsenter"))
        card = bob.json("approve", "--next", "--wait", "60", "--yes")["shown"]
        out, said = asking.communicate(timeout=PATIENCE)
        assert (asking.returncode, out) == (0, b"value"), said
        assert Path(card["exe"]) == Path("/bin/sh").resolve()  # and not marked as of a mount namespace of its own
        assert house.stdin is not None
        house.stdin.write(b"\n")
        house.stdin.flush()
        assert read_line(house) == b"success\n"
        assert house.wait(PATIENCE) == 0
    finally:
        end(house)
        shutil.rmtree(root, ignore_errors=True)
