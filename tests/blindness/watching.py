"""Watching a process from outside: what its system calls carry away, and what stands in its arguments and environment."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.blindness.scan import in_bytes
from tests.world import PATIENCE

# Everything by which bytes leave a process for a file, a socket, another process or its arguments.
CALLS = ("execve,execveat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg,sendfile,splice,vmsplice,tee,openat,"
         "open,openat2,creat,mkdir,mkdirat,link,linkat,symlink,symlinkat,rename,renameat,renameat2,setxattr,fsetxattr,memfd_create,"
         "msgsnd,mq_timedsend,process_vm_writev,add_key,prctl")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})+)"')


def strace(log: Path, *options: str) -> list[str]:
    """What stands before a command so that its calls, and those of its children, end up in `log`. Its pid stays the command's."""
    return ["strace", "-D", "-f", "-q", "-y", "-s", "200000", "-xx", "-e", f"trace={CALLS}", *options, "-o", str(log)]


def carried(log: Path, wanted: list[bytes]) -> list[str]:
    """The calls in a log of `strace` that carried a needle, with the kind of file each went to. Waits until the command ended."""
    deadline = time.monotonic() + PATIENCE
    while not re.search(r"\+\+\+ (exited|killed).*\n\Z", text := log.read_text()):
        assert time.monotonic() < deadline, f"the log does not end: {text[-300:]}"
        time.sleep(0.05)
    hits = []
    for line in text.splitlines():
        said = b"".join(bytes.fromhex(found.replace("\\x", "")) for found in STRING.findall(line))
        if in_bytes(said, wanted):
            shown = STRING.sub("..", line.partition(" ")[2]).strip()
            hits.append(re.sub(r"\\x([0-9a-f]{2})", lambda digits: chr(int(digits[1], 16)), shown)[:80])
    return hits


def in_arguments(wanted: list[bytes]) -> list[int]:
    """Processes of the whole machine whose arguments or environment hold a needle."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                blob = (place / name).read_bytes()
            except OSError:  # it ended
                continue
            if in_bytes(blob, wanted):
                found.append(int(place.name))
    return sorted(set(found))


def open_pages(pid: int, hits: list[str]) -> list[str]:
    """Those of the regions found by a scan that are not both locked and left out of core dumps."""
    flags, region = {}, ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            region = line.split()[0]
        elif line.startswith("VmFlags:"):
            flags[region] = set(line.split()[1:])
    return [hit for hit in hits if not {"lo", "dd"} <= flags.get(hit.split()[0], set())]
