"""The base of the image without a registry: a slim Debian with Python and the usual authorities, by mmdebstrap.

    python3 appliance/base.py FILE [SUITE [MIRROR]]

FILE is an archive that `podman load`, `docker load` and `buildah pull docker-archive:` take. Every file in it is of
SOURCE_DATE_EPOCH (default: now) or older, so the same packages at the same time give the same image id.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archive import digest_of, write

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/lintian/*")
KEPT = "/usr/share/doc/*/copyright"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def root_of(suite: str, mirror: list[str], place: Path, epoch: int) -> Path:
    """The file system, as a tar."""
    made = place / "layer.tar"
    slim = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT] + [f"--dpkgopt=path-include={KEPT}"]
    packages = "--include=ca-certificates,python3"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", packages, *slim, suite, str(made), *mirror]
    subprocess.run(command, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}, check=True)
    return made


def main() -> None:
    if not 2 <= len(sys.argv) <= 4:
        sys.exit("usage: python3 appliance/base.py FILE [SUITE [MIRROR]]")
    if not shutil.which("mmdebstrap"):
        sys.exit("appliance/base.py: mmdebstrap is missing (Debian: apt-get install mmdebstrap). Or give appliance/image a BASE.")
    target, suite = Path(sys.argv[1]), (sys.argv[2:3] or ["bookworm"])[0]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    with tempfile.TemporaryDirectory(prefix="stillvault-base-") as folder:
        layer = root_of(suite, sys.argv[3:], Path(folder), epoch)
        with layer.open("rb") as file:
            digest = digest_of(file)
            file.seek(0)
            config = {
                "architecture": MACHINES[platform.machine()], "os": "linux", "created": created,
                "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"]},
                "history": [{"created": created, "created_by": f"mmdebstrap {suite}"}],
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            }
            write(target, config, [(digest, file, layer.stat().st_size)], f"localhost/stillvault-base:{suite}")


if __name__ == "__main__":
    main()
