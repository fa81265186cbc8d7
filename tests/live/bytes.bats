#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# bytes.bats - what is captured is what was moved: each byte, once, in order.
#
# Peers write what each of their calls moved; streamdump writes what the
# capture delivers; the files must be the same, and the account must name as
# many bytes as the peers moved.

load helpers

setup() {
	prepare
	name_peer
}

teardown() {
	clean_up
}

# Each of these ends by itself and needs no option of its own.
scenarios='sizes sizes-ex tiny threads handed reuse clear exit kill wants half'

# identical OPTION...: all of them under one tracer.  The buffer takes a pause
# of the tracer on a busy machine: losing is another file's matter.
identical() {
	local scenario failed=0
	dump_trace -c "$peer" --ring-mb 64 "$@"
	for scenario in $scenarios; do
		play "$scenario" || {
			echo "$scenario: the peer failed"
			return 1
		}
	done
	end_trace
	for scenario in $scenarios; do
		same_bytes "$scenario" || failed=1
	done
	nothing_lost || failed=1
	seen_is_truth || failed=1
	return $failed
}

@test "ring buffer: all scenarios" {
	identical --transport ring
}

@test "ring buffer, no placement: all scenarios" {
	identical --transport ring --no-placement
}

@test "perf buffer: all scenarios" {
	identical --transport perf
}

@test "perf buffer, no placement: all scenarios" {
	identical --transport perf --no-placement
}

@test "naive scheme, ring buffer: all scenarios" {
	identical --transport ring --no-accumulate
}

@test "naive scheme, perf buffer: all scenarios" {
	identical --transport perf --no-accumulate
}
