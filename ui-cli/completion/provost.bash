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
    local command=${COMP_WORDS[1]} sub=${COMP_WORDS[2]}
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$cur")
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
    --finish)
        mapfile -t COMPREPLY < <(compgen -W 'exit newline length' -- "$cur")
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
        if ((COMP_CWORD == 3)) && [[ $cur != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi ;;
    describe | remove | invoke | logs)
        case $command in
        invoke) words+=' --data --header --method --path --include' ;;
        logs) words+=' --tail --since --follow' ;;
        describe) words+=' --syscalls' ;;
        esac
        if ((COMP_CWORD == 2)) && [[ $cur != -* ]]; then
            words=$(_provost_names list)
        fi ;;
    secret)
        if ((COMP_CWORD == 2)); then
            words='create list remove'
        elif [[ $sub == remove && $cur != -* ]]; then
            words=$(_provost_names secret list)
        elif [[ $sub == create ]]; then
            words+=' --from-file --allow-empty'
        fi ;;
    audit)
        if ((COMP_CWORD == 2)); then
            words='find trace path timeline export prove bundle record replay archive attach'
        else
            case $sub in
            find) words+=' --kind --since --limit' ;;
            trace) words+=' --back --forward --all --depth' ;;
            path) words+=' --from --to --all' ;;
            timeline) words+=' --all' ;;
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
    graph) ((COMP_CWORD == 2)) && words='rebuild digest' ;;
    verify) words+=' --key --pin --since --complete --proof --entry --bundle --archive --witness-key --quorum --cosigned --jobs --rotations' ;;
    witness) words+=' --dir --key --once --interval --listen --generate-key --output' ;;
    key) ((COMP_CWORD == 2)) && words='show export-public rotate' ;;
    receipt) words+=' --key --output' ;;
    completion) words='bash' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _provost provost
