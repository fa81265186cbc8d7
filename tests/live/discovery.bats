#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# discovery.bats - processes that are hard to catch: short-lived ones, those
# whose library was replaced, those that become another program; and that
# nothing of the tracer stays behind.

load helpers

setup() {
	prepare
	start_web
}

teardown() {
	clean_up
}

# A web server over TLS on $port; what it has to say does not matter.
start_web() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$work/key.pem" -out "$work/certificate.pem" -days 2 \
		-subj /CN=localhost 2>/dev/null
	port=$((20000 + BASHPID % 20000))
	(
		cd "$work" || exit 1
		exec openssl s_server -accept "$port" -WWW -quiet \
			-cert certificate.pem -key key.pem 3>&-
	) >/dev/null 2>&1 &
	own_pids+=("$!")
	wait_for fetch page
}

# fetch NAME [CURL]: over TLS, in a process of its own.
fetch() {
	timeout 20 "${2:-curl}" -sk -o "$work/fetched" \
		"https://127.0.0.1:$port/$1"
}

# What clients asked for, and FILTER's words of who they are.
clients() {
	exchanges "select(.\"datasnoop.role\" == \"client\") |
		[.\"datasnoop.http.target\", .\"process.pid\"$1] | @tsv" |
		jq -r .
}

@test "50 processes that live for milliseconds: each once, and who it was" {
	local i expected=
	trace "$datasnoop" -j -P http --port "$port" -c curl
	for i in $(seq 50); do
		timeout 20 curl -sk -o "$work/fetched" \
			"https://127.0.0.1:$port/short$i" &
		# timeout's child is curl: its pid is in the record alone.
		wait $!
		expected+="/short$i	curl	curl -sk -o $work/fetched"
		expected+=" https://127.0.0.1:$port/short$i	root"$'\n'
	done
	end_trace
	clients ', ."process.executable.name", ."process.command_line",
		."user.name"' >"$work/seen"
	diff <(cut -f1,3- "$work/seen" | sort) <(sort <<<"${expected%$'\n'}")
	[ "$(cut -f2 "$work/seen" | sort -u | wc -l)" -eq 50 ]
	nothing_lost
}

@test "a library that was replaced under a running process is traced" {
	local library speaker
	library=$(ldd "$(command -v curl)" |
		awk '/libssl\.so/ { print $3 }')
	mkdir "$work/libraries"
	cp "$library" "$work/libraries"
	mkfifo "$work/go"
	LD_LIBRARY_PATH=$work/libraries curl -sk -o "$work/fetched" -K - \
		<"$work/go" 3>&- &
	speaker=$!
	own_pids+=("$speaker")
	exec 9>"$work/go"
	wait_for grep -q "$work/libraries" "/proc/$speaker/maps"
	# As a package manager does: another file takes the name.
	cp "$library" "$work/libraries/new"
	mv "$work/libraries/new" "$work/libraries/${library##*/}"
	grep -q "$work/libraries.*deleted" "/proc/$speaker/maps"
	trace "$datasnoop" -j -P http --port "$port" -p "$speaker" 9>&-
	echo "url = https://127.0.0.1:$port/replaced" >&9
	exec 9>&-
	wait "$speaker" || true
	end_trace
	[ "$(clients ', ."tls.library"')" = "/replaced	$speaker	openssl" ]
	nothing_lost
}

# The same process is one program, then another; both speak.
@test "a process that becomes another program: two connections, two names" {
	local script=$work/first.py
	cat >"$script" <<-END
		import os, socket, ssl, sys
		context = ssl._create_unverified_context()
		plain = socket.create_connection(("127.0.0.1", $port))
		tls = context.wrap_socket(plain)
		tls.sendall(b"GET /before HTTP/1.0\r\n\r\n")
		while tls.recv(100):
		    pass
		# Neither shut down nor closed: execve() does away with it.
		os.execvp("curl", ["curl", "-sk", "-o", "$work/fetched",
		    "https://127.0.0.1:$port/after"])
	END
	trace "$datasnoop" -j -P http --port "$port"
	timeout 20 python3 "$script"
	end_trace
	clients ', ."process.command", ."process.executable.name",
		."process.command_line"' >"$work/seen"
	cat "$work/seen"
	[ "$(wc -l <"$work/seen")" -eq 2 ]
	[ "$(cut -f2 "$work/seen" | uniq | wc -l)" -eq 1 ]
	grep -q "^/before	[0-9]*	python3	python3[0-9.]*	.*python3 $script" \
		"$work/seen"
	grep -q "^/after	[0-9]*	curl	curl	curl -sk -o" "$work/seen"
	nothing_lost
}

@test "killed with SIGKILL: nothing is left in tracefs, no program, no probe" {
	local ids
	trace "$datasnoop" -j -P http --port "$port" -c curl
	fetch one
	ids=$(programs_of "$tracer")
	[ "$(wc -w <<<"$ids")" -gt 5 ]
	kill -KILL "$tracer"
	wait "$tracer" || true
	# shellcheck disable=SC2086 # words
	wait_for none_loaded $ids
	! grep "datasnoop_${tracer}_" "$tracing/uprobe_events" || false
	# The probed library's code is as it was: who uses it goes on.
	fetch two
}

@test "what a killed tracer has left in tracefs goes at the next start" {
	local dead alive=$BASHPID library
	[ -e /sys/bus/event_source/devices/uprobe ] || skip "no uprobe PMU"
	library=$(ldd "$(command -v curl)" |
		awk '/libssl\.so/ { print $3 }')
	true &
	dead=$!
	wait "$dead"
	echo "p:uprobes/datasnoop_${dead}_on_read_100_bcc_$dead $library:0x1000" \
		>>"$tracing/uprobe_events"
	echo "r:uprobes/datasnoop_${dead}_on_end_100_bcc_$dead $library:0x1000" \
		>>"$tracing/uprobe_events"
	echo "p:uprobes/datasnoop_${alive}_on_read_100_bcc_$alive $library:0x1000" \
		>>"$tracing/uprobe_events"
	echo "p:uprobes/other_$dead $library:0x1000" \
		>>"$tracing/uprobe_events"
	trace "$datasnoop" -j -P http --port "$port"
	end_trace
	cp "$tracing/uprobe_events" "$work/left"
	for name in "datasnoop_${alive}_on_read_100_bcc_$alive" "other_$dead"; do
		echo "-:uprobes/$name" >>"$tracing/uprobe_events"
	done
	cat "$work/left"
	! grep "datasnoop_${dead}_" "$work/left" || false
	grep -q "datasnoop_${alive}_" "$work/left"
	grep -q "other_$dead" "$work/left"
}
