#!/usr/bin/python3
"""The platform with functions in micro-VMs: what they read is in the graph, what comes of it is found,
a program that does not fit is a process and describe says so."""

import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from provost_platform import Platform, PROGRAMS, skip, until  # noqa: E402

SECRET = "/var/openfaas/secrets/api-key"


def describe(p, name):
    return p.json("describe", name)["provost"]


def cpu_ticks(pid):
    """User and system time of a process, in ticks."""
    fields = pathlib.Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def secrets_are_followed(p):
    p.cli("secret", "create", "api-key", "--from-file", "-", stdin=b"k3y-of-the-house")
    p.deploy("show", PROGRAMS / "show", "--secret", "api-key")
    assert describe(p, "show")["mode"] == "microvm", describe(p, "show")
    status, body, headers = p.request("POST", "/function/show", SECRET)
    assert (status, body) == (200, b"k3y-of-the-house"), (status, body)
    leak = headers["X-Call-Id"]
    status, body, headers = p.request("POST", "/function/show", "/etc/hostname-that-is-none")
    assert (status, body) == (200, b"(none)"), (status, body)
    innocent = headers["X-Call-Id"]

    path = p.json("audit", "path", "--from", "api-key", "--to", leak)
    assert any(n["name"] == SECRET for n in path["nodes"]), path
    assert p.cli("audit", "path", "--from", "api-key", "--to", innocent,
                 check=False).stdout.count(b"\n") < 3
    what = p.cli("audit", "timeline", leak).stdout.decode()
    assert f"read {SECRET}" in what and "microvm" not in what, what


def calls_go_through_the_gateway(p):
    p.deploy("connect", PROGRAMS / "connect", "--allow-call", "show", "--class", "microvm")
    request = ("POST /function/show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
               f"{len(SECRET)}\r\n\r\n{SECRET}")
    status, body, headers = p.request("POST", "/function/connect", request)
    assert status == 200 and b"k3y-of-the-house" in body, (status, body)
    path = p.json("audit", "path", "--from", "api-key", "--to", headers["X-Call-Id"])
    assert {"show", "connect"} <= {n.get("function") for n in path["nodes"]}, path


def calls_carry_what_was_read(p):
    """Whatever comes into the log first: the gateway's call or the host's read."""
    p.deploy("echo", PROGRAMS / "echo")
    p.deploy("tell", PROGRAMS / "tell", "--secret", "api-key", "--allow-call", "echo",
             "--class", "microvm")
    for _ in range(8):
        status, body, headers = p.request("POST", "/function/tell", SECRET)
        assert (status, body) == (200, b"done\n"), (status, body)
        told = p.json("audit", "timeline", headers["X-Call-Id"])
        call = next(e for e in told["events"] if e["kind"] == "call")
        p.cli("audit", "path", "--from", "api-key", "--to", f"e{call['seq']}")


def what_was_read_before_or_through_a_mapping_is_found(p):
    """A program may read its secret before there is a request, and without a system call that reads."""
    handler = p.dir / "reads.py"
    handler.write_text(f"""import mmap, sys
def read():
    with open({SECRET!r}, "rb") as f:
        return mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:] if "map" in sys.argv[1] else f.read()
early = read() if "early" in sys.argv[1] else None
sys.stdin.read()
print((early or read()).decode())
""")
    for how in ("early", "early-map", "map"):
        p.deploy(how, handler, "--secret", "api-key", "--class", "microvm", "--", "/usr/bin/python3",
                 "/function/reads.py", how)
        for _ in range(2):
            status, body, headers = p.request("POST", f"/function/{how}", "x")
            assert (status, body) == (200, b"k3y-of-the-house\n"), (how, status, body)
            path = p.cli("audit", "path", "--from", "api-key", "--to", headers["X-Call-Id"]).stdout.decode()
            assert (f"start of {how}@1" in path) == ("early" in how), (how, path)
        p.cli("remove", how)


def no_placeholder_is_shown(p):
    """A program that has copied its environment sees none of a request's variables, and describe says so."""
    handler = p.dir / "variables.py"
    handler.write_text("import os, sys\nsys.stdin.read()\n"
                       "print(os.environ.get('Http_Method'), os.environ.get('FOO'),"
                       " sum(k.startswith('PROVOST_') for k in os.environ))\n")
    r = p.deploy("variables", handler, "--class", "microvm", "--env", "FOO=bar", "--", "/usr/bin/python3",
             "/function/variables.py")
    assert b"the variables of a request do not reach it" in r.stderr, r
    status, body, _ = p.request("POST", "/function/variables", "x")
    assert (status, body) == (200, b"None bar 0\n"), (status, body)
    assert "variables" in describe(p, "variables")["reason"], describe(p, "variables")


def what_is_refused_before_the_snapshot_is_told(p):
    """Who insists on a micro-VM hears what its program went without; with auto it becomes a process."""
    handler = p.dir / "early.py"
    handler.write_text("import os, sys\ntry:\n    os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)\n"
                       "    did = 'did'\nexcept OSError as e:\n    did = type(e).__name__\n"
                       "sys.stdin.read()\nprint(did)\n")
    run = ("--", "/usr/bin/python3", "/function/early.py")
    r = p.deploy("early", handler, "--class", "microvm", *run)
    assert b"tried to start another program before it reads stdin" in r.stderr, r
    assert {"fork", "vfork", "clone"} & set(p.cli("describe", "early", "--syscalls").stdout.decode().split())
    assert p.request("POST", "/function/early", "x")[1] == b"BlockingIOError\n"
    p.deploy("early", handler, *run)
    about = describe(p, "early")
    assert about["mode"] != "microvm", about
    assert p.request("POST", "/function/early", "x")[1] == b"did\n"


