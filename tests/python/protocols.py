"""One caller for each protocol, with messages as JSON; all tell alike what came of a call."""

import asyncio
import base64
import contextlib
import importlib
import json
import struct
import urllib.parse
from dataclasses import dataclass, field

import grpc
import websockets
import websockets.sync.client
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import status_pb2
from grpc_status import rpc_status

OK = {"code": 0}
# Those of the codes that the services here answer with.
HTTP_STATUSES = {0: 200, 5: 404, 12: 501}

# What clients in production ask for.
KEEPALIVE = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]


@dataclass
class Outcome:
    """Answers in their order, and how it ended: a google.rpc.Status without empty fields."""

    replies: list = field(default_factory=list)
    status: dict = field(default_factory=lambda: OK)


def generated_module(file, end):
    """What protoc made of a .proto file."""
    return importlib.import_module(file.removesuffix(".proto").replace("/", ".") + end)


class Method:
    """A method by its full name, `pkg.Service/Method`."""

    def __init__(self, name):
        self.path = "/" + name
        self.service, self.name = name.split("/")
        pool = descriptor_pool.Default()
        descriptor = pool.FindServiceByName(self.service).FindMethodByName(self.name)
        self.takes_stream = descriptor.client_streaming
        self.gives_stream = descriptor.server_streaming
        self.request = message_factory.GetMessageClass(descriptor.input_type)
        self.reply = message_factory.GetMessageClass(descriptor.output_type)
        self.stubs = generated_module(descriptor.containing_service.file.name, "_pb2_grpc")

    def encode(self, message):
        return json_format.ParseDict(message, self.request()).SerializeToString()

    def decode(self, data):
        return json_format.MessageToDict(self.reply.FromString(data))

    def of_stub(self, channel):
        stub = getattr(self.stubs, self.service.split(".")[-1] + "Stub")
        return getattr(stub(channel), self.name)


def plain(status):
    return {key: value for key, value in status.items() if value}


def rest(gateway, method, messages):
    lines = "\n".join(json.dumps(message) for message in messages).encode()
    kind = "application/x-ndjson" if method.takes_stream else "application/json"
    status, headers, body = gateway.get(method.path, {"content-type": kind}, lines)
    if status != 200:
        told = plain(json.loads(body))
        assert status == HTTP_STATUSES[told["code"]]
        return Outcome(status=told)
    if not method.gives_stream:
        assert headers["content-type"] == "application/json"
        return Outcome([json.loads(body)])
    assert headers["content-type"] == "text/event-stream"
    blocks = [block.split("\n") for block in body.decode().split("\n\n")]
    events = [dict(line.split(": ", 1) for line in block if line) for block in blocks]
    first, *events, end, rest = events
    assert (first, rest) == ({"retry": "3000"}, {})
    assert end == {"event": "end", "id": "transom-end", "data": "{}"}
    assert all(event.keys() == {"data"} for event in events)
    return Outcome([json.loads(event["data"]) for event in events])


def grpc_web(gateway, method, messages, as_text=False):
    messages = [method.encode(message) for message in messages]
    body = b"".join(struct.pack(">BI", 0, len(message)) + message for message in messages)
    kind = "application/grpc-web-text" if as_text else "application/grpc-web+proto"
    body = base64.b64encode(body) if as_text else body
    status, headers, body = gateway.get(method.path, {"content-type": kind}, body)
    assert (status, headers["content-type"].split("+")[0]) == (200, kind.split("+")[0])
    outcome = Outcome()
    body = unbase64(body) if as_text else body
    while body[0] == 0:
        message, body = frame(body)
        outcome.replies.append(method.decode(message))
    assert body[0] == 0x80
    trailers, behind = frame(body)
    assert behind == b""
    trailers = dict(line.split(":", 1) for line in trailers.decode().splitlines())
    outcome.status = {"code": int(trailers["grpc-status"])}
    if "grpc-message" in trailers:
        outcome.status["message"] = urllib.parse.unquote(trailers["grpc-message"])
    if "grpc-status-details-bin" in trailers:
        encoded = trailers["grpc-status-details-bin"]
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        outcome.status = json_format.MessageToDict(status_pb2.Status.FromString(decoded))
    return outcome


