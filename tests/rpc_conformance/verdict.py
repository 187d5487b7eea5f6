"""The verdict on runs of Connect's conformance suite: what failed, a table, and the exit code.

    verdict.py COUNTS LOG…

Nothing may fail, every case must have run, and there must be as many as COUNTS says.
"""

import re
import sys
from pathlib import Path

RUNNING = re.compile(r"Running (\d+) tests with (\S+) for server config #\d+ \{(\w+), (\w+), ")
TOTALS = re.compile(r"Total cases: (\d+)\n(\d+) passed, (\d+) failed")


def read(log):
    """The cases of one run by client, HTTP version and protocol, and what is wrong with it."""
    upstream = Path(log).stem.removeprefix("log-")
    text = Path(log).read_text()
    totals = TOTALS.search(text)
    if not totals:
        return {}, [f"{text}\n{upstream}: the suite did not come to its end"]
    ran = {}
    for count, client, version, protocol in RUNNING.findall(text):
        row = (protocol, version, client, upstream)
        ran[row] = ran.get(row, 0) + int(count)
    total, passed, failed = map(int, totals.groups())
    faults = []
    if failed:
        faults.append(f"{text[text.find('FAILED: ') : totals.start()]}{upstream}: {failed} cases failed")
    if not total == passed + failed == sum(ran.values()) or "could not be run" in text:
        faults.append(f"{upstream}: {sum(ran.values())} cases were to be run, {total} were")
    if not faults and "exit code" in text[totals.end() :]:
        faults.append(f"{upstream}: {text[totals.end() :].strip()}")
    return ran, faults


def main(counts, *logs):
    expected = {}
    for line in Path(counts).read_text().splitlines():
        if line and not line.startswith("#"):
            *row, count = line.split()
            expected[tuple(row)] = int(count)
    ran, faults = {}, []
    for log in logs:
        rows, wrong = read(log)
        ran |= rows
        faults += wrong
    for row in sorted(ran.keys() | expected.keys()):
        if ran.get(row, 0) != expected.get(row, 0):
            faults.append(f"{' '.join(row)}: {ran.get(row, 0)} cases, {expected.get(row, 0)} are expected")

    for protocol, version, client, upstream in sorted(ran):
        count = ran[protocol, version, client, upstream]
        print(f"{protocol:18} {version:15} {client:22} {upstream:16} {count:5}")
    for protocol in sorted({row[0] for row in ran}):
        print(f"{protocol:74} {sum(n for row, n in ran.items() if row[0] == protocol):5}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
