"""Archives of images, as `docker save` writes them and every engine loads them: the same content is the same bytes.

    python3 appliance/archive.py IN OUT

writes IN anew without what the builder drew at random (the ids of its containers, a host name) and with no time after
SOURCE_DATE_EPOCH, which docker does not take for a build: both are in the image's id otherwise.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path
from typing import IO, Any

DRAWN = ("container", "container_config")  # of a builder's container, which no engine reads
BLOCK = 1 << 20


def digest_of(file: IO[bytes]) -> str:
    """The SHA-256 of a layer, which names it in the image's configuration."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def write(target: Path, config: dict[str, Any], layers: list[tuple[str, IO[bytes], int]], name: str) -> None:
    """One image: its configuration, its layers (digest, content, size) and its name. Replaces `target` at the end."""
    packed = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    inner = f"{hashlib.sha256(packed).hexdigest()}.json"
    files = [f"{digest}.tar" for digest, _, _ in layers]
    manifest = json.dumps([{"Config": inner, "RepoTags": [name], "Layers": files}]).encode()
    fresh = target.with_name(target.name + ".new")
    with tarfile.open(fresh, "w") as archive:
        for digest, content, size in layers:
            archive.addfile(_entry(f"{digest}.tar", size), content)
        archive.addfile(_entry(inner, len(packed)), io.BytesIO(packed))
        archive.addfile(_entry("manifest.json", len(manifest)), io.BytesIO(manifest))
    fresh.rename(target)


def normalised(source: Path, target: Path, epoch: int) -> None:
    """`source`, which holds one image, without what its builder drew, and nothing in it later than `epoch` (unix seconds)."""
    latest = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    with tarfile.open(source) as archive:
        ((one),) = json.load(_member(archive, "manifest.json"))
        config = json.load(_member(archive, one["Config"]))
        for name in DRAWN:
            config.pop(name, None)
        for name in ("Hostname", "Image"):  # the second: docker's, of a step between
            config["config"].pop(name, None)
        for dated in (config, *config.get("history", [])):
            if dated.get("created", "") > latest:
                dated["created"] = latest
        names = [found.partition(":")[2] for found in config["rootfs"]["diff_ids"]]
        sizes = [_resolved(archive, name).size for name in one["Layers"]]
        contents = [_member(archive, name) for name in one["Layers"]]
        write(target, config, list(zip(names, contents, sizes, strict=True)), one["RepoTags"][0])


def _resolved(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    found = archive.getmember(name)
    while found.issym():  # a layer that another image of the engine has too
        found = archive.getmember(str((Path("/") / name).parent.joinpath(found.linkname).resolve().relative_to("/")))
    return found


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    content = archive.extractfile(_resolved(archive, name))
    assert content is not None
    return content


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o644
    return entry


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python3 appliance/archive.py IN OUT")
    normalised(Path(sys.argv[1]), Path(sys.argv[2]), int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
