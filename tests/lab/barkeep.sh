# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the lab's tests of barkeep share: `in_lab`, guests under `barkeep run`, and their results as TAP.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/tap.sh
. tests/tap.sh
case ${LAB_ARCH:=x86} in
x86) build=build ;;
*) build=build-$LAB_ARCH ;;
esac
barkeep=${BARKEEP:-$build/barkeep}
if [ -n "${LAB_SERVED:-}" ]; then # device-fd, safe or off: with a `barkeep serve` before each device (see served)
	export BARKEEP=$barkeep
	barkeep=tests/lab/served
fi
words='' cpus=1 initrd='' start_options=(--no-reboot)
guest='' out='' err='' console='' errors='' status=0

# served: is there a `barkeep serve` before each device?
served() { [ -n "${LAB_SERVED:-}" ]; }

# in_lab [LAB-OPTION]... : runs the calling script again inside L1, unless this is L1 already.
in_lab() {
	[ -n "${LAB_KERNEL:-}" ] || exec tests/lab/lab --timeout "${LAB_TIMEOUT:-560}" "$@" -- "$0"
}

# clock: leaves in $now the lab's clock, which stands while the host has no time for L1 (see lab --help).
clock() { until read -r now </run/lab-clock; do sleep 0.1; done; }

# comes_true SECONDS COMMAND...: waits until the command says yes. False: it did not in that time.
comes_true() {
	local deadline
	clock
	deadline=$((now + $1))
	shift
	until "$@"; do
		[ "$now" -lt $deadline ] || return 1
		sleep 0.2
		clock
	done
}

# guest_says REGEX [SECONDS]: waits until a line of the guest's console is like that. False: not in that time (90), or
# the guest ended before.
guest_says() {
	local deadline alive=yes
	clock
	deadline=$((now + ${2:-90}))
	until tr -d '\r\0' <"$out" | grep -qE "^$1"; do
		clock
		[ $alive = yes ] && [ "$now" -lt $deadline ] || return 1
		kill -0 "$guest" 2>/dev/null || alive=no # one more look
		sleep 0.2
	done
}

# start_guest TESTS [BARKEEP-OPTION]...: a guest in the background. `words` goes to its command line, `cpus` and `initrd`
# say what it gets, `start_options` what else barkeep is told. Leaves $guest (barkeep's process), $out (the guest's
# console) and $err.
#
# An emulated CPU that emulates virtualisation loses a guest now and then: its kernel never comes up, or stops or
# crashes on the way (registers of L1 have been seen in the guest's place). So a guest whose user space does not speak
# is started again, at most twice, and a line says so; run_guest does the same for one that is lost later.
started() { grep -q '^LAB start' "$out" || ! kill -0 "$guest" 2>/dev/null; }
start_guest() {
	local tests=$1 try
	shift
	[ -n "$out" ] || out=$(mktemp) err=$(mktemp)
	for try in first second last; do
		limit "${GUEST_TIMEOUT:-150}" "$barkeep" run --kernel "$LAB_KERNEL" --initrd "${initrd:-$LAB_GUEST}" \
			--memory 256M --cpus "$cpus" --append "$LAB_APPEND lab.test=$tests $words" \
			"${start_options[@]}" "$@" </dev/null >"$out" 2>"$err" &
		guest=$!
		if comes_true "${START_TIMEOUT:-45}" started || [ $try = last ]; then
			return
		fi
		kill $guest
		wait $guest
		echo "# the guest's kernel did not come up in time; started again"
	done
}

# end_guest: waits for its end. Leaves $console (what the guest said), $errors (what barkeep said) and $status.
end_guest() {
	status=0
	wait "$guest" || status=$?
	console=$(tr -d '\r\0' <"$out")
	errors=$(<"$err")
	rm -f "$out" "$err"
	out='' err=''
	unserved
}

# unserved: waits until the servers that LAB_SERVED wants have given the devices back.
unserved() {
	local lock
	for lock in /dev/shm/served-*/*.lock; do
		[ ! -e "$lock" ] || flock "$lock" true
	done
}

# lost: was the guest of the last end_guest lost on the way?
lost() { ! grep -q '^LAB end ' <<<"$console" && { [ $status = 3 ] || [ $status = 124 ]; }; }

# again_if_lost: for a test whose guest cannot just be started again. tests/run runs the whole test once more.
again_if_lost() {
	if lost; then
		echo "the guest was lost on the way (status $status), after: $(tail -n 1 <<<"$console")"
		exit 123
	fi
}

# run_guest TESTS [BARKEEP-OPTION]...: one that runs to its end, by itself.
run_guest() {
	local try
	for try in first second last; do
		start_guest "$@"
		end_guest
		if ! lost || [ $try = last ]; then
			return
		fi
		echo "# the guest was lost on the way (status $status), after: $(tail -n 1 <<<"$console"); started again"
	done
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
	local device=$1
	! served || device=${device/#vfio:/vfio-user:/dev/shm/served-0/vfio:}
	awk -v device="$device" -v region="$2" -v trap="$3" -v what="$4" '
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
unused() { ! fuser -s "$1"; }
given_back() {
	local group
	group=$(readlink "/sys/bus/pci/devices/$given/iommu_group")
	comes_true 60 unused "/dev/vfio/${group##*/}"
	is "$1: no bus master is left" $(($("$tools/bin/io" read "$config" 4 2) & 4)) 0
	"$tools/bin/io" write "$config" 4 2 2
	is "$1: the device was reset" "$("$tools/bin/io" read "${config%config}resource0" 0x14 4)" 0x00000000
	is "$1: it can be opened again" "$("$barkeep" inspect --json "vfio:$given" >/dev/null && echo yes)" yes
}
