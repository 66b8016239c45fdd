#!/bin/bash
# The command line as users meet it: help, exit codes, escaping, JSON; then, with a daemon of its own,
# the life of a function. Needs PV_BUILD. The second half needs root and says so when it skips.
set -u
provost=$PV_BUILD/bin/provost
daemon=$PV_BUILD/bin/provostd
work=$(mktemp -d) || exit 1
chmod 755 "$work" # the roles have users of their own
daemon_pid=
failed=0
cleanup()
{
    if [ -n "$daemon_pid" ]; then
        kill "$daemon_pid" 2>/dev/null
        wait "$daemon_pid"
    fi
    rm -rf "$work"
}
trap cleanup EXIT

# expect CODE WHAT COMMAND...: runs it, compares the exit code; output stays in $work/out and err.
expect()
{
    local want=$1 what=$2 got
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    if [ "$got" != "$want" ]; then
        echo "FAIL: $what: exit code $got instead of $want"
        head -5 "$work/err"
        failed=1
    fi
}
# contains FILE PATTERN WHAT
contains()
{
    if ! grep -q -- "$2" "$work/$1"; then
        echo "FAIL: $3: no '$2' in $1:"
        head -5 "$work/$1"
        failed=1
    fi
}
is_json()
{
    if ! python3 -m json.tool "$work/out" >/dev/null; then
        echo "FAIL: $1: no JSON"
        head -5 "$work/out"
        failed=1
    fi
}

# --- without a daemon ---
export PROVOST_URL=http://127.0.0.1:1 PROVOST_STATE=$work/none
unset PROVOST_TOKEN_FILE
for command in deploy list describe remove invoke logs 'secret create' 'secret list' 'secret remove' \
    'audit find' 'audit trace' 'audit path' 'audit timeline' 'audit export' verify witness 'graph rebuild' \
    run status completion version; do
    # shellcheck disable=SC2086 # a command of two words
    expect 0 "help of $command" "$provost" $command --help
    contains out "Usage: provost $command" "help of $command"
    [ "$command" = run ] || contains out "^Exit status: 'provost --help'" "help of $command"
done
expect 0 help "$provost" --help
contains out deploy help
contains out '^  6  refused' help
expect 0 'help of a table' "$provost" audit --help
contains out '^Exit status' 'help of a table'
expect 0 'help of logs' "$provost" logs --help
contains out '(100)' 'help of logs'
expect 0 version "$provost" --json version
is_json version
expect 2 'no command' "$provost"
expect 2 'unknown command' "$provost" bogus
expect 2 'unknown option' "$provost" list --bogus
expect 2 'missing argument' "$provost" describe
contains err ': NAME is missing' 'missing argument'
expect 2 'a missing second argument' "$provost" audit replay x
contains err ': DIR is missing' 'a missing second argument'
expect 2 'an empty name' "$provost" deploy '' /bin/true
contains err 'NAME is empty' 'an empty name'
for lines in -1 0; do
    expect 2 'that many lines' "$provost" logs f --tail=$lines
    contains err "'$lines' is no number of lines from 1 to 10000" 'that many lines'
done
expect 2 'a path that is too long' "$provost" invoke f --path "/$(head -c 9000 /dev/zero | tr '\0' p)"
for kind in bundle proof archive; do
    expect 2 "a pin for a $kind" "$provost" verify --$kind x --entry y --key k --pin z
done
contains err 'for the log alone' 'a pin for an archive'
expect 2 'two kinds of evidence' "$provost" verify --bundle x --proof y --entry e --key k
contains err 'exclude each other' 'two kinds of evidence'
expect 2 'a trace among JSON' "$provost" run --json --trace --stats /bin/true
for form in --help 'list --help' --version version; do
    # shellcheck disable=SC2086 # one or two words
    "$provost" $form >/dev/full 2>"$work/err"
    [ $? = 8 ] && [ "$(grep -c 'cannot write' "$work/err")" = 1 ] ||
        { echo "FAIL: $form to a full disk"; head "$work/err"; failed=1; }
