# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the lab's tests of barkeep share: `in_lab`, guests under `barkeep run`, and their results as TAP.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
barkeep=${BARKEEP:-build/barkeep}
words='' console='' errors='' status=0

# in_lab [LAB-OPTION]... : runs the calling script again inside L1, unless this is L1 already.
in_lab() {
	[ -n "${LAB_KERNEL:-}" ] || exec tests/lab/lab --timeout "${LAB_TIMEOUT:-560}" "$@" -- "$0"
}

# started FILE PID: waits until the guest's user space speaks, at most START_TIMEOUT (45) seconds. False: it does not.
started() {
	local deadline=$((SECONDS + ${START_TIMEOUT:-45}))
	until grep -q '^LAB start' "$1"; do
		kill -0 "$2" 2>/dev/null || return 0 # it ended, for better or worse
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.2
	done
}

# run_guest TESTS [BARKEEP-OPTION]...: leaves $console (what the guest said), $errors (what barkeep said) and $status.
# `words` goes to the guest's command line. An emulated CPU that emulates virtualisation loses a guest now and then
# while its kernel boots: such a guest is started again, at most twice, and a line says so.
run_guest() {
	local tests=$1 dir pid try
	shift
	dir=$(mktemp -d)
	for try in first second last; do
		timeout -k 5 "${GUEST_TIMEOUT:-180}" "$barkeep" run --kernel "$LAB_KERNEL" --initrd "$LAB_GUEST" \
			--memory 256M --cpus "${GUEST_CPUS:-2}" --no-reboot --append "$LAB_APPEND lab.test=$tests $words" \
			"$@" </dev/null >"$dir/out" 2>"$dir/err" &
		pid=$!
		if [ $try != last ] && ! started "$dir/out" $pid; then
			kill $pid
			wait $pid
			echo "# the guest's kernel did not come up in time; started again"
			continue
		fi
		status=0
		wait $pid || status=$?
		break
	done
	console=$(tr -d '\r\0' <"$dir/out")
	errors=$(<"$dir/err")
	rm -rf "$dir"
}

# guest_checks PREFIX: every check that the guest of the last run_guest made, and that it came to its end.
guest_checks() {
	local prefix=$1 line name
	while read -r line; do
		name=${line#*name=} name=${name%% *}
		case $line in
		*result=ok*) pass "$prefix: $name" ;;
		*) fail "$prefix: $name" "$line" ;;
		esac
	done < <(grep '^LAB check ' <<<"$console")
	if ! grep -q '^LAB end ' <<<"$console"; then
		fail "$prefix: the guest comes to its end" "exit status $status" "$errors" "$(tail -n 20 <<<"$console")"
	fi
}

# counter DEVICE REGION TRAP reads|writes|errors: from the table of `run --stats` in $errors, summed up.
counter() {
	awk -v device="$1" -v region="$2" -v trap="$3" -v what="$4" '
		$1 == device && index($2, region "+") == 1 && $3 == trap {
			n += $(what == "reads" ? 4 : what == "writes" ? 5 : 6); seen = 1
		}
		END { print seen ? n : "none" }' <<<"$errors"
}

# prepare_given_back NVME: of which device. Unpacks the guest's tool to read a register, for here.
prepare_given_back() {
	given=$1 config=/sys/bus/pci/devices/$1/config
	tools=$(mktemp -d)
	(cd "$tools" && cpio -id --quiet bin/io <"$LAB_GUEST")
}

# given_back HOW: nobody holds the device, it is no bus master, it was reset (nvme's controller configuration, which
# the guest's driver had set, reads 0), and it can be opened again.
given_back() {
	local group tries=0
	group=$(readlink "/sys/bus/pci/devices/$given/iommu_group")
	while fuser -s "/dev/vfio/${group##*/}" && [ $tries -lt 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	is "$1: no bus master is left" $(($("$tools/bin/io" read "$config" 4 2) & 4)) 0
	"$tools/bin/io" write "$config" 4 2 2
	is "$1: the device was reset" "$("$tools/bin/io" read "${config%config}resource0" 0x14 4)" 0x00000000
	is "$1: it can be opened again" "$("$barkeep" inspect --json "vfio:$given" >/dev/null && echo yes)" yes
}
