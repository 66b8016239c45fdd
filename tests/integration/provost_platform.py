"""A provostd of its own for a test: temporary state, free loopback port, counted leftovers."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PV_BUILD", SOURCE / "build" / "release"))
PROGRAMS = BUILD / "programs"


def skip(reason):
    """Exit 77: ctest shows the reason and counts a skip; PROVOST_REQUIRE_BPF forbids it."""
    if os.environ.get("PROVOST_REQUIRE_BPF") == "1":
        print("FAIL: a skip is not allowed here:", reason)
        sys.exit(1)
    print("SKIP:", reason)
    sys.exit(77)


def free_port():
    """One that no outgoing connection is given meanwhile: below the usual range of those."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                return port


def children(pid):
    """All descendants of pid as {pid: comm}."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = pathlib.Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        comm = text[text.index("(") + 1 : text.rindex(")")]
        parents[int(entry)] = (int(text[text.rindex(")") + 2 :].split()[1]), comm)
    found = {}
    frontier = {pid}
    while frontier:
        frontier = {p for p, (parent, _) in parents.items() if parent in frontier}
        found.update({p: parents[p][1] for p in frontier})
    return found


def until(condition, what, pause=0.05, seconds=90):
    """Waits for something that comes by itself; how fast is no test's business."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(pause)
    return result


class Platform:
    def __init__(self, *options):
        if os.geteuid() != 0:
            skip("needs root")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="provost-test-"))
        self.dir.chmod(0o755)
        self.state = self.dir / "state"
        self.port = free_port()
        self.options = options
        self.log = open(self.dir / "provostd.log", "ab")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if self.process and self.process.poll() is None:
            self.stop()
        if kind is not None and kind is not SystemExit:
            print("--- last lines of provostd's log")
            lines = (self.dir / "provostd.log").read_text(errors="replace").splitlines()
            print("\n".join(lines[-60:]))
        subprocess.run(["umount", "-q", str(self.state / "bpf")], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, wait=True):
        self.process = subprocess.Popen(
            [BUILD / "bin" / "provostd", "--state-dir", self.state, "--listen",
             f"127.0.0.1:{self.port}", *self.options],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, f"provostd ended with {self.process.returncode}"
            try:
                return self.request("GET", "/healthz")[0] == 200
            except OSError:
                return False

        until(ready, "provostd was not ready in time")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=90)
        assert code == 0, f"provostd ended with {code}"

    def kill_all(self):
        """SIGKILL for the supervisor and every role at once, as when the power button is held."""
        pids = [self.process.pid, *children(self.process.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def role(self, name):
        """pid of a role, or None while it is being restarted."""
        for pid in children(self.process.pid):
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if exe.endswith("/provost-" + name):
                return pid
        return None

    def request(self, method, path, body=None, headers=None, timeout=30):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body=body, headers=headers or {})
            r = c.getresponse()
            return r.status, r.read(), r.headers
        finally:
            c.close()

    def cli(self, *args, check=True, stdin=None):
        env = dict(os.environ, PROVOST_URL=f"http://127.0.0.1:{self.port}",
                   PROVOST_STATE=str(self.state), NO_COLOR="1")
        r = subprocess.run([BUILD / "bin" / "provost", *map(str, args)], input=stdin, env=env,
                           capture_output=True, timeout=120)
        if check and r.returncode != 0:
            raise AssertionError(f"provost {' '.join(map(str, args))}: exit {r.returncode}\n"
                                 f"{r.stdout.decode(errors='replace')}"
                                 f"{r.stderr.decode(errors='replace')}")
        return r

    def json(self, *args):
        return json.loads(self.cli(*args, "--json").stdout)

    def events(self, kind):
        """All events of a kind, as `audit find` gives them."""
        for _ in range(20):  # the stitcher of a daemon that has just started makes the graph first
            found = self.cli("audit", "find", "--kind", kind, "--limit", "0", "--json", check=False)
            if found.returncode in (0, 3):
                return json.loads(found.stdout)["events"]
            time.sleep(0.5)
        raise AssertionError(found.stderr.decode(errors="replace"))

    def deploy(self, name, path, *args):
        return self.cli("deploy", name, path, *args)

    def script(self, name, text, *args):
        """Deploys a shell function from its text."""
        path = self.dir / f"{name}.sh"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return self.deploy(name, path, *args)


def together(calls, workers):
    """Runs callables in a pool of threads; results in order."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return [f.result() for f in [pool.submit(c) for c in calls]]
