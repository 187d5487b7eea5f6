"""A power cut's stand-in: under strace, is each answer sent only when its user is on the disk?

A killed process loses nothing that it wrote, synced or not; a machine without power does. So for
each acknowledged user three system calls are looked for, in this order: the first write to the
log of the database with the user's id in it, a sync of that log that began after it and
succeeded, the write of the answer to the caller's socket."""

import os
import re
import shutil
import signal
import subprocess
import time

from gateway import Gateway
from writers import WRITERS, Writers

ENOUGH = 400
SYNCS = ("fsync", "fdatasync")
CALLS = "fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg"

# What -f, -yy and a long -s print: a call with its file; or its end, if others came in between.
CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\(\d+<(?P<file>.*?)>[,) ]")
RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def trace(binary, folder):
    """Writes users under strace, prints the counts; whether all was as it must be."""
    install()
    log = folder / "strace.txt"
    gateway = Gateway(binary, f"sqlite:{folder / 'users.db'}", folder / "gateway.txt")
    writers = Writers()
    gateway.start(["strace", "-f", "-y", "-s", "20000", "-e", f"trace={CALLS}", "-e", "signal=none",
                   "-o", str(log)])
    try:
        writers.start(gateway)
        while any(thread.is_alive() for thread in writers.threads):
            if sum(len(journal.acknowledged) for journal in writers.journals) >= ENOUGH:
                break
            time.sleep(0.05)
        writers.join()
    finally:
        end(gateway)
    with open(log, errors="replace") as lines:
        lines = lines.readlines()
    acknowledged = set(writers.acknowledged())
    told = verdicts(lines, acknowledged)
    syncs = sum(1 for line in lines if re.match(r"\d+ +f(data)?sync\(", line))
    count = {verdict: list(told.values()).count(verdict) for verdict in set(told.values())}
    print(f"sqlite: {len(acknowledged)} acknowledged by {WRITERS} writers, {syncs} syncs: {count}")
    # The same without its syncs must not pass.
    blind = verdicts([line for line in lines if not re.search(r"\bf(data)?sync\b", line)],
                     acknowledged)
    bites = bool(blind) and set(blind.values()) == {"early"}
    print(f"  without the syncs in it the trace {'is refused' if bites else 'PASSES AS WELL'}")
    return bool(acknowledged) and set(told.values()) == {"synced"} and bites


def verdicts(lines, acknowledged):
    """For each user `synced`; `early` if the answer was sent before that; or what is missing."""
    written = {}  # id → line of its first write to the log
    synced = -1  # the last line that all syncs that are over have covered
    syncing = {}  # thread → line at which its sync began
    told = dict.fromkeys(acknowledged, "no answer seen")
    for number, line in enumerate(lines):
        if resumed := RESUMED.match(line):
            began = syncing.pop(resumed["thread"], None)
            if began is not None and line.rstrip().endswith("= 0"):
                synced = max(synced, began)
            continue
        call = CALL.match(line)
        if not call:
            continue
        if call["file"].endswith(".db-wal"):
            if call["name"] in SYNCS:
                if "<unfinished" in line:
                    syncing[call["thread"]] = number
                elif line.rstrip().endswith("= 0"):
                    synced = max(synced, number)
            else:
                for user in ID.findall(line):
                    written.setdefault(user, number)
        elif "HTTP/1.1 200" in line:
            for user in ID.findall(line):
                if user not in told:
                    continue
                if user not in written:
                    told[user] = "no write seen"
                else:
                    told[user] = "synced" if written[user] < synced else "early"
    return told


def end(gateway):
    """strace goes on with what it runs; so the gateway itself is told, which is its only child."""
    children = f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children"
    with open(children) as file:
        for child in file.read().split():
            os.kill(int(child), signal.SIGTERM)
    gateway.process.wait(60)
    gateway.stop()


def install():
    if shutil.which("strace") is None:
        print("installing strace", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "strace"],
                       check=True)
