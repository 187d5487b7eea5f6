"""Services of other people, in Python: every method of theirs by every protocol.

Not a line of the gateway knows them.
"""

import uuid

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from protocols import ANSWERED, ASKED, CALLERS, OK, Method, Outcome

NOT_IMPLEMENTED = {"code": 12, "message": "Method not implemented!"}


def texts(messages):
    return [{"message": message} for message in messages]


def at(latitude, longitude):
    return {"latitude": latitude, "longitude": longitude}


SOUTH_CAPE = {"name": "South Cape", "location": at(-35.35, -15.2)}
FERRY_LANDING = {"name": "Ferry Landing", "location": at(-35.3, -15.25)}
OLD_MILL = {"name": "Old Mill", "location": at(-35.26, -15.18)}
LIGHTHOUSE = {"name": "Lighthouse", "location": at(-35.2, -15.1)}
ISLAND = {"southwest": at(-36, -16), "northeast": at(-35, -15)}
MANY_USERS = [{"user": {"username": f"user {n}", "userId": n}} for n in range(1, 301)]

# Method, what is sent, what comes back, how it ends.
CALLS = [
    (
        "unary.Unary/GetServerResponse",
        texts(["Hello Server you there?"]),
        [
            {
                "message": "Hello I am up and running. "
                "Received \u2018Hello Server you there?\u2019 message from you",
                "received": True,
            }
        ],
        OK,
    ),
    ("bidirectional.Bidirectional/GetServerResponse", texts(ASKED), texts(ANSWERED), OK),
    ("bidirectional.Bidirectional/GetServerResponse", [], [], OK),
    (
        "users.Users/CreateUser",
        [{"username": "ada"}],
        [{"user": {"username": "ada", "userId": 1}}],
        OK,
    ),
    ("users.Users/GetUsers", [{"user": [one["user"] for one in MANY_USERS]}], MANY_USERS, OK),
    ("users.Users/GetUsers", [{}], [], OK),
    ("coprocess.Dispatcher/Dispatch", [{"hookName": "MyHook"}], [], NOT_IMPLEMENTED),
    ("coprocess.Dispatcher/DispatchEvent", [{"payload": "{}"}], [], NOT_IMPLEMENTED),
    ("routeguide.RouteGuide/GetFeature", [at(-35.2001, -15.1001)], [LIGHTHOUSE], OK),
    (
        "routeguide.RouteGuide/GetFeature",
        [at(-35.5, 0)],
        [],
        {
            "code": 5,
            "message": "No feature within 100 metres",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ResourceInfo",
                    "resourceType": "routeguide.RouteGuide",
                    "resourceName": "-35.5, 0.0",
                }
            ],
        },
    ),
    (
        "routeguide.RouteGuide/ListFeatures",
        [ISLAND],
        [SOUTH_CAPE, FERRY_LANDING, OLD_MILL, LIGHTHOUSE],
        OK,
    ),
    (
        "routeguide.RouteGuide/ListFeatures",
        [{"southwest": at(-35.31, -15.3), "northeast": at(-35.2, -15.11)}],
        [FERRY_LANDING, OLD_MILL],
        OK,
    ),
    (
        # A degree along a meridian, and back.
        "routeguide.RouteGuide/RecordRoute",
        [at(-35.2, -15.1), at(-36.2, -15.1), at(-35.2, -15.1)],
        [{"pointCount": 3, "featureCount": 2, "distanceMetres": 222390}],
        OK,
    ),
    ("routeguide.RouteGuide/RecordRoute", [], [{}], OK),
    (
        "routeguide.RouteGuide/RouteChat",
        [
            {"location": at(-35.21, -15.1), "text": "Tea at the"},
            {"location": at(-35.3, -15.25), "text": "Back to the"},
            {"location": at(-35.26, -15.18), "text": "Bread from the"},
        ],
        [
            {"location": at(-35.2, -15.1), "text": "Tea at the Lighthouse, 1112 m from there."},
            {"location": at(-35.3, -15.25), "text": "Back to the Ferry Landing, 0 m from there."},
            {"location": at(-35.26, -15.18), "text": "Bread from the Old Mill, 0 m from there."},
        ],
        OK,
    ),
]


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
@pytest.mark.parametrize("name, sent, replies, status", CALLS, ids=[call[0] for call in CALLS])
def test_every_method_by_every_protocol(web, caller, name, sent, replies, status):
    assert caller(web, Method(name), sent) == Outcome(replies, status)


def test_no_method_is_forgotten(upstreams):
    services = map(descriptor_pool.Default().FindServiceByName, upstreams.urls)
    methods = {f"{one.full_name}/{name}" for one in services for name in one.methods_by_name}
    assert len(methods) == 10
    assert methods == {call[0] for call in CALLS}


@pytest.mark.parametrize(
    "message, fields",
    {
        "unary.Message": ["1 string message"],
        "unary.MessageResponse": ["1 string message", "2 bool received"],
        "bidirectional.Message": ["1 string message"],
        "userservice.User": ["1 string id", "2 string name", "3 string email", "4 int32 age"],
        "users.User": ["1 string username", "2 int32 user_id"],
        "users.CreateUserRequest": ["1 string username"],
        "users.CreateUserResult": ["1 users.User user"],
        "users.GetUsersRequest": ["1 repeated users.User user"],
        "users.GetUsersResult": ["1 users.User user"],
    }.items(),
)
def test_messages_are_those_that_callers_have_compiled(generated_examples, message, fields):
    """Callers and servers here are made of the same files, and would not see a number change."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(message)
    as_proto = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(as_proto)
    assert [spelt(field) for field in as_proto.field] == fields


def spelt(field):
    kind = field.type_name.removeprefix(".")
    kind = kind or descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)[5:].lower()
    repeated = "repeated " if field.label == field.LABEL_REPEATED else ""
    return f"{field.number} {repeated}{kind} {field.name}"


@pytest.mark.parametrize(
    "headers", [{"x-request-id": "MARK"}, {"authorization": "Bearer MARK", "x-request-id": "r"}]
)
def test_create_user_prints_metadata_of_rest(web, upstreams, headers):
    mark = uuid.uuid4().hex
    headers = {name: value.replace("MARK", mark) for name, value in headers.items()}
    sent = {"content-type": "application/json", **headers}
    assert web.get("/users.Users/CreateUser", sent, b'{"username":"ada"}')[0] == 200
    line = upstreams.printed(mark)
    assert line.startswith("CreateUser with ")
    for name, value in headers.items():
        assert f"{name}={value}" in line


def test_create_user_prints_metadata_of_grpc(web, upstreams):
    mark = uuid.uuid4().hex
    method = Method("users.Users/CreateUser")
    with grpc.insecure_channel(web.address) as channel:
        metadata = [("x-mark", mark), ("x-mark", "again"), ("x-raw-bin", b"\0\xff")]
        method.of_stub(channel)(method.request(username="ada"), metadata=metadata, timeout=20)
    line = upstreams.printed(mark)
    assert f"x-mark={mark}, x-mark=again" in line and r"x-raw-bin=b'\x00\xff'" in line
