"""Clients as people write them, synchronous and asyncio: interceptors, error details, health."""

import asyncio
import concurrent.futures
import logging
import logging.handlers
import queue
import re

import grpc
import interceptors
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from protocols import OK, Method, Outcome, grpc_aio, grpc_sync


class Sync:
    call = staticmethod(grpc_sync)

    @staticmethod
    def interceptors(waits):
        return [interceptors.Retry(waits.append), interceptors.Logging()]


class Aio:
    call = staticmethod(grpc_aio)

    @staticmethod
    def interceptors(waits):
        async def wait(seconds):
            waits.append(seconds)

        return [interceptors.AioRetry(wait), *interceptors.aio_logging()]


both = pytest.mark.parametrize("client", [Sync, Aio])


@pytest.fixture
def logged():
    """Takes the next line of the log, without its figure: `/pkg.Service/Method OK`."""
    lines = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(lines)
    interceptors.log.setLevel(logging.INFO)
    interceptors.log.addHandler(handler)

    def take():
        line = lines.get(timeout=20).getMessage()
        return re.fullmatch(r"(/\S+ \w+) in \d+\.\d{3} s", line)[1]

    yield take
    interceptors.log.removeHandler(handler)
    assert lines.empty()


@both
def test_calls_of_every_kind_are_logged(web, logged, client):
    point = {"latitude": -35.2, "longitude": -15.1}
    for name, sent, replies in [
        ("GetFeature", [point], 1),
        ("ListFeatures", [{"southwest": {"latitude": -36, "longitude": -16}}], 4),
        ("RecordRoute", [point, point], 1),
        ("RouteChat", [{"location": point}] * 3, 3),
    ]:
        method = Method(f"routeguide.RouteGuide/{name}")
        outcome = client.call(web, method, sent, client.interceptors([]))
        assert (len(outcome.replies), outcome.status) == (replies, OK)
        assert logged() == f"{method.path} OK"


@both
def test_a_failure_is_logged_and_not_tried_again(web, logged, client):
    waits = []
    method = Method("coprocess.Dispatcher/Dispatch")
    outcome = client.call(web, method, [{}], client.interceptors(waits))
    assert outcome == Outcome(status={"code": 12, "message": "Method not implemented!"})
    assert logged() == f"{method.path} UNIMPLEMENTED"
    assert waits == []


@pytest.fixture
def unreliable(generated_examples):
    """A server of users that fails as often, and with such codes, as `failures` has; its URL."""
    import users_pb2
    import users_pb2_grpc

    class Unreliable(users_pb2_grpc.UsersServicer):
        failures = []
        attempts = 0

        def CreateUser(self, request, context):
            self.attempts += 1
            if self.failures:
                context.abort(self.failures.pop(0), "not now")
            user = users_pb2.User(username=request.username, user_id=1)
            return users_pb2.CreateUserResult(user=user)

    servicer = Unreliable()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
    users_pb2_grpc.add_UsersServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"http://127.0.0.1:{port}"
    server.stop(None)


CODES = grpc.StatusCode


@both
@pytest.mark.parametrize(
    "failures, attempts, code",
    [
        ([], 1, CODES.OK),
        ([CODES.UNAVAILABLE], 2, CODES.OK),
        ([CODES.DEADLINE_EXCEEDED, CODES.UNAVAILABLE], 3, CODES.OK),
        ([CODES.UNAVAILABLE] * 4, 3, CODES.UNAVAILABLE),
        ([CODES.UNAVAILABLE, CODES.ALREADY_EXISTS], 2, CODES.ALREADY_EXISTS),
        ([CODES.RESOURCE_EXHAUSTED], 1, CODES.RESOURCE_EXHAUSTED),
    ],
)
def test_what_may_help_is_tried_again(
    transom, unreliable, generated_examples, logged, client, failures, attempts, code
):
    """The gateway tells such failures as they are, and makes no attempts of its own."""
    servicer, url = unreliable
    servicer.failures = list(failures)
    source = ["--descriptor-set", str(generated_examples / "upstreams.bin")]
    gateway = transom("serve", "--upstream", url, *source, "--services", "users.Users")
    waits = []
    method = Method("users.Users/CreateUser")
    outcome = client.call(gateway, method, [{"username": "ada"}], client.interceptors(waits))
    assert servicer.attempts == attempts
    assert waits == [0.1, 0.2][: attempts - 1]
    codes = [*failures, CODES.OK][:attempts]
    assert [logged() for _ in codes] == [f"{method.path} {code.name}" for code in codes]
    if code == CODES.OK:
        assert outcome == Outcome([{"user": {"username": "ada", "userId": 1}}])
    else:
        assert outcome == Outcome(status={"code": code.value[0], "message": "not now"})


@both
def test_details_of_the_user_service_are_read(transom, generated_users, client):
    gateway = transom("serve", "--database", "sqlite::memory:")
    method = Method("user.v1.UserService/CreateUser")
    outcome = client.call(gateway, method, [{"email": "nobody", "name": "Nobody"}])
    assert outcome.status["code"] == 3 and outcome.status["message"] == "Invalid email"
    [detail] = outcome.status["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert [violation["field"] for violation in detail["fieldViolations"]] == ["email"]


def check(channel, services):
    stub = health_pb2_grpc.HealthStub(channel)
    requests = [health_pb2.HealthCheckRequest(service=name) for name in services]
    return [stub.Check(request, timeout=20) for request in requests]


def test_every_service_is_healthy(web, upstreams):
    services = ["", *upstreams.urls]
    with grpc.insecure_channel(web.address) as channel:
        answers = check(channel, services)

    async def run():
        async with grpc.aio.insecure_channel(web.address) as channel:
            return await asyncio.gather(*check(channel, services))

    answers += asyncio.run(run())
    assert [answer.status for answer in answers] == [health_pb2.HealthCheckResponse.SERVING] * 12
