"""Podman's shell secret driver: what is stored is a reference, and every `podman run` asks a person. A real podman."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.agents.helpers.conftest import Place, needed, nothing_leaks
from tests.world import STILLVAULT, Done

VALUE = b"line one\nline two \xff $(id) 'x'\n"  # a file can hold anything but
CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[secrets]
driver = "shell"
[secrets.opts]
"""
OPERATIONS = ("list", "lookup", "store", "delete")
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="containers without root need a set-up of their own")


class Podman:
    """A podman with storage of its own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.work / "podman"
        self.kept = place.work / "kept"
        self.root.mkdir()
        helper = {verb: f"{verb} = \"exec stillvault credential podman --dir {self.kept} {verb}\"" for verb in OPERATIONS}
        (self.root / "containers.conf").write_text(CONF + "\n".join(helper.values()) + "\n")
        places = ["--root", str(self.root / "storage"), "--runroot", str(self.root / "run")]
        self.words = ["podman", *places, "--storage-driver", "vfs"]
        self.settings = {"CONTAINERS_CONF": str(self.root / "containers.conf")}

    def run(self, *words: str, stdin: bytes | None = None) -> Done:
        return self.place.run(*self.words, *words, stdin=stdin, **self.settings)

    def image(self) -> None:
        """An image with nothing but a static busybox."""
        busybox = Path("/bin/busybox").read_bytes()
        with tarfile.open(self.root / "image.tar", "w") as tar:
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = len(busybox), 0o755
            tar.addfile(entry, io.BytesIO(busybox))
        done = self.run("import", str(self.root / "image.tar"), "localhost/box")
        assert done.code == 0, done.said

    def holds(self, value: bytes) -> list[str]:
        """The files of its storage that hold a value."""
        grep = ["grep", "-rlaF", value.split(b"\n")[0], self.root, self.kept]
        found = subprocess.run(grep, capture_output=True, text=True, check=False)
        return found.stdout.splitlines()


@pytest.fixture(scope="module")
def podman(place: Place) -> Podman:
    needed("podman", "runc")
    assert Path("/bin/busybox").exists(), "busybox-static is not installed: run tools/setup as root"
    made = Podman(place)
    made.image()
    return made


@AS_ROOT
def test_a_container_gets_what_a_person_released(place: Place, podman: Podman) -> None:
    reference = place.seal("once/podman", VALUE)
    made = podman.run("secret", "create", "db", "-", stdin=reference.encode())
    assert made.code == 0, made.said
    (kept,) = podman.kept.iterdir()
    assert kept.read_text() == f"{reference}\n" and kept.stat().st_mode & 0o777 == 0o600
    assert "db" in podman.run("secret", "ls").text
    box = ["run", "--rm", "--secret", "db", "localhost/box", "/bin/busybox", "cat", "/run/secrets/db"]
    done, card = place.approved(*podman.words, *box, **podman.settings)
    assert (done.code, done.out) == (0, VALUE), done.said
    assert Path(card["exe"]).name == "podman"
    assert card["claimed"]["argv"] == ["podman", "secret", kept.name]
    assert podman.holds(VALUE) == []  # with --rm nothing is left behind
    denied = place.start(*podman.words, *box, **podman.settings)
    place.wait_for_card()
    place.alice.ok("deny", place.cards()[0]["id"])
    out, err = denied.communicate(timeout=60)
    assert denied.returncode != 0 and out == b"" and b"denied" in err
    assert podman.run("secret", "rm", "db").code == 0
    assert list(podman.kept.iterdir()) == []


@AS_ROOT
def test_a_variable_and_what_stays_on_the_disk(place: Place, podman: Podman) -> None:
    """What docs/guides/helpers/podman.md says about copies: podman keeps one for as long as the container exists."""
    place.seal("once/variable", b"a value for a variable")
    assert podman.run("secret", "create", "v", "-", stdin=b"sv://once/variable").code == 0
    for target in ("type=env,target=V", "type=mount,target=/v"):
        print_both = ["/bin/busybox", "sh", "-c", 'echo "$V"; cat /v; true']
        box = ["run", "--name", "one", "--secret", f"v,{target}", "localhost/box", *print_both]
        done, _ = place.approved(*podman.words, *box, **podman.settings)
        assert b"a value for a variable" in done.out, done.said
        copies = podman.holds(b"a value for a variable")
        assert copies and all("/userdata/" in path for path in copies), copies
        assert podman.run("rm", "one").code == 0
        assert podman.holds(b"a value for a variable") == []


@AS_ROOT
def test_a_value_is_never_stored(podman: Podman) -> None:
    for given in (b"a password", b"sv://prod/db\nand more", b"", b"sv://../x", b"\xff\0"):
        done = podman.run("secret", "create", "no", "-", stdin=given)
        assert done.code != 0, given
        assert podman.holds(b"a password") == []
    assert podman.run("secret", "create", "no", "-", stdin=b"sv://prod/db#password\n").code == 0
    assert podman.run("secret", "rm", "no").code == 0


def test_the_driver_by_hand(place: Place) -> None:
    folder = place.work / "by-hand"
    words = [STILLVAULT, "credential", "podman", "--dir", folder]
    assert place.run(*words, "list").out == b""
    assert place.run(*words, "store", stdin=b"sv://once/hand\n", SECRET_ID="ab12").code == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert place.run(*words, "store", stdin=b"sv://once/other", SECRET_ID="ab12").code == 1  # nothing is replaced
    assert place.run(*words, "list").out == b"ab12\n"
    place.seal("once/hand", VALUE)
    done, _ = place.approved(*words, "lookup", SECRET_ID="ab12")
    assert done.out == VALUE
    for bad in ("", "../../etc/passwd", "a/b", "a\nb", "x" * 200):
        for verb in ("store", "lookup", "delete"):
            done = place.run(*words, verb, stdin=b"sv://a", SECRET_ID=bad)
            assert (done.code, done.out) == (2, b""), (verb, bad)
    assert place.run(*words, "lookup", SECRET_ID="cd34").code == 1
    assert place.run(*words, "delete", SECRET_ID="cd34").code == 1
    refused = place.run(*words, "store", stdin=b"a password", SECRET_ID="ef56")
    assert refused.code == 2 and "never a value" in refused.said
    nothing_leaks(refused, b"a password")
    silent = place.run(*words, "lookup", SECRET_ID="ab12", STILLVAULT_SOCKET=str(place.work / "absent.sock"))
    assert (silent.code, silent.out) == (14, b"")
    assert place.run(*words, "delete", SECRET_ID="ab12").code == 0
    assert place.run(*words).code == 2
