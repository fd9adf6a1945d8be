"""What the scripts show: one line per step, with the time it took."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WIDTH = 66


@contextmanager
def step(text: str, *, talks: bool = False) -> Iterator[None]:
    """Shows the step while it runs and its time when it is done; `talks`: the step itself writes to the terminal."""
    started = time.monotonic()
    if sys.stdout.isatty():
        print(f"  {text}", end="\n" if talks else "", flush=True)
    try:
        yield
    except BaseException:
        print(f"\r  {text:<{WIDTH}} failed", flush=True)
        raise
    print(f"\r  {text:<{WIDTH}} {time.monotonic() - started:5.1f} s", flush=True)


def note(text: str = "") -> None:
    print(text, flush=True)


def fail(message: str, hint: str = "") -> int:
    """Shows why it ends here; answers the exit code."""
    print(f"\nerror: {message}", file=sys.stderr)
    if hint:
        print(f"\nhint: {hint}", file=sys.stderr)
    return 1


def clean_up_on_signals() -> None:
    """Makes SIGTERM and SIGHUP end the program as an exception does: through every `finally`."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def ignore_signals() -> None:
    """For the clean-up itself: an impatient second Ctrl-C must not cut it short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
