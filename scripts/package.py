"""Builds the Lambda package: package.py FOLDER [x86_64|arm64] [--zip]; `sam build` calls it through the Makefile.

FOLDER gets `bootstrap`, with --zip also holoload-ARCHITECTURE.zip. Both architectures are built in the same way on every system:
by cargo, with zig as the linker and C compiler, against a C library older than that of Amazon Linux 2023. What comes out is
refused if Amazon Linux 2023 could not start it. Zig is installed into .tools/package. Standard library only.
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

import elf
import preparation
from preparation import BUILD_TOOLS, ROOT, SCRIPTS, TOOLS, Missing, target_folder
from steps import clean_up_on_signals, fail, note, step

# provided.al2023
GLIBC = (2, 34)
# What the package is linked against: older than needed, so that check_package.py can run it under a C library that can be had.
LINKED_GLIBC = (2, 31)

TARGETS = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
FOR_AWS = ["--release", "--no-default-features", "--features", "lambda,parquet", "--bin", "bootstrap"]
# For the local stack: the same code without the long optimisation, sharing what `make run` has built.
FOR_LOCAL_STACK = ["--profile", "local", "--bins", "--test", "tidy"]
ZIG = TOOLS / "package"
# What Lambda accepts: a zip that is uploaded directly, and what it may unpack to.
ZIP_BYTES_MAX = 50 * 1024 * 1024
BYTES_MAX = 250 * 1024 * 1024


def main() -> int:
    arguments = parse_arguments()
    clean_up_on_signals()
    try:
        built = build(arguments.architecture)
        check(built.read_bytes(), arguments.architecture)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        bootstrap = arguments.folder / "bootstrap"
        shutil.copy2(built, bootstrap)
        describe(bootstrap, arguments.architecture)
        if arguments.zip:
            describe_zip(write_zip(bootstrap, arguments.folder / f"holoload-{arguments.architecture}.zip"))
    except Missing as lacking:
        return fail(f"this machine lacks:\n{lacking}")
    except ValueError as error:
        return fail(str(error))
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` failed")
    except KeyboardInterrupt:
        return 130
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("architecture", nargs="?", choices=list(TARGETS), default=own_architecture())
    parser.add_argument("--zip", action="store_true", help="make the zip as well")
    return parser.parse_args()


def own_architecture() -> str:
    """This machine's, which is what MiniStack and `sam local` run; x86_64 where Lambda has none like it."""
    machine = platform.machine().lower()
    return {"aarch64": "arm64", "arm64": "arm64"}.get(machine, "x86_64")


def build(architecture: str) -> Path:
    """Compiles and links; answers the program."""
    if lacking := preparation.lacking_tools(BUILD_TOOLS):
        raise Missing("\n".join(f"  - {line}" for line in lacking))
    is_native = platform.system() == "Linux" and architecture == own_architecture()
    if is_native and os.environ.get("HOLOLOAD_PACKAGE_PROFILE") == "local":
        subprocess.run(["cargo", "build", *FOR_LOCAL_STACK], cwd=ROOT, check=True)
        return target_folder() / "local" / "bootstrap"
    target = TARGETS[architecture]
    with step("zig and cargo-zigbuild in .tools/package"):
        preparation.make_environment(ZIG, SCRIPTS / "requirements-package.txt")
    provide_standard_library(target)
    # The version after the target is the C library to link against.
    command = ["cargo", "zigbuild", "--target", f"{target}.{LINKED_GLIBC[0]}.{LINKED_GLIBC[1]}", *FOR_AWS]
    environment = {**os.environ, "PATH": f"{ZIG / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    with step(f"build for {architecture}, the first time 5 to 10 minutes", talks=True):
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return target_folder() / target / "release" / "bootstrap"


def provide_standard_library(target: str) -> None:
    """Rust's own library for the target, which comes with the compiler for this machine only."""
    done = subprocess.run(["rustc", "--print", "sysroot"], cwd=ROOT, check=True, capture_output=True, text=True)
    if (Path(done.stdout.strip()) / "lib" / "rustlib" / target / "lib").is_dir():
        return
    if not shutil.which("rustup"):
        raise Missing(f"  - Rust's library for {target}: install Rust with rustup (https://rustup.rs), which can add it")
    with step(f"rustup target add {target}", talks=True):
        subprocess.run(["rustup", "target", "add", target], cwd=ROOT, check=True)


def check(program: bytes, architecture: str) -> None:
    """Refuses what would only fail in Lambda: another machine's code, a newer C library, more than Lambda unpacks."""
    if (found := elf.machine(program)) != architecture:
        raise ValueError(f"bootstrap is a program for {found}, not for {architecture}")
    if (needed := elf.needed_glibc(program)) > GLIBC:
        symbols = ".".join(map(str, needed))
        raise ValueError(
            f"bootstrap needs glibc {symbols}, and Lambda's provided.al2023 has {GLIBC[0]}.{GLIBC[1]}: "
            "`make build` links it against an older one"
        )
    if len(program) > BYTES_MAX:
        raise ValueError(f"bootstrap has {len(program):,} bytes, and Lambda unpacks {BYTES_MAX:,} at most")


def write_zip(bootstrap: Path, package: Path) -> Path:
    """The package: one executable file. The same program gives the same bytes, whenever it is packed."""
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix, so that the mode counts
    entry.external_attr = 0o100755 << 16
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(entry, bootstrap.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    if package.stat().st_size > ZIP_BYTES_MAX:
        raise ValueError(f"{package} is larger than the {ZIP_BYTES_MAX:,} bytes that Lambda takes without S3")
    return package


def describe(bootstrap: Path, architecture: str) -> None:
    needed = elf.needed_glibc(bootstrap.read_bytes())
    glibc = f"needs glibc {'.'.join(map(str, needed))} (Lambda has {GLIBC[0]}.{GLIBC[1]})" if needed > (0,) else "static"
    note(f"  {bootstrap}: {megabytes(bootstrap)}, {architecture}, {glibc}")


def describe_zip(package: Path) -> None:
    note(f"  {package}: {megabytes(package)}")


def megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1_000_000:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
