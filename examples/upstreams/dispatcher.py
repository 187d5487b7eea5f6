"""Nothing of this service is written yet: the generated class answers UNIMPLEMENTED."""

import serving

coprocess_pb2, coprocess_pb2_grpc = serving.generated("coprocess")

NAME = "coprocess.Dispatcher"


def add_to(server):
    servicer = coprocess_pb2_grpc.DispatcherServicer()
    coprocess_pb2_grpc.add_DispatcherServicer_to_server(servicer, server)