done
expect 2 'one argument too many' "$provost" describe a b
expect 2 'bad size' "$provost" deploy f /bin/true --memory 64X
expect 2 'bad grant' "$provost" deploy f /bin/true --env =x
expect 2 'command line without --' "$provost" deploy f /bin/true /function/true
expect 3 'package not found' "$provost" deploy f "$work/nothing"
expect 3 'root not found' "$provost" deploy f /bin/true --root "$work/nothing"
expect 2 'a directory as the body' "$provost" invoke f -d "@$work"
expect 2 'a directory as the secret' "$provost" secret create s --from-file "$work"
head -c 16777217 /dev/zero >"$work/large"
expect 2 'a body that is too large' "$provost" invoke f -d "@$work/large"
expect 4 'no daemon' "$provost" list
contains err 'provostd running' 'no daemon'
expect 4 'no daemon, status' "$provost" status
expect 3 'no graph' "$provost" audit find x
expect 3 'no log' "$provost" verify
expect 2 'trace without a direction' "$provost" audit trace e1
expect 2 'completion as JSON' "$provost" completion bash --json
contains err 'no JSON' 'completion as JSON'
expect 2 'an unknown kind' "$provost" audit find --kind exec
known=$(sed -n 's/^kinds of [a-z]*: //p' "$work/err")
expect 0 completion "$provost" completion bash
bash -n "$work/out" || { echo 'FAIL: completion is no bash'; failed=1; }
# completions WORD...: what the last word, begun, may become
completions()
{
    bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _provost; echo "${COMPREPLY[*]}"' \
        "$work/out" provost "$@"
}
for try in 'desc:describe' '--json desc:describe' '--state /x ver:verify version' '--state = /x --json ver:verify version' \
    'audit find --kind req:request' '--json audit time:timeline' '--js:--json'; do
    # shellcheck disable=SC2086 # several words
    got=$(completions ${try%%:*})
    [ "$got" = "${try#*:}" ] || { echo "FAIL: completion of '${try%%:*}' is '$got'"; failed=1; }
done
documented=$(sed -n 's/^| [0-9]* | \([a-z-]*\) |.*/\1/p' "$(dirname "$0")/../../docs/formats/event.md" | sort)
for kind in $known; do
    completions audit find --kind "$kind" | grep -qw -- "$kind" ||
        { echo "FAIL: completion does not know the kind $kind"; failed=1; }
done
for kind in $documented; do
    [[ " ${known//$'\n'/ } " == *" $kind "* ]] ||
        { echo "FAIL: audit find does not list the kind $kind"; failed=1; }
done
[ "$(wc -w <<<"$documented")" -gt 40 ] || { echo 'FAIL: the documented kinds are not read'; failed=1; }
expect 2 'run without a file' "$provost" run
expect 2 'run no times' "$provost" run --repeat 0 /bin/cat
expect 127 'run a file that is not there' "$provost" run ./nofile
contains err "'./nofile'" 'run a file that is not there'
script=$(mktemp /tmp/pv-cli-XXXXXX)
printf '#!/bin/sh\necho here\n' >"$script"
chmod 755 "$script"
expect 126 'run a script of /tmp' "$provost" run "$script"
contains err 'does not see' 'run a script of /tmp'
rm -f "$script"
expect 2 'run with a bad finish' "$provost" run --repeat 2 --finish never /bin/cat
expect 2 'check without repeat' "$provost" run --check /bin/cat
# a reader that has gone, as head does, is nothing to complain of
mkfifo "$work/gone"
for form in '' --json; do
    head -c 0 "$work/gone" &
    # shellcheck disable=SC2086 # none or one word
    { wait "$!"; "$provost" $form version; } >"$work/gone" 2>"$work/err"
    [ $? = 8 ] && [ ! -s "$work/err" ] || { echo "FAIL: version $form to nobody"; head "$work/err"; failed=1; }
done

