"""The verdict on a run of Connect's conformance suite: what failed, a table, and the exit code.

    verdict.py COUNTS LOG STATUS

Nothing may fail, every case must have run, and there must be as many as COUNTS says.
"""

import re
import sys
from pathlib import Path

RUNNING = re.compile(r"Running (\d+) tests with (\S+) for server config #\d+ \{(\w+), (\w+), ")
TOTALS = re.compile(r"Total cases: (\d+)\n(\d+) passed, (\d+) failed")


def main(counts, log, status):
    text = Path(log).read_text()
    totals = TOTALS.search(text)
    if not totals:
        sys.exit(f"{text}\nthe suite did not come to its end (exit {status})")
    ran = {}
    for count, client, version, protocol in RUNNING.findall(text):
        row = (protocol, version, client)
        ran[row] = ran.get(row, 0) + int(count)
    faults = [] if totals[3] == "0" else [f"{totals[3]} cases failed"]
    if int(totals[1]) != sum(ran.values()) or "could not be run" in text:
        faults.append(f"{sum(ran.values())} cases were to be run, {totals[1]} were")
    expected = {}
    for line in Path(counts).read_text().splitlines():
        if line and not line.startswith("#"):
            *row, count = line.split()
            expected[tuple(row)] = int(count)
    for row in sorted(ran.keys() | expected.keys()):
        if ran.get(row, 0) != expected.get(row, 0):
            where = " ".join(row)
            faults.append(f"{where}: {ran.get(row, 0)} cases ran, {expected.get(row, 0)} are expected")
    if status != "0" and not faults:
        faults.append(f"the suite's exit code is {status}")

    if int(totals[3]):
        print(text[text.find("FAILED: ") : totals.start()])
    for row in sorted(ran):
        print(f"{row[0]:18} {row[1]:15} {row[2]:22} {ran[row]:5}")
    for protocol in sorted({row[0] for row in ran}):
        print(f"{protocol:57} {sum(n for row, n in ran.items() if row[0] == protocol):5}")
    print(f"{'passed':57} {int(totals[2]):5}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
