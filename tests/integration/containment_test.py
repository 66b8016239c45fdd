#!/usr/bin/python3
"""A function cannot see another's files, processes, memory or secrets, nor reach the network, the
control plane or the daemon's directories except as granted. Each line of the probe tries one thing
and prints NAME=ok|DENIED-PROPERLY facts that are compared with what must hold."""

import json
import os
import pathlib
import signal
import socket
import threading

from provost_platform import Platform

PROBE = r'''
import ctypes, errno, json, os, socket, sys, urllib.request
sys.stdin.read()
facts = {}
def attempt(name, fn):
    try:
        facts[name] = fn()
    except BaseException as e:
        facts[name] = "refused: %s" % (getattr(e, "errno", None) or repr(e))
libc = ctypes.CDLL(None, use_errno=True)
def call(nr, *args):
    r = libc.syscall(ctypes.c_long(nr), *[ctypes.c_long(a) for a in args])
    if r < 0:
        raise OSError(ctypes.get_errno(), "x")
    return "reached"
def connect(host, port):
    s = socket.create_connection((host, port), 2); s.close(); return "reached"
def http(url):
    # urllib ignores http_proxy where CGI's REQUEST_METHOD is set, so the proxy is named; no_proxy
    # would keep it from loopback, where this test's outside world stands
    os.environ.pop("no_proxy", None)
    own = {} if ":8080/" in url else {"http": os.environ["http_proxy"]}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(own))
    try:
        with opener.open(url, timeout=5) as r:
            return "status %d" % r.status
    except urllib.error.HTTPError as e:
        return "status %d" % e.code
def listen():
    s = socket.socket(); s.bind(("127.0.0.1", 9999)); s.listen(); return "reached"
state = os.environ["STATE"]; gw = int(os.environ["GATEWAY_PORT"]); outside = int(os.environ["OUTSIDE_PORT"])
attempt("pid", os.getpid)
attempt("uid_nonzero", lambda: os.getuid() != 0)
attempt("processes", lambda: sorted(int(p) for p in os.listdir("/proc") if p.isdigit()))
attempt("state_dir", lambda: os.listdir(state))
attempt("host_root", lambda: os.listdir("/root"))
attempt("host_etc_shadow", lambda: open("/etc/shadow").read(1) and "reached")
attempt("write_root", lambda: open("/written", "w") and "reached")
attempt("write_package", lambda: open("/function/written", "w") and "reached")
attempt("write_usr", lambda: open("/usr/written", "w") and "reached")
attempt("tmp_left", lambda: os.listdir("/tmp"))
attempt("tmp_write", lambda: open("/tmp/mark", "w").write("x") and "reached")
attempt("secret_own", lambda: open("/var/openfaas/secrets/mine").read())
attempt("secret_other", lambda: open("/var/openfaas/secrets/other").read())
attempt("direct_gateway", lambda: connect("127.0.0.1", gw))
attempt("direct_outside", lambda: connect("127.0.0.1", outside))
attempt("external_address", lambda: connect("192.0.2.1", 80))
attempt("listen", listen)
attempt("granted_call", lambda: http("http://127.0.0.1:8080/function/friend"))
attempt("denied_call", lambda: http("http://127.0.0.1:8080/function/stranger"))
attempt("control_plane", lambda: http("http://127.0.0.1:8080/system/functions"))
attempt("proxy_granted", lambda: http("http://127.0.0.1:%d/" % outside))
attempt("proxy_denied", lambda: http("http://127.0.0.1:%d/" % gw))
attempt("mount", lambda: call(165, 0, 0, 0, 0, 0))
attempt("unshare_user", lambda: call(272, 0x10000000))
attempt("setns", lambda: call(308, 0, 0))
attempt("ptrace", lambda: call(101, 16, 1, 0, 0))
attempt("bpf", lambda: call(321, 0, 0, 0))
attempt("perf", lambda: call(298, 0, 0, 0, 0, 0))
attempt("io_uring", lambda: call(425, 1, 0))
attempt("userfaultfd", lambda: call(323, 0))
attempt("keyctl", lambda: call(250, 0, 0))
attempt("shmget", lambda: call(29, 0, 4096, 0o1600))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) and "reached")
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and "reached")
attempt("kill_all", lambda: os.kill(-1, 0) or "reached")
attempt("proc_net", lambda: open("/proc/net/dev").read(1) and "reached")
attempt("proc1_mem", lambda: os.path.exists("/proc/1/root/etc/shadow") and "reached" or "absent")
attempt("env_leak", lambda: sorted(k for k in os.environ if "TOKEN" in k.upper()))
attempt("devices", lambda: sorted(os.listdir("/dev")))
print(json.dumps(facts))
'''

