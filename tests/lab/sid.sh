# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # what barkeep.sh and wrap.sh have
# QEMU of Debian sid, whatever its version is today, by chroot in a minimal root made by debootstrap and kept in
# ~/.cache/barkeep/sid (BARKEEP_SID). Sid moves, so tests with it are no part of the suites; where no root can be made
# they say so. To be sourced after barkeep.sh and wrap.sh.

sid_root=${BARKEEP_SID:-$HOME/.cache/barkeep/sid}
export BARKEEP_SID=$sid_root

# sid_make: on the host. False, with the reason as a skip: no root could be made.
sid_make() {
	local mirror
	[ -x "$sid_root/usr/bin/qemu-system-x86_64" ] || {
		mirror=$(grep -rhoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
			head -n 1)
		mkdir -p "${sid_root%/*}"
		rm -rf "$sid_root"
		if ! debootstrap --variant=minbase --include=qemu-system-x86,liburcu8t64,libyaml-0-2,libjson-c5 sid \
			"$sid_root" "${mirror:-http://deb.debian.org/debian}" >"$sid_root.log" 2>&1; then
			skip "QEMU of sid" "no root could be made: $(tail -n 1 "$sid_root.log")"
			return 1
		fi
	}
	mkdir -p "$sid_root$PWD"
}

# sid_enter: in L1. Makes `qemu` the one of sid, which sees /dev and this tree.
sid_enter() {
	local dir
	for dir in /proc /sys /dev "$PWD"; do
		mount --rbind "$dir" "$sid_root$dir"
	done
	qemu=(chroot "$sid_root" qemu-system-x86_64)
	echo "# $("${qemu[@]}" --version | head -n 1)"
}
