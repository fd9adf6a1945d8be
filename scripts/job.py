"""The frame around everything that starts the local stack: one at a time, an empty `.run`, failures told, nothing left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import boto3.exceptions
import botocore.exceptions
import pg8000.exceptions

from preparation import ROOT, RUN
from service import Failure
from stack import forget_own_settings, make_run_folder
from steps import clean_up_on_signals, fail, ignore_signals, note


def run_job(job: Callable[[ExitStack], None]) -> int:
    """Runs the job, then closes what it put on the stack of things to close; answers the exit code."""
    clean_up_on_signals()
    forget_own_settings()
    if not lock_project():
        return fail("another run is going on in this folder", "wait for it or stop it with Ctrl-C")
    make_run_folder(RUN)
    resources = ExitStack()
    try:
        job(resources)
        return 0
    except Failure as error:
        return fail(str(error), error.hint)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, boto3.exceptions.Boto3Error) as error:
        return fail(f"MiniStack: {error}", f"its log is {relative(RUN / 'ministack.log')}")
    except (pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError) as error:
        return fail(f"the database: {error}", f"its log is in {relative(RUN)}")
    except KeyboardInterrupt:
        note("\nstopped")
        return 130
    finally:
        ignore_signals()
        resources.close()


def lock_project() -> bool:
    """Two runs would share `.run`; the lock is on the project folder itself and ends with this process."""
    try:
        fcntl.flock(os.open(ROOT, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def relative(path: Path) -> str:
    """The path as the person at the terminal would type it."""
    return os.path.relpath(path)
