"""From what a suite printed to counted checks, and from those to the summary and the table in the docs.

Our own programs print one line a check: `ok - NAME`, `not ok - NAME: reason`, `ok - NAME # SKIP reason` for what
was not run, `ok - NAME # NA reason` for what does not apply.
Other projects' tests are read from their runner's report.
"""

import re
import tomllib
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

PASSED, FAILED, NOT_APPLICABLE, NOT_RUN = "passed", "failed", "not applicable", "not run"


@dataclass
class Check:
    name: str
    outcome: str
    reason: str = ""


@dataclass
class Result:
    """One suite's checks. A suite that could not start has none, and says why in `not_run`."""

    suite: str
    checks: list = field(default_factory=list)
    not_run: str = ""
    seconds: float = 0.0

    def count(self, outcome):
        counted = sum(check.outcome == outcome for check in self.checks)
        return counted + (1 if outcome == NOT_RUN and self.not_run else 0)

    def line(self):
        text = f"{self.suite}: passed {self.count(PASSED)}, failed {self.count(FAILED)}"
        if self.count(NOT_APPLICABLE):
            text += f", not applicable {self.count(NOT_APPLICABLE)}"
        text += f", not run {self.count(NOT_RUN)}"
        reasons = [self.not_run] if self.not_run else sorted({c.reason for c in self.checks if c.outcome == NOT_RUN})
        if reasons:
            text += f" ({'; '.join(reasons)})"
        return f"{text} [{self.seconds:.0f} s]"


class NotApplicable:
    """The table of what a broker is excused from, `not_applicable.toml`, for one suite."""

    def __init__(self, table: Path, broker, suite):
        entries = tomllib.loads(table.read_text())["entry"]
        self.entries = [entry for entry in entries
                        if entry["suite"] == suite and entry["broker"] in (broker, "any")]

    def reason(self, check, how):
        """Why `check` is excused, by an entry of kind `how`: it "fails", or is "not run"."""
        for entry in self.entries:
            if entry["how"] == how and any(fnmatchcase(check, pattern) for pattern in entry["checks"]):
                return entry["reason"]
        return None

    def left_out(self):
        """The patterns of checks that are not even started."""
        return [pattern for entry in self.entries if entry["how"] == "not run" for pattern in entry["checks"]]

    def judge(self, check):
        """An excused check that fails is not applicable; one that passes makes the table wrong."""
        reason = self.reason(check.name, "not run")
        if reason:
            return Check(check.name, NOT_APPLICABLE, reason)
        reason = self.reason(check.name, "fails")
        if reason and check.outcome == FAILED:
            return Check(check.name, NOT_APPLICABLE, reason)
        if reason and check.outcome == PASSED:
            return Check(check.name, FAILED, "passes although not_applicable.toml says it cannot: remove the entry")
        return check


def of_our_programs(text):
    checks = []
    for line in text.splitlines():
        if excused := re.match(r"ok - (.*?) # NA (.*)", line):
            checks.append(Check(excused[1], NOT_APPLICABLE, excused[2]))
        elif skipped := re.match(r"ok - (.*?) # SKIP (.*)", line):
            checks.append(Check(skipped[1], NOT_RUN, skipped[2]))
        elif passed := re.match(r"ok - (.*)", line):
            checks.append(Check(passed[1].strip(), PASSED))
        elif failed := re.match(r"not ok - (.*?)(?:: (.*))?$", line):
            checks.append(Check(failed[1], FAILED, failed[2] or ""))
    return checks


def of_pytest(report: Path):
    checks = []
    for case in xml.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname').split('.')[-1]}::{case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if bad is not None:
            checks.append(Check(name, FAILED, (bad.get("message") or "").splitlines()[0][:200]))
        elif skipped is not None:
            checks.append(Check(name, NOT_RUN, skipped.get("message") or ""))
        else:
            checks.append(Check(name, PASSED))
    return checks


def of_cargo_test(program, text):
    """The lines of Rust's test harness: `test NAME ... ok`, with output of the test in between."""
    return [Check(f"{program}::{name}", PASSED if outcome == "ok" else FAILED)
            for name, outcome in re.findall(r"^test (\S+) \.\.\. (?:.*\n(?!test )(?:.*\n)*?)??(ok|FAILED)$", text, re.M)]


def write_docs(page: Path, broker, version, suites, results):
    """The table of `docs/clients.md`: which client passed what, as the run saw it."""
    by_name = {result.suite: result for result in results}
    rows = ["| Client | Version | Language | What was exercised | Result |", "|---|---|---|---|---|"]
    notes = []
    for suite in suites:
        result = by_name.get(suite.name)
        if result is None:
            continue
        if result.not_run:
            verdict = f"not run: {result.not_run}"
        else:
            verdict = f"{result.count(PASSED)} passed, {result.count(FAILED)} failed"
            if result.count(NOT_APPLICABLE):
                verdict += f", {result.count(NOT_APPLICABLE)} not applicable"
        rows.append(f"| {suite.client} | {suite.version} | {suite.language} | {suite.exercises} | {verdict} |")
        excused = {}
        for check in result.checks:
            if check.outcome == NOT_APPLICABLE:
                excused.setdefault(check.reason, []).append(f"`{check.name}`")
        notes += [f"- **{suite.name}**: {', '.join(names)}: {reason}" for reason, names in excused.items()]
    page.write_text("\n".join([
        "# Which client passes what",
        "",
        f"Made by `tests-clients/run.py --broker {broker} --write-docs`, against {version}. "
        "Every suite passes on Apache Kafka 4.4.0 first; only then does it judge Ottla.",
        "",
        *rows,
        "",
        "## Not applicable",
        "",
        "From `tests-clients/not_applicable.toml`. A check that could be run was run, and failed as the table says.",
        "",
        *(notes or ["Nothing."]),
        "",
    ]))
