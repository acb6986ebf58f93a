# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What test-report and demo-mail share: U-Boot's own build under `barkeep run` on arm64 places the I/O BARs of a network
# card (64 bytes) and of a disk (128 bytes) in a window at 0xdf000000, boots a kernel from the disk, and the guest uses
# both (guest/tests/report). Sourced after barkeep.sh, in the lab.
# shellcheck disable=SC2154 # barkeep.sh sets them
report_firmware=/usr/lib/u-boot/qemu_arm64/u-boot.bin
report_folder=$(mktemp -d)
report_server=''
trap '[ -z "$report_server" ] || kill "$report_server"; rm -rf "$report_folder"' EXIT

# The guest fetches this file from L1, which its card shows as 10.0.2.2.
report_serve() {
	mkdir "$report_folder/www"
	head -c 200000 /dev/urandom >"$report_folder/www/file"
	busybox httpd -f -p 127.0.0.1:8000 -h "$report_folder/www" &
	report_server=$!
}

# report_run NET-SLOT DISK-SLOT: leaves $console, $errors and $status as end_guest does, and in $loaded and $started how
# many lines the log had when U-Boot was done and when the guest's user space began: as good as two files tell.
report_run() {
	local try
	for try in first second last; do
		out=$(mktemp) err=$(mktemp) loaded=0 started=0
		limit "${GUEST_TIMEOUT:-400}" "$barkeep" run --firmware "$report_firmware" --io-window 0xdf000000 \
			--memory 256M --no-reboot --log-map \
			--device "virtio-net:user,mac=52:54:00:0b:a2:0e,addr=$1.0" \
			--device "virtio-blk:$LAB_BOOT,readonly,addr=$2.0" </dev/null >"$out" 2>"$err" &
		guest=$!
		while kill -0 $guest 2>/dev/null; do
			[ "$loaded" != 0 ] || ! grep -q '^Starting kernel' "$out" || loaded=$(wc -l <"$err")
			[ "$started" != 0 ] || ! grep -q '^LAB start' "$out" || started=$(wc -l <"$err")
			sleep 0.2
		done
		end_guest
		lost && [ $try != last ] || return 0
		echo "# the guest was lost on the way (status $status); started again"
	done
}

# report_steps: from the log, who answers what in the window after each change: "WHO NET-BAR DISK-BAR NET'S-BYTES
# DISK'S-BYTES", with - for nothing. WHO is barkeep, U-Boot, Linux or guest. A BAR is where its size would put it.
report_steps() {
	awk -v loaded="$loaded" -v started="$started" '
		function number(text,    i, n) {
			n = 0
			for (i = 3; i <= length(text); i++)
				n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
			return n
		}
		function show(    who) {
			if (!changed)
				return
			changed = 0
			who = "guest"
			if (step++ == 0)
				who = "barkeep"
			else if (loaded == 0 || at <= loaded)
				who = "U-Boot"
			else if (started == 0 || at <= started)
				who = "Linux"
			print who, base("net", 64), base("blk", 128), range["net"], range["blk"]
		}
		function base(name, size,    first) {
			if (range[name] == "-")
				return "-"
			first = number(substr(range[name], 1, index(range[name], "-") - 1))
			return sprintf("0x%x", first - first % size)
		}
		BEGIN { range["net"] = range["blk"] = "-"; leaving = 0 }
		$2 == "map:" && $3 == "memory" && $4 ~ /^0xdf00/ && / bar0 (answers|leaves)$/ {
			name = /: virtio-net:/ ? "net" : "blk"
			if ($NF == "leaves") {
				if (!leaving)
					show() # one change: what leaves, then what answers instead
				leaving = 1
				range[name] = "-"
				changed = range["net"] != "-" && range["blk"] != "-"
			} else {
				leaving = 0
				range[name] = substr($4, 1, length($4) - 1)
				changed = 1
			}
			at = NR
		}
		END { if (!leaving) show() }' <<<"$errors" | awk '$2 != "-" && $3 != "-" || NR == 1'
}

# report_value WHAT KEY: from the line "LAB report WHAT ... KEY=VALUE" of the guest's.
report_value() { sed -n "s/^LAB report $1 .*\b$2=\([^ ]*\).*/\1/p" <<<"$console" | tail -n 1; }
