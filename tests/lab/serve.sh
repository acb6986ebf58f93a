# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # what barkeep.sh has
# Devices behind `barkeep serve`, for the lab's tests. To be sourced after barkeep.sh.

sockets=/dev/shm # the one place that a chroot has, too
declare -A serving=() served=()

# serve NAME SPEC [SERVE-OPTION]...: in the background, at the socket of that name, until it listens.
serve() {
	local name=$1
	shift
	rm -f "$sockets/$name"
	"$barkeep" serve "$@" --socket "$sockets/$name" --stats >/dev/null 2>"$sockets/$name.err" &
	serving[$name]=$!
	if ! comes_true 60 test -S "$sockets/$name"; then
		fail "serve $name listens" "$(<"$sockets/$name.err")"
	fi
}

# unserve NAME [SIGNAL]: ends it, and leaves what it said in served[NAME].
unserve() {
	kill -"${2:-TERM}" "${serving[$1]}"
	wait "${serving[$1]}" 2>/dev/null
	served[$1]=$(<"$sockets/$1.err")
	unset "serving[$1]"
}

# messages NAME: how many the clients of one that has ended have sent.
messages() { sed -n 's/.* clients, \([0-9]*\) messages, .*/\1/p' <<<"${served[$1]}"; }
