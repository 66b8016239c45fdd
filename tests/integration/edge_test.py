#!/usr/bin/python3
"""The gateway's edges over real sockets: half-closed, slow, too many and lying clients, a full queue,
the egress proxy, a full disk, versions after a restart, and the last words of a clean stop."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import time

from provost_platform import BUILD, Platform, PROGRAMS, children, together, until

NET = r'''#!/usr/bin/python3
import socket, sys
ask = sys.stdin.buffer.read()
s = socket.create_connection(("127.0.0.1", 3128))
if ask.startswith(b"CONNECT"):
    s.sendall(ask)
    answer = s.recv(4096)
    s.sendall(b"through the tunnel")
    s.shutdown(socket.SHUT_WR)
else:
    s.sendall(ask)
    answer = b""
while True:
    part = s.recv(4096)
    if not part:
        break
    answer += part
sys.stdout.buffer.write(answer)
'''


def dial(p):
    return socket.create_connection(("127.0.0.1", p.port), timeout=30)


def read_all(s):
    data = b""
    while True:
        part = s.recv(65536)
        if not part:
            return data
        data += part


def exchange(p, data):
    with dial(p) as s:
        s.sendall(data)
        return read_all(s)


def status(answer):
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def post(path, body, extra=""):
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
            .encode() + body)


def half_closed(p):
    with dial(p) as s:
        s.sendall(post("/function/slow", b"half"))
        s.shutdown(socket.SHUT_WR)
        answer = read_all(s)
    assert status(answer) == 200 and answer.endswith(b"half"), answer
    # Half of a body is no request either, but whoever sent it still listens.
    for cut, said in ((b"Content-Length: 9\r\n\r\nhalf", b"after 4 of the 9 bytes"),
                      (b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"its last chunk")):
        for before in (b"", post("/function/slow", b"whole")):
            with dial(p) as s:
                s.sendall(before + b"POST /function/echo HTTP/1.1\r\nHost: x\r\n" + cut)
                s.shutdown(socket.SHUT_WR)
                answer = read_all(s)
            assert answer.count(b"HTTP/1.1 200 OK") == bool(before), answer
            assert b"HTTP/1.1 400 " in answer and said in answer, answer
    # A head without its end is no request: nobody waits for the rest.
    with dial(p) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\n")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b""


def pipelined(p):
    """More than a connection's input buffer holds: no byte may be lost, or a request would begin in
    the middle of another."""
    n = 1500
    pad = "p" * 200
    sent = b"".join(post("/function/echo", f"<{i}>".encode(), f"X-Pad: {pad}\r\n") for i in range(n))
    with dial(p) as s:
        writer = threading.Thread(target=lambda: (s.sendall(sent), s.shutdown(socket.SHUT_WR)))
        writer.start()
        answer = read_all(s)
        writer.join()
    assert answer.count(b"HTTP/1.1 200 OK") == n, answer.count(b"HTTP/1.1 ")
    assert re.findall(rb"<(\d+)>", answer) == [str(i).encode() for i in range(n)]


SMUGGLING = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    b"Content-Length: 4, 4\r\n\r\nabcd",
    b"Content-Length: +4\r\n\r\nabcd",
    b"Content-Length: 0x4\r\n\r\nabcd",
    b"Content-Length : 4\r\n\r\nabcd",
    b"Content-Length:\r\n 4\r\n\r\nabcd",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n4\nabcd\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-4\r\nabcd\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcdef\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n100000000\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0\r\nA b: c\r\n\r\n",
    b"X: a\nContent-Length: 4\r\n\r\nabcd",
    b"X: a\rContent-Length: 4\r\n\r\nabcd",
    b"X: a\0b\r\n\r\n",
    b" X: folded\r\n\r\n",
    b"Host: y\r\n\r\n",
    b": none\r\n\r\n",
]


def smuggled(p):
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for fields in SMUGGLING:
        answer = exchange(p, b"POST /function/echo HTTP/1.1\r\nHost: x\r\n" + fields + hidden)
        assert 400 <= status(answer) <= 501, (fields, answer)
        assert answer.count(b"HTTP/1.1 ") == 1 and b"close" in answer, (fields, answer)


def small_print(p):
    head = exchange(p, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status(head) == 200 and head.endswith(b"\r\n\r\n") and b"Content-Length: 3" in head, head
    code, body, fields = p.request("OPTIONS", "/healthz")
    assert code == 405 and fields["Allow"] == "GET, HEAD", (code, fields)
    code, body, _ = p.request("OPTIONS", "/function/env/a%2Fb%20c?x=%31", headers={
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "Connection": "close, X-Hop", "X-Hop": "1", "X-Forwarded-For": "192.0.2.1"})
    text = body.decode()
    for wanted in ("REQUEST_METHOD=OPTIONS", "PATH_INFO=/a/b c", "Http_Path=/a%2Fb%20c",
                   "Http_Query=x=%31", "CONTENT_LENGTH=0", "Http_X_Forwarded_For=192.0.2.1",
                   "Http_Traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        assert wanted in text, (wanted, text)
    assert "Http_X_Hop" not in text and "Http_Connection" not in text, text
    _, body, _ = p.request("GET", "/function/env")
    assert "Http_X_Forwarded_For=127.0.0.1\n" in body.decode(), body
    for method in ("GET", "POST"):
        assert p.request(method, "/function/echo", body=b"")[:2] == (200, b"")
    old = exchange(p, b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                      b"GET /healthz HTTP/1.0\r\n\r\n")
    assert old.count(b"200 OK") == 2 and b"Connection: keep-alive" in old, old


def sizes(p):
    """What is too large is told with the limit, and what raises it."""
    answer = exchange(p, post("/function/echo", b"", "X-Pad: " + "p" * 40000 + "\r\n"))
    assert status(answer) == 431 and b"head is over 32 KiB" in answer, answer
    answer = exchange(p, b"POST /function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 16777217\r\n\r\n")
    assert status(answer) == 413 and b"the body is over 16 MiB" in answer, answer
    p.deploy("loud", PROGRAMS / "echo", "--output-limit", "1k")
    code, body, _ = p.request("POST", "/function/loud", body=b"x" * 1025)
    assert code == 502 and b"1 KiB (deploy --output-limit raises it, to 64 MiB" in body, body
    said = p.cli("deploy", "loud", PROGRAMS / "echo", "--output-limit", "65M", check=False).stderr
    assert b"output of 65 MiB: must be between 1 byte and 64 MiB" in said, said


def cgi(p):
    code, body, fields = p.request("GET", "/function/cgi")
    assert (code, body, fields["X-Made"]) == (201, b"made\n", "yes"), (code, body)
    # A status without a body must not let one through, where it would be the next answer.
    answer = exchange(p, b"GET /function/empty HTTP/1.1\r\nHost: x\r\n\r\n"
                         b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status(answer) == 204 and b"FORGED" not in answer, answer
    assert answer.count(b"HTTP/1.1 ") == 2 and answer.endswith(b"OK\n"), answer
    assert p.request("GET", "/function/nocgi")[0] == 502


def queue_full(p):
    clients = []
    for _ in range(1200):
        s = dial(p)
        s.sendall(post("/function/busy", b""))
        clients.append(s)
    refused = []
    for s in reversed(clients):
        s.settimeout(0.5 if refused else 10)
        try:
            refused.append(s.recv(4096))
        except TimeoutError:
            break
    assert refused and all(status(a) == 429 and b"Retry-After: " in a for a in refused), refused[:1]
    assert p.request("GET", "/healthz")[0] == 200
    for s in clients:
        reset(s)
    print("queue full:", len(refused), "answered 429")


def slow_clients(p):
    clients = [dial(p) for _ in range(1000)]
    began = time.monotonic()
    for s in clients:
        s.sendall(b"GET /healthz HT")
    for _ in range(20):
        assert p.request("POST", "/function/echo", body=b"x")[:2] == (200, b"x")
    answers = [read_all(s) for s in clients]
    took = time.monotonic() - began
    assert all(status(a) == 408 for a in answers), answers[:1]
    assert 9 < took < 25, took
    for s in clients:
        s.close()
    print(f"1000 slow clients: answered 408 after {took:.1f} s")


def play_server(listener, seen):
    for _ in range(2):
        c, _ = listener.accept()
        with c:
            c.settimeout(10)
            data = c.recv(4096)
            seen.append(data)
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\noutside"
                      if data.startswith(b"GET") else read_all(c).upper() or data.upper())


def proxy(p):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    seen = []
    server = threading.Thread(target=play_server, args=(listener, seen), daemon=True)
    server.start()
    path = p.dir / "net.py"
    path.write_text(NET)
    path.chmod(0o755)
    p.deploy("net", path, "--allow-egress", f"127.0.0.1:{port}", "--allow-egress",
             f"localhost:{p.port}", "--timeout", "20s")
    ask = (f"GET http://127.0.0.1:{port}/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
           "Connection: X-Private\r\nX-Private: 1\r\nX-Public: 2\r\n\r\n").encode()
    code, body, _ = p.request("POST", "/function/net", body=ask)
    assert code == 200 and body.endswith(b"outside"), body
    assert b"X-Public: 2" in seen[0] and b"X-Private" not in seen[0], seen
    code, body, _ = p.request("POST", "/function/net",
                              body=f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert body.startswith(b"HTTP/1.1 200 ") and body.endswith(b"THROUGH THE TUNNEL"), body
    server.join()
    # The gateway itself, under a name that was granted: a call without a caller.
    code, body, _ = p.request("POST", "/function/net", body=(
        f"GET http://localhost:{p.port}/function/echo HTTP/1.1\r\nHost: x\r\n\r\n").encode())
    assert body.startswith(b"HTTP/1.1 403 ") and b"gateway itself" in body, body
    # and under the address that functions know it by
    code, body, _ = p.request("POST", "/function/net", body=(
        b"GET http://127.0.0.1:8080/function/echo HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert body.startswith(b"HTTP/1.1 403 ") and b"reached without this proxy" in body, body
    p.script("calls-on", "curl -s -d through http://gateway:8080/function/echo\n", "--allow-call", "echo",
             "--env", "no_proxy=gateway")
    assert p.request("POST", "/function/calls-on", body=b"")[:2] == (200, b"through")


CALLER = r"""#!/usr/bin/python3
import http.client, sys
sys.stdin.read()
codes = []
for i in range(100):
    c = http.client.HTTPConnection("127.0.0.1", 8080)
    c.request("POST", "/function/echo", body=b"x")
    codes.append(c.getresponse().status)
    c.close()
