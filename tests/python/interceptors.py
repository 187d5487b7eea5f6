"""What clients put between themselves and a channel: a log, and another attempt where it may help.

Of each there is one for synchronous clients and one for asyncio.
"""

import asyncio
import logging
import time

import grpc

log = logging.getLogger("calls")

ATTEMPTS = 3
FIRST_WAIT_SECONDS = 0.1
WORTH_RETRYING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def record(details, code, began):
    method = details.method.decode() if isinstance(details.method, bytes) else details.method
    log.info("%s %s in %.3f s", method, code.name, time.monotonic() - began)


class Logging(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Method, status and duration of each call, of every kind."""

    def logged(self, continuation, details, argument):
        began = time.monotonic()
        call = continuation(details, argument)
        call.add_done_callback(lambda call: record(details, call.code(), began))
        return call

    intercept_unary_unary = intercept_unary_stream = logged
    intercept_stream_unary = intercept_stream_stream = logged


class Retry(grpc.UnaryUnaryClientInterceptor):
    """Exponential back-off; what `wait` does with the seconds is the caller's choice."""

    def __init__(self, wait=time.sleep):
        self.wait = wait

    def intercept_unary_unary(self, continuation, details, request):
        for attempt in range(ATTEMPTS):
            call = continuation(details, request)
            if call.code() not in WORTH_RETRYING or attempt == ATTEMPTS - 1:
                return call
            self.wait(FIRST_WAIT_SECONDS * 2**attempt)


async def logged_unary(continuation, details, argument):
    began = time.monotonic()
    call = await continuation(details, argument)
    record(details, await call.code(), began)
    return call


async def logged_stream(continuation, details, argument):
    began = time.monotonic()
    call = await continuation(details, argument)

    async def replies():
        try:
            async for reply in call:
                yield reply
        finally:
            record(details, await call.code(), began)

    return replies()


# A channel of asyncio takes each interceptor for calls of one kind alone.


class AioUnaryUnaryLogging(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, *call):
        return await logged_unary(*call)


class AioUnaryStreamLogging(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, *call):
        return await logged_stream(*call)


class AioStreamUnaryLogging(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, *call):
        return await logged_unary(*call)


class AioStreamStreamLogging(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, *call):
        return await logged_stream(*call)


def aio_logging():
    return [
        AioUnaryUnaryLogging(),
        AioUnaryStreamLogging(),
        AioStreamUnaryLogging(),
        AioStreamStreamLogging(),
    ]


class AioRetry(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, wait=asyncio.sleep):
        self.wait = wait

    async def intercept_unary_unary(self, continuation, details, request):
        for attempt in range(ATTEMPTS):
            call = await continuation(details, request)
            if await call.code() not in WORTH_RETRYING or attempt == ATTEMPTS - 1:
                return call
            await self.wait(FIRST_WAIT_SECONDS * 2**attempt)
