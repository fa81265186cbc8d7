#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# golang.bats - Go's crypto/tls: each byte once, of each kind of executable.
#
# golang/main.go is both ends of its connections and writes what each of its
# calls moved; streamdump writes what the capture delivers; the files must be
# the same, and the account must name as many bytes, so that no TLS record of
# the sockets below was taken as well.

load helpers

# Kinds of executable: name, then what the compiler is told.
kinds='plain
stripped -ldflags=-s -w
pie -buildmode=pie
piestripped -buildmode=pie -ldflags=-s -w
merged -buildmode=pie -ldflags=-linkmode=external -s -w'

# Built once: into a directory of the file's, by a cache that outlives it.
setup_file() {
	[ -z "$(why_not)" ] || return 0
	export built
	built=$(mktemp -d "${BATS_TMPDIR:-/tmp}/datasnoop-go.XXXXXX")
	local name flags
	while IFS= read -r flags; do
		name=${flags%% *}
		flags=${flags#"$name"}
		build_peer "$name" "$flags"
	done <<<"$kinds"
}

teardown_file() {
	[ -z "${built:-}" ] || rm -rf "$built"
}

# build_peer NAME FLAGS: $built/NAME; flags are told apart by " -", no more.
build_peer() {
	local flags
	mapfile -t flags < <(sed 's/^ //; s/ -\([bl]\)/\n-\1/g' <<<"$2" |
		sed '/^$/d')
	(cd "$BATS_TEST_DIRNAME/golang" && GO111MODULE=off GOFLAGS='' \
		timeout 300 go build "${flags[@]}" -o "$built/$1" main.go)
}

setup() {
	prepare
}

teardown() {
	clean_up
}

# become KIND: the peer is that executable, by a name that no other run has.
become() {
	peer=go$BASHPID
	ln -f "$built/$1" "$work/$peer" 2>/dev/null ||
		cp "$built/$1" "$work/$peer"
}

# trace_during SCENARIO TRACER...: it is begun before the tracer, so that the
# executable is known, as a host's programs are; and has ended.
trace_during() {
	local truth=$work/truth/$1
	play_aside "$1"
	wait_for [ -e "$truth/ready" ]
	shift
	trace "$@"
	touch "$truth/go"
	wait "$played"
	rm "$truth/go" "$truth/ready"
}

scenarios='echo many duplex stacks http reuse'

# identical KIND OPTION...: all scenarios under one tracer.
identical() {
	local scenario failed=0
	become "$1"
	shift
	trace_during early "$streamdump" "$dump" -c "$peer" --ring-mb 64 "$@"
	for scenario in $scenarios; do
		play "$scenario"
	done
	end_trace
	for scenario in early $scenarios; do
		same_bytes "$scenario" || failed=1
	done
	nothing_lost || failed=1
	seen_is_truth || failed=1
	return $failed
}

@test "an executable with its symbols, ring buffer" {
	identical plain --transport ring
}

@test "stripped, perf buffer" {
	identical stripped --transport perf
}

@test "position-independent, on one processor" {
	GOMAXPROCS=1 identical pie
}

@test "position-independent and stripped, on two processors, small batches" {
	GOMAXPROCS=2 identical piestripped --flush-size 256 --copy-size 64
}

@test "linked by the system's linker, which merges Go's sections" {
	readelf -SW "$built/merged" >"$work/sections"
	[ "$(grep -c gopclntab "$work/sections")" -eq 0 ]
	identical merged
}

@test "a Read that began before the tracer: its bytes are lost, and counted" {
	become stripped
	trace_during waiting "$streamdump" "$dump" -c "$peer"
	end_trace
	account_closes
	seen_is_truth
	account '."capture.bytes_lost" == 1000 and
		."capture.lost.no_entry" == 1000'
}

@test "net/http over TLS 1.3: each request once, by Go's library" {
	become piestripped
	trace_during early "$datasnoop" --json -c "$peer" --ring-mb 64
	play http
	end_trace
	nothing_lost
	[ "$(exchanges '[."tls.library", ."datasnoop.role",
		."http.request.method", ."url.path",
		."http.response.status_code", ."datasnoop.complete"]' |
		sort | uniq -c | tr -s ' ')" = \
		' 23 ["go","client","POST","/secret",200,true]' ]
}
