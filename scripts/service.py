"""Servers that live exactly as long as the program that started them.

Every server runs under `lifeline.py`, in a session of its own: Ctrl-C in the terminal does not reach it before we have said
goodbye, and when this program ends, however it ends, the pipe between the two closes and the whole process group goes with it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LIFELINE = Path(__file__).with_name("lifeline.py")
STOP_TIMEOUT_S = 15


class Failure(Exception):
    """A failure that the person at the terminal can act upon: what happened and, below it, what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def tail(path: Path, line_count: int = 25) -> str:
    """The last lines of a log file."""
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-line_count:])


class Service:
    """One running server."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str],
        stop_with: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, LIFELINE, str(int(stop_with)), user or "-", *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd="/",
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 30) -> None:
        """Waits until `ready` says so; a server that ends or never gets there is a failure with its log."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended while starting:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} was not ready after {timeout_s:.0f} s:\n{tail(self.log)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server and everything that it started."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
