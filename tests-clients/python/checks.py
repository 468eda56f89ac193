"""Runs named checks and prints one line for each; asks the harness to kill the broker.

Environment: BOOTSTRAP, CONTROL (the harness's address), NOT_RUN (patterns of checks to leave out).
"""

import faulthandler
import os
import sys
import time
import traceback
import urllib.request
import uuid
from fnmatch import fnmatchcase

BOOTSTRAP = os.environ["BOOTSTRAP"]
CHECK_SECONDS_MAX = 120
SLOW_SECONDS = 5
RUN = uuid.uuid4().hex[:6]


def unique(name):
    """A topic or group name of this run only."""
    return f"{name}-{RUN}"


def kill_and_restart_broker():
    urllib.request.urlopen(os.environ["CONTROL"] + "/kill-and-restart", data=b"", timeout=120).read()


def eventually(condition, what, seconds_max=30, between=lambda: time.sleep(0.1)):
    """Waits until `condition()` is true and returns what it returned."""
    deadline = time.monotonic() + seconds_max
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds_max} s: {what}")
        between()
    return found


def expect_error(action, *names):
    """`action` must fail with one of Kafka's error `names` in its text."""
    try:
        action()
    except Exception as error:
        text = f"{type(error).__name__} {error}"
        assert any(name.lower() in text.lower() for name in names), f"another error: {text}"
        return
    raise AssertionError(f"no error, expected {' or '.join(names)}")


def run(checks):
    """Runs [(name, function)]; exits with 1 if one failed."""
    left_out = [pattern for pattern in os.environ.get("NOT_RUN", "").split(",") if pattern]
    failed = False
    for name, function in checks:
        if any(fnmatchcase(name, pattern) for pattern in left_out):
            print(f"ok - {name} # SKIP left out by the table", flush=True)
            continue
        # A check that hangs ends the program, with the stack of every thread.
        faulthandler.dump_traceback_later(CHECK_SECONDS_MAX, exit=True)
        began = time.monotonic()
        try:
            function()
            print(f"ok - {name}", flush=True)
        except Exception as error:
            failed = True
            traceback.print_exc()
            print(f"not ok - {name}: {type(error).__name__}: {' '.join(str(error).split())[:900]}", flush=True)
        if (seconds := time.monotonic() - began) > SLOW_SECONDS:
            print(f"# {name}: {seconds:.0f} s", flush=True)
    print("all checks done", flush=True)
    sys.stdout.flush()
    # Threads of a client that a failed check left behind must not keep the program alive.
    os._exit(1 if failed else 0)