# --- programs in micro-VMs ---
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    expect 0 'run' "$provost" run /bin/echo hello there
    contains out '^hello there$' 'what a program prints'
    expect 7 'run, exit code' "$provost" run /bin/sh -c 'exit 7'
    expect 127 'run nothing' "$provost" run /nowhere/at/all
    expect 126 'run no program' "$provost" run /etc/passwd
    expect 134 'run, aborted' "$provost" run /bin/sh -c 'kill -ABRT $$'
    expect 124 'run, deadline' "$provost" run --timeout 200ms /bin/sh -c 'while :; do :; done'
    contains err 'deadline' 'why a program was ended'
    expect 124 'run, calls' "$provost" run --calls 5 /bin/sh -c 'echo x'
    expect 0 'run, trace' "$provost" run --trace --env A=b /bin/sh -c 'echo $A'
    contains out '^b$' 'a variable'
    contains err 'exit_group(0)' 'a trace'
    expect 2 'run, a program that starts others' "$provost" run /bin/sh -c '/bin/true; /bin/true'
    contains err 'fork was refused.*--class process' 'run, a program that starts others'
    expect 126 'run, a program that becomes another' "$provost" run /usr/bin/env -i /bin/true
    contains err 'execve was refused' 'run, a program that becomes another'
    for output in 'head -c 4096 /dev/zero' 'seq 1000'; do
        # shellcheck disable=SC2086 # a command line
        expect 124 'run, output limit' "$provost" run --output-limit 1k /usr/bin/$output
        [ "$(wc -c <"$work/out")" = 1024 ] ||
            { echo "FAIL: of 1k of output $(wc -c <"$work/out") bytes came"; failed=1; }
    done
    as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    if [ "$(id -u)" = 0 ] && ! "${as_nobody[@]}" test -r /dev/kvm; then
        cp "$provost" "$work/provost"
        expect 125 'run without rights' "${as_nobody[@]}" "$work/provost" run /bin/true
        contains err 'run as root, or give this user.*/dev/kvm' 'run without rights'
    fi
    expect 0 'run, statistics' "$provost" run --stats /bin/true
    contains err 'system calls' 'statistics'
    expect 0 'run, repeated' "$provost" run --repeat 5 --check /bin/cat
    contains err '5 of 5 the same' 'answers of repeated runs'
    expect 0 'run, repeated, as JSON' "$provost" run --json --repeat 5 --check /bin/cat
    mv "$work/err" "$work/out"
    is_json 'run, repeated, as JSON'
    # interpreters as functions: a snapshot at the first read, a response that ends at a newline
    handlers=$(realpath "$(dirname "$0")/../bench/handlers")
    echo '{"name": "world", "items": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}' >"$work/request"
    for handler in python3/json_handler.py python3/numpy_handler.py perl/handler.pl lua5.4/tables.lua \
        node/handler.js; do
        interpreter=/usr/bin/${handler%%/*} file=$handlers/${handler#*/}
        # a program's /tmp is its own
        [ "${handlers#/tmp/}" = "$handlers" ] &&
            "$interpreter" "$file" <"$work/request" >"$work/native" 2>/dev/null || { echo "not here: $handler"; continue; }
        if ! "$provost" run --memory 1G --repeat 4 --check --finish newline "$interpreter" \
            "$file" <"$work/request" >"$work/out" 2>"$work/err"; then
            echo "FAIL: $handler:"; head -5 "$work/err"; failed=1
        fi
        cmp -s "$work/native" "$work/out" || { echo "FAIL: $handler answers otherwise"; failed=1; }
        contains err '4 of 4 the same' "$handler"
    done
else
    echo "provost run is not tried: /dev/kvm is missing or not ours"
fi

# --- with a daemon ---
if [ "$(id -u)" != 0 ] || [ ! -x "$daemon" ]; then
    echo "the half with a daemon is skipped: it needs root and provostd"
    [ "$failed" = 0 ] && exit 77
    exit 1
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export PROVOST_URL=http://127.0.0.1:$port PROVOST_STATE=$work/state
without=
"$daemon" --state-dir "$PROVOST_STATE" --listen "127.0.0.1:$port" >"$work/daemon.log" 2>&1 &
daemon_pid=$!
for _ in $(seq 100); do
    grep -q 'ready on' "$work/daemon.log" && break
    if ! kill -0 "$daemon_pid" 2>/dev/null && [ -z "$without" ]; then
        without=--without-bpf # this machine cannot load the probes
        "$daemon" --state-dir "$PROVOST_STATE" --listen "127.0.0.1:$port" $without >"$work/daemon.log" 2>&1 &
        daemon_pid=$!
    fi
    sleep 0.1