ALLOWED_DEVICES = {"fd", "full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero",
                   "shm", "tty"}


def serve_outside():
    s = socket.create_server(("127.0.0.1", 0))

    def loop():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            c.settimeout(2)
            try:
                c.recv(4096)
                c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
            except OSError:
                pass
            c.close()

    threading.Thread(target=loop, daemon=True).start()
    return s


def main():
    server = serve_outside()
    outside = server.getsockname()[1]
    with Platform() as p:
        p.cli("secret", "create", "mine", "--from-file", "-", stdin=b"my secret")
        p.cli("secret", "create", "other", "--from-file", "-", stdin=b"not for you")
        p.script("friend", "cat >/dev/null; echo friend")
        p.script("stranger", "cat >/dev/null; echo stranger")
        probe = p.dir / "probe.py"
        probe.write_text("#!/usr/bin/python3\n" + PROBE)
        probe.chmod(0o755)
        p.deploy("probe", probe, "--secret", "mine", "--allow-call", "friend",
                 "--allow-egress", f"127.0.0.1:{outside}", "--env", f"STATE={p.state}",
                 "--env", f"GATEWAY_PORT={p.port}", "--env", f"OUTSIDE_PORT={outside}")
        for turn in range(2):
            status, body, headers = p.request("POST", "/function/probe", b"")
            assert status == 200, (status, body)
            facts = json.loads(body)
            check(facts, turn)
        denied = p.json("audit", "timeline", headers["X-Call-Id"])
        text = json.dumps(denied)
        assert "stranger" in text and "denied" in text, "denied call is not on record"
        assert f'"port": {p.port}' in text or str(p.port) in text, "denied egress is not on record"
    print("contained:", len(facts), "attempts as they must be")


def check(f, turn):
    problems = []

    def expect(name, ok):
        if not ok:
            problems.append(f"{name} = {f.get(name)!r}")

    def refused(name):
        expect(name, str(f[name]).startswith("refused"))

    expect("pid", f["pid"] == 1)
    expect("uid_nonzero", f["uid_nonzero"] is True)
    expect("processes", f["processes"] == [1])
    for name in ("state_dir", "host_root", "host_etc_shadow", "write_root", "write_package",
                 "write_usr", "secret_other", "direct_gateway", "direct_outside",
                 "external_address", "listen", "mount", "unshare_user", "setns", "ptrace", "bpf",
                 "perf", "io_uring", "userfaultfd", "keyctl", "shmget", "netlink", "raw"):
        refused(name)
    expect("tmp_left", f["tmp_left"] == [])
    expect("tmp_write", f["tmp_write"] == "reached" or f["tmp_write"] == 1)
    expect("secret_own", f["secret_own"] == "my secret")
    expect("granted_call", f["granted_call"] == "status 200")
    expect("denied_call", f["denied_call"] == "status 403")
    expect("control_plane", f["control_plane"] == "status 403")
    expect("proxy_granted", f["proxy_granted"] == "status 200")
    expect("proxy_denied", f["proxy_denied"] == "status 403")
    expect("proc1_mem", f["proc1_mem"] == "absent")
    expect("env_leak", f["env_leak"] == [])
    expect("devices", set(f["devices"]) <= ALLOWED_DEVICES)
    assert not problems, f"turn {turn}: " + "; ".join(problems)


main()
