"""librdkafka's own tests: which of them judge a broker within a minute, how one is run, how its report is read.

Knows nothing of where the program comes from. A test of theirs is a number; some hold several parts, and some do
nothing in quick mode, so that they are run whole.
"""

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .results import FAILED, PASSED, Check

# They sleep and poll for most of their time.
SIDE_BY_SIDE_MAX = 10
TEST_SECONDS_MAX = 200


@dataclass(frozen=True)
class Test:
    number: str
    # Only those parts of it whose name holds this text.
    part: str = ""
    whole: bool = False

    def name(self):
        return f"{self.number}:{self.part}" if self.part else self.number


def quick(*numbers):
    return [Test(number) for number in numbers]


def whole(*numbers):
    return [Test(number, whole=True) for number in numbers]


def parts(number, *names):
    return [Test(number, part) for part in names]


# Those that take longest come first, so that the short ones fill up behind them.
TESTS = [
    *whole("0018", "0050"),
    *parts("0081", "ConsumerGroups", "Offsets"),
    *quick("0114", "0075", "0123", "0049", "0015", "0051", "0069", "0125"),
    *whole("0019", "0132", "0127"),
    *quick("0011", "0017", "0118", "0014", "0113", "0083", "0030", "0112", "0067", "0041", "0090", "0040", "0099", "0085"),
    *parts("0081", "Configs", "DeleteRecords", "DescribeTopics", "DescribeCluster", "DeleteGroups", "CreateTopics",
           "DeleteTopics", "CreatePartitions", "unclean_destroy"),
    *quick("0038", "0068", "0029", "0012", "0013", "0020", "0042", "0056", "0034", "0036", "0048", "0070", "0060",
           "0002", "0044", "0021", "0140", "0130", "0073", "0039", "0003", "0005", "0007", "0008", "0016", "0022",
           "0031", "0054", "0057", "0059", "0063", "0064", "0065", "0035"),
]
# With --full: minutes of waiting for timeouts, and those that fail by the clock if the machine is busy for 0.1 to 1 s.
LONG = [
    *whole("0026", "0045", "0122"),
    *quick("0091", "0076", "0033", "0093", "0094", "0088", "0001", "0084", "0086"),
]

ROW = re.compile(r"\|\s*(\d{4}_\w+)\s*\|\s*(PASSED|FAILED)\s*\|")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
WHY = re.compile(r"^### Test .*? failed at (.*?) at .*?###\n(.*)$", re.M)


def checks(program, run, full):
    """Each test in a process of its own, several at a time."""
    settings = run.home / "test.conf"
    # Twice as long before a test's own watchdog ends it: the machine is not theirs alone.
    settings.write_text(f"bootstrap.servers={run.broker.bootstrap}\nbroker.address.family=v4\ntest.timeout.multiplier=2\n")
    with ThreadPoolExecutor(SIDE_BY_SIDE_MAX) as pool:
        found = pool.map(lambda test: one(test, program, run, settings), TESTS + (LONG if full else []))
        return [check for several in found for check in several]


def one(test, program, run, settings):
    log = run.home / f"{test.name().replace(':', '-')}.log"
    options = ["-L", "-p1"] + ([] if test.whole else ["-Q"])
    environment = os.environ | {
        # More patience on their side. They set it on their own machines, as most CIs do.
        "CI": "true",
        "RDKAFKA_TEST_CONF": str(settings),
        "TESTS": test.number,
        "TEST_KAFKA_VERSION": "4.0.0",
    } | ({"SUBTESTS": test.part} if test.part else {})
    with open(log, "wb") as out:
        process = subprocess.Popen([program, *options], cwd=run.home, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(TEST_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return [Check(test.name(), FAILED, f"killed after {TEST_SECONDS_MAX} s, see {log}")]
    text = COLOUR.sub("", log.read_text(errors="replace"))
    return read(test, text, process.returncode, log)


def read(test, text, code, log):
    """Its summary has a line for each part. It is printed only by a run that ended in good order; what was filtered
    out is not a check."""
    rows = [(name, outcome) for name, outcome in ROW.findall(text) if name.startswith(test.number)]
    if code != 0 or not rows:
        why = WHY.search(text)
        reason = f"{why[1]}: {why[2]}" if why else f"exit {code}"
        return [Check(test.name(), FAILED, f"{reason[:300]}, see {log}")]
    suffix = f":{test.part}" if test.part else ""
    return [Check(name + suffix, PASSED if outcome == "PASSED" else FAILED, "") for name, outcome in rows]
