"""The gateway as a child of the test: started, asked, killed."""

import http.client
import json
import os
import signal
import subprocess
import time

START_SECONDS = 60


class Gateway:
    """`transom` on a store, on a free port; what it logs goes to a file."""

    def __init__(self, binary, database, log):
        self.binary, self.database, self.log = binary, database, log
        self.process = None

    def start(self, wrapper=()):
        """Returns once it listens. A wrapper is a command that runs the gateway's."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("TRANSOM_") and name != "RUST_LOG"}
        environment["TRANSOM_DATABASE"] = self.database
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [*wrapper, self.binary, "--listen", "127.0.0.1:0"], env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True)
        for line in self.process.stdout:
            before, found, address = line.strip().partition("listens on http://")
            if found:
                self.address = address
                return
        raise RuntimeError(f"the gateway ended with {self.process.wait()}: see {self.log}")

    def connect(self):
        return http.client.HTTPConnection(self.address, timeout=30)

    def users(self, after=""):
        """All users behind an id, in the order of the list; None if the list is not whole."""
        try:
            connection = self.connect()
            connection.request("GET", f"/v1/users?page_size=1000&page_token={after}",
                               headers={"accept": "text/event-stream"})
            text = connection.getresponse().read().decode()
            connection.close()
        except (OSError, http.client.HTTPException):
            return None
        if "event: end\n" not in text:
            return None
        lines = (line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: "))
        return [user for user in map(json.loads, lines) if user]

    def users_soon(self, after=""):
        """As soon as the list is there: the store may be starting as well."""
        end = time.monotonic() + START_SECONDS
        while (users := self.users(after)) is None:
            if time.monotonic() > end:
                raise RuntimeError(f"no users are listed: see {self.log}")
            time.sleep(0.01)
        return users

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self._gone()

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._gone()

    def _gone(self):
        self.process.wait()
        self.process.stdout.close()
        self.process = None
