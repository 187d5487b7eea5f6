"""What every server here needs: code generated from its .proto file, a port, server reflection."""

import concurrent.futures
import importlib
import pathlib
import sys
import tempfile

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_tools import protoc

PROTOS = pathlib.Path(__file__).parent / "protos"


def generated(name):
    """The modules NAME_pb2 and NAME_pb2_grpc of protos/NAME.proto, made anew at every start."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"-I{PROTOS}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
        if protoc.main(["protoc", *flags, f"{name}.proto"]) != 0:
            sys.exit(f"{name}.proto is not right")
        sys.path.insert(0, folder)
        try:
            return [importlib.import_module(name + end) for end in ("_pb2", "_pb2_grpc")]
        finally:
            sys.path.remove(folder)


def start(service, port, with_reflection=True):
    """A running server of the module `service` on loopback, and its port; 0 takes a free one."""
    # Two servers on one port would share its calls without a word.
    options = [("grpc.so_reuseport", 0)]
    # A stream keeps its thread.
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=32), options=options)
    service.add_to(server)
    if with_reflection:
        reflection.enable_server_reflection([service.NAME, reflection.SERVICE_NAME], server)
    try:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError:
        sys.exit(f"port {port} is taken: choose another one with --port")
    server.start()
    return server, port
