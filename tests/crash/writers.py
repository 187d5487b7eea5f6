"""Callers that make users, and write down what they sent and what they were told."""

import http.client
import json
import threading

WRITERS = 8


class Journal:
    """What the store must have, and what it may have. Each writer has one."""

    def __init__(self):
        self.sent = {}  # email → name, before the request is sent
        self.acknowledged = {}  # id → email, after the answer has been read
        self.unavailable = 0  # answers that promise nothing

    def write(self, gateway, number, stop):
        """Makes users until it is to stop, or the gateway is gone. The journal is this writer's
        alone, so that nothing of it waits for another."""
        connection = gateway.connect()
        try:
            while not stop.is_set():
                mark = f"{number}-{len(self.sent)}"
                email, name = f"{mark}@crash.example", f"Writer {mark}"
                self.sent[email] = name
                connection.request("POST", "/v1/users", json.dumps({"email": email, "name": name}),
                                   {"content-type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.acknowledged[json.loads(body)["id"]] = email
                elif answer.status == 503:
                    self.unavailable += 1
                else:
                    raise RuntimeError(f"an answer that nobody expects: {answer.status} {body!r}")
        except (OSError, http.client.HTTPException):
            pass  # Killed: what was sent last may be there or not.
        finally:
            connection.close()


class Writers:
    """All of them at once, from `start` to `join`."""

    def __init__(self):
        self.journals = [Journal() for _ in range(WRITERS)]

    def start(self, gateway):
        self.stop = threading.Event()
        self.faults = []
        self.threads = [threading.Thread(target=self._run, args=(gateway, number), daemon=True)
                        for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def _run(self, gateway, number):
        try:
            self.journals[number].write(gateway, number, self.stop)
        except Exception as fault:  # told by who joins
            self.faults.append(fault)

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if self.faults:
            raise self.faults[0]

    def sent(self):
        return {email: name for journal in self.journals for email, name in journal.sent.items()}

    def acknowledged(self):
        return {user: email for journal in self.journals
                for user, email in journal.acknowledged.items()}

    def unavailable(self):
        return sum(journal.unavailable for journal in self.journals)


def compare(users, sent, acknowledged):
    """What is lost of what was acknowledged, and what was invented: users that nobody sent, or
    sent otherwise, or that are there twice."""
    there = {user["id"]: user["email"] for user in users}
    lost = [user for user, email in acknowledged.items() if there.get(user) != email]
    invented = [user["id"] for user in users if sent.get(user["email"]) != user.get("name")]
    twice = len(users) - len({user["email"] for user in users})
    return lost, invented + ["twice"] * twice
