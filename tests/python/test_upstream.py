"""A Python service behind the gateway: not a line of it knows the other."""

import subprocess
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conftest import BINARY, HERE

FRAME = b"\0\0\0\0\x05\n\x03Ada"


def test_unary_over_rest(gateway):
    status, headers, body = gateway.get("/v1/say/Ada", headers={"x-request-id": "r1"})
    assert status == 200 and b'"text":"Hello Ada"' in body
    assert headers["x-initial"] == "i" and headers["x-trailing"] == "t"
    assert b'"x-request-id":"r1"' in body


def test_a_stream_as_events(gateway):
    _, headers, body = gateway.get("/v1/repeat/a?times=3")
    assert headers["content-type"] == "text/event-stream"
    events = [line for line in body.decode().splitlines() if line.startswith("data: ")]
    texts = [f'data: {{"text":"a {number}"}}' for number in range(3)]
    assert events == [*texts, "data: {}"]


def test_errors_with_details(gateway):
    status, body = gateway.json("/v1/refuse/NOT_FOUND")
    assert status == 404 and body["code"] == 5 and body["message"] == "told so"
    assert body["details"][0]["fieldViolations"] == [{"field": "name", "description": "no"}]


def test_grpc_web(gateway):
    headers = {"content-type": "application/grpc-web+proto"}
    status, _, body = gateway.get("/relay.v1.Relay/Say", headers=headers, data=FRAME)
    assert status == 200 and b"Hello Ada" in body
    assert b"grpc-status:0\r\n" in body and b"x-trailing:t\r\n" in body


def test_a_descriptor_set_and_a_directory_stand_in_for_reflection(transom, mute_relay, generated):
    for flags in (["--descriptor-set", generated / "relay.bin"], ["--proto", HERE]):
        gateway = transom("serve", "--upstream", mute_relay, *map(str, flags))
        assert gateway.json("/v1/say/Ada")[1]["text"] == "Hello Ada", flags


def test_without_reflection_the_flag_to_add_is_told(mute_relay):
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--upstream", mute_relay]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 78
    assert "--descriptor-set FILE" in done.stderr and "--proto DIR" in done.stderr


def test_only_named_services_are_exposed(transom, relay):
    gateway = transom("serve", "--upstream", relay[0], "--services", "relay.v1.Relay")
    assert gateway.json("/v1/say/Ada")[0] == 200
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--upstream", relay[0]]
    done = subprocess.run([*command, "--services", "nope.Nope"], capture_output=True, timeout=20)
    assert done.returncode == 78 and b"nope.Nope" in done.stderr


def test_two_processes_are_the_same_to_the_caller(transom):
    """The user service alone, the gateway in front of it; and its start is not waited for."""
    behind = transom("user-service", "--database", "sqlite::memory:")
    gateway = transom("serve", "--upstream", behind.url)
    headers = {"content-type": "application/json"}
    user = b'{"email":"ada@example.com","name":"Ada"}'
    status, created = gateway.json("/v1/users", headers=headers, data=user)
    assert status == 200
    assert gateway.json(f"/v1/users/{created['id']}")[1] == created
    status, taken = gateway.json("/v1/users", headers=headers, data=user)
    assert (status, taken["message"]) == (409, "Email already registered")
    _, _, events = gateway.get("/v1/users")
    assert created["id"].encode() in events and events.endswith(b"event: end\nid: transom-end\ndata: {}\n\n")
    behind.stop()
    assert gateway.json("/v1/users/x") == (
        503,
        {"code": 14, "message": "the upstream cannot be reached", "details": []},
    )


def test_an_upstream_that_is_down_at_start_is_awaited(transom, generated):
    from conftest import serve_relay

    server, url, _ = serve_relay(generated, with_reflection=True)
    server.stop(None).wait()
    gateway = transom("serve", "--upstream", url)
    assert gateway.get("/readyz")[0] == 503 and gateway.get("/livez")[0] == 200
    with grpc.insecure_channel(gateway.address) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
    status, body = gateway.json("/v1/say/Ada")
    assert (status, body["code"]) == (503, 14)

    import concurrent.futures

    import relay_pb2
    import relay_pb2_grpc
    from conftest import Relay
    from grpc_reflection.v1alpha import reflection

    again = grpc.server(concurrent.futures.ThreadPoolExecutor())
    relay_pb2_grpc.add_RelayServicer_to_server(Relay(relay_pb2), again)
    reflection.enable_server_reflection(("relay.v1.Relay", reflection.SERVICE_NAME), again)
    assert again.add_insecure_port(url.removeprefix("http://"))
    again.start()
    try:
        for _ in range(300):
            if gateway.get("/readyz")[0] == 200:
                break
            time.sleep(0.1)
        assert gateway.json("/v1/say/Ada")[1]["text"] == "Hello Ada"
    finally:
        again.stop(None)
