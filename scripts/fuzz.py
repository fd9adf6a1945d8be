"""Random bytes into the rooms that know no clock and no network: `make fuzz`, for one target with TARGET=csv.

Runs cargo-fuzz, which is installed into .tools where it is missing, with a nightly toolchain. What is found goes into
fuzz/artifacts, what is learnt into fuzz/corpus; fuzz/seeds is where both begin.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = sorted(path.stem for path in (ROOT / "fuzz" / "fuzz_targets").glob("*.rs"))
# A longer input finds little that a shorter one does not, and takes its time.
INPUT_BYTES_MAX = 8192
# One input; whatever takes longer is a finding.
INPUT_TIMEOUT_S = 20


def nightly():
    if not shutil.which("rustup"):
        sys.exit("cargo-fuzz needs a nightly toolchain, and rustup, which installs one, is not here: https://rustup.rs")
    listed = subprocess.run(["rustup", "toolchain", "list"], check=True, capture_output=True, text=True).stdout
    found = next((line.split()[0] for line in listed.splitlines() if line.startswith("nightly")), None)
    return found or sys.exit("cargo-fuzz needs a nightly toolchain: rustup toolchain install nightly --profile minimal")


def cargo_fuzz():
    if shutil.which("cargo-fuzz"):
        return os.environ["PATH"]
    folder = ROOT / ".tools" / "cargo"
    if not (folder / "bin" / "cargo-fuzz").exists():
        subprocess.run(["cargo", "install", "cargo-fuzz", "--locked", "--root", folder], check=True)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("targets", nargs="*", help=", ".join(TARGETS))
    asked = parser.parse_args()
    unknown = [target for target in asked.targets if target not in TARGETS]
    if unknown:
        sys.exit(f"no such target: {' '.join(unknown)}; there are {', '.join(TARGETS)}")
    toolchain = nightly()
    environment = {**os.environ, "PATH": cargo_fuzz()}
    failed = []
    for target in asked.targets or TARGETS:
        corpus = ROOT / "fuzz" / "corpus" / target
        corpus.mkdir(parents=True, exist_ok=True)
        command = ["cargo", f"+{toolchain}", "fuzz", "run", target, corpus, ROOT / "fuzz" / "seeds" / target, "--"]
        command += [f"-max_total_time={asked.seconds}", f"-max_len={INPUT_BYTES_MAX}", f"-timeout={INPUT_TIMEOUT_S}"]
        print(f"fuzz: {target}, {asked.seconds} s", flush=True)
        if subprocess.run(command, cwd=ROOT / "fuzz", env=environment).returncode != 0:
            failed.append(target)
    if failed:
        sys.exit(f"fuzz: something was found by {', '.join(failed)}: see fuzz/artifacts")


if __name__ == "__main__":
    main()
