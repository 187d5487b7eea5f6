"""A PostgreSQL server of one's own: a data directory in a temporary folder, a free port on
127.0.0.1, a password, and nothing left when it stops. Whatever else of PostgreSQL runs on the
machine is not touched."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PASSWORD = "swordfish"
START_SECONDS = 60
STOP_SECONDS = 30


class PrivateServer:
    """Started and stopped by `with`; `url` is for its superuser and the database `postgres`.
    Settings are postgresql.conf's."""

    def __init__(self, **settings):
        self.settings = {"max_connections": 300, **settings}
        self.programs = find_programs()
        self.process = None
        self.port = None

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="transom-postgres-"))
        try:
            self._make()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self):
        return f"postgres://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self):
        """Returns once it answers. It comes back where it was, unless it never was."""
        end = time.monotonic() + START_SECONDS
        while not self._starts(end):
            if time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log()}")

    def kill(self):
        """SIGKILL to the server and to all that it has started."""
        os.kill(self.process.pid, signal.SIGSTOP)  # it starts no more of them
        backends = children_of(self.process.pid)
        for pid in [self.process.pid, *backends]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # a fast shutdown
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def log(self):
        return (self.folder / "log.txt").read_text(errors="replace")[-4_000:]

    def _make(self):
        """The data directory. initdb and the server refuse to be root: they are `postgres` then."""
        self.owner = {}
        if os.geteuid() == 0:
            self.owner = {"user": "postgres", "group": "postgres", "extra_groups": []}
        password = self.folder / "password.txt"
        password.write_text(PASSWORD)
        (self.folder / "log.txt").touch()
        if self.owner:
            for path in [self.folder, *self.folder.iterdir()]:
                shutil.chown(path, "postgres", "postgres")
        # A password as it is, on a way that nobody else sees: the thousands of hashes of SCRAM take
        # a debug build longer than most tests.
        made = subprocess.run(
            [self.programs / "initdb", "--pgdata", self.folder / "data", "--username", "postgres",
             "--pwfile", password, "--auth", "password", "--encoding", "UTF8",
             "--locale", "C.UTF-8", "--no-sync"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", **self.owner)
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}")

    def _starts(self, end):
        port = self.port or free_port()
        with open(self.folder / "log.txt", "a") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", "-p", str(port),
                 "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                 *(f"--{name}={value}" for name, value in self.settings.items())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True, **self.owner)
        asking = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while time.monotonic() < end:
            if self.process.poll() is not None:
                # The port was taken in between, or what was killed has not quite gone yet.
                time.sleep(0.05)
                return False
            if subprocess.run(asking, cwd="/").returncode == 0:
                self.port = port
                return True
            time.sleep(0.02)
        return False


def find_programs():
    """The folder with `initdb` and `postgres`: Debian has one for each version, none in PATH."""
    def found():
        folders = pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
        newest = sorted(folders, key=lambda path: float(path.parts[-3]))
        if newest:
            return newest[-1].parent
        in_path = shutil.which("initdb")
        return pathlib.Path(in_path).resolve().parent if in_path else None

    if found() is None:
        print("installing postgresql", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"],
                       check=True)
    return found() or exit("there is no initdb: install PostgreSQL")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children_of(parent):
    children = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything; the parent is the second field behind it.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            children.append(int(stat.parts[2]))
    return children
