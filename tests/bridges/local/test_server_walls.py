"""What the model's process may do once it is confined: read its model, serve, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from llmspell_bridges.local import _server

PROBE = """
import ctypes, errno, json, mmap, os, runpy, signal, socket, subprocess, sys, threading
server, packages, model, other = sys.argv[1:]
sys.path.extend(json.loads(packages))
confine = runpy.run_path(server)["confine"]
listener = socket.create_server(("127.0.0.1", 0))
libc = ctypes.CDLL(None, use_errno=True)
confine(model, 1 << 30)

def outcome(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    except MemoryError:
        return "MemoryError"
    return "allowed"

def write():
    os.close(os.open(model, os.O_WRONLY))

def create():
    os.close(os.open(other + ".new", os.O_WRONLY | os.O_CREAT))

def connect():
    socket.create_connection(listener.getsockname(), timeout=5)

def executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)

def thread():
    t = threading.Thread(target=lambda: None)
    t.start()
    t.join()

def bind():
    socket.create_server(("127.0.0.1", 0)).close()

def trace():
    if libc.ptrace(0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")

print(json.dumps({
    "read the model": outcome(lambda: open(model, "rb").close()),
    "serve": outcome(bind),
    "start a thread": outcome(thread),
    "read another file": outcome(lambda: open(other).close()),
    "list a directory": outcome(lambda: os.listdir(os.path.dirname(other))),
    "write the model": outcome(write),
    "create a file": outcome(create),
    "delete the model": outcome(lambda: os.unlink(model)),
    "connect": outcome(connect),
    "send a datagram": outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "open a local socket": outcome(lambda: socket.socket(socket.AF_UNIX)),
    "fork": outcome(os.fork),
    "execute": outcome(lambda: os.execv("/bin/true", ["true"])),
    "signal its parent": outcome(lambda: os.kill(os.getppid(), signal.SIGTERM)),
    "trace": outcome(trace),
    "map executable memory": outcome(executable_memory),
    "allocate over the limit": outcome(lambda: bytearray(2 << 30)),
}))
"""

MAY = {"read the model", "serve", "start a thread"}


def probe(tmp_path: Path) -> dict[str, str]:
    model, other = tmp_path / "model.gguf", tmp_path / "other"
    model.write_bytes(b"GGUF")
    other.write_text("secret")
    server = _server.__file__
    packages = json.dumps([p for p in sys.path if "site-packages" in p])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE, server, packages, str(model), str(other)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, str] = json.loads(done.stdout)
    return result


def test_a_confined_process_may_read_its_model_and_serve_and_nothing_else(tmp_path: Path) -> None:
    outcomes = probe(tmp_path)
    assert {what for what, came in outcomes.items() if came == "allowed"} == MAY
    assert outcomes["allocate over the limit"] == "MemoryError"
    assert outcomes["fork"] == outcomes["execute"] == outcomes["signal its parent"] == "EPERM"
