#!/usr/bin/python3
"""Two hundred concurrent invocations of mixed programs: each is answered with the right status, and
afterwards nothing is left over: no descriptor, process, cgroup, mount or memory."""

import os
import pathlib
import re
import time

from provost_platform import Platform, PROGRAMS, children, together, until

FILES = {"forkbomb": "fork_bomb", "hog": "memory_hog"}
MIXED = {
    # name: (options, allowed statuses)
    "echo": ([], {200}),
    "crash": ([], {500}),
    "spin": (["--timeout", "300ms"], {504}),
    "forkbomb": (["--processes", "16", "--timeout", "1s"], {200, 500, 504}),
    "flood": (["--output-limit", "64K"], {500, 502}),
    "hog": (["--memory", "32M", "--timeout", "20s"], {500, 502}),
}


def own_group(p):
    """Name of the daemon's base cgroup, as its instances see it."""
    for pid in children(p.process.pid):
        try:
            found = re.search(r"/(provost-[^/\n]+)/", pathlib.Path(f"/proc/{pid}/cgroup").read_text())
        except OSError:
            continue
        if found:
            return found.group(1)
    raise AssertionError("no instance is in a cgroup of its own")


def cgroups(name):
    """Directories below every group of that name, itself included."""
    found = 0
    for base, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += sum(d == name or f"/{name}/" in f"{base}/" for d in dirs)
    return found


def mounts(p):
    """Mounts of this daemon that the machine sees."""
    return pathlib.Path("/proc/self/mounts").read_text().count(str(p.dir))


def snapshot(p, group):
    pids = [p.process.pid, *children(p.process.pid)]
    counts = {"processes": 0, "descriptors": 0, "memory_kib": 0}
    for pid in pids:
        try:
            name = os.readlink(f"/proc/{pid}/exe").rsplit("/", 1)[-1]
            if not name.startswith("provost"):
                continue
            counts["processes"] += 1
            counts["descriptors"] += len(os.listdir(f"/proc/{pid}/fd"))
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss_Anon:") or line.startswith("Private_Dirty:"):
                    counts["memory_kib"] += int(line.split()[1])
        except OSError:
            continue
    counts["mounts"] = mounts(p)
    counts["cgroups"] = cgroups(group)
    if os.environ.get("PV_SANITIZE"):
        del counts["memory_kib"]  # a sanitizer keeps what is freed for a while, by design
    return counts


def main():
    with Platform() as p:
        for name, (options, _) in MIXED.items():
            p.deploy(name, PROGRAMS / FILES.get(name, name), *options)

        def call(i):
            name = list(MIXED)[i % len(MIXED)]
            body = b"payload %d" % i
            while True:
                status, answer, _ = p.request("POST", f"/function/{name}", body, timeout=60)
                if status != 429:
                    break
                time.sleep(0.05)
            assert status in MIXED[name][1], f"{name}: {status} {answer[:200]!r}"
            if name == "echo":
                assert answer == body, answer
            return status

        together([lambda i=i: call(i) for i in range(200)], 200)  # pools reach their size
        time.sleep(2)
        group = own_group(p)
        before = snapshot(p, group)
        together([lambda i=i: call(i) for i in range(200)], 200)

        def grown():
            after = snapshot(p, group)
            return {k: (before[k], after[k]) for k in before
                    if after[k] > before[k] + (8192 if k == "memory_kib" else 0)}

        until(lambda: not grown(), lambda: f"left over after the load: {grown()}", 0.5, 40)
        p.stop()
        assert cgroups(group) == 0, "cgroups were left behind"
        assert mounts(p) == 0, "mounts were left behind"
        p.cli("verify")
    print("200 concurrent invocations answered; nothing left over")


main()
