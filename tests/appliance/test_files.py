"""The files that run the image: each takes away what it can, names this version's image, keeps its state in a volume.

And the archive of the image: what a builder drew is not in it.
"""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "appliance")]

from archive import normalised, write  # noqa: E402

IMAGE = f"localhost/stillvault:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"
URL = "https://vault.example.org:8443"
GENERATORS = (Path("/usr/libexec/podman/quadlet"), Path("/usr/lib/podman/quadlet"))
NAME = "STILLVAULT_RELAY_PUBLIC_URL"


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None, strict=True)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string((ROOT / "appliance" / "quadlet" / name).read_text())
    return read


def test_what_a_builder_draws_is_not_in_the_image(tmp_path: Path) -> None:
    """Two builds of one content, as docker saves them: other containers, another time."""
    digest = hashlib.sha256(b"layer").hexdigest()
    made = []
    for drawn, second in (("a1", "41"), ("b2", "42")):
        config = {
            "created": f"2026-11-23T02:17:{second}.8Z",
            "container": drawn,
            "config": {"Image": drawn, "Hostname": drawn, "User": "1"},
            "history": [{"created": "2020-01-01T00:00:00Z"}, {"created": f"2026-11-23T02:17:{second}.1Z"}],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        write(tmp_path / "built", config, [(digest, io.BytesIO(b"layer"), 5)], "localhost/little:1")
        normalised(tmp_path / "built", tmp_path / drawn, 1767225600)
        made.append((tmp_path / drawn).read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "a1") as archive:
        (name,) = (one for one in archive.getnames() if one.endswith(".json") and one != "manifest.json")
        content = archive.extractfile(name)
        assert content
        kept = json.load(content)
    assert (kept["created"], kept["config"]) == ("2026-01-01T00:00:00Z", {"User": "1"})
    assert [one["created"] for one in kept["history"]] == ["2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]


def test_quadlet() -> None:
    found = dict(unit("stillvault-relay.container")["Container"])
    assert found["Image"] == IMAGE
    assert (found["ReadOnly"], found["DropCapability"], found["NoNewPrivileges"]) == ("true", "all", "true")
    assert (found["Volume"], found["PublishPort"]) == ("stillvault.volume:/data", "8443:8443")
    assert found["Environment"] == f"{NAME}={URL}"
    assert "--pids-limit=64" in found["PodmanArgs"] and "--memory=512m" in found["PodmanArgs"]
    assert unit("stillvault.volume")["Volume"]["VolumeName"] == "stillvault"


def test_podman_makes_units_of_it() -> None:
    """Where Podman is new enough to bring its generator; that of Debian 12 is not."""
    for generator in (path for path in GENERATORS if path.exists()):
        environment = {"QUADLET_UNIT_DIRS": str(ROOT / "appliance" / "quadlet")}
        done = subprocess.run([generator, "-dryrun"], env=environment, capture_output=True, text=True, check=True)
        (start,) = (line for line in done.stdout.splitlines() if line.startswith("ExecStart=") and " run " in line)
        assert {"--read-only", "--cap-drop", "--security-opt=no-new-privileges", "--pids-limit=64"} <= set(start.split())


def test_compose() -> None:
    (found,) = yaml.safe_load((ROOT / "appliance/compose.yaml").read_text())["services"].values()
    assert (found["image"], found["pull_policy"]) == (IMAGE, "never")
    assert (found["read_only"], found["cap_drop"], found["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert (found["volumes"], found["ports"], found["environment"]) == (["stillvault:/data"], ["8443:8443"], {NAME: URL})


def test_kube() -> None:
    pod = yaml.safe_load((ROOT / "appliance/kube.yaml").read_text())
    (found,) = pod["spec"]["containers"]
    assert (found["image"], found["imagePullPolicy"]) == (IMAGE, "Never")
    context = found["securityContext"]
    assert context["readOnlyRootFilesystem"] and context["runAsNonRoot"] and not context["allowPrivilegeEscalation"]
    assert (context["capabilities"], context["seccompProfile"]) == ({"drop": ["ALL"]}, {"type": "RuntimeDefault"})
    assert found["livenessProbe"]["exec"]["command"] == ["/opt/stillvault/bin/stillvault-relay", "health"]
    assert found["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    assert found["env"] == [{"name": NAME, "value": URL}]
