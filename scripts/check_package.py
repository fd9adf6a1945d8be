"""Runs the Lambda package where it has to run: check_package.py [x86_64|arm64], after `make build` for the same architecture.

The package's `bootstrap` starts in a root of its own that holds the C library of Debian 11 (2.31; Lambda's is 2.34), the
certificates where Amazon Linux keeps them, and nothing else; another machine's architecture is emulated. Needs Debian or Ubuntu
(apt-get fetches the library, and qemu-user-static if need be) and root. Standard library only; hands over to `package_trial.py`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import package
import preparation
from preparation import ROOT, SCRIPTS, TOOLS, Missing
from steps import clean_up_on_signals, fail, step

DEBIAN = "bullseye"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN_NAMES = {"x86_64": "amd64", "arm64": "arm64"}
EMULATORS = {"x86_64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", nargs="?", choices=list(package.TARGETS), default=package.own_architecture())
    architecture = parser.parse_args().architecture
    clean_up_on_signals()
    try:
        options = prepare(architecture)
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    except (ValueError, FileNotFoundError) as error:
        return fail(str(error))
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed:\n{error.stderr or ''}")
    except KeyboardInterrupt:
        return 130
    python = ROOT / ".venv" / "bin" / "python"
    os.execv(python, list(map(str, [python, "-B", SCRIPTS / "package_trial.py", *options])))


def prepare(architecture: str) -> list[str | Path]:
    """Everything that the trial needs; answers its options."""
    built = ROOT / "build" / f"holoload-{architecture}.zip"
    if not built.exists():
        raise FileNotFoundError(f"there is no {built.relative_to(ROOT)}: `make build ARCH={architecture}` makes it")
    if lacking := lacking_here():
        raise Missing("\n".join(f"  - {line}" for line in lacking))
    postgres = preparation.prepare_postgres([])
    preparation.make_environment(ROOT / ".venv", SCRIPTS / "requirements.txt")
    options: list[str | Path] = ["--postgres", postgres]
    if architecture != package.own_architecture():
        options += ["--emulator", find_emulator(architecture)]
    root = TOOLS / f"debian11-{architecture}"
    if not root.exists():
        with step(f"the C library of Debian 11 for {architecture}"):
            make_root(root, architecture)
    with zipfile.ZipFile(built) as archive:
        program = Path(archive.extract("bootstrap", root))
    package.check(program.read_bytes(), architecture)
    program.chmod(0o755)
    package.describe(program, architecture)
    return [*options, "--root", root]


def lacking_here() -> list[str]:
    lacking = []
    if platform.system() != "Linux" or not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        lacking.append("Debian's apt-get and dpkg-deb: run this on Debian or Ubuntu")
    elif not KEYRING.exists():
        lacking.append("Debian's signing keys: install debian-archive-keyring")
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        lacking.append("root, for the root folder of the program: run this with sudo, or in a container")
    return lacking


def find_emulator(architecture: str) -> Path:
    name = EMULATORS[architecture]
    if not shutil.which(name):
        with step(f"apt-get install qemu-user-static, to run {architecture} here"):
            install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "qemu-user-static"]
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(install, check=True, env=quiet, capture_output=True, text=True)
    found = shutil.which(name)
    if not found:
        raise Missing(f"  - {name}: install qemu-user-static")
    return Path(found)


def make_root(root: Path, architecture: str) -> None:
    """Unpacks Debian 11's C library, which apt-get fetches and checks without a change to this system."""
    apt = root.with_suffix(".apt")
    shutil.rmtree(apt, ignore_errors=True)
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {DEBIAN} main\n")
    name = DEBIAN_NAMES[architecture]
    settings = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": apt / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": apt / "cache",
        "APT::Architecture": name,
        "APT::Architectures": name,
        "APT::Sandbox::User": "root",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    for command in (["update"], ["download", "libc6"]):
        subprocess.run(["apt-get", "-qq", *options, *command], cwd=apt, check=True, capture_output=True, text=True)
    [library] = apt.glob("libc6_*.deb")
    unpacked = apt / "root"
    subprocess.run(["dpkg-deb", "-x", library, unpacked], check=True, capture_output=True, text=True)
    unpacked.rename(root)
    shutil.rmtree(apt)


if __name__ == "__main__":
    sys.exit(main())
