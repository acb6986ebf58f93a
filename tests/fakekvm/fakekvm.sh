# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# For tests of `barkeep run` on the fake KVM: source it after tap.sh, in the root of the project. See README.md.
#
#   run_start ARG...     starts `barkeep run` with ARGs, without a guest so far; $run_pid is its process
#   guest LINE...        the first vCPU does what LINE says; prints its answer
#   control WORD...      `barkeep control`; prints what it says on standard output and error
#   run_end              switches the guest off; $run_status is the exit status, $run_log the file of its messages
barkeep=${BARKEEP:-build/barkeep}
fakekvm=$(dirname "$barkeep")/tests/fakekvm/libfakekvm.so
run_dir=$(mktemp -d)
run_log=$run_dir/log
run_socket=$run_dir/control
run_pid='' run_status=''
run_control=(--control "$run_socket")
run_prefix=() # a command that executes its arguments
trap 'kill_run; rm -rf "$run_dir"' EXIT

# An instrumented program makes system calls of its own, so it has no sandbox.
instrumented() {
	ldd "$barkeep" | grep -qE 'libasan|libtsan' || nm "$barkeep" 2>/dev/null | grep -q __gcov_
}

kill_run() {
	[ -z "$run_pid" ] || kill -KILL "$run_pid" 2>/dev/null
}

# A sanitizer wants to be first.
run_preload() {
	local library
	for library in libasan libtsan; do
		if ldd "$barkeep" | grep -q "$library"; then
			ldd "$barkeep" | sed -n "s/.*$library.* => \([^ ]*\) .*/\1/p" | tr '\n' ':'
		fi
	done
	echo "$PWD/$fakekvm"
}

# Something that the loader takes for a bzImage: the fields that it looks at, and 4 KiB of code that nobody runs.
make_kernel() {
	truncate -s 8K "$run_dir/kernel"
	local field bytes
	for field in 1f1:01 1f4:00010000 1fe:55aa 201:6a 202:48647253 206:0f02 211:01 22c:ffffff7f 236:0100 238:ff070000 \
		258:0000000100000000 260:00002000; do
		bytes=$(fold -w 2 <<<"${field#*:}" | sed 's/^/\\x/' | tr -d '\n')
		printf '%b' "$bytes" |
			dd of="$run_dir/kernel" bs=1 seek=$((16#${field%:*})) conv=notrunc status=none
	done
}

run_start() {
	local preload
	[ -e "$run_dir/kernel" ] || make_kernel
	rm -f "$run_dir/in" "$run_dir/out" "$run_socket"
	mkfifo "$run_dir/in" "$run_dir/out"
	exec 8<>"$run_dir/in" 9<>"$run_dir/out"
	preload=$(run_preload)
	env "FAKEKVM_IN=$run_dir/in" "FAKEKVM_OUT=$run_dir/out" "LD_PRELOAD=$preload" \
		"${run_prefix[@]}" "$barkeep" run --kernel "$run_dir/kernel" --memory 64M "${run_control[@]}" "$@" \
		<"${run_stdin:-/dev/null}" >"$run_dir/console" 2>"$run_log" 8>&- 9>&- &
	run_pid=$!
	guest slots >/dev/null # it answers as soon as vCPUs run
}

# Its answer, or what ended the run instead.
guest() {
	local answer
	echo "$*" >&8
	while ! read -r -t 1 answer <&9; do
		if ! kill -0 "$run_pid" 2>/dev/null; then
			echo "the run has ended"
			return 1
		fi
	done
	echo "$answer"
}

control() {
	"$barkeep" control "$run_socket" "$@" 2>&1
}

# Waits for the end of the run, however it comes.
# shellcheck disable=SC2034 # run_status is for who sources it
run_wait() {
	run_status=0
	wait "$run_pid" || run_status=$?
	run_pid=''
	exec 8>&- 9>&-
}

run_end() {
	echo 'out 604 2 3400' >&8
	run_wait
}
