"""One message, one answer."""

import serving

unary_pb2, unary_pb2_grpc = serving.generated("unary")

NAME = "unary.Unary"


class Unary(unary_pb2_grpc.UnaryServicer):
    def GetServerResponse(self, request, context):
        # The quotation marks are U+2018 and U+2019.
        received = f"Received \u2018{request.message}\u2019 message from you"
        answer = f"Hello I am up and running. {received}"
        return unary_pb2.MessageResponse(message=answer, received=True)


def add_to(server):
    unary_pb2_grpc.add_UnaryServicer_to_server(Unary(), server)
