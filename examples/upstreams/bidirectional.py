"""A stream each way: both sides write independently of each other."""

import queue
import threading

import grpc
import serving

bidirectional_pb2, bidirectional_pb2_grpc = serving.generated("bidirectional")

NAME = "bidirectional.Bidirectional"
GREETING = "Hello Server Sending you the "


class Bidirectional(bidirectional_pb2_grpc.BidirectionalServicer):
    def GetServerResponse(self, requests, context):
        # Reading does not wait until an answer is taken: what is received waits here.
        received = queue.SimpleQueue()

        def read():
            try:
                for request in requests:
                    received.put(request)
            except grpc.RpcError:
                pass  # The caller is gone.
            finally:
                received.put(None)

        threading.Thread(target=read, daemon=True).start()
        for request in iter(received.get, None):
            which = request.message.removeprefix(GREETING)
            answer = f"Hello from the server received your {which}"
            yield bidirectional_pb2.Message(message=answer)


def add_to(server):
    servicer = Bidirectional()
    bidirectional_pb2_grpc.add_BidirectionalServicer_to_server(servicer, server)
