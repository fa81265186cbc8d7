# SPDX-License-Identifier: GPL-2.0-or-later
# helpers.bash - what the live tests share: tracers, peers, a database.
#
# Everything that is started is bounded in time and ended by its own pid; all
# files live in $work, a directory of the test's own.

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
# shellcheck disable=SC2034 # the .bats files use it
datasnoop=${DATASNOOP:-$top/datasnoop}
streamdump=$top/build/tests/live/streamdump
loadgen=$top/build/tools/loadgen
tracing=/sys/kernel/tracing

readonly LIFE=90      # seconds that a tracer lives if nobody ends it
readonly PATIENCE=30  # seconds that anything is waited for

# Why the live tests can't run here; nothing: they can.
why_not() {
	[ "$(id -u)" -eq 0 ] || { echo "needs root"; return; }
	[ -w "$tracing/uprobe_events" ] ||
		{ echo "tracefs is not mounted, or without uprobes"; return; }
	[ -e /sys/fs/bpf ] || { echo "this kernel has no BPF"; return; }
}

# The work directory; skips the test where nothing can be traced.
prepare() {
	local reason
	reason=$(why_not)
	[ -z "$reason" ] || skip "$reason"
	work=$(mktemp -d "${BATS_TMPDIR:-/tmp}/datasnoop-live.XXXXXX")
	own_pids=()
	session main
}

# session NAME: the files of the tracer to be started next, or asked about:
# what it printed, and streamdump's directory.
session() {
	out=$work/$1.out
	err=$work/$1.err
	dump=$work/$1.dump
	mkdir -p "$dump"
}

# teardown of every file: own processes, by number, then the directory.
clean_up() {
	local pid
	for pid in "${own_pids[@]}"; do
		kill -CONT "$pid" 2>/dev/null || true
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	[ -z "${work:-}" ] || rm -rf "$work"
}

# wait_for COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + PATIENCE))
	until "$@"; do
		if [ $SECONDS -ge $end ]; then
			echo "waited $PATIENCE s for: $*"
			return 1
		fi
		sleep 0.02
	done
}

