#!/bin/bash
# The supervisor with its real roles: state directory, lock, restart of what dies, clean stop, nothing
# left behind. PV_BUILD is the build directory.
set -u

if [ "$(id -u)" != 0 ]; then
    echo "skipped: provostd takes root"
    exit 77
fi
build=${PV_BUILD:?}
daemon=$build/bin/provostd
work=$(mktemp -d /tmp/pv-daemon-XXXXXX)
chmod 711 "$work"
state=$work/state
pid=

fail() {
    echo "FAILED: $*"
    [ -f "$work/out" ] && tail -n 40 "$work/out"
    exit 1
}

clean_up() {
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
        kill -KILL "$pid"
        wait "$pid" 2>/dev/null
    fi
    umount "$state/bpf" 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT

# wait_for SECONDS COMMAND…
wait_for() {
    local tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

start() {
    : >"$work/out"
    "$daemon" --state-dir "$state" --listen 127.0.0.1:0 "$@" >"$work/out" 2>&1 &
    pid=$!
    wait_for 20 grep -q '^provostd ready on ' "$work/out" || fail "provostd does not become ready"
    url=$(sed -n 's/^provostd ready on \(http:[^,]*\),.*/\1/p' "$work/out")
}

stop() {
    kill -TERM "$pid"
    wait_for 30 test ! -e "/proc/$pid" || fail "provostd does not stop"
    wait "$pid"
    local status=$?
    pid=
    [ $status = 0 ] || fail "provostd ended with status $status"
}

# The process of a role of this daemon; its name is what the daemon called it.
role() {
    local p
    for p in $(cat "/proc/$pid/task/$pid/children"); do
        if [ "$(tr '\0' ' ' <"/proc/$p/cmdline")" = "provost-$1 " ]; then
            echo "$p"
            return 0
        fi
    done
    return 1
}

healthy() {
    curl -fsS -m 2 -o /dev/null "$url/healthz"
}

mode_of() {
    stat -c '%a %u' "$1"
}

# 1. First start.
start --without-bpf
[ "$(mode_of "$state/admin.token")" = "600 0" ] || fail "admin.token: $(mode_of "$state/admin.token")"
[ "$(wc -c <"$state/admin.token")" = 64 ] || fail "admin.token is not 64 characters"
[ "$(mode_of "$state/secrets")" = "700 0" ] || fail "secrets: $(mode_of "$state/secrets")"
[ "$(mode_of "$state/rings")" = "700 0" ] || fail "rings: $(mode_of "$state/rings")"
token=$(cat "$state/admin.token")
healthy || fail "the gateway does not answer"

# 2. Each role runs as its own user, without a way back.
for name in gateway auditor stitcher; do
    p=$(role $name) || fail "no $name runs"
    uid=$(awk '/^Uid:/ {print $2 $3 $4 $5}' "/proc/$p/status")
    case $uid in *0000000000* | 0*) fail "$name runs as root" ;; esac
    [ "$(awk '/^NoNewPrivs:/ {print $2}' "/proc/$p/status")" = 1 ] || fail "$name may gain privileges"
    [ "$(awk '/^CapBnd:/ {print $2}' "/proc/$p/status")" = 0000000000000000 ] ||
        fail "$name has a bounding set"
    [ "$(awk '/^Seccomp:/ {print $2}' "/proc/$p/status")" = 2 ] || fail "$name has no seccomp list"
done

# 3. One daemon a state directory.
if "$daemon" --state-dir "$state" --listen 127.0.0.1:0 >"$work/second" 2>&1; then
    fail "a second daemon started"
fi
grep -q "in use by provostd, process $pid" "$work/second" || fail "$(cat "$work/second")"

# One a port, too: the second says what to do, and leaves nothing behind.
"$daemon" --state-dir "$work/other" --listen "${url#http://}" >"$work/second" 2>&1 &&
    fail "a second daemon started"
grep -q "is another provostd running? choose another with --listen" "$work/second" ||
    fail "$(cat "$work/second")"
[ ! -e "$work/other" ] || fail "a daemon that could not listen made a state directory"

# 4. What dies comes back; the port stays.
for name in gateway stitcher auditor; do
    old=$(role $name) || fail "no $name runs"
    kill -KILL "$old"
    came_back() {
        new=$(role $name) && [ "$new" != "$old" ]
    }
    wait_for 15 came_back || fail "$name is not restarted"
    wait_for 15 healthy || fail "no answer after the death of $name"
done

# 5. A clean stop leaves no process, mount, cgroup or ring, and keeps the token.
sleep 0.5
children=$(cat "/proc/$pid/task/$pid/children")
stop
for p in $children; do
    [ ! -e "/proc/$p" ] || fail "process $p outlives the daemon"
done
grep -q "$state" /proc/self/mounts && fail "a mount is left"
[ -z "$(ls "$state/rings")" ] || fail "rings are left: $(ls "$state/rings")"
[ -z "$(find /sys/fs/cgroup -type d -name "provost-$(printf %s "$(realpath "$state")" | sha256sum |
    cut -c1-16)" 2>/dev/null)" ] || fail "a cgroup is left"
start --without-bpf
[ "$(cat "$state/admin.token")" = "$token" ] || fail "the token changed"

# 6. Everything killed at once: the next start takes it up.
children=$(cat "/proc/$pid/task/$pid/children")
kill -KILL "$pid"
wait "$pid" 2>/dev/null
pid=
for p in $children; do
    wait_for 5 test ! -e "/proc/$p" || fail "process $p outlives a killed daemon"
done
start --without-bpf
healthy || fail "no answer after a kill of everything"
stop
[ -z "$(ls "$state/rings")" ] || fail "rings of the killed run are left: $(ls "$state/rings")"

# 7. Wrong configuration is refused by name and line.
printf 'listen = 127.0.0.1:0\nlissten = x\n' >"$work/conf"
"$daemon" --config "$work/conf" --state-dir "$state" >"$work/out" 2>&1 && fail "unknown key accepted"
grep -q "line 2: unknown key 'lissten'" "$work/out" || fail "$(cat "$work/out")"

# 8. A state directory that the roles could not reach is refused with the reason.
mkdir -m 700 "$work/closed"
"$daemon" --state-dir "$work/closed/state" --listen 127.0.0.1:0 >"$work/out" 2>&1 &&
    fail "an unreachable state directory was accepted"
grep -q "'$work/closed' is closed to other users" "$work/out" || fail "the closed parent is not named"

# 9. So are an empty state directory, which is not the current one, and what is no port.
mkdir "$work/here"
(cd "$work/here" && "$daemon" --state-dir '' --listen 127.0.0.1:0) >"$work/out" 2>&1 &&
    fail "an empty state directory was accepted"
grep -q "state-dir: '' is no absolute path" "$work/out" || fail "$(cat "$work/out")"
[ -z "$(ls -A "$work/here")" ] || fail "files in the current directory: $(ls -A "$work/here")"
for address in 127.0.0.1:65536 127.0.0.1:74000 127.0.0.1:-1 127.0.0.1:http 127.0.0.1: :8080x; do
    "$daemon" --state-dir "$state" --listen "$address" >"$work/out" 2>&1
    [ $? = 64 ] || fail "$address was not refused as a wrong argument"
    grep -q "must be ADDR:PORT with a port from 0 to 65535" "$work/out" || fail "$(cat "$work/out")"
done
"$daemon" --state-dir "$state" --listen nowhere:8080 >"$work/out" 2>&1
[ $? = 64 ] || fail "a name was not refused as a wrong argument"
grep -q "'nowhere' is no numeric address" "$work/out" || fail "$(cat "$work/out")"

# 10. A daemon that cannot start its stitcher says so and ends; it starts nothing else on its way.
cp -r "$(dirname "$daemon")/../libexec/provost" "$work/libexec"
rm "$work/libexec/provost-stitcher"
printf 'libexec-dir = %s\n' "$work/libexec" >"$work/conf"
timeout 60 "$daemon" --config "$work/conf" --state-dir "$state" --listen 127.0.0.1:0 --without-bpf \
    >"$work/out" 2>&1
[ $? = 1 ] || fail "without a stitcher: $(cat "$work/out")"
grep -q 'provost-stitcher' "$work/out" || fail "$(cat "$work/out")"
grep -q 'gateway is ready' "$work/out" && fail "a gateway is started while the daemon stops"

echo "daemon: all held"
