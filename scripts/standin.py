"""Starts the stand-in of Hologres and says what to type beside it: `make standin`. Standard library only.

Arguments are passed on to it: `--profile 2.2`, `--no-extended-copy`…
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from preparation import ROOT, target_folder
from steps import clean_up_on_signals, fail, note, step

TABLE = "CREATE TABLE item (item_id bigint PRIMARY KEY, name text, price numeric(10, 2)) WITH (orientation = 'column');"


def main() -> int:
    clean_up_on_signals()
    command = ["cargo", "build", "--quiet", "--profile", "local", "--bin", "holoload", "--example", "standin"]
    try:
        with step("build the stand-in and the CLI (the first time takes minutes)", talks=True):
            subprocess.run(command, cwd=ROOT, check=True)
    except subprocess.CalledProcessError:
        return fail("the build failed")
    target = target_folder() / "local"
    with tempfile.TemporaryDirectory(prefix="holoload-standin-") as folder:
        sql = Path(folder) / "table.sql"
        sql.write_text(TABLE)
        return run([target / "examples" / "standin", "--sql", sql, *sys.argv[1:]], target / "holoload")


def run(command: list[str | Path], holoload: Path) -> int:
    """Until Ctrl-C, or until it ends by itself."""
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline() if server.stdout else ""
        if not line:
            return server.wait() or 1
        tell(json.loads(line), holoload)
        return server.wait()
    except KeyboardInterrupt:
        note()
        return 0
    finally:
        # It ends, and takes its cluster along, when its input closes.
        if server.stdin:
            server.stdin.close()
        server.wait()


def tell(place: dict[str, str | int], holoload: Path) -> None:
    variables = {
        "HOLOLOAD_HOST": place["host"],
        "HOLOLOAD_PORT": place["port"],
        "HOLOLOAD_DATABASE": place["database"],
        "HOLOLOAD_USER": place["user"],
        "HOLOLOAD_PASSWORD": place["password"],
        "HOLOLOAD_CA": place["ca"],
        "HOLOLOAD_TABLE": "item",
    }
    exports = " \\\n         ".join(f"{name}={shlex.quote(str(value))}" for name, value in variables.items())
    note(f"\nHologres {place['profile']} (stand-in, on PostgreSQL {place['server_version']}) until Ctrl-C. In another terminal:\n")
    note(f"  export {exports}")
    note(f"  printf 'item_id,name,price\\n1,tea,3.20\\n' | {shlex.quote(str(holoload))} load -")
    socket = f"host={place['socket_dir']} port={place['socket_port']}"
    who = f"user={place['superuser']} dbname={place['database']}"
    note(f"  psql \"{socket} {who}\" -c 'TABLE item'\n")


if __name__ == "__main__":
    sys.exit(main())
