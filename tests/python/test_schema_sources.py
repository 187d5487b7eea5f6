"""Services that say nothing of their schema, and rules for those whose protos have none."""

import json
import subprocess

import pytest
from conftest import BINARY, EXAMPLES, ROUTE_GUIDE_RULES, Upstreams, upstream_flags
from protocols import Method, open_websocket, rest

JSON = {"content-type": "application/json"}
PROTOS = str(EXAMPLES / "protos")


@pytest.fixture(scope="module")
def mute():
    """The users, without reflection."""
    running = Upstreams("users", flags=["--no-reflection"])
    yield running
    running.stop()


@pytest.mark.parametrize("source", ["--proto", "--descriptor-set"])
def test_a_service_without_reflection(transom, mute, generated_examples, source):
    of = {"--proto": PROTOS, "--descriptor-set": str(generated_examples / "upstreams.bin")}
    flags = [source, of[source], "--services", "users.Users"]
    gateway = transom("serve", *upstream_flags(mute), *flags)
    asked = {"user": [{"username": "ada", "userId": 7}, {"username": "grace"}]}
    outcome = rest(gateway, Method("users.Users/GetUsers"), [asked])
    assert outcome.replies == [{"user": user} for user in asked["user"]]
    # The protos of the others are there too, and they are not exposed.
    assert gateway.get("/unary.Unary/GetServerResponse", JSON, b"{}")[0] == 404


def test_it_is_mute_indeed(mute):
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", *upstream_flags(mute)]
    assert subprocess.run(command, capture_output=True, timeout=20).returncode == 78


def test_protos_of_a_service_that_is_not_there_are_served_by_name_alone(transom, mute):
    gateway = transom("serve", *upstream_flags(mute), "--proto", PROTOS)
    status, body = gateway.json("/unary.Unary/GetServerResponse", headers=JSON, data=b"{}")
    assert (status, body["code"]) == (501, 12)


def test_rules_beside_the_proto(route_guide):
    lighthouse = {"name": "Lighthouse", "location": {"latitude": -35.2, "longitude": -15.1}}
    assert route_guide.json("/v1/route/features/-35.2/-15.1") == (200, lighthouse)
    status, body = route_guide.json("/v1/route/features/0/0")
    assert (status, body["message"]) == (404, "No feature within 100 metres")

    area = "southwest.latitude=-36&southwest.longitude=-16"
    area += "&northeast.latitude=-35.28&northeast.longitude=-15"
    lines = {"accept": "application/x-ndjson"}
    _, _, body = route_guide.get(f"/v1/route/features?{area}", lines)
    names = [json.loads(line)["name"] for line in body.splitlines()]
    assert names == ["South Cape", "Ferry Landing"]

    points = b'[{"latitude":-35,"longitude":-15},{"latitude":-36,"longitude":-15}]'
    summary = {"pointCount": 2, "distanceMetres": 111195}
    assert route_guide.json("/v1/route:record", headers=JSON, data=points) == (200, summary)


def test_a_conversation_at_the_path_of_a_rule(route_guide):
    method = Method("routeguide.RouteGuide/RouteChat")
    method.path = "/v1/route:chat"
    with open_websocket(route_guide, method, "transom.json") as socket:
        for text in ("Tea at the", "Again at the"):
            note = {"location": {"latitude": -35.2, "longitude": -15.1}, "text": text}
            socket.send(json.dumps(note))
            told = json.loads(socket.recv(timeout=20))
            assert told["text"] == f"{text} Lighthouse, 0 m from there."


def test_protos_and_rules_are_sound():
    """One of the files has messages alone, and all the rules are of one service."""
    command = [BINARY, "check", "--proto", PROTOS, "--service-config", ROUTE_GUIDE_RULES, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    told = json.loads(done.stdout)
    # Each method at its own path, and the four rules.
    assert (told["methods"], told["routes"]) == (10, 10 + 4)
    assert {problem["lint"] for problem in told["problems"]} == {"unannotated"}
    assert not any("routeguide" in problem["message"] for problem in told["problems"])
