"""The files that run the image: each takes away what it can, names this version's image, keeps its state in a volume."""

from __future__ import annotations

import configparser
import subprocess
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
IMAGE = f"localhost/stillvault:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"
URL = "https://vault.example.org:8443"
GENERATORS = (Path("/usr/libexec/podman/quadlet"), Path("/usr/lib/podman/quadlet"))
NAME = "STILLVAULT_RELAY_PUBLIC_URL"


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None, strict=True)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string((ROOT / "appliance" / "quadlet" / name).read_text())
    return read


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
