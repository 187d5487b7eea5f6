"""Processes and services that the tests talk to. Ports are free ones; nothing outlives a test run."""

import concurrent.futures
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from grpc_tools import protoc
from protocols import generated_module

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
EXAMPLES = ROOT / "examples/upstreams"
ROUTE_GUIDE_RULES = str(EXAMPLES / "routeguide.yaml")
BINARY = os.environ.get("TRANSOM_BINARY", ROOT / "target/debug/transom")


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """Python code and a descriptor set for relay.proto; the folder of both."""
    out = tmp_path_factory.mktemp("generated")
    generate(out, [HERE, ROOT / "proto", well_known_protos()], "relay.bin", ["relay.proto"])
    return out


@pytest.fixture(scope="session")
def generated_examples(tmp_path_factory):
    """The same for the protos of examples/upstreams, in `upstreams.bin`."""
    out = tmp_path_factory.mktemp("generated")
    protos = EXAMPLES / "protos"
    generate(out, [protos], "upstreams.bin", sorted(path.name for path in protos.glob("*.proto")))
    return out


@pytest.fixture(scope="session")
def generated_users(tmp_path_factory):
    """The same for the bundled user service, in `users.bin`."""
    out = tmp_path_factory.mktemp("generated")
    files = ["transom/v1/sse.proto", "user/v1/user.proto", "user/v1/user_service.proto"]
    generate(out, [ROOT / "proto", well_known_protos()], "users.bin", files)
    return out


def generate(out, folders, descriptor_set, files):
    arguments = ["protoc", *(f"-I{folder}" for folder in folders)]
    arguments += [f"--python_out={out}", f"--grpc_python_out={out}", "--include_imports"]
    arguments += [f"--descriptor_set_out={out / descriptor_set}", *files]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, str(out))
    for file in files:
        # So that the default pool knows what is in it.
        generated_module(file, "_pb2")


def well_known_protos():
    import grpc_tools

    return pathlib.Path(grpc_tools.__file__).parent / "_proto"


class Relay:
    """The service's behaviour; `waiting` counts the calls that hang in it."""

    def __init__(self, pb):
        self.pb = pb
        self.cancelled = threading.Event()
        self.waiting = threading.Event()

    def Say(self, request, context):
        metadata = {k: v for k, v in context.invocation_metadata() if isinstance(v, str)}
        context.send_initial_metadata((("x-initial", "i"),))
        context.set_trailing_metadata((("x-trailing", "t"),))
        return self.pb.SayReply(text=f"Hello {request.name}", metadata=metadata)

    def Repeat(self, request, context):
        for number in range(request.times):
            yield self.pb.SayReply(text=f"{request.name} {number}")

    def Refuse(self, request, context):
        detail = any_pb2.Any()
        violation = error_details_pb2.BadRequest.FieldViolation(field="name", description="no")
        detail.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
        code = code_pb2.Code.Value(request.name)
        status = status_pb2.Status(code=code, message="told so", details=[detail])
        context.abort_with_status(rpc_status.to_status(status))

    def Wait(self, request, context):
        context.add_callback(self.cancelled.set)
        self.waiting.set()
        self.cancelled.wait(30)
        return self.pb.SayReply()

    def Gather(self, requests, context):
        return self.pb.SayReply(text=", ".join(request.name for request in requests))

    def Talk(self, requests, context):
        for request in requests:
            yield self.pb.SayReply(text=f"Hello {request.name}")


def serve_relay(generated, with_reflection):
    import relay_pb2
    import relay_pb2_grpc

    relay = Relay(relay_pb2)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8))
    relay_pb2_grpc.add_RelayServicer_to_server(relay, server)
    if with_reflection:
        names = ("relay.v1.Relay", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"http://127.0.0.1:{port}", relay


@pytest.fixture
def relay(generated):
    """A Python server with reflection: its URL and its behaviour."""
    server, url, behaviour = serve_relay(generated, with_reflection=True)
    yield url, behaviour
    server.stop(None)


@pytest.fixture
def mute_relay(generated):
    """The same without reflection: its URL."""
    server, url, _ = serve_relay(generated, with_reflection=False)
    yield url
    server.stop(None)


class Upstreams:
    """The servers of examples/upstreams, in a process of their own; `urls` has services' names."""

    def __init__(self, *names, flags=()):
        command = [sys.executable, EXAMPLES / "run.py", *names, "--port", "0", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines = queue.SimpleQueue()
        threading.Thread(target=self.read, daemon=True).start()
        self.urls = {}
        for _ in range(len(names) or 5):
            name, url = self.printed(" listens on http://").split(" listens on ")
            self.urls[name] = url

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def printed(self, part):
        """The next line that has `part`."""
        while True:
            line = self.lines.get(timeout=20)
            assert line is not None, f"the servers ended, and nothing had {part}"
            if part in line:
                return line

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def upstreams(generated_examples):
    """All of them, with reflection."""
    running = Upstreams()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def web(upstreams):
    """One gateway in front of all of them."""
    running = Transom("serve", *upstream_flags(upstreams))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def route_guide(upstreams):
    """A gateway in front of one of them, with routes of its own."""
    url = upstreams.urls["routeguide.RouteGuide"]
    running = Transom("serve", "--upstream", url, "--service-config", ROUTE_GUIDE_RULES)
    yield running
    running.stop()


def upstream_flags(upstreams):
    return [flag for url in upstreams.urls.values() for flag in ("--upstream", url)]


class Transom:
    """A running transom process."""

    def __init__(self, *arguments):
        command = [str(BINARY), *arguments, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        first = self.process.stdout.readline()
        assert "listens on http://" in first, first
        self.url = first.split()[-1]
        self.address = self.url.removeprefix("http://")

    def get(self, path, headers={}, data=None):
        """Status, headers and text of an answer."""
        request = urllib.request.Request(self.url + path, headers=headers, data=data)
        try:
            answer = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers, answer.read()

    def json(self, path, **arguments):
        status, _, body = self.get(path, **arguments)
        return status, json.loads(body)

    def stop(self):
        self.process.terminate()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def transom():
    """Starts transom processes."""
    started = []

    def start(*arguments):
        started.append(Transom(*arguments))
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def gateway(transom, relay):
    """A gateway that learnt the Python service by reflection."""
    return transom("serve", "--upstream", relay[0])
