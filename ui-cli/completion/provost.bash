# bash completion for provost. Names of functions and secrets come from the running daemon.

_provost_names()
{
    # one name a line, from the first column of a table; silent when the daemon does not answer
    provost "$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_provost()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local common='--json --url --state --token-file --help'
    local commands='deploy list describe remove invoke logs secret audit verify receipt key graph run witness status completion version'
    local kinds='domain-open domain-close denied epoch-end deployment removal request response call'
    kinds+=' call-return egress egress-end instance-prepared invocation-begin invocation-end'
    kinds+=' instance-destroyed connection limit secret-mounted snapshot access role-start role-exit'
    kinds+=' secret-change log-open recovery gap producer-fault witness-counters key-disclosed'
    kinds+=' key-rotation log-detached proc-fork proc-exec proc-exit object socket open read write'
    kinds+=' io-total path-op connect accept map-exec attempt-denied interference credentials'
    kinds+=' foreign-entry name-op influence'
    kinds+=' monitor-watched monitor-alarm monitor-open'
    local types='client function invocation process file pipe socket-in socket-out sent received'
    types+=' endpoint secret log path-change'
    # the command stands after the global options; at counts words from there
    local at=1
    while ((at < COMP_CWORD)); do
        case ${COMP_WORDS[at]} in
        --url | --state | --token-file)
            # readline makes a word of the = in --state=DIR
            [[ ${COMP_WORDS[at+1]} == '=' ]] && at=$((at + 1))
            at=$((at + 2)) ;;
        -*) at=$((at + 1)) ;;
        *) break ;;
        esac
    done
    local command=${COMP_WORDS[at]} sub=${COMP_WORDS[at+1]} word=$((COMP_CWORD - at + 1))
    COMPREPLY=()

    if ((word == 1)) && [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$common --version" -- "$cur")
        return
    elif ((word == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
        return
    fi
    case $prev in
    --prepare)
        mapfile -t COMPREPLY < <(compgen -W 'auto zygote first-read exec' -- "$cur")
        return ;;
    --class)
        mapfile -t COMPREPLY < <(compgen -W 'auto microvm process' -- "$cur")
        return ;;
    --finish)
        mapfile -t COMPREPLY < <(compgen -W 'exit newline length' -- "$cur")
        return ;;
    --loss)
        mapfile -t COMPREPLY < <(compgen -W 'freeze drop' -- "$cur")
        return ;;
    --audit)
        mapfile -t COMPREPLY < <(compgen -W 'bounded sync' -- "$cur")
        return ;;
    --kind)
        mapfile -t COMPREPLY < <(compgen -W "$kinds $types" -- "$cur")
        return ;;
    --format)
        mapfile -t COMPREPLY < <(compgen -W 'dot json' -- "$cur")
        return ;;
    --allow-call)
        mapfile -t COMPREPLY < <(compgen -W "$(_provost_names list)" -- "$cur")
        return ;;
    --secret)
        mapfile -t COMPREPLY < <(compgen -W "$(_provost_names secret list)" -- "$cur")
        return ;;
    --root | --state | --dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return ;;
    --from-file | --token-file | --key | --proof | --entry | --bundle | --archive | --rotations | --pin | --since | --witness-key | --cosigned | -o | --output)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return ;;
    esac

    local words=$common
    case $command in
    deploy)
        words+=' --env --secret --allow-call --allow-egress --memory --tmp --timeout --output-limit'
        words+=' --processes --cpu --concurrency --prepared --prepare --cgi --root --audit --loss --class --finish --label'
        if ((word == 3)) && [[ $cur != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi ;;
    describe | remove | invoke | logs)
        case $command in
        invoke) words+=' --data --header --method --path --include' ;;
        logs) words+=' --tail --since --follow' ;;
        describe) words+=' --syscalls' ;;
        esac
        if ((word == 2)) && [[ $cur != -* ]]; then
            words=$(_provost_names list)
        fi ;;
    secret)
        if ((word == 2)); then
            words='create list remove'
        elif [[ $sub == remove && $cur != -* ]]; then
            words=$(_provost_names secret list)
        elif [[ $sub == create ]]; then
            words+=' --from-file --allow-empty'
        fi ;;
    audit)
        if ((word == 2)); then
            words='find trace path timeline export reconcile prove bundle record replay archive attach'
        else
            case $sub in
            find) words+=' --kind --since --limit' ;;
            trace) words+=' --back --forward --all --depth' ;;
            path) words+=' --from --to --all' ;;
            timeline) words+=' --all' ;;
            reconcile) words+=' --since' ;;
            prove) words+=' --output --entry --key --cosigned' ;;
            archive) words+=' --keep' ;;
            bundle) words+=' --output --only --key --cosigned' ;;
            record) words+=' --output' ;;
            replay) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
            export) words+=' --format --output --path --back --forward --from --to --all --depth' ;;
            esac
        fi ;;
    run)
        words+=' --root --env --memory --tmp --timeout --cpu-time --calls --output-limit --trace'
        words+=' --stats --repeat --finish --check'
        if [[ $cur != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi ;;
    graph) ((word == 2)) && words='rebuild digest' ;;
    verify) words+=' --key --pin --since --complete --proof --entry --bundle --archive --witness-key --quorum --cosigned --jobs --rotations' ;;
    witness) words+=' --dir --key --once --interval --listen --generate-key --output' ;;
    key) ((word == 2)) && words='show export-public rotate' ;;
    receipt) words+=' --key --output' ;;
    completion) words='bash' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _provost provost