print(codes.count(200))
"""


def calls(p):
    """What is limited is how many connections an invocation has open, not how many it has had."""
    path = p.dir / "caller.py"
    path.write_text(CALLER)
    path.chmod(0o755)
    p.deploy("caller", path, "--allow-call", "echo", "--timeout", "30s")
    code, body, _ = p.request("POST", "/function/caller", body=b"")
    assert (code, body) == (200, b"100\n"), (code, body)


def imports(p):
    plain = p.dir / "plain.sh"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(0o644)
    r = p.cli("deploy", "plain", plain, check=False)
    assert r.returncode != 0 and b"chmod +x" in r.stdout + r.stderr, r
    r = p.cli("deploy", "keys", p.state / "keys", check=False)
    assert r.returncode != 0 and b"state directory" in r.stdout + r.stderr, r


def secrets(p):
    """A missing secret is told at once; one in use stays."""
    r = p.cli("deploy", "wanting", PROGRAMS / "echo", "--secret", "nosuch", check=False)
    assert r.returncode == 6 and b"no secret 'nosuch'" in r.stderr, r
    p.cli("secret", "create", "needed", "--from-file", "-", stdin=b"x" * 65536)
    p.deploy("needy", PROGRAMS / "echo", "--secret", "needed", "--secret", "needed")
    about = p.json("describe", "needy")
    assert about["secrets"] == ["needed"] and about["limits"] == {"memory": "64Mi"}, about
    r = p.cli("secret", "create", "needed", "--from-file", "-", stdin=b"x" * 65537, check=False)
    assert r.returncode != 0, r
    r = p.cli("secret", "remove", "needed", check=False)
    assert r.returncode == 6 and b"used by function 'needy'" in r.stderr, r
    p.cli("remove", "needy")
    p.cli("secret", "remove", "needed")


def bodies(p):
    """What is wrong with a body is told in words for who sent it."""
    token = {"Authorization": "Bearer " + (p.state / "admin.token").read_text().strip()}
    for path in "/system/functions", "/system/secrets":
        for body, said in ((b"", b"is empty"), (b"[", b"no JSON object (line 1"), (b"[]", b"but no object"),
                           (b'{"name":"a","name":"b"}', b"a name twice"), (b'{"name":"\\u0000"}', b"zero byte")):
            code, answer, _ = p.request("POST", path, body=body, headers=token)
            assert code == 400 and said in answer, (body, answer)


def options_in_vain(p):
    p.deploy("vain", PROGRAMS / "echo", "--class", "process", "--finish", "newline")
    reason = p.json("describe", "vain")["provost"]["reason"]
    assert "finish has no effect" in reason, reason
    p.deploy("vain", PROGRAMS / "echo", "--class", "process")
    reason = p.json("describe", "vain")["provost"]["reason"]
    assert "no effect" not in reason, reason
    p.cli("remove", "vain")


def last_words_of_a_host(p):
    """Why a host cannot start reaches who deploys, and who asks about a function in force."""
    secret = p.state / "secrets" / "swollen"
    secret.write_bytes(b"x" * 65537)
    r = p.cli("deploy", "mute", PROGRAMS / "echo", "--secret", "swollen", check=False)
    assert r.returncode == 6 and b"secret 'swollen' is over 64 KiB" in r.stderr, r
    secret.write_bytes(b"x")
    p.deploy("mute", PROGRAMS / "echo", "--secret", "swollen")
    secret.write_bytes(b"x" * 65537)
    host = p.json("describe", "mute")["provost"]["host_pid"]
    assert host > 0, host
    os.kill(host, signal.SIGKILL)

    def mute():
        return p.json("describe", "mute")["provost"]

    until(lambda: "is over 64 KiB" in mute()["reason"], mute)
    secret.write_bytes(b"x")
    until(lambda: mute()["state"] == "ready", mute)
    assert "is over 64 KiB" not in mute()["reason"], mute()
    p.cli("remove", "mute")
    p.cli("secret", "remove", "swollen")


def widest(p):
    """As many requests at once as are promised can be had, of both classes."""
    for name in ("process", "microvm") if os.access("/dev/kvm", os.R_OK | os.W_OK) else ("process",):
        p.deploy("wide", PROGRAMS / "echo", "--class", name, "--concurrency", "1024")
        assert p.request("POST", "/function/wide", body=b"x")[:2] == (200, b"x")
    r = p.cli("deploy", "wide", PROGRAMS / "echo", "--concurrency", "1025", check=False)
    assert r.returncode == 6 and b"between 1 and 1024" in r.stderr, r
    p.cli("remove", "wide")


def dying_host(p):
    """A deployment whose host dies before it is ready fails; it neither hangs nor comes back."""
    before = {pid for pid, comm in children(p.process.pid).items() if comm == "provost-host"}
    done = threading.Event()

    def kill_new():
        while not done.is_set():
            for pid, comm in children(p.process.pid).items():
                if comm == "provost-host" and pid not in before:
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_new)
    killer.start()
    r = p.cli("deploy", "mortal", PROGRAMS / "spin", check=False)
    done.set()
    killer.join()
    assert r.returncode == 6 and b"before it was ready" in r.stderr, r
    assert p.cli("describe", "mortal", check=False).returncode == 3
    p.deploy("mortal", PROGRAMS / "echo")


def packages(p):
    """The store comes to hold what functions use and nothing else, after a removal and a start."""
    store = p.state / "packages"
    token = {"Authorization": "Bearer " + (p.state / "admin.token").read_text().strip()}

    def settled():
        listed = json.loads(p.request("GET", "/system/functions", headers=token)[1])
        used = {f["provost"]["measurement"] for f in listed}
        until(lambda: {e.name for e in store.iterdir()} == used,
              lambda: ([e.name for e in store.iterdir()], used))
        return used

    unique = p.dir / "unique"
    for n in range(3):
        (unique / f"d{n}").mkdir(parents=True)
        (unique / f"d{n}" / "data").write_text("here only")
    (unique / "handler").write_text("#!/bin/sh\ncat\n")
    (unique / "handler").chmod(0o755)
    p.deploy("one", unique)
    p.deploy("two", unique)
    measurement = p.json("describe", "one")["provost"]["measurement"]
    assert measurement in settled()
    p.cli("remove", "one")
    assert measurement in settled()
    assert p.request("POST", "/function/two", body=b"still")[:2] == (200, b"still")
    p.cli("remove", "two")
    assert measurement not in settled()
    p.deploy("one", unique)
    assert p.request("POST", "/function/one", body=b"again")[:2] == (200, b"again")
    p.stop()
    for name in ("f" * 64, ".unused-1", ".import-1"):
        (store / name).mkdir()
        (store / name / "left").write_text("behind")
    p.start()
    assert measurement in settled()
    p.cli("remove", "one")
    settled()


def changed_packages(p):
    """What was changed on disk is run by no new host, and the same source deployed again mends it, for all
    functions that use it."""
    p.script("stored", 'read -r x; echo "$x"\n')
    source = p.dir / "stored.sh"
    p.deploy("twin", source)
    measurement = p.json("describe", "stored")["provost"]["measurement"]

    def about(name):
        return p.json("describe", name)["provost"]

    def answer(name):
        return p.request("POST", f"/function/{name}", "good\n")[:2]

    def changed():
        with open(p.state / "packages" / measurement / "stored.sh", "a") as f:
            f.write("echo evil\n")

    def refused(name):
        until(lambda: "was changed" in about(name)["reason"], lambda: about(name))
        code, said = answer(name)
        assert code == 503 and b"deploy the function again" in said and measurement.encode() in said, said

    changed()
    os.kill(about("stored")["host_pid"], signal.SIGKILL)
    refused("stored")
    until(lambda: any(measurement in e["fields"].get("object", "") for e in p.events("denied")), "it is not recorded")
    p.deploy("stored", source)
    assert answer("stored") == (200, b"good\n"), answer("stored")
    # twin's host had started before, and would have run what was changed
    until(lambda: answer("twin") == (200, b"good\n"), lambda: answer("twin"))
    assert f"package {measurement} was changed" in (p.dir / "provostd.log").read_text()

    p.stop()
    changed()
    p.start()
    refused("stored")
    refused("twin")
    p.deploy("twin", source)
    for name in ("twin", "stored"):
        until(lambda: answer(name) == (200, b"good\n"), lambda: answer(name))
        p.cli("remove", name)


def versions(p):
    bad = p.dir / "bad.sh"
    bad.write_text("#!/nowhere/interpreter\n")
    bad.chmod(0o755)
    assert p.cli("deploy", "echo", bad, check=False).returncode != 0
    assert p.cli("deploy", "fresh", bad, check=False).returncode != 0
    p.stop()
    p.start()
    until(lambda: p.request("POST", "/function/echo", body=b"still")[:2] == (200, b"still"),
          "the version before does not answer")
    p.deploy("echo", PROGRAMS / "echo")
    p.deploy("fresh", PROGRAMS / "echo")
    assert p.json("describe", "echo")["provost"]["version"] == 3
    assert p.json("describe", "fresh")["provost"]["version"] == 2


def damaged_entry(p):
    """What cannot be read of a function does not make it one that never was."""
    p.deploy("hurt", PROGRAMS / "echo")
    entry = p.state / "registry" / "hurt.json"
    p.stop()
    whole = entry.read_bytes()
    entry.write_bytes(whole[:len(whole) // 2])
    # what is quoted of an entry is no text that could hide its function
    for i, text in enumerate((b"\n\n\n" + "é".encode() * 400, b"\xff\xfe" * 80, b"", b"[1]",
                              b"{\"format\":1,\"name\":\"hurt\",\"version\":7,\"spec\":\"zz\"}",
                              ("\"" + "é" * 79 + "x" + "é" * 99).encode(), b"x" * (1 << 20))):
        (p.state / "registry" / f"odd-{i}.json").write_bytes(text)
    (p.state / "registry" / "Not A Name.json").write_bytes(b"{")
    for f in (p.state / "registry").iterdir():
        os.chown(f, entry.stat().st_uid, entry.stat().st_gid)
    p.start()
    answer = p.request("POST", "/function/hurt", body=b"x")
    assert answer[0] == 503 and b"its registry entry is damaged" in answer[1], answer
    seen = {f["name"]: f["provost"]["state"] for f in p.json("list")}
    assert seen["hurt"] == "damaged" and seen["echo"] != "damaged", seen
    assert all(seen[f"odd-{i}"] == "damaged" for i in range(7)), seen
    assert p.json("status")["damaged_functions"] == 8
    for i in range(7):
        answer = p.request("POST", f"/function/odd-{i}", body=b"x")
        assert answer[0] == 503 and answer[1].endswith(b"; deploy it again\n"), answer
        assert answer[1].count(b"\n") == 1 and answer[1].decode(), answer
    told = p.cli("describe", "hurt", check=False)
    assert told.returncode != 0 and b"deploy it again" in told.stderr, told
    p.deploy("hurt", PROGRAMS / "echo")
    assert p.request("POST", "/function/hurt", body=b"well")[:2] == (200, b"well")
    # no number that was given out before
    assert p.json("describe", "hurt")["provost"]["version"] > 1_000_000_000
    assert p.json("status")["damaged_functions"] == 7
    p.cli("remove", "hurt")


def confined(p):
    for name in ("gateway", "auditor", "stitcher", "host"):
        text = pathlib.Path(f"/proc/{p.role(name)}/status").read_text()
        assert re.search(r"^Seccomp:\s2$", text, re.M), name
        assert re.search(r"^NoNewPrivs:\s1$", text, re.M), name
    for prepare in ("zygote", "first-read", "exec"):
        p.deploy("show", PROGRAMS / "show", "--class", "process", "--prepare", prepare)
        assert p.json("describe", "show")["provost"]["mode"] == prepare
        text = p.request("POST", "/function/show", "/proc/self/status")[1].decode()
        facts = dict(line.split(":\t", 1) for line in text.splitlines())
        assert {facts[f"Cap{of}"] for of in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}, text
        assert (facts["Seccomp"], facts["NoNewPrivs"]) == ("2", "1"), text
    p.cli("remove", "show")


def last_words(p):
    """After a clean stop the graph holds what the log holds, to the last event."""
    notes = (p.state / "log" / "checkpoints").read_bytes().decode(errors="replace")
    size = int(re.findall(r"provost/[0-9a-f]{16}\n(\d+)\n", notes)[-1]) if notes else 0
    db = sqlite3.connect(f"file:{p.state}/graph/graph.db?mode=ro", uri=True)
    top, = db.execute("SELECT count(*) FROM event").fetchone()
    db.close()
    assert size == top > 0, (size, top)
    print("log and graph:", size, "events each")


def replaced_secrets(p):
    """What replaces a secret reaches the functions that use it before the answer does; one that cannot
    live with it goes on with the old, and that is an error."""
    read = 'k=$(cat /var/openfaas/secrets/turning); '
    p.cli("secret", "create", "turning", stdin=b"old")
    p.script("turns", read + "cat; echo $k\n", "--secret", "turning")
    p.script("picky", read + '[ "$k" != bad ] || exit 1; read -r x; echo $k\n', "--secret", "turning",
             "--prepare", "first-read")

    def both():
        return [p.request("POST", f"/function/{name}", "")[1] for name in ("turns", "picky")]

    assert both() == [b"old\n", b"old\n"]
    done = json.loads(p.cli("secret", "create", "turning", "--json", stdin=b"new").stdout)
    assert done["replaced"] is True and "created" not in done, done
    assert sorted((d["name"], d["version"]) for d in done["deployed"]) == [("picky", 2), ("turns", 2)]
    assert both() == [b"new\n", b"new\n"]
    r = p.cli("secret", "create", "turning", stdin=b"bad", check=False)
    assert r.returncode == 1 and b"1 of the functions" in r.stderr and b"picky: " in r.stderr, r
    assert both() == [b"bad\n", b"new\n"]
    told = p.cli("secret", "create", "turning", stdin=b"good").stdout
    assert told.startswith(b"replaced secret turning\n") and b"deployed picky version" in told, told
    assert both() == [b"good\n", b"good\n"]
    # several at once, and one while a deployment is under way: all reach what they have to
    token = (p.state / "admin.token").read_text().strip()
    p.request("POST", "/system/scale-function/turns", json.dumps({"serviceName": "turns", "replicas": 0}),
              headers={"Authorization": f"Bearer {token}"})
    puts = [lambda n=n: p.cli("secret", "create", "turning", "--json", stdin=f"n{n}".encode())
            for n in range(4)]
    together(puts + [lambda: p.deploy("more", PROGRAMS / "echo", "--secret", "turning")], 5)
    until(lambda: p.json("describe", "turns")["provost"]["instances_prepared"] == 0, "it was not scaled to zero")
    seen = both()
    assert seen[0] == seen[1] and seen[0] in (b"n0\n", b"n1\n", b"n2\n", b"n3\n"), seen
    p.cli("remove", "more")
    # what waits on the same connection finds the function free
    body = b'{"name":"turning","value":"last"}'
    name = b'{"functionName":"turns"}'
    head = f"Host: x\r\nAuthorization: Bearer {token}\r\nContent-Length: ".encode()
    answers = exchange(p, b"PUT /system/secrets HTTP/1.1\r\n" + head + b"%d\r\n\r\n%b" % (len(body), body)
                       + b"DELETE /system/functions HTTP/1.1\r\nConnection: close\r\n" + head
                       + b"%d\r\n\r\n%b" % (len(name), name))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"202"], answers
    p.script("turns", read + "cat; echo $k\n", "--secret", "turning")
    for name in ("turns", "picky"):
        p.cli("remove", name)
    p.cli("secret", "remove", "turning")
    assert p.cli("secret", "create", "turning", stdin=b"x").stdout == b"created secret turning\n"


def replaced_together(p):
    """Functions that take long to come to their first read keep the way in which they are prepared, however
    many use the secret."""
    p.cli("secret", "create", "shared", stdin=b"old")
    # started together, they would take over a second each, and one after another a tenth of that; a
    # machine that is busy may slow one of them down all the same
    each = 4 if os.environ.get("PV_SANITIZE") else 14  # for a processor
    names = [f"slow{n}" for n in range(min(each * os.cpu_count(), 56))]
    for name in names:
        p.deploy(name, PROGRAMS / "slow_start", "--secret", "shared", "--class", "process", "--concurrency", "1")
    modes = {f["name"]: f["provost"]["mode"] for f in p.json("list")}
    before = [n for n in names if modes[n] == "zygote"]
    done = json.loads(p.cli("secret", "create", "shared", "--json", stdin=b"new").stdout)["deployed"]
    assert sorted(d["name"] for d in done) == sorted(names), done
    after = [d["name"] for d in done if d["mode"] == "zygote"]
    assert min(len(before), len(after)) > len(names) * 3 // 4, (modes, done)
    for name in names:
        assert p.request("POST", f"/function/{name}", "/var/openfaas/secrets/shared")[1] == b"new"
        p.cli("remove", name)
    p.cli("secret", "remove", "shared")


def main_run():
    with Platform("--without-bpf") as p:
        p.deploy("echo", PROGRAMS / "echo")
        p.script("slow", "sleep 1; cat\n")
        p.script("busy", "cat; sleep 20\n", "--concurrency", "1", "--prepared", "1",
                 "--timeout", "60s")
        p.script("env", "cat; env\n")
        p.script("cgi", "cat\nprintf 'Status: 201 Created\\nX-Made: yes\\n\\nmade\\n'\n", "--cgi")
        p.script("empty", "cat\nprintf 'Status: 204\\n\\nHTTP/1.1 200 OK\\r\\nX: FORGED\\r\\n\\r\\n'\n",
                 "--cgi")
        p.script("nocgi", "cat\nprintf 'no head'\n", "--cgi")
        for step in (confined, half_closed, pipelined, smuggled, small_print, sizes, cgi, proxy, calls,
                     imports, secrets, replaced_secrets,
                     replaced_together, bodies, options_in_vain,
                     last_words_of_a_host, widest, dying_host, packages, changed_packages, queue_full,
                     slow_clients, versions, damaged_entry):
            began = time.monotonic()
            step(p)
            print(f"{step.__name__}: held ({time.monotonic() - began:.1f} s)", flush=True)
        p.stop()
        last_words(p)


class Poor(Platform):
    """Few descriptors, and no capability to raise their number."""

    def start(self, wait=True):
        self.process = subprocess.Popen(
            ["prlimit", "--nofile=1200:1200", "setpriv", "--bounding-set=-sys_resource",
             BUILD / "bin" / "provostd", "--state-dir", self.state, "--listen",
             f"127.0.0.1:{self.port}", *self.options],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        if wait:
            self.wait_ready()


def few_descriptors():
    with Poor("--without-bpf") as p:
        p.deploy("echo", PROGRAMS / "echo")
        clients = [dial(p) for _ in range(700)]
        for s in clients:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = [s.recv(4096) for s in clients]
        codes = sorted({status(a) for a in answers})
        assert codes == [200, 503], codes
        assert all(b"Retry-After" in a for a in answers if status(a) == 503)
        for s in clients:
            s.close()
        time.sleep(0.3)
        assert p.request("POST", "/function/echo", body=b"back")[:2] == (200, b"back")
        print("few descriptors: held,", sum(status(a) == 503 for a in answers), "answered 503")


def address_in_use():
    """Whoever still holds it may be a gateway on its way out: it is waited for, but not for ever."""
    with Platform("--without-bpf") as p:
        p.stop()
        with socket.create_server(("127.0.0.1", p.port)):
            p.start(wait=False)
            assert p.process.wait(timeout=60) == 1
            p.start(wait=False)
            time.sleep(0.5)
            assert p.process.poll() is None
        p.wait_ready()
        assert (p.dir / "provostd.log").read_text().count("is in use") == 2
        print("address in use: held")


class Cramped(Platform):
    """The state directory is a file system of its own; not started yet."""

    def __enter__(self):
        self.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=711", "tmpfs", self.state],
                       check=True)
        return self

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        subprocess.run(["umount", self.state], check=True)
        shutil.rmtree(self.dir)


def small_state():
    """A file system that is too small is said at the start; one that fills up later is waited for."""
    with Cramped("--without-bpf") as p:
        log = p.dir / "provostd.log"
        p.start(wait=False)
        assert p.process.wait(timeout=60) == 1
        said = log.read_text()
        assert len(said.splitlines()) == 1, said
        for part in (f"'{p.state}'", "20.0 MiB", "8.0 MiB are free", "--state-dir"):
            assert part in said, (part, said)

        subprocess.run(["mount", "-o", "remount,size=32m", p.state], check=True)
        p.start()
        p.deploy("echo", PROGRAMS / "echo")
        disk = p.json("status")["disk"]
        assert disk["total_bytes"] == 32 << 20 and not disk["full"], disk
        with open(p.state / "ballast", "wb") as f:
            os.posix_fallocate(f.fileno(), 0, disk["free_bytes"] - (2 << 20))
        disk = p.json("status")["disk"]
        assert disk["full"] and disk["free_bytes"] < disk["needed_bytes"], disk
        assert re.search(rf"^disk +FULL: .* in '{p.state}'", p.cli("status").stdout.decode(), re.M)
        r = p.cli("deploy", "more", PROGRAMS / "echo", check=False)
        assert r.returncode != 0 and f"'{p.state}' is full".encode() in r.stderr, r

        auditor = p.role("auditor")
        os.kill(auditor, signal.SIGSTOP)  # else it drains the dead host's ring, and there is room
        os.kill(p.role("host"), signal.SIGKILL)
        time.sleep(3)
        said = log.read_text()
        assert said.count(f"start host:echo@1: the state directory '{p.state}' is full") == 1, said
        os.kill(auditor, signal.SIGCONT)
        until(lambda: p.request("POST", "/function/echo", body=b"back")[:2] == (200, b"back"),
              "it does not go on")

        # not a byte is left: what needs room is refused with where to make it, and removing needs none
        (p.state / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=48m", p.state], check=True)
        p.deploy("goes", PROGRAMS / "echo")
        stitcher = p.role("stitcher")
        os.kill(stitcher, signal.SIGSTOP)  # else it dies for want of room, and what it wrote makes some
        with open(p.state / "filling", "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(b"x" * 4096):
                pass
        source = p.dir / "more.sh"
        source.write_text("#!/bin/sh\ncat\n")
        source.chmod(0o755)
        for args in (("deploy", "more", source), ("secret", "create", "more", "--from-file", "-")):
            r = p.cli(*args, check=False, stdin=b"x")
            assert r.returncode == 8 and f"'{p.state}' is full".encode() in r.stderr, r
        p.cli("remove", "goes")
        assert p.cli("describe", "goes", check=False).returncode == 3
        p.cli("remove", "echo")
        (p.state / "filling").unlink()
        os.kill(stitcher, signal.SIGCONT)
        p.stop()
        p.start()
        p.deploy("goes", PROGRAMS / "echo")
        assert p.json("describe", "goes")["provost"]["version"] == 2
    print("small state: held")


def full_disk():
    with Platform("--without-bpf") as p:
        p.deploy("echo", PROGRAMS / "echo")
        p.stop()
        registry = p.state / "registry"

        def put():
            token = {"Authorization": "Bearer " + (p.state / "admin.token").read_text().strip()}
            body = json.dumps({"service": "echo", "image": str(PROGRAMS / "env")})
            return p.request("PUT", "/system/functions", body=body, headers=token)[0]

        entry = (registry / "echo.json").read_bytes()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs", registry],
                       check=True)
        try:
            (registry / "echo.json").write_bytes(entry)
            subprocess.run(["chown", "-R", f"--reference={p.state}/registry", registry], check=True)
            (registry / "ballast").write_bytes(b"")
            p.start()
            uid = registry.stat().st_uid
            for f in registry.iterdir():
                subprocess.run(["chown", f"{uid}:{uid}", f], check=True)
            p.stop()
            p.start()
            try:
                (registry / "ballast").write_bytes(b"x" * 65536)
            except OSError:
                pass
            r = p.cli("deploy", "echo", PROGRAMS / "env", check=False)
            said = (r.stdout + r.stderr).decode()
            assert r.returncode != 0 and "No space left on device" in said, said
            assert put() == 507
            assert p.request("POST", "/function/echo", body=b"old")[:2] == (200, b"old")
            (registry / "ballast").unlink()
            p.deploy("echo", PROGRAMS / "echo")
            p.stop()
        finally:
            subprocess.run(["umount", registry], check=False)
        print("full disk: held")


def many_functions():
    """More of them than the gateway may have requests under way to the supervisor (fewer where a
    sanitizer makes their hosts slow)."""
    with Platform("--without-bpf") as p:
        token = {"Authorization": "Bearer " + (p.state / "admin.token").read_text().strip()}
        n = 80 if os.environ.get("PV_SANITIZE") else 300

        def deploy(i):
            return p.request("POST", "/system/functions", headers=token, body=json.dumps({
                "service": f"f{i}", "image": str(PROGRAMS / "echo"),
                "provost": {"concurrency": 1, "prepared": 0}}))[0]

        assert together([lambda i=i: deploy(i) for i in range(n)], 4) == [202] * n
        p.stop()
        p.start()

        def ready():
            listed = json.loads(p.request("GET", "/system/functions", headers=token)[1])
            return sum(f["provost"]["state"] == "ready" for f in listed)

        until(lambda: ready() == n, lambda: f"{ready()} of {n} came back", 0.3)
        print("many functions: held")


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    few_descriptors()
    address_in_use()
    small_state()
    full_disk()
    many_functions()
    main_run()
    print("edge: all held")
