#!/usr/bin/python3
"""A function goes for the witness itself: bpf(2), the pins, the auditor by signal and by trace. Nothing
succeeds, every attempt is an event, and the witness goes on."""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from provost_platform import Platform, PROGRAMS, skip  # noqa: E402

# number: (name, kind of the event, what the kernel or the seccomp list may answer)
EPERM, ENOENT, ESRCH, EBADF, EACCES = 1, 2, 3, 9, 13
CALLS = {
    321: ("bpf", "attempt-denied", {EPERM}),
    298: ("perf_event_open", "attempt-denied", {EPERM}),
    101: ("ptrace", "interference", {EPERM}),
    62: ("kill", "interference", {ESRCH, EPERM}),
    310: ("process_vm_readv", "interference", {EPERM, ESRCH}),
    311: ("process_vm_writev", "interference", {EPERM, ESRCH}),
    438: ("pidfd_getfd", "interference", {EPERM, EBADF}),
    165: ("mount", "interference", {EPERM}),
    272: ("unshare", "interference", {EPERM}),
    308: ("setns", "interference", {EPERM}),
}
FUNCTION = """
import ctypes, json, os, sys
c = ctypes.CDLL(None, use_errno=True)
want = json.loads(sys.stdin.read())
out = {}
def call(name, nr, *args):
    ctypes.set_errno(0)
    r = c.syscall(nr, *args)
    out[name] = ctypes.get_errno() if r < 0 else -r
pid = want["auditor"]
attr = ctypes.create_string_buffer(128)
path = ctypes.create_string_buffer(want["pin"].encode())
ctypes.memmove(attr, ctypes.byref(ctypes.c_uint64(ctypes.addressof(path))), 8)
for command in (7, 11, 13, 23, 34):   # OBJ_GET, ids of programs and maps, ids of links, LINK_DETACH
    call("bpf", 321, command, attr, 128)
call("perf_event_open", 298, attr, -1, 0, -1, 0)
call("ptrace", 101, 16, pid, 0, 0)
for signal in (9, 19):
    call("kill", 62, pid, signal)
iov = (ctypes.c_uint64 * 2)(ctypes.addressof(attr), 8)
call("process_vm_readv", 310, pid, iov, 1, iov, 1, 0)
call("process_vm_writev", 311, pid, iov, 1, iov, 1, 0)
call("pidfd_getfd", 438, 0, 0, 0)
call("mount", 165, b"none", b"/tmp", b"bpf", 0, 0)
call("unshare", 272, 0x10000000)
call("setns", 308, 0, 0)
for name, do in (("unlink", lambda: os.unlink(want["pin"])),
                 ("open", lambda: open("/proc/%d/mem" % pid, "rb"))):
    try:
        do()
        out[name] = 0
    except OSError as e:
        out[name] = e.errno
print(json.dumps(out))
"""


def main():
    with Platform() as p:
        p.deploy("echo", PROGRAMS / "echo")
        if p.events("log-open")[0]["fields"]["witness"].startswith("missing"):
            skip("the outside witness is missing here")
        script = p.dir / "attack.py"
        script.write_text(FUNCTION)
        p.deploy("attack", script, "--", "/usr/bin/python3", "-S", "-E", "/function/attack.py")
        auditor = p.role("auditor")
        pin = f"{p.state}/bpf/link-leave"
        body = json.dumps({"auditor": auditor, "pin": pin}).encode()
        status, answer, _ = p.request("POST", "/function/attack", body)
        assert status == 200, answer
        said = json.loads(answer)
        for name, _, allowed in CALLS.values():
            assert said[name] in allowed, f"{name}: {said[name]}"
        assert said["unlink"] in (ENOENT, EACCES) and said["open"] in (ENOENT, EACCES), said
        p.cli("audit", "find", "attack")
        for number, (name, kind, _) in CALLS.items():
            fields = [e["fields"] for e in p.events(kind)]
            hits = [f for f in fields if f["syscall"] == number and f["result"] in (said[name],)]
            assert hits, f"no {kind} event of {name} ({number}): {fields}"
        assert len([e for e in p.events("attempt-denied") if e["fields"]["syscall"] == 321]) >= 5
        tried = [e["fields"] for e in p.events("interference")
                 if e["fields"]["syscall"] in (62, 101)]
        assert any(f["arg0"] == auditor for f in tried), tried
        ops = [e["fields"] for e in p.events("path-op") if e["fields"]["op"] == "unlink"]
        assert any(f["path"] == pin and f["result"] == said["unlink"] for f in ops), ops

        os.kill(auditor, 0)
        assert p.role("auditor") == auditor, "the auditor is another one"
        before = len(p.events("proc-exit"))
        assert p.request("POST", "/function/echo", b"x")[0] == 200
        p.stop()
        p.cli("verify")
        p.cli("graph", "rebuild")
        assert len(p.events("proc-exit")) > before, "the witness has stopped"
        assert not p.events("gap")
    print("refused and told:", said)


main()
