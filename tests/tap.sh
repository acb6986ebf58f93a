# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What test scripts share: each check prints one line of TAP. Source it, check, and end with `tap_end`.

tap_count=0
tap_failed=0

pass() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

# fail NAME [LINE]...: the lines say what was seen.
fail() {
	tap_count=$((tap_count + 1)) tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1"
	shift
	printf '%s\n' "$@" | sed 's/^/#   /'
}

skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# is NAME GOT WANTED
is() {
	if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:    $2" "wanted: $3"; fi
}

# isnt NAME GOT UNWANTED
isnt() {
	if [ "$2" != "$3" ]; then pass "$1"; else fail "$1" "got what must not be: $2"; fi
}

# like NAME GOT REGEX (extended)
like() {
	if [[ $2 =~ $3 ]]; then pass "$1"; else fail "$1" "got:       $2" "wanted ~: $3"; fi
}

# one_line NAME GOT: exactly one line, not empty.
one_line() {
	if [ -n "$2" ] && [ "$(wc -l <<<"$2")" = 1 ]; then pass "$1"; else fail "$1" "wanted one line, got:" "$2"; fi
}

tap_end() {
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
	exit
}
