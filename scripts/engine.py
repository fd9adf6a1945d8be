"""The container engine that `sam local` needs: the one that runs, or, as root with docker.io installed, one of our own."""

from __future__ import annotations

import io
import ipaddress
import json
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

from service import Failure, Service

# What SAM looks for, and the file that it makes of it with its Runtime Interface Emulator.
BASE_IMAGE = "public.ecr.aws/lambda/provided:al2023"
PULL_TIMEOUT_S = 120

# What SAM's image build runs in the base image.
BASE_PROGRAMS = ["sh", "mv", "cp", "rm", "mkdir", "chmod"]
LIBRARIES_BY_NAME = [
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
]
BASE_FILES = ["/etc/ssl/certs/ca-certificates.crt"]


class Engine:
    """One reachable engine, and where on the host a container finds services."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._service: Service | None = None
        self._made_bridge = False
        self.environment = dict(os.environ)

    def start(self) -> None:
        """Uses the engine that answers; else starts one where that is possible; else says what is missing."""
        if self._answers():
            return
        if os.geteuid() != 0 or not shutil.which("dockerd"):
            raise Failure(
                "`sam local` needs a container engine and none answers (`docker info`)",
                "start Docker Desktop, Finch or Podman's Docker socket, or install docker.io (Debian, Ubuntu) and run "
                "`sudo systemctl start docker`; as root on Debian an installed docker.io is enough",
            )
        self._folder.mkdir(parents=True)
        self._made_bridge = not Path("/sys/class/net/docker0").exists()
        socket = self._folder / "docker.sock"
        self.environment["DOCKER_HOST"] = f"unix://{socket}"
        # No firewall rules, no forwarding: a container only talks to the bridge's own address, and nothing has to be undone.
        options = ["--iptables=false", "--ip-masq=false", "--ip-forward=false"]
        options += ["--data-root", self._folder / "data", "--exec-root", self._folder / "exec", "--pidfile", self._folder / "pid"]
        command = ["dockerd", "--host", f"unix://{socket}", *options]
        self._service = Service("dockerd", command, self._folder.with_suffix(".log"), env=self.environment)
        self._service.wait_until(self._answers)

    def stop(self) -> None:
        if not self._service:
            return
        self._service.stop()
        if self._made_bridge:
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def bridge_address(self) -> str | None:
        """The host's address on the containers' network; None where containers reach the host's loopback (Docker Desktop)."""
        if platform.system() != "Linux":
            return None
        done = self._docker("network", "inspect", "bridge")
        if done.returncode:
            raise Failure(f"the engine has no network `bridge`:\n{done.stderr}")
        network = json.loads(done.stdout)[0]["IPAM"]["Config"][0]
        # An engine that has just started names the subnet only; its own address there is the first one.
        return str(network.get("Gateway") or ipaddress.ip_network(network["Subnet"])[1])

    def provide_base_image(self, bootstrap: Path) -> str:
        """Makes sure that the base image is there; answers where it came from."""
        architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
        tag = f"{BASE_IMAGE}-{architecture}"
        if self._docker("image", "inspect", tag).returncode == 0:
            return "already here"
        if not self._service and self._pull(tag):
            return "pulled"
        if platform.system() != "Linux":
            raise Failure(f"the engine cannot pull {tag}", f"try `docker pull {tag}` to see why")
        options = ["--change", "ENV LAMBDA_TASK_ROOT=/var/task", "--change", "WORKDIR /var/task"]
        done = self._docker("import", *options, "-", tag, stdin=root_file_system(bootstrap))
        if done.returncode:
            raise Failure(f"docker import failed:\n{done.stderr}")
        return "made of this system's own libraries"

    def _answers(self) -> bool:
        if not shutil.which("docker"):
            return False
        return self._docker("info").returncode == 0

    def _pull(self, tag: str) -> bool:
        try:
            return self._docker("pull", tag, timeout_s=PULL_TIMEOUT_S).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def _docker(self, *arguments: str, stdin: bytes | None = None, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, env=self.environment, timeout=timeout_s)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def root_file_system(bootstrap: Path) -> bytes:
    """A tar of the few files that the handler and SAM's image build need, taken from this system.

    For engines that cannot pull: it proves the package and the handler, not the C library of Amazon Linux.
    """
    files = [Path(found) for found in map(shutil.which, BASE_PROGRAMS) if found]
    files += [Path(name) for name in BASE_FILES if Path(name).exists()]
    libraries = {library for program in [bootstrap, *files] for library in linked_libraries(program)}
    beside = {library.parent for library in libraries}
    libraries |= {folder / name for folder in beside for name in LIBRARIES_BY_NAME if (folder / name).exists()}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        for folder in ("tmp", "var/task", "var/rapid", "var/runtime", "opt"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(entry)
        for file in files:
            archive.add(file, f"bin/{file.name}" if file.name in BASE_PROGRAMS else str(file))
        for library in libraries:
            archive.add(library, str(library))
    return content.getvalue()


def linked_libraries(program: Path) -> list[Path]:
    """The shared libraries that the loader would map for the program, as `ldd` lists them."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True)
    paths = [word for line in done.stdout.splitlines() for word in line.split() if word.startswith("/")]
    return [Path(path) for path in paths]
