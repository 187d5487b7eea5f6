"""grpcio as the caller, synchronous and asyncio, of a service behind the gateway."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status


@pytest.fixture
def pb(generated):
    import relay_pb2

    return relay_pb2


def stub(channel):
    import relay_pb2_grpc

    return relay_pb2_grpc.RelayStub(channel)


def test_all_four_kinds(gateway, pb):
    with grpc.insecure_channel(gateway.address) as channel:
        relay = stub(channel)
        assert relay.Say(pb.SayRequest(name="Ada")).text == "Hello Ada"
        texts = [reply.text for reply in relay.Repeat(pb.RepeatRequest(name="a", times=500))]
        assert texts == [f"a {number}" for number in range(500)]
        names = [str(number) for number in range(500)]
        requests = lambda: (pb.SayRequest(name=name) for name in names)
        assert relay.Gather(requests()).text == ", ".join(names)
        assert [r.text for r in relay.Talk(requests())] == [f"Hello {name}" for name in names]


def test_all_four_kinds_with_asyncio(gateway, pb):
    async def run():
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            relay = stub(channel)
            assert (await relay.Say(pb.SayRequest(name="Ada"))).text == "Hello Ada"
            texts = [r.text async for r in relay.Repeat(pb.RepeatRequest(name="a", times=50))]
            assert len(texts) == 50
            requests = [pb.SayRequest(name=name) for name in "abc"]
            assert (await relay.Gather(iter(requests))).text == "a, b, c"
            # Each answer before the next question.
            talk = relay.Talk()
            for request in requests:
                await talk.write(request)
                assert (await talk.read()).text == f"Hello {request.name}"
            await talk.done_writing()
            assert await talk.read() is grpc.aio.EOF

    asyncio.run(run())


def test_metadata_and_trailers(gateway, pb):
    with grpc.insecure_channel(gateway.address) as channel:
        metadata = (("x-mark", "m"), ("x-transom-subject", "root"))
        reply, call = stub(channel).Say.with_call(pb.SayRequest(name="Ada"), metadata=metadata)
        assert reply.metadata["x-mark"] == "m" and "x-transom-subject" not in reply.metadata
        assert dict(call.initial_metadata())["x-initial"] == "i"
        assert dict(call.trailing_metadata())["x-trailing"] == "t"


def test_details_are_read_by_grpcio_status(gateway, pb):
    with grpc.insecure_channel(gateway.address) as channel:
        with pytest.raises(grpc.RpcError) as error:
            stub(channel).Refuse(pb.SayRequest(name="FAILED_PRECONDITION"))
        assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        detail = rpc_status.from_call(error.value).details[0]
        bad_request = error_details_pb2.BadRequest()
        assert detail.Unpack(bad_request)
        assert bad_request.field_violations[0].field == "name"


def test_a_deadline_and_a_cancellation_are_felt_upstream(gateway, relay, pb):
    behaviour = relay[1]
    with grpc.insecure_channel(gateway.address) as channel:
        with pytest.raises(grpc.RpcError) as error:
            stub(channel).Wait(pb.SayRequest(), timeout=0.3)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert behaviour.cancelled.wait(20)

        behaviour.cancelled.clear()
        behaviour.waiting.clear()
        call = stub(channel).Wait.future(pb.SayRequest())
        assert behaviour.waiting.wait(20)
        call.cancel()
        assert behaviour.cancelled.wait(20)


def test_health_and_reflection_are_the_gateways_own(gateway):
    with grpc.insecure_channel(gateway.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "relay.v1.Relay"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as error:
            health.Check(health_pb2.HealthCheckRequest(service="nope"))
        assert error.value.code() == grpc.StatusCode.NOT_FOUND

        database = ProtoReflectionDescriptorDatabase(channel)
        assert "relay.v1.Relay" in database.get_services()
        # With its annotations: another gateway could stand in front of this one.
        file = database.FindFileContainingSymbol("relay.v1.Relay")
        assert b"/v1/say/{name}" in file.SerializeToString()


def test_the_user_service_alone_is_healthy(transom):
    service = transom("user-service", "--database", "sqlite::memory:")
    with grpc.insecure_channel(service.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "user.v1.UserService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_gateway_in_front_of_a_gateway(transom, gateway):
    second = transom("serve", "--upstream", gateway.url)
    assert second.json("/v1/say/Ada")[1]["text"] == "Hello Ada"
