"""The stores that are killed under, each with what can be killed, and a look inside that the
gateway has no part in."""

import contextlib
import pathlib
import sqlite3
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "postgres"))
from private_server import PASSWORD, PrivateServer  # noqa: E402

# Each user's change is there with it, numbers have no gaps, and the last is the head.
FAULTS = """
    SELECT CASE
        WHEN (SELECT count(*) FROM changes) <> (SELECT seq FROM change_head) THEN 'gaps'
        WHEN (SELECT max(seq) FROM changes) <> (SELECT seq FROM change_head) THEN 'head'
        WHEN (SELECT count(*) FROM users) <> (SELECT count(*) FROM changes) THEN 'count'
        WHEN EXISTS (SELECT 1 FROM users WHERE id NOT IN (SELECT id FROM changes))
            THEN 'a user without a change'
        ELSE 'ok'
    END
"""


class Sqlite:
    """A file: only the gateway can be killed."""

    victims = ["gateway"]

    def __init__(self, folder):
        self.file = folder / "users.db"
        self.database = f"sqlite:{self.file}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def faults(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as database:
            found = [database.execute("PRAGMA integrity_check").fetchone()[0],
                     database.execute(FAULTS).fetchone()[0]]
        return [fault for fault in found if fault != "ok"]


class Postgres:
    """A server of its own: it is killed in turn with the gateway. Its default is to acknowledge
    what is not yet on the disk, and to take its time with that: the store must ask for more."""

    victims = ["gateway", "server"]

    def __init__(self, _):
        self.server = PrivateServer(synchronous_commit="off", wal_writer_delay="10s")

    def __enter__(self):
        self.server.__enter__()
        self.database = self.server.url
        return self

    def __exit__(self, *arguments):
        self.server.__exit__(*arguments)

    def kill(self):
        self.server.kill()

    def restart(self):
        """Returns when it has recovered and answers."""
        self.server.start()

    def faults(self):
        command = [self.server.programs / "psql", "--no-psqlrc", "--tuples-only", "--no-align",
                   "-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "-c", FAULTS]
        found = subprocess.run(command, env={"PGPASSWORD": PASSWORD}, cwd="/", check=True,
                               stdout=subprocess.PIPE, text=True).stdout.strip()
        return [] if found == "ok" else [found]


STORES = {"sqlite": Sqlite, "postgres": Postgres}
