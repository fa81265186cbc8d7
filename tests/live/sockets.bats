#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# sockets.bats - plain sockets: each byte, once, in order; and no other byte.
#
# Peers note what each of their system calls moved; streamdump writes what the
# capture delivers; the files must be the same, gaps included, and the account
# must name as many bytes as the peers moved.

load helpers
# shellcheck source=tests/live/plain.bash
source "$BATS_TEST_DIRNAME/plain.bash"

setup() {
	prepare
	peer=plain$BASHPID
}

teardown() {
	stop_database
	clean_up
}

# identical SCENARIOS OPTION...: all of them under one tracer, nothing lost.
identical() {
	local scenarios=$1 scenario failed=0
	shift
	# shellcheck disable=SC2086 # words
	dump_trace -c "$peer" $roomy "$@"
	for scenario in $scenarios; do
		play "$scenario"
	done
	end_trace
	for scenario in $scenarios; do
		same_streams "$scenario" || failed=1
	done
	nothing_lost || failed=1
	seen_is_truth || failed=1
	return $failed
}

@test "ring buffer: every call, every family" {
	identical "$shapes" --transport ring
}

@test "perf buffer, each system call: every call, every family" {
	identical "$shapes" --transport perf --no-socket-tracepoints
}

@test "ring buffer: whose a socket is, and when it ends" {
	identical "$owners" --transport ring
}

@test "perf buffer, each system call: whose a socket is, and its end" {
	identical "$owners" --transport perf --no-socket-tracepoints
}

@test "naive scheme: calls of up to 16 KB" {
	identical "urgent duplicates stdio shutdown fork exec" --no-accumulate
}

@test "the smallest batches" {
	identical "shapes-ipv4 vectors fork" --flush-size 256 --copy-size 64
}

