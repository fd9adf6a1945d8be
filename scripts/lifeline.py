"""Runs a command until it ends or standard input closes, then ends its whole process group.

usage: lifeline.py SIGNAL USER COMMAND [ARGUMENT...]

SIGNAL is the number of the signal that asks the command to stop; USER is who runs it (`-`: whoever we are). Standard input is the
pipe of the program that started us: it closes when that program ends, even by SIGKILL. Nothing is ever written to it, so the
command may have it too, and can end by itself with it.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading

GRACE_S = 8


def start(command: list[str], user: str) -> subprocess.Popen[bytes]:
    if user == "-":
        return subprocess.Popen(command)
    group = pwd.getpwnam(user).pw_gid
    return subprocess.Popen(command, user=user, group=group, extra_groups=[])


def stop_at_end_of_input(child: subprocess.Popen[bytes], stop_with: int) -> None:
    while os.read(0, 4096):
        pass
    child.send_signal(stop_with)
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


def main() -> None:
    stop_with, user, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    child = start(command, user)
    threading.Thread(target=stop_at_end_of_input, args=(child, stop_with), daemon=True).start()
    child.wait()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
