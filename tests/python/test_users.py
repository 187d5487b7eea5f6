"""The bundled user service for grpcio callers: tokens, changes of another process, the stop."""

import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

JSON = {"content-type": "application/json"}


@pytest.fixture
def users(generated_users):
    """The generated modules: messages, stubs."""
    from user.v1 import user_service_pb2, user_service_pb2_grpc

    return user_service_pb2, user_service_pb2_grpc


def post(transom, path, text):
    status, body = transom.json(path, headers=JSON, data=text.encode())
    assert status == 200, body
    return body


def test_a_login_opens_what_is_locked_for_grpc(transom, users):
    pb, stubs = users
    server = transom("serve", "--database", "sqlite::memory:", "--auth", "jwt")
    user = post(server, "/v1/users", '{"email":"ada@x","password":"correct horse"}')
    tokens = post(server, "/v1/auth:login", '{"email":"ada@x","password":"correct horse"}')
    with grpc.insecure_channel(server.address) as channel:
        stub = stubs.UserServiceStub(channel)
        get = pb.GetUserRequest(user_id=user["id"])
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetUser(get)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert refused.value.details() == "Invalid token"
        bearer = [("authorization", f"Bearer {tokens['accessToken']}")]
        assert stub.GetUser(get, metadata=bearer).email == "ada@x"
        rows = (pb.CreateUserRequest(email=f"{n}@x") for n in range(1_000))
        assert stub.BulkCreateUsers(rows, metadata=bearer).created_count == 1_000
        listed = [user.email for user in stub.ListUsers(pb.ListUsersRequest(), metadata=bearer)]
        assert listed == ["ada@x", *(f"{n}@x" for n in range(1_000))]


def test_changes_of_another_process_are_heard(transom, users, tmp_path):
    pb, stubs = users
    database = f"sqlite:{tmp_path / 'users.db'}"
    here = transom("serve", "--database", database)
    there = transom("user-service", "--database", database)
    user_id = post(here, "/v1/users", '{"email":"ada@x"}')["id"]

    def rename(name):
        request = pb.UserUpdateRequest(user_id=user_id, name=name)
        request.update_mask.paths.append("name")
        return request

    with grpc.insecure_channel(here.address) as a, grpc.insecure_channel(there.address) as b:
        # What is answered to a change of its own says that the subscription before it holds.
        requests = iter([pb.UserUpdateRequest(user_id=user_id), rename("own")])
        hearing = stubs.UserServiceStub(a).UserUpdates(requests, timeout=60)
        assert next(hearing).name == "own"
        names = [str(n) for n in range(50)]
        answers = stubs.UserServiceStub(b).UserUpdates(iter([rename(n) for n in names]), timeout=60)
        assert [user.name for user in answers] == names
        assert [next(hearing).name for _ in names] == names
        hearing.cancel()


@pytest.mark.parametrize("command", ["serve", "user-service"])
def test_streams_that_would_last_end_when_the_process_stops(transom, users, command):
    pb, stubs = users
    server = transom(command, "--database", "sqlite::memory:")
    with grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        hearing = stubs.UserServiceStub(channel).UserUpdates(iter([pb.UserUpdateRequest()]))
        hearing.initial_metadata()
        server.process.send_signal(signal.SIGINT)
        for stream in (watch, hearing):
            with pytest.raises(grpc.RpcError) as end:
                while next(stream):
                    pass
            assert end.value.code() == grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(20) == 0