done

cat >"$work/reply" <<'SH'
#!/bin/sh
read -r line
echo "log of $line" >&2
case $line in
fail) exit 3 ;;
*) printf '\033[2J%s' "$line" ;;
esac
SH
chmod 755 "$work/reply"
printf s3cret >"$work/secret"
expect 0 'secret create' "$provost" secret create cli-secret --from-file "$work/secret"
expect 2 'an empty secret' "$provost" secret create nothing
contains err allow-empty 'an empty secret'
expect 0 'an empty secret that is meant' "$provost" secret create nothing --allow-empty
expect 0 'secret list' "$provost" secret list
contains out cli-secret 'secret list'
expect 0 deploy "$provost" deploy reply "$work/reply" --timeout 5s --memory 32M --secret cli-secret \
    -e A=b -- /bin/sh /function/reply
contains out 'deployed reply version 1' deploy
expect 0 'a grant to call nobody' "$provost" deploy caller "$work/reply" --allow-call repyl --allow-call reply \
    --prepared 0 -- /bin/sh /function/reply
contains err "may call 'repyl'" 'a grant to call nobody'
if grep -q "may call 'reply'" "$work/err"; then echo 'FAIL: a warning without a cause'; failed=1; fi
expect 0 'remove caller' "$provost" remove caller
expect 6 'what cannot start' "$provost" deploy broken "$work/reply" -- /no/such/program
if grep -q 'broken.*broken' "$work/err"; then echo 'FAIL: said twice:'; head "$work/err"; failed=1; fi
expect 0 'an option without effect' "$provost" deploy vain "$work/reply" --class process --finish newline \
    --prepared 0 -- /bin/sh /function/reply
contains err 'finish newline has no effect' 'an option without effect'
expect 0 'remove vain' "$provost" remove vain
expect 6 'a name that begins with -' "$provost" deploy -- -x "$work/reply"
contains err "'-' between" 'a name that begins with -'
expect 2 'more memory than there is' "$provost" deploy long "$work/reply" --memory 999999T
contains err 'memory 999999T: must be between 1M and 1T' 'more memory than there is'
expect 2 'less memory than there must be' "$provost" deploy long "$work/reply" --memory 1
contains err 'memory 1: must be between 1M and 1T' 'less memory than there must be'
for processes in 0 1000000; do
    expect 6 'that many processes' "$provost" deploy long "$work/reply" --processes $processes
    contains err "processes of $processes: must be between 1 and 4096" 'that many processes'
done
expect 6 'a long time' "$provost" deploy long "$work/reply" --timeout 1000h
contains err 'between 1 and 86400000 ms' 'a long time'
expect 0 list "$provost" list
contains out reply list
expect 0 'list as JSON' "$provost" list --json
is_json list
expect 0 describe "$provost" describe reply
contains out reply describe
contains out '^ *cpu_millis *unlimited$' 'describe, no CPU share'
expect 3 'describe nothing' "$provost" describe no-such-function
expect 0 invoke "$provost" invoke reply -d hello
contains err '^call-id: [0-9a-z]\{16\}$' invoke
[ "$(od -An -c "$work/out" | tr -d ' \n')" = '033[2Jhello' ] || { echo 'FAIL: the body is not what the function wrote'; failed=1; }
call=$(sed -n 's/^call-id: //p' "$work/err")
expect 1 'a failing function' "$provost" invoke reply -d fail
contains err "failed with status" 'a failing function'
contains out 'exited with status 3' 'a failing function'
if grep -q 'status 3.*status 3' "$work/out"; then echo 'FAIL: said twice:'; head "$work/out"; failed=1; fi
expect 3 'invoke nothing' "$provost" invoke no-such-function
if grep -q 'no-such-function.*no-such-function' "$work/err"; then echo 'FAIL: said twice:'; head "$work/err"; failed=1; fi
expect 0 'invoke as JSON' "$provost" invoke reply -d hello --json
is_json 'invoke as JSON'
# on a terminal the function's escape sequence must arrive as text
script -qc "'$provost' invoke reply -d hello" /dev/null >"$work/out" 2>/dev/null </dev/null
contains out '\\x1b\[2Jhello' 'escaping on a terminal'
expect 0 logs "$provost" logs reply --tail 10
contains out 'log of hello' logs
printf wrong >"$work/token"
expect 5 'a wrong token' "$provost" --token-file "$work/token" list
: >"$work/token"
expect 5 'an empty token' "$provost" --token-file "$work/token" list
contains err "token' is empty; it should hold the admin token" 'an empty token'

