# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Completion of barkeep for bash. Commands and options are those that `barkeep --help` and
# `barkeep COMMAND --help` tell of, so that this file names none of them.

# _barkeep_words COMMAND...: what `COMMAND... --help` names: options, and words that may follow.
_barkeep_words() {
	"$@" --help 2>/dev/null | sed -nE -e 's/^  (-?-?[a-z][a-z0-9-]*)([ ,=].*)?$/\1/p' \
		-e 's/^  .*, (--[a-z-]+)$/\1/p' -e 's/^(usage:|      ) barkeep [a-z]+ ([a-z-]+)( .*)?$/\2/p' | sort -u
}

# _barkeep_device WORD: kinds of devices, then addresses or files.
_barkeep_device() {
	local word=$1 address
	case $word in
	vfio:*)
		for address in /sys/bus/pci/devices/*; do
			address=vfio:${address##*/}
			[[ $address != "$word"* ]] || COMPREPLY+=("$address")
		done
		;;
	[a-z]*:*) mapfile -t COMPREPLY < <(compgen -P "${word%%:*}:" -f -- "${word#*:}") ;;
	*) mapfile -t COMPREPLY < <(compgen -W 'vfio: vfio-user: sim: dump: virtio-blk: virtio-net:' -- "$word") ;;
	esac
	compopt -o nospace
}

_barkeep() {
	local barkeep=$1 word previous words cword
	COMPREPLY=()
	# A colon is a part of the word here, whatever COMP_WORDBREAKS says.
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n := -w words -i cword
	else
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	fi
	word=${words[cword]} previous=${words[cword - 1]}
	if [ "$cword" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_barkeep_words "$barkeep")" -- "$word")
		return
	fi
	case $previous:$word in
	*:-*) mapfile -t COMPREPLY < <(compgen -W "$(_barkeep_words "$barkeep" "${words[1]}")" -- "$word") ;;
	--device:* | inspect:* | serve:* | match:* | plug:*) _barkeep_device "$word" ;;
	*)
		case ${words[1]}$cword in
		control3 | quirk2 | firmware2)
			mapfile -t COMPREPLY < <(compgen -W "$(_barkeep_words "$barkeep" "${words[1]}")" -- "$word")
			;;
		*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		esac
		;;
	esac
	if declare -F __ltrim_colon_completions >/dev/null; then
		__ltrim_colon_completions "$word"
	fi
}
complete -o filenames -F _barkeep barkeep
