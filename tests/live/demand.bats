#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# demand.bats - system calls are watched while a plain connection is of
# interest, and no longer; what happens meanwhile is not missed.
#
# Needs a kernel whose sockets tell what they move: else skipped.

load helpers
# shellcheck source=tests/live/plain.bash
source "$BATS_TEST_DIRNAME/plain.bash"

setup() {
	prepare
	peer=plain$BASHPID
	"$top/build/datasnoop" --doctor |
		grep -q 'system calls watched  *while a connection' ||
		skip "this kernel's system calls are always watched"
}

teardown() {
	stop_database
	clean_up
}

# watched PID: does that tracer watch the ends of system calls?
watched() {
	grep -qs '^tp_name:.*sys_exit' "/proc/$1/fdinfo"/*
}

at_rest() {
	! watched "$tracer"
}

# play_at_rest SCENARIO...: each begins while no system call is watched.
play_at_rest() {
	local scenario
	# With -P: standard pipes, of MCP, need the calls watched always.
	# shellcheck disable=SC2086 # words
	dump_trace -c "$peer" $roomy -P redis
	for scenario in "$@"; do
		wait_for at_rest
		play "$scenario"
	done
	end_trace
}

@test "whose a socket is, and when it ends, begun while none is watched" {
	local scenario
	export NO_MMSG=1
	# shellcheck disable=SC2086
	play_at_rest $shapes $owners
	for scenario in $shapes $owners; do
		same_streams "$scenario"
	done
	nothing_lost
	seen_is_truth
}

@test "several messages of one call, while none is watched: an exact gap" {
	play_at_rest shapes-ipv4
	account_closes
	seen_is_truth
	account '."capture.lost.no_entry" > 0 and
		."capture.lost.no_entry" == ."capture.bytes_lost"'
}

# hold SECONDS: connections of Redis' protocol, each spoken on at once, then
# left open; returns when they are.
hold() {
	timeout -k 5 60 "$top/tools/connections.py" --hold 20 --rate 0 \
		--seconds "$1" --name "$peer" >"$work/load" 3>&- &
	own_pids+=("$!")
	held=$!
	wait_for grep -q held "$work/load"
}

@test "watched while a connection of interest lives, and no longer" {
	trace "$datasnoop" -c "$peer" -P redis -j
	wait_for at_rest
	hold 4
	wait_for watched "$tracer"
	wait "$held"
	wait_for at_rest
	end_trace
	nothing_lost
	[ "$(exchanges 'select(."db.operation.name" == "PING" and
		."datasnoop.role" == "client")' | wc -l)" -eq \
		"$(tail -n 1 "$work/load" | jq .exchanges)" ]
}

@test "not watched for connections that live, but are of no interest" {
	trace "$datasnoop" -c "$peer" -P mysql -j
	wait_for at_rest
	hold 8
	wait_for at_rest
	# Still open: else that would be no wonder.
	is_running "$held"
	end_trace
	account_closes
	[ "$(exchanges . | wc -l)" -eq 0 ]
	kill "$held"
}
