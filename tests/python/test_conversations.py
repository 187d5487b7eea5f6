"""A stream each way: both sides write independently of each other."""

import asyncio
import contextlib
import json
import queue

import grpc
import pytest
from protocols import ANSWERED, ASKED, Method, open_websocket

NAME = "bidirectional.Bidirectional/GetServerResponse"


@pytest.fixture
def by_websocket(web):
    method = Method(NAME)
    with open_websocket(web, method, "transom.json") as socket:

        class Talk:
            def ask(self, message):
                socket.send(json.dumps({"message": message}))

            def hear(self):
                return json.loads(socket.recv(timeout=20))["message"]

        yield Talk()


@pytest.fixture
def by_grpc(web):
    method = Method(NAME)
    questions = queue.Queue(maxsize=1)
    with grpc.insecure_channel(web.address) as channel:
        answers = method.of_stub(channel)(iter(questions.get, None), timeout=60)

        class Talk:
            def ask(self, message):
                questions.put(method.request(message=message), timeout=20)

            def hear(self):
                return next(answers).message

        yield Talk()
        answers.cancel()
        # Whoever waits for a question is let go; nobody waits while there is one.
        with contextlib.suppress(queue.Full):
            questions.put_nowait(None)


@pytest.fixture
def by_grpc_aio(web):
    method = Method(NAME)
    loop = asyncio.new_event_loop()

    async def open_call():
        channel = grpc.aio.insecure_channel(web.address)
        return channel, method.of_stub(channel)(timeout=60)

    channel, call = loop.run_until_complete(open_call())

    class Talk:
        def ask(self, message):
            loop.run_until_complete(call.write(method.request(message=message)))

        def hear(self):
            return loop.run_until_complete(call.read()).message

    yield Talk()
    loop.run_until_complete(channel.close())
    loop.close()


@pytest.fixture(params=["by_websocket", "by_grpc", "by_grpc_aio"])
def talk(request):
    return request.getfixturevalue(request.param)


def test_each_answer_comes_before_the_next_question(talk):
    for asked, answered in zip(ASKED, ANSWERED):
        talk.ask(asked)
        assert talk.hear() == answered


def test_what_is_asked_is_read_although_no_answer_is(talk):
    """More than fits into every buffer on the way back."""
    padding = "x" * 60_000
    for number in range(500):
        talk.ask(f"{number} {padding}")
    for number in range(500):
        assert talk.hear() == f"Hello from the server received your {number} {padding}"