# the audit waits until the graph has the call
expect 0 'find the call' "$provost" audit find "$call"
contains out "$call" 'find the call'
contains err 'basis: .*log entries' 'the basis'
expect 0 'a prefix of the call id' "$provost" audit timeline "${call:0:10}"
expect 0 timeline "$provost" audit timeline "$call" --json
is_json timeline
expect 0 'trace back' "$provost" audit trace --back "$call"
expect 0 'trace forward' "$provost" audit trace --forward "$call" --json
is_json 'trace forward'
expect 0 export "$provost" audit export --format dot "$call"
contains out digraph export
expect 0 'an asked-for format' "$provost" --json audit export --format dot "$call"
contains out '^digraph' 'an asked-for format'
expect 0 'the format of --json' "$provost" --json audit export "$call"
is_json 'the format of --json'
expect 3 'an unknown call' "$provost" audit timeline 0000000000000000
expect 3 'an event of no call' "$provost" audit timeline e0
contains err 'e0 belongs to no call' 'an event of no call'
expect 2 'no id' "$provost" audit timeline ../../x
node=$("$provost" audit find "$call" 2>/dev/null | sed -n '2s/ .*//p')
expect 0 'a path of no steps' "$provost" audit path "$node" "$node"
expect 0 status "$provost" status
expect 0 verify "$provost" verify
for said in 'nothing to compare with' 'begins with the [0-9]* events'; do
    expect 0 'verify with a pin' "$provost" verify --pin "$work/pin"
    contains out "$said" 'verify with a pin'
done
expect 3 'reconcile what never was' "$provost" audit reconcile --since e99999999
if [ "$("$provost" audit find --kind request --json 2>/dev/null | python3 -c 'import json, sys
print({len(e["fields"]["caller"]) for e in json.load(sys.stdin)["events"]} <= {0, 16})')" != True ]; then
    echo 'FAIL: a caller is no call id'
    failed=1
fi
cp "$provost" "$work/provost"
for command in 'graph digest' "receipt $call" "audit bundle $call" 'audit archive x' 'audit find'; do
    # shellcheck disable=SC2086 # several words
    expect 5 "$command without rights" setpriv --reuid=65534 --regid=65534 --clear-groups \
        "$work/provost" $command
    contains err 'run as root' "$command without rights"
done
expect 3 'a record into nowhere' "$provost" audit record -o /nonexistent/r -- /bin/true
expect 0 'verify as JSON' "$provost" verify --json
is_json 'verify as JSON'
expect 7 'rebuild under a running daemon' "$provost" graph rebuild
expect 0 remove "$provost" remove reply
expect 3 'remove twice' "$provost" remove reply
expect 0 'secret remove' "$provost" secret remove cli-secret
expect 3 'remove a secret that never was' "$provost" secret remove nosuch
expect 3 'a secret that never was' "$provost" audit find nosuch
expect 3 'the event of one that never was' "$provost" audit find --kind secret-change nosuch

kill "$daemon_pid"
wait "$daemon_pid"
daemon_pid=
expect 0 'rebuild' "$provost" graph rebuild
expect 0 'verify without the daemon' "$provost" verify
exit "$failed"