def grpc_web_text(gateway, method, messages):
    return grpc_web(gateway, method, messages, as_text=True)


def frame(body):
    """The content of the first frame, and what is behind it."""
    (length,) = struct.unpack_from(">I", body, 1)
    assert len(body) >= 5 + length
    return body[5 : 5 + length], body[5 + length :]


def unbase64(text):
    """Decodes a text that may be several, each padded."""
    return b"".join(base64.b64decode(text[at : at + 4]) for at in range(0, len(text), 4))


@contextlib.contextmanager
def open_websocket(gateway, method, subprotocol):
    url = gateway.url.replace("http", "ws") + method.path
    with websockets.sync.client.connect(
        url, subprotocols=[subprotocol], proxy=None, compression=None
    ) as socket:
        assert socket.subprotocol == subprotocol
        yield socket


def websocket(gateway, method, messages):
    messages = map(json.dumps, messages)
    return websocket_call(gateway, method, "transom.json", messages, json.loads)


def websocket_binary(gateway, method, messages):
    messages = map(method.encode, messages)
    return websocket_call(gateway, method, "transom.proto", messages, method.decode)


def websocket_call(gateway, method, subprotocol, messages, decode):
    """Sends all, then reads to the end: answers, what is told behind them, the close frame."""
    outcome = Outcome()
    with open_websocket(gateway, method, subprotocol) as socket:
        for message in messages:
            socket.send(message)
        # Where there can be one message only, it may be answered and closed already.
        if method.takes_stream:
            socket.send("")
        with contextlib.suppress(websockets.ConnectionClosed):
            while (message := socket.recv(timeout=20)) != "":
                outcome.replies.append(decode(message))
            outcome.status = plain(json.loads(socket.recv(timeout=20))["status"])
            socket.recv(timeout=20)
            raise AssertionError("a frame behind the last")
    code = outcome.status["code"]
    assert socket.close_code == (4000 + code if code else 1000)
    assert socket.close_reason == outcome.status.get("message", "")
    return outcome


def grpc_sync(gateway, method, messages, interceptors=()):
    messages = [json_format.ParseDict(message, method.request()) for message in messages]
    outcome = Outcome()
    with grpc.insecure_channel(gateway.address, options=KEEPALIVE) as channel:
        channel = grpc.intercept_channel(channel, *interceptors)
        try:
            argument = iter(messages) if method.takes_stream else messages[0]
            replies = method.of_stub(channel)(argument, timeout=20)
            for reply in replies if method.gives_stream else [replies]:
                outcome.replies.append(json_format.MessageToDict(reply))
        except grpc.RpcError as error:
            outcome.status = grpc_status(error, rpc_status.from_call(error))
    return outcome


def grpc_aio(gateway, method, messages, interceptors=()):
    messages = [json_format.ParseDict(message, method.request()) for message in messages]

    async def call():
        outcome = Outcome()
        async with grpc.aio.insecure_channel(
            gateway.address, options=KEEPALIVE, interceptors=list(interceptors)
        ) as channel:
            argument = iter(messages) if method.takes_stream else messages[0]
            call = method.of_stub(channel)(argument, timeout=20)
            try:
                if method.gives_stream:
                    async for reply in call:
                        outcome.replies.append(json_format.MessageToDict(reply))
                else:
                    outcome.replies.append(json_format.MessageToDict(await call))
            except grpc.aio.AioRpcError as error:
                outcome.status = grpc_status(error, await rpc_status.aio.from_call(call))
        return outcome

    return asyncio.run(call())


def grpc_status(error, with_details):
    if with_details is not None:
        return json_format.MessageToDict(with_details)
    return plain({"code": error.code().value[0], "message": error.details()})


# A conversation, as the service has it.
ORDINALS = ["First", "Second", "Third", "Fourth", "Fifth"]
ASKED = [f"Hello Server Sending you the {ordinal} message" for ordinal in ORDINALS]
ANSWERED = [f"Hello from the server received your {ordinal} message" for ordinal in ORDINALS]

CALLERS = [rest, grpc_web, grpc_web_text, websocket, websocket_binary, grpc_sync, grpc_aio]
