# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2054,SC2154 # what barkeep.sh has; commas that are QEMU's
# What the lab's tests of `barkeep wrap` share: guests under a stock VMM. To be sourced after barkeep.sh.

# Without other devices the guest's BARs fall on the host's addresses, and a mirror looks right by chance.
beside=(-device pci-testdev -device nec-usb-xhci)
qemu=(qemu-system-x86_64)

# start_vmm COMMAND...: in the background. Leaves $guest, $out (the guest's console) and $err.
start_vmm() {
	[ -n "$out" ] || out=$(mktemp) err=$(mktemp)
	limit "${GUEST_TIMEOUT:-240}" "$@" </dev/null >"$out" 2>"$err" &
	guest=$!
}

# qemu_with TESTS [QEMU-ARG]...: the words of QEMU's command line, in `line`.
qemu_with() {
	local tests=$1
	shift
	line=("${qemu[@]}" -nodefaults -no-user-config -display none -no-reboot -serial stdio
		-machine q35,accel=kvm -cpu host -smp 2 -m 256 -kernel "$LAB_KERNEL" -initrd "${initrd:-$LAB_GUEST}"
		-append "$LAB_APPEND lab.test=$tests $words" "${beside[@]}" "$@")
}

# lost_vmm: did the guest not come to its end, nor the VMM to one of its own (see barkeep.sh)?
lost_vmm() { ! grep -q '^LAB end ' <<<"$console" && [ "$status" != 1 ] && [ "$status" != 2 ]; }

# run_vmm COMMAND...: to its end, again if the guest is lost.
run_vmm() {
	local try
	for try in first second last; do
		start_vmm "$@"
		end_guest
		if ! lost_vmm || [ $try = last ]; then
			return
		fi
		echo "# the guest was lost on the way (status $status), after: $(tail -n 1 <<<"$console"); started again"
	done
}

# plain TESTS [QEMU-ARG]..., wrapped "WRAP-OPTION..." TESTS [QEMU-ARG]...: the same guest without and with.
plain() {
	qemu_with "$@"
	run_vmm "${line[@]}"
}
wrapped() {
	local options
	read -ra options <<<"$1"
	shift
	qemu_with "$@"
	run_vmm "$barkeep" wrap "${options[@]}" -- "${line[@]}"
}

# value LINE KEY: of a line of the guest's.
value() { sed -n "s/^LAB $1 .*\b$2=\([^ ]*\).*/\1/p" <<<"$console" | head -n 1; }
