#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh - all tests, in the order of their cost; a line each, a count at the end.
#
# Two run at a time, in two lanes: what loads programs into the kernel or
# traces, one after the other, and what only computes, niced, so that it takes
# what time the first leaves.  What needs the whole machine comes last, alone.
# Lines come in the order in which the steps stand here, whichever ends first.
#
# A unit test that exits with 77 could not run here and says why.  Everything
# is built already: this is what `make check` ends with.
set -u
cd "$(dirname "$0")/.." || exit 99

FUZZ_RUNS=${FUZZ_RUNS:-4000}
export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1
# A niced test waits longer than check's 4 seconds.
export CK_DEFAULT_TIMEOUT=60

lanes=() commands=()
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# add LANE COMMAND...: a step of the lane `kernel`, `computes` or `alone`.
add() {
	lanes+=("$1")
	commands+=("$(printf '%q ' "${@:2}")")
}

# A step says "PASSED FAILED SKIPPED", then the lines to be shown.

# step NAME COMMAND...: one line; what it printed only when it failed.
# shellcheck disable=SC2317 # run_lane() calls it
step() {
	local name=$1 status log=$results/log.$BASHPID
	shift
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	case $status in
	0)
		printf '1 0 0\nok       %s\n' "$name"
		# A part that could not run here is not passed over in silence.
		grep -a skipped "$log" | sort -u | sed 's/^/    /'
		;;
	77)
		printf '0 0 1\nskipped  %s: ' "$name"
		tail -n 1 "$log"
		;;
	*)
		printf '0 1 0\nFAILED   %s (status %d)\n' "$name" "$status"
		tail -n 60 "$log" | sed 's/^/    /'
		;;
	esac
}

# bats_file FILE: each of its tests counts.
# shellcheck disable=SC2317 # run_lane() calls it
bats_file() {
	local ok not skip log=$results/log.$BASHPID
	timeout 900 bats --tap "$1" >"$log" 2>&1 </dev/null
	skip=$(grep -c '^ok .* # skip' "$log")
	ok=$(($(grep -c '^ok ' "$log") - skip))
	not=$(grep -c '^not ok ' "$log")
	# As many as the file has: a file that ends early has failed.
	if [ $((ok + not + skip)) -ne "$(grep -c '^@test ' "$1")" ]; then
		not=$((not + 1))
	fi
	echo "$ok $not $skip"
	echo "$([ "$not" -eq 0 ] && echo 'ok      ' || echo 'FAILED  ') $1: $ok of $((ok + not)), $skip skipped"
	grep '^ok .* # skip' "$log" | sed 's/^ok [0-9]* /    skipped: /'
	[ "$not" -eq 0 ] || sed 's/^/    /' "$log"
}

# run_lane LANE: its steps, a file of what each says, the step's number.
run_lane() {
	local i
	for i in "${!commands[@]}"; do
		[ "${lanes[i]}" = "$1" ] || continue
		eval "${commands[i]}" >"$results/$i"
		echo "$i"
	done
}

# The two lanes, then what is alone.  Job control: without it what is started
# in the background ignores SIGINT, and what it starts does too.
run_all() {
	local kernel computes
	set -m
	run_lane kernel &
	kernel=$!
	(renice -n 10 $BASHPID >/dev/null && run_lane computes) &
	computes=$!
	trap 'kill -TERM -- -$kernel -$computes; exit 130' INT TERM
	wait
	trap - INT TERM
	run_lane alone
}

# Reads the numbers of steps as they end; shows them in order, and the sum.
show() {
	local next=0 number passed=0 failed=0 skipped=0 ended=() p f s
	while read -r number; do
		ended[number]=1
		while [ -n "${ended[next]:-}" ]; do
			{
				read -r p f s
				cat
			} <"$results/$next"
			passed=$((passed + p)) failed=$((failed + f))
			skipped=$((skipped + s)) next=$((next + 1))
		done
	done
	if [ $next -lt ${#commands[@]} ]; then
		echo "FAILED   not run to its end: ${commands[next]}"
		failed=$((failed + 1))
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed -eq 0 ]
}

# add_unit BUILD NAME: those of the capture's sources speak to the kernel.
add_unit() {
	local lane=computes
	if grep -q '^#include "probes/' "tests/unit/$2.c"; then
		lane=kernel
	fi
	add $lane step "$1/tests/unit/$2" timeout 300 "$1/tests/unit/$2"
}

for test in tests/unit/test_*.c; do
	add_unit build "$(basename "$test" .c)"
done
# Not again: what these two drive at every place, the parsers' own tests and
# the fuzzers drive with sanitizers.
for test in tests/unit/test_*.c; do
	[[ $test == *_cuts.c || $test == *_gaps.c ]] ||
		add_unit build/san "$(basename "$test" .c)"
done
# Each fuzzer starts from what the captures hold; what it finds is kept there.
add computes step "seeds for the fuzzers" build/fuzz/seeds build/fuzz/from
for name in parsers pcap; do
	add computes step "fuzz_$name, $FUZZ_RUNS inputs" timeout 300 \
		"build/fuzz/fuzz_$name" -runs="$FUZZ_RUNS" -seed=1 \
		-max_len=4096 -timeout=20 -rss_limit_mb=2048 -verbosity=0 \
		-artifact_prefix=build/fuzz/ "build/fuzz/from/$name"
done
add computes step "tests/lint.sh" tests/lint.sh
add computes step "tests/corpus-check" tests/corpus-check ../shared/corpus
add computes step "tests/differential" timeout 600 tests/differential \
	../shared/corpus
for file in tests/*.bats; do
	add computes bats_file "$file"
done
for file in tests/live/*.bats; do
	[[ $file == */mysql.bats ]] || add kernel bats_file "$file"
done
# Has a full load of which nothing may be lost.
add alone bats_file tests/live/mysql.bats

run_all | show
exit "${PIPESTATUS[1]}"
