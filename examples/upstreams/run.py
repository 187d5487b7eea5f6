"""Starts servers of this folder, each on a port of its own: `python run.py unary`."""

import argparse
import importlib

import serving

# Each is a module beside this one, with the port that it has when nobody says another.
SERVICES = {
    "unary": 50061,
    "bidirectional": 50062,
    "users": 50063,
    "dispatcher": 50064,
    "routeguide": 50065,
}


def arguments():
    parser = argparse.ArgumentParser(description="Small gRPC services to put on the web.")
    known = ", ".join(SERVICES)
    of_these = f"{known}; none: all of them"
    parser.add_argument("services", nargs="*", metavar="service", help=of_these)
    parser.add_argument("--port", type=int, help="of the first; the others follow; 0: free ones")
    parser.add_argument("--no-reflection", action="store_true", help="be silent about the schema")
    given = parser.parse_args()
    for name in given.services:
        if name not in SERVICES:
            parser.error(f"no service is called {name}: there are {known}")
    return given


def main():
    given = arguments()
    running = []
    for index, name in enumerate(given.services or SERVICES):
        port = SERVICES[name] if given.port is None else given.port and given.port + index
        service = importlib.import_module(name)
        server, port = serving.start(service, port, with_reflection=not given.no_reflection)
        print(f"{service.NAME} listens on http://127.0.0.1:{port}", flush=True)
        running.append(server)
    try:
        for server in running:
            server.wait_for_termination()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
