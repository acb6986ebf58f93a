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

# asked NAME COMMAND: how many of them were of this command.
asked() {
	local count
	count=$(sed -n "s/.*[:,] $2 \([0-9]*\)\(,.*\)\?$/\1/p" <<<"${served[$1]}")
	echo "${count:-0}"
}

# quiet_interrupts PREFIX DEVICE INTERRUPTS: the server of the device, which has ended, got fewer messages about
# interrupts, which the client's driver needs to set them up, than there were interrupts.
quiet_interrupts() {
	local asked
	asked=$(asked "$2" DEVICE_SET_IRQS)
	echo "# $2: $3 interrupts, $asked times DEVICE_SET_IRQS"
	is "$1: interrupts send no messages" "$([ "$asked" -lt "$3" ] && echo yes)" yes
}

# nvme_interrupts: how many the last guest's disk had.
nvme_interrupts() { awk -F= '/^LAB nvme queue=/ { n += $NF } END { print n + 0 }' <<<"$console"; }

# no_messages PREFIX mapped|exits: of ati, edu and nvme, which have ended, and the guest that had them: no message for an
# interrupt, and none for a register in a page that is mapped.
no_messages() {
	local device what
	echo "# messages: ati $(messages ati), edu $(messages edu), nvme $(messages nvme)"
	quiet_interrupts "$1" nvme "$(nvme_interrupts)"
	[ "$2" = mapped ] || return 0
	for device in edu nvme; do
		for what in reads writes; do
			is "$1: no $what of mapped registers of $device send messages" \
				"$(errors=${served[$device]} counter "vfio:${!device}" bar0 '(untrapped)' $what)" 0
		done
	done
}

# ---- QEMU as the client: with wrap.sh ----------------------------------

# The guest's memory, which the server maps.
shared=(-object "memory-backend-memfd,id=ram,size=256M,share=on" -machine memory-backend=ram)

# json NAME [BUS]: QEMU's description of the device at the socket of that name. QEMU waits 5 s for an answer, which an
# emulated machine may take to pin the guest's memory.
json() {
	printf '{"driver":"vfio-user-pci","id":"%s","x-msg-timeout":120000,%s"socket":{"type":"unix","path":"%s"}}' \
		"$1" "${2:+\"bus\":\"$2\",}" "$sockets/$1"
}

# behind NAME: its words, in `at`.
behind() { at+=(-device "$(json "$1")"); }

# open_monitor: leaves in `monitor` the words for a QEMU that is told what to do by asks_qemu COMMAND...
open_monitor() {
	local dir
	dir=$(mktemp -d /dev/shm/XXXXXX)
	monitor=(-chardev "pipe,id=monitor,path=$dir/monitor" -mon "chardev=monitor,mode=control")
	mkfifo "$dir/monitor.in" "$dir/monitor.out"
	exec 8<>"$dir/monitor.in" 9<>"$dir/monitor.out"
}
asks_qemu() { printf '%s\n' "$@" >&8; }

# removed NAME: waits until QEMU says that the device is gone. False: QEMU itself has gone.
removed() {
	local line
	while kill -0 "$guest" 2>/dev/null; do
		while read -r -t 2 line <&9; do
			[[ $line != *DEVICE_DELETED*"\"device\": \"$1\""* ]] || return 0
		done
	done
	return 1
}

# replugs NAME [COMMAND]...: what QEMU does for the guest's test `replug`, until its end. The command is run before the
# device goes for the first time.
replugs() {
	local round
	asks_qemu '{"execute":"qmp_capabilities"}'
	for round in first second; do
		guest_says "LAB replug want $round" 200
		asks_qemu "{\"execute\":\"device_add\",\"arguments\":$(json "$1" rp1)}"
		guest_says "LAB replug want-no $round" 200
		[ $round != first ] || "${@:2}"
		asks_qemu "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"$1\"}}"
		is "$1: device_del is done, $round" "$(removed "$1" && echo yes)" yes
	done
	end_guest
}

# resets_machine: starts the guest of `line`, whose last test is `ready`, and resets it once.
resets_machine() {
	local word
	for word in "${!line[@]}"; do
		[ "${line[word]}" != -no-reboot ] || unset "line[word]"
	done
	start_vmm "${line[@]}"
	asks_qemu '{"execute":"qmp_capabilities"}'
	wait_boots 1
	asks_qemu '{"execute":"system_reset"}'
	wait_boots 2
	asks_qemu '{"execute":"quit"}'
	end_guest
}
boots() { tr -d '\r\0' <"$out" | grep -c '^LAB ready'; }
wait_boots() {
	while [ "$(boots)" -lt "$1" ] && kill -0 "$guest" 2>/dev/null; do
		sleep 0.5
	done
}

# kill_vmm: QEMU itself, at once.
kill_vmm() {
	kill -KILL "$(pgrep -P "$guest" qemu)"
	end_guest
}
