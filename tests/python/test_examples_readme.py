"""The lines to paste in examples/upstreams/README.md do what is written below them."""

import pathlib
import re
import subprocess

import pytest
from conftest import EXAMPLES

README = (EXAMPLES / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CALLS = [
    (command, printed)
    for (language, command), (_, printed) in zip(BLOCKS, BLOCKS[1:])
    if language == "sh" and command.startswith("curl ")
]


def test_every_call_is_found():
    assert len(CALLS) == README.count("\ncurl ") == 6


@pytest.mark.parametrize("command, printed", CALLS)
def test_a_call_prints_what_is_written(web, route_guide, command, printed):
    gateway = route_guide if "/v1/" in command else web
    command = command.replace("http://127.0.0.1:8080", gateway.url)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == printed.strip()


def test_the_ports_are_those_of_the_program():
    ports = re.findall(r"^\| `run.py (\w+)` .* \| (\d+) \|$", README, re.MULTILINE)
    program = (EXAMPLES / "run.py").read_text()
    assert ports == re.findall(r'^    "(\w+)": (\d+),$', program, re.MULTILINE) and len(ports) == 5


def test_what_to_install_is_what_is_tested():
    tested = pathlib.Path(__file__).with_name("requirements.txt").read_text().split()
    needed = (EXAMPLES / "requirements.txt").read_text().split()
    assert needed and set(needed) <= set(tested)
