"""What the kernel tells about a process: its processor time and its memory. Knows nothing of loads."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Of the whole process, also of threads that have ended; in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_seconds_of_threads(pid):
    """Of the threads there are, to the nanosecond: for what hardly uses any."""
    spent = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            spent += int((thread / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue  # It has ended.
    return spent / 1e9


def memory_mib(pid, what):
    """`VmRSS`, what is resident now, or `VmHWM`, the most that ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {what}")