is_running() {
	[ -e "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status"
}

has_ended() {
	! is_running "$1"
}

# trace PROGRAM ARGUMENT...: start it, and return when its probes are attached.
# What it prints goes to $out and $err, its pid to $tracer.
trace() {
	: >"$err"
	"$@" -d $LIFE >"$out" 2>"$err" 3>&- &
	tracer=$!
	own_pids+=("$tracer")
	wait_for tracer_is_ready
}

tracer_is_ready() {
	if grep -q ': tracing' "$err"; then
		return 0
	fi
	if has_ended "$tracer"; then
		echo "the tracer ended:"
		cat "$err"
		exit 1
	fi
	return 1
}

# end_trace [PID]: as Ctrl-C does; its exit status must be 0.
end_trace() {
	local status=0
	kill -INT "${1:-$tracer}"
	wait "${1:-$tracer}" || status=$?
	[ $status -eq 0 ] || echo "the tracer's exit status: $status"
	return $status
}

# dump_trace OPTION...: streamdump into $dump.
dump_trace() {
	trace "$streamdump" "$dump" "$@"
}

# Everything that an earlier round of the same test left.
start_over() {
	rm -rf "$dump" "$work/truth"
	mkdir "$dump"
}

# ---- what a tracer has in the kernel

# The ids of the programs that a process has loaded.
programs_of() {
	cat "/proc/$1/fdinfo"/* | awk '$1 == "prog_id:" { print $2 }' | sort -u
}

# none_loaded ID...: the kernel has none of these programs any more.
none_loaded() {
	local id
	for id in "$@"; do
		! bpftool prog show id "$id" >/dev/null 2>&1 || return 1
	done
}

# ---- peers: both ends of TLS connections, who know the truth

# A name for peer that no other run's peer has: tracers filter by it.
name_peer() {
	peer=peer$BASHPID
	ln -sf "$top/build/tests/live/peer" "$work/$peer"
}

# play SCENARIO: to its end; the truth goes to $work/truth/SCENARIO.
play() {
	mkdir -p "$work/truth/$1"
	timeout -k 5 90 "$work/$peer" "$1" "$work/truth/$1"
}

# play_aside SCENARIO: in the background, as pid $played.
play_aside() {
	mkdir -p "$work/truth/$1"
	timeout -k 5 90 "$work/$peer" "$1" "$work/truth/$1" 3>&- &
	played=$!
	own_pids+=("$played")
}

# connections_of DIR [FILES]: a line for each: its process, the sums of its
# files.  The order of connections is not compared, since it is not one when
# two begin at once; no two have the same bytes.
connections_of() {
	local files=${2:-*.in *.out *.about}
	(
		cd "$1" || exit 1
		# shellcheck disable=SC2086 # several names, with wildcards
		sha256sum -- $files
	) | awk '
		{
			split($2, part, ".")
			key = part[1] " " part[2]
			sums[key] = sums[key] " " $1
		}
		END {
			for (key in sums) {
				split(key, part, " ")
				print part[1] sums[key]
			}
		}' | sort
}

# of_processes TRUTH: links in $work/pick to those files of $dump that are
# of a process of TRUTH.
of_processes() {
	local pid
	rm -rf "$work/pick"
	mkdir "$work/pick"
	for pid in $(cd "$1" && printf '%s\n' [0-9]*.in | cut -d. -f1 | sort -u)
	do
		ln -s "$dump/$pid".* "$work/pick"
	done
}

# same_bytes SCENARIO [FILES]: what was captured is the truth, no gap in it.
same_bytes() {
	local truth=$work/truth/$1
	of_processes "$truth"
	if diff <(connections_of "$truth" "${2:-}") \
		<(connections_of "$work/pick" "${2:-}") >/dev/null &&
		[ -z "$(cat "$work"/pick/*.gaps)" ]; then
		return 0
	fi
	echo "$1: captured is not what was moved (bytes, addresses, gaps):"
	wc -c "$truth"/[0-9]* | head -40
	wc -c "$work"/pick/* | head -40
	tail -n 3 "$truth"/*.about "$work"/pick/*.about | head -40
	cat "$work"/pick/*.gaps
	return 1
}

# Bytes that the peers of all scenarios moved.
truth_bytes() {
	cat "$work"/truth/*/*.in "$work"/truth/*/*.out | wc -c
}

# ---- the account

# account FILTER: jq's answer about the closing account in $out.
account() {
	tail -n 1 "$out" |
		jq -e 'select(."event.name" == "datasnoop.summary") | '"$1"
}

account_closes() {
	account '."capture.balanced" and ."capture.bytes_seen" ==
		."capture.bytes_delivered" + ."capture.bytes_lost"' >/dev/null &&
		return 0
	echo "the account does not close:"
	tail -n 1 "$out"
	return 1
}

nothing_lost() {
	account_closes &&
		account '."capture.bytes_lost" == 0' >/dev/null && return 0
	echo "bytes were lost:"
	tail -n 1 "$out"
	return 1
}

# Nothing but the peers was traced: not a byte more or less.
seen_is_truth() {
	local seen truth
	seen=$(account '."capture.bytes_seen"')
	truth=$(truth_bytes)
	[ "$seen" -eq "$truth" ] && return 0
	echo "seen $seen bytes, moved $truth"
	return 1
}

# ---- a private database, once a file (setup_file)

start_database() {
	local reason
	reason=$(why_not)
	[ -z "$reason" ] || return 0
	export database
	database=$(mktemp -d "${BATS_TMPDIR:-/tmp}/datasnoop-mariadb.XXXXXX")
	timeout 90 "$top/tools/mariadb.sh" start "$database" "$@" 3>&- >&2
}

stop_database() {
	[ -n "${database:-}" ] || return 0
	timeout 60 "$top/tools/mariadb.sh" stop "$database"
	rm -rf "$database"
}

# PORT, CA, PID ... of the server, in the test that calls.
know_database() {
	# shellcheck source=/dev/null
	. "$database/env"
	# shellcheck disable=SC2034 # the .bats files use them
	server_pid=$PID server_port=$PORT
}

# load ARGUMENT...: loadgen against it, to its end, its report in $work/load.
load() {
	timeout -k 5 90 "$loadgen" --port "$server_port" --ca "$CA" \
		--password "$PASSWORD" "$@" >"$work/load"
}

# load_aside ARGUMENT...: in the background, as pid $loader.
load_aside() {
	"$loadgen" --port "$server_port" --ca "$CA" \
		--password "$PASSWORD" "$@" >"$work/load" 3>&- &
	loader=$!
	own_pids+=("$loader")
}

loaded() {
	jq ".$1" "$work/load"
}

# ---- exchanges

# exchanges FILTER: jq's FILTER of each exchange in $out, an object a line.
exchanges() {
	jq -c 'select(."event.name" == "datasnoop.exchange") | '"$1" "$out"
}

# Of exchanges, as truth_lines of what loadgen did: thread, the client's port,
# statement, rows (-1: none), error.
exchange_lines() {
	jq -r '[."thread.id", ."client.port", ."db.query.text" // "",
		."db.response.returned_rows" // -1,
		."db.response.status_code"] | @tsv'
}

truth_lines() {
	cut -f1,2,4,5,6 "$work/truth"
}