def a_share_is_kept(p):
    """--cpu holds for a micro-VM as for a process."""
    handler = p.dir / "held.py"
    handler.write_text("import sys\nsys.stdin.read()\nwhile True:\n    pass\n")
    p.deploy("held", handler, "--class", "microvm", "--cpu", "0.1", "--timeout", "3s", "--prepared", "1", "--",
             "/usr/bin/python3", "/function/held.py")
    assert describe(p, "held")["mode"] == "microvm", describe(p, "held")
    host = describe(p, "held")["host_pid"]
    before = cpu_ticks(host)
    assert p.request("POST", "/function/held", "go")[0] == 504
    used = (cpu_ticks(host) - before) / os.sysconf("SC_CLK_TCK")
    assert used < 1.2, f"{used} s of CPU time in 3 s"
    p.cli("remove", "held")


def a_killed_host_leaves_a_gap(p):
    """What a micro-VM did and its host could not record any more is counted in the log."""
    handler = p.dir / "spin.py"
    handler.write_text("import sys\nsys.stdin.read()\nopen(__file__).read()\nopen('/tmp/x', 'w').close()\n"
                       "while True:\n    pass\n")
    p.deploy("spin", handler, "--class", "microvm", "--timeout", "60s", "--", "/usr/bin/python3",
             "/function/spin.py")
    assert not p.events("gap"), p.events("gap")
    caller = threading.Thread(target=p.request, args=("POST", "/function/spin", "go"))
    caller.start()
    host = describe(p, "spin")["host_pid"]
    assert host > 0, host
    for _ in range(200):  # until its VM computes
        if describe(p, "spin")["running"] == 1 and cpu_ticks(host) > 20:
            break
        time.sleep(0.05)
    os.kill(host, signal.SIGKILL)
    caller.join()
    for _ in range(100):
        if p.events("gap"):
            break
        time.sleep(0.1)
    gap = p.events("gap")
    assert len(gap) == 1 and gap[0]["fields"]["witness"].startswith("inside "), gap
    assert 2 <= gap[0]["fields"]["count"] <= 20, gap
    assert p.cli("remove", "spin").returncode == 0


def a_late_misfit_moves(p):
    """Whoever starts a process only when the request is there gets an error once, and then is a process."""
    p.deploy("late", PROGRAMS / "late_fork")
    assert describe(p, "late")["mode"] == "microvm", describe(p, "late")
    status, body, _ = p.request("POST", "/function/late", "x")
    assert status == 500 and b"from a child" not in body, (status, body)
    for _ in range(200):
        if describe(p, "late")["class"] == "process":
            break
        time.sleep(0.05)
    about = p.json("describe", "late")
    assert about["provost"]["version"] == 2, about
    assert "tried to start another one (fork)" in about["annotations"]["provost.fallback"], about
    status, body, _ = p.request("POST", "/function/late", "x")
    assert (status, body) == (200, b"from a child\n"), (status, body)
    agents = [e["fields"]["agent"] for e in p.events("deployment") if e["fields"]["function"] == "late"]
    assert agents[0] == "admin" and "(fork)" in agents[1], agents
    # who insists is left where it is
    p.deploy("insists", PROGRAMS / "late_fork", "--class", "microvm")
    for _ in range(2):
        assert p.request("POST", "/function/insists", "x")[0] == 500
    assert describe(p, "insists")["mode"] == "microvm", describe(p, "insists")


def one_that_cannot_move_says_why(p):
    """Its requests fail as before, and describe says why it is no process."""
    p.cli("secret", "create", "passing", "--from-file", "-", stdin=b"x")
    p.deploy("kept", PROGRAMS / "late_fork", "--secret", "passing")
    (p.state / "secrets" / "passing").unlink()
    assert p.request("POST", "/function/kept", "x")[0] == 500
    until(lambda: "there is no secret 'passing'" in describe(p, "kept")["reason"], lambda: describe(p, "kept"))
    assert "could not be moved" in describe(p, "kept")["reason"] and describe(p, "kept")["version"] == 1
    p.cli("remove", "kept")


def misfits_are_processes(p):
    p.script("shell", "read -r x; echo \"$x\"\n")
    about = describe(p, "shell")
    assert about["mode"] != "microvm" and "no microvm: " in about["reason"], about
    assert p.request("POST", "/function/shell", "hello")[1] == b"hello\n"
    p.deploy("declined", PROGRAMS / "echo", "--class", "process")
    assert describe(p, "declined")["mode"] == "zygote", describe(p, "declined")


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        skip("no /dev/kvm here")
    with Platform() as p:
        secrets_are_followed(p)
        calls_go_through_the_gateway(p)
        calls_carry_what_was_read(p)
        what_was_read_before_or_through_a_mapping_is_found(p)
        misfits_are_processes(p)
        a_late_misfit_moves(p)
        one_that_cannot_move_says_why(p)
        no_placeholder_is_shown(p)
        what_is_refused_before_the_snapshot_is_told(p)
        a_share_is_kept(p)
        a_killed_host_leaves_a_gap(p)
        p.stop()
        p.cli("verify")
        complete = p.cli("verify", "--complete", check=False)
        assert complete.returncode == 21 and b"ended before it had recorded" in complete.stdout, complete


if __name__ == "__main__":
    main()
