# Completes socialhub-sync in bash; made by `socialhub-sync completion bash`.
_socialhub_sync() {
	local cur=${COMP_WORDS[COMP_CWORD]} at='' flag='' config='' words='' kind='' args=0 word i
	# at is the command so far, flag the one that waits for its value, args how many arguments there are.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $flag ]]; then
			[[ $word == = ]] && continue
			[[ $flag == --config ]] && config=$word
			flag=''
			continue
		fi
		case $word in
		--config | --log-level | --log-format | --since | --until | --source | --limit | --channel | --interactor | --listen | --network-id | --rate-limit | --latency | --faults | --seed) flag=$word ;;
		-* | =) ;;
		*)
			case "$at $word" in
			' run') at="$at $word" ;;
			' check') at="$at $word" ;;
			' status') at="$at $word" ;;
			' retry') at="$at $word" ;;
			' resume') at="$at $word" ;;
			' adopt') at="$at $word" ;;
			' actions') at="$at $word" ;;
			' actions list') at="$at $word" ;;
			' actions retry') at="$at $word" ;;
			' actions dismiss') at="$at $word" ;;
			' manifest') at="$at $word" ;;
			' manifest show') at="$at $word" ;;
			' manifest diff') at="$at $word" ;;
			' manifest apply') at="$at $word" ;;
			' export') at="$at $word" ;;
			' import') at="$at $word" ;;
			' forget') at="$at $word" ;;
			' doctor') at="$at $word" ;;
			' migrate') at="$at $word" ;;
			' adapters') at="$at $word" ;;
			' config') at="$at $word" ;;
			' config schema') at="$at $word" ;;
			' completion') at="$at $word" ;;
			' demo') at="$at $word" ;;
			' sandbox') at="$at $word" ;;
			' version') at="$at $word" ;;
			*) args=$((args + 1)) ;;
			esac
			;;
		esac
	done
	if [[ $flag ]]; then
		[[ $cur == = ]] && cur=''
		case "$at $flag" in
		*' --config') kind=files ;;
		*' --log-level') words='debug info warn error' ;;
		*' --log-format') words='auto text json' ;;
		' run --since') : ;;
		' run --until') : ;;
		' run --source') kind=sources ;;
		' run --limit') : ;;
		' retry --source') kind=sources ;;
		' adopt --channel') kind=channels ;;
		' export --channel') kind=channels ;;
		' import --channel') kind=channels ;;
		' forget --channel') kind=channels ;;
		' forget --interactor') : ;;
		' demo --listen') : ;;
		' sandbox --listen') : ;;
		' sandbox --network-id') : ;;
		' sandbox --rate-limit') : ;;
		' sandbox --latency') : ;;
		' sandbox --faults') : ;;
		' sandbox --seed') : ;;
		esac
	elif [[ $cur == -* ]]; then
		words='--help --config --log-level --log-format'
		case $at in
		' run') words+=' --once --dry-run --watch --backfill --since --until --source --limit' ;;
		' status') words+=' --json' ;;
		' retry') words+=' --source' ;;
		' resume') words+=' --discard' ;;
		' adopt') words+=' --channel' ;;
		' actions list') words+=' --all' ;;
		' actions retry') words+=' --all' ;;
		' actions dismiss') words+=' --all' ;;
		' manifest diff') words+=' --exit-code' ;;
		' manifest apply') words+=' --webhook' ;;
		' export') words+=' --channel' ;;
		' import') words+=' --channel --overwrite --assume-synced' ;;
		' forget') words+=' --channel --interactor' ;;
		' demo') words+=' --once --listen' ;;
		' sandbox') words+=' --listen --network-id --fill-hidden-roots --loose-patch --rate-limit --latency --faults --seed' ;;
		esac
	else
		case "$at $args" in
		' 0') words='run check status retry resume adopt actions manifest export import forget doctor migrate adapters config completion demo sandbox version' ;;
		' resume '0) kind=all ;;
		' adopt '0) kind=files ;;
		' actions 0') words='list retry dismiss' ;;
		' manifest 0') words='show diff apply' ;;
		' manifest show '0) kind=channels ;;
		' manifest diff '0) kind=channels ;;
		' manifest apply '0) kind=channels ;;
		' export '0) kind=files ;;
		' import '0) kind=files ;;
		' adapters '0) kind=adapters ;;
		' config 0') words='schema' ;;
		' completion '0) words='bash zsh fish' ;;
		esac
	fi
	COMPREPLY=()
	case $kind in
	files)
		compopt -o default 2>/dev/null
		return
		;;
	?*) words=$("${COMP_WORDS[0]}" names "$kind" ${config:+"--config=$config"} 2>/dev/null) ;;
	esac
	local IFS=$' \t\n'
	# shellcheck disable=SC2207 # the words have no spaces and no patterns
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _socialhub_sync socialhub-sync
