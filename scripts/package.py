"""Builds the Lambda package's one file: package.py FOLDER [x86_64|arm64]; `sam build` calls it through the Makefile.

The same architecture as this machine is a plain cargo build; the other one is a cross build with cargo-zigbuild. Either way the
result is refused if Amazon Linux 2023, on which the function runs, could not start it. Standard library only.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from preparation import ROOT, target_folder
from steps import fail

# provided.al2023
GLIBC = (2, 34)

ELF_MACHINES = {"x86_64": 62, "arm64": 183}
TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
FOR_AWS = ["--release", "--no-default-features", "--features", "lambda", "--bin", "bootstrap"]
# For the local stack: the same code without the long optimisation, sharing what `make run` has built.
FOR_LOCAL_STACK = ["--profile", "local", "--bins", "--test", "tidy"]


def main() -> int:
    folder = Path(sys.argv[1])
    architecture = sys.argv[2] if len(sys.argv) > 2 else "x86_64"
    try:
        bootstrap = build(architecture)
        check(bootstrap, architecture)
    except (ValueError, FileNotFoundError) as error:
        return fail(str(error))
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(bootstrap, folder / "bootstrap")
    return 0


def build(architecture: str) -> Path:
    if architecture not in TARGETS:
        raise ValueError(f"unknown architecture `{architecture}`: x86_64 or arm64")
    if is_native(architecture):
        local = os.environ.get("HOLOLOAD_PACKAGE_PROFILE") == "local"
        subprocess.run(["cargo", "build", *(FOR_LOCAL_STACK if local else FOR_AWS)], cwd=ROOT, check=True)
        return target_folder() / ("local" if local else "release") / "bootstrap"
    if not shutil.which("cargo-zigbuild"):
        raise FileNotFoundError(
            f"{architecture} is a cross build here and needs cargo-zigbuild: `pip install cargo-zigbuild ziglang` "
            f"and `rustup target add {TARGETS[architecture]}`"
        )
    target = TARGETS[architecture]
    # The version after the target is the C library to link against.
    subprocess.run(["cargo", "zigbuild", "--target", f"{target}.{GLIBC[0]}.{GLIBC[1]}", *FOR_AWS], cwd=ROOT, check=True)
    return target_folder() / target / "release" / "bootstrap"


def is_native(architecture: str) -> bool:
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())
    return platform.system() == "Linux" and machine == architecture


def check(bootstrap: Path, architecture: str) -> None:
    """Refuses what would only fail in Lambda: another machine's code, or a need for a newer C library."""
    content = bootstrap.read_bytes()
    if content[:4] != b"\x7fELF" or int.from_bytes(content[18:20], "little") != ELF_MACHINES[architecture]:
        raise ValueError(f"{bootstrap} is no Linux program for {architecture}")
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", content)
    needed = max(((int(major), int(minor)) for major, minor in versions), default=GLIBC)
    if needed > GLIBC:
        raise ValueError(
            f"{bootstrap} needs glibc {needed[0]}.{needed[1]} and Lambda's provided.al2023 has {GLIBC[0]}.{GLIBC[1]}: "
            "build on an older system, or with cargo-zigbuild"
        )


if __name__ == "__main__":
    sys.exit(main())