# As identical; what never was in memory is lost, and nothing else.
exact_gaps() {
	local scenario transport gaps
	for transport in ring perf; do
		start_over
		# shellcheck disable=SC2086
		dump_trace -c "$peer" $roomy --transport $transport
		for scenario in "$@"; do
			play "$scenario"
		done
		end_trace
		for scenario in "$@"; do
			same_streams "$scenario"
		done
		account_closes
		gaps=$(cat "$work"/truth/*/*.gaps |
			awk '{ sum += $3 } END { print sum }')
		[ "$gaps" -gt 0 ]
		account '."capture.lost.zero_copy" == '"$gaps"' and
			."capture.bytes_lost" == '"$gaps"' and
			."capture.bytes_seen" == '"$((gaps + $(truth_bytes)))"
	done
}

@test "sendfile, splice both ways, MSG_TRUNC: exact gaps, then right bytes" {
	exact_gaps kernel kernel-unix discarded
}

@test "a connection open before the tracer: later bytes, right addresses" {
	local transport family
	for transport in ring perf; do
		for family in ipv4 unix; do
			start_over
			play_aside early-$family
			wait_for [ -e "$work/truth/early-$family/ready.client" ]
			wait_for [ -e "$work/truth/early-$family/ready.server" ]
			dump_trace -c "$peer" --transport $transport
			touch "$work/truth/early-$family/go"
			wait "$played"
			end_trace
			same_streams early-$family
			nothing_lost
			seen_is_truth
		done
	done
}

# ---- threads

# both_ways NAME FAMILY SOCKETS THREADS BYTES: duplex, to its end; the truth
# goes to $work/truth/NAME.
both_ways() {
	mkdir -p "$work/truth/$1"
	timeout -k 5 80 "$top/build/tests/live/duplex" "${@:2}" \
		"$work/truth/$1" "$peer" 3>&-
}

@test "one thread sends and one receives, at full speed: each byte, once" {
	local transport
	for transport in ring perf; do
		start_over
		# shellcheck disable=SC2086
		dump_trace -c "$peer" $roomy --transport $transport
		both_ways tcp ipv4 1 1 4000000
		both_ways unix unix 1 1 4000000
		end_trace
		same_streams tcp
		same_streams unix
		nothing_lost
		seen_is_truth
	done
}

# The tracer sleeps while more is moved than the buffer has room for.
@test "one thread sends and one receives, much is lost: exact gaps" {
	local transport way lost
	for transport in ring perf; do
		start_over
		dump_trace -c "$peer" --ring-mb 0.0625 --transport $transport
		both_ways before ipv4 1 1 300000
		kill -STOP "$tracer"
		both_ways tcp ipv4 1 1 4000000
		both_ways unix unix 1 1 4000000
		kill -CONT "$tracer"
		both_ways after unix 1 1 300000
		end_trace
		account_closes
		seen_is_truth
		lost=0
		for way in before tcp unix after; do
			lost=$((lost + $("$BATS_TEST_DIRNAME/sockets_gaps.py" \
				"$work/truth/$way" "$dump")))
		done
		[ "$lost" -gt 0 ]
		account '."capture.bytes_lost" == '$lost
	done
}

# What else the host does is captured too, and may fill the buffer.
@test "eight threads at four sockets, no filter: each byte, or its gap" {
	local transport
	for transport in ring perf; do
		start_over
		dump_trace --transport $transport
		both_ways tcp ipv4 4 1 1000000
		both_ways unix unix 4 1 1000000
		end_trace
		account_closes
		"$BATS_TEST_DIRNAME/sockets_gaps.py" "$work/truth/tcp" "$dump"
		"$BATS_TEST_DIRNAME/sockets_gaps.py" "$work/truth/unix" "$dump"
	done
}

# Nobody knows the order in which they are served; the sum is known.
@test "eight threads send and eight receive on one socket: the account closes" {
	local transport
	for transport in ring perf; do
		start_over
		# shellcheck disable=SC2086
		dump_trace -c "$peer" $roomy --transport $transport
		both_ways tcp ipv4 1 8 500000
		both_ways unix unix 1 8 500000
		end_trace
		account_closes
		seen_is_truth
	done
}

# ---- what is not captured

# The rare program by a name of this test's.
name_rare() {
	cp "$top/build/tests/live/rare" "$work/$peer"
}

@test "calls of 32-bit programs are counted" {
	local status=0
	name_rare
	trace "$datasnoop" -j
	"$work/$peer" foreign || status=$?
	end_trace
	[ $status -ne 77 ] || skip "this kernel has no 32-bit system calls"
	[ $status -eq 0 ]
	account '."capture.calls_foreign" == 2'
	grep -q '32-bit' "$err"
}

@test "a process that uses io_uring is named and counted" {
	local status=0
	name_rare
	trace "$datasnoop" -j -c "$peer"
	"$work/$peer" io_uring || status=$?
	end_trace
	[ $status -ne 77 ] || skip "this kernel has no io_uring"
	[ $status -eq 0 ]
	grep -q "warning: process [0-9]* ($peer) uses io_uring" "$err"
	account '."capture.io_uring_processes" >= 1'
}

# muted SCENARIO OPTION...: of 64 MB, seen twice, little is looked at.
muted() {
	local scenario=$1 seen
	shift
	# shellcheck disable=SC2086
	trace "$datasnoop" -j -c "$peer" $roomy "$@"
	play "$scenario"
	end_trace
	nothing_lost
	seen=$(account '."capture.bytes_seen"')
	echo "$scenario: $seen bytes seen of 134217728"
	[ "$seen" -gt 0 ]
	[ "$seen" -lt 33554432 ]
}

@test "a connection of unknown protocol is left alone; the next is looked at" {
	muted bulk
	account '."capture.connections" == 4'
}

@test "-P mysql leaves a connection of HTTP alone" {
	muted http -P mysql
}

# Without the letters that openssl takes for commands where a read begins.
@test "a TLS connection of unknown protocol is left alone" {
	local seen port=$((20000 + RANDOM % 12000))
	cp "$(command -v openssl)" "$work/$peer"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj /CN=localhost -days 2 -keyout "$work/key" \
		-out "$work/certificate" 2>/dev/null
	# shellcheck disable=SC2086
	trace "$datasnoop" -j -c "$peer" $roomy
	"$work/$peer" s_server -accept $port -quiet -naccept 1 \
		-key "$work/key" -cert "$work/certificate" \
		>"$work/got" 2>/dev/null < <(exec sleep 60) 3>&- &
	own_pids+=($!)
	wait_for is_listening $port
	{
		for _ in 1 2 3 4 5 6 7 8; do
			base64 -w 0 /dev/urandom | tr -d 'A-Zk' |
				head -c 4000000
			sleep 0.1
		done
	} | timeout 60 "$work/$peer" s_client -connect 127.0.0.1:$port -quiet \
		-no_ign_eof >/dev/null 2>&1
	wait_for all_is_there
	end_trace
	nothing_lost
	seen=$(account '."capture.bytes_seen"')
	echo "$seen bytes seen of 64000000"
	[ "$seen" -gt 0 ]
	[ "$seen" -lt 32000000 ]
}

is_listening() {
	ss -Hltn "sport = :$1" | grep -q .
}

all_is_there() {
	[ "$(stat -c %s "$work/got")" -eq 32000000 ]
}

# A program whose standard output is a socket; what it writes is passed on.
on_a_socket='
import os, socket, sys
ours, theirs = socket.socketpair()
if os.fork():
    os.dup2(theirs.fileno(), 1)
    os.execv(sys.argv[1], sys.argv[1:])
theirs.close()
while data := ours.recv(65536):
    os.write(1, data)
'

summary_is_there() {
	grep -q datasnoop.summary "$out"
}

# It has the name that is traced, and writes 600 bytes for 42 that it sees.
@test "the tracer never traces itself, though it writes to a socket" {
	cp "$(realpath "$datasnoop")" "$work/$peer"
	trace python3 -c "$on_a_socket" "$work/$peer" -j -c "$peer"
	timeout -k 5 60 "$top/tools/connections.py" --hold 200 --rate 100 \
		--seconds 1 --name "$peer" >"$work/load" 3>&-
	end_trace
	wait_for summary_is_there
	nothing_lost
	[ "$(exchanges 'select(."process.pid" == '"$tracer"')' |
		wc -l)" -eq 0 ]
	[ "$(exchanges . | wc -l)" -gt 100 ]
	[ "$(account '."capture.bytes_seen"')" -le \
		"$(tail -n 1 "$work/load" | jq .bytes)" ]
}

# ---- MariaDB without TLS

# What the client sent, as "statement|rows" lines.
statements_seen() {
	exchanges 'select(."process.command" == "'"$peer"'")' |
		jq -r 'select(."db.query.text" // "" | startswith("SELECT id"))
			| [."db.query.text", ."db.response.returned_rows"]
			| join("|")'
}

# speak OPTION...: 20 statements by MariaDB's client, over that way.
speak() {
	sed 's/|1$/;/' "$work/expected" >"$work/statements"
	"$work/$peer" --defaults-file="$database/client.cnf" shop "$@" \
		<"$work/statements" >/dev/null 3>&- &
	speaker=$!
	own_pids+=("$speaker")
	wait $speaker
}

@test "MariaDB's client over TCP and over its socket: each statement, once" {
	local i
	start_database --plain
	know_database
	cp "$(command -v mariadb)" "$work/$peer"
	for i in {1..20}; do
		echo "SELECT id FROM customers WHERE id = $i|1"
	done >"$work/expected"

	session tcp
	# shellcheck disable=SC2086
	trace "$datasnoop" -j --show-values -c "$peer" -c mariadbd $roomy
	speak
	end_trace
	nothing_lost
	diff "$work/expected" <(statements_seen)
	exchanges 'select(."process.command" == "'"$peer"'" and
		."db.query.text")' | jq -se 'all(."datasnoop.role" == "client" and
		."server.address" == "127.0.0.1" and
		."server.port" == '"$server_port"' and
		."client.address" == "127.0.0.1" and
		(has("tls.library") | not) and ."datasnoop.complete")'
	[ "$(exchanges 'select(."process.pid" == '"$server_pid"')' |
		wc -l)" -eq 0 ]
	account '."capture.exchanges_mirrored" > 0 or
		."capture.bytes_mirrored" > 0'

	session socket
	# shellcheck disable=SC2086
	trace "$datasnoop" -j --show-values -c "$peer" -c mariadbd $roomy
	speak --host=localhost --protocol=socket --socket="$SOCKET"
	end_trace
	nothing_lost
	diff "$work/expected" <(statements_seen)
	exchanges 'select(."process.command" == "'"$peer"'" and
		."db.query.text")' | jq -se 'all(."datasnoop.role" == "client" and
		."datasnoop.peer.pid" == '"$server_pid"' and
		."network.transport" == "unix" and
		."server.address" == "'"$SOCKET"'")'
	[ "$(exchanges 'select(."process.pid" == '"$server_pid"')' |
		wc -l)" -eq 0 ]

	session server
	trace "$datasnoop" -j --show-values -p "$server_pid"
	speak --host=localhost --protocol=socket --socket="$SOCKET"
	end_trace
	exchanges 'select(."db.query.text")' | jq -se 'length >= 20 and
		all(."datasnoop.role" == "server" and
		."process.pid" == '"$server_pid"' and
		."datasnoop.peer.pid" == '"$speaker"')'
}

# A client whose one call has two requests and is longer than a socket takes: it
# returns when the second has been read, long after the first was answered.
hasty_client='''
import os, pathlib, socket, sys
name = sys.argv[1]
ours, theirs = socket.socketpair()
pathlib.Path("/proc/self/comm").write_text(name)
body = b"x" * 900000
call = (b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        % len(body)) + body
answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n" + bytes(8000)
if os.fork():
    ours.close()
    assert theirs.recv(4000)
    theirs.send(answer)
    sys.stdin.readline()
    left = len(call) - 4000
    while left:
        left -= len(theirs.recv(left))
    theirs.send(answer)
    theirs.close()
    assert os.wait()[1] == 0
    os._exit(0)
theirs.close()
assert ours.send(call) == len(call)
while ours.recv(4000):
    pass
'''

# Each is too long to wait in the kernel for as long as the server's are held.
@test "a server that answers before its client's call returns: each, once" {
	mkfifo "$work/go"
	# shellcheck disable=SC2086
	trace "$datasnoop" -j -c "$peer" --flush-ms 9000 $roomy
	timeout -k 5 60 python3 -c "$hasty_client" "$peer" <>"$work/go" 3>&- &
	played=$!
	own_pids+=("$played")
	wait_for has_answered
	sleep 0.3 # for a record that must not come
	echo >"$work/go"
	wait "$played"
	end_trace
	[ "$(exchanges '[."url.path", ."datasnoop.role"] | join(" ")' |
		sort)" = '"/first client"
"/second client"' ]
	account '."capture.bytes_mirrored" > 0'
}

# Its server has written to the pair of sockets, and waits to be told.
has_answered() {
	local pid
	pid=$(pgrep -o -x "$peer") &&
		[ "$(cut -d' ' -f1 "/proc/$pid/syscall")" = 0 ]
}

# ---- many

@test "1,000 connections held, 500 new ones a second: each exchange, once" {
	trace "$datasnoop" -j -c "$peer" --ring-mb 64
	timeout -k 5 60 "$top/tools/connections.py" --hold 1000 --rate 500 \
		--seconds 5 --name "$peer" >"$work/load" 3>&-
	end_trace
	nothing_lost
	[ "$(exchanges 'select(."db.operation.name" == "PING" and
		."datasnoop.role" == "client" and ."datasnoop.complete")' |
		wc -l)" -eq "$(tail -n 1 "$work/load" | jq .exchanges)" ]
}
