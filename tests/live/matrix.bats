#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# matrix.bats - real programs ask real servers: each statement seen once, whole,
# with its answer, process, addresses and TLS library.
#
# All clients run once under a tracer that shows one end of each connection,
# and once under one that shows both.  What must be seen is what the servers
# noted: which statement came, from which port, to which process of theirs.

load helpers
# shellcheck source=tests/live/matrix/clients.bash
. "$BATS_TEST_DIRNAME/matrix/clients.bash"

readonly COUNT=23 # statements of each client, a prime number

programs=$BATS_TEST_DIRNAME/matrix
tcp_clients='mariadb_tls mariadb_plain sysbench_tls sysbench_plain pymysql_tls
	pymysql_plain php_tls php_plain node_tls node_plain dbd_mysql
	dbd_mariadb psql_tls psql_plain redis_tls redis_plain curl_plain
	curl_http1 curl_http2 wget pycurl curl_nss go_http1 go_http2 node_https
	tstclnt s_client gnutls_cli'
unix_clients='mariadb_unix psql_unix redis_unix'
servers='mariadb postgresql redis nginx'

# server_of CLIENT
server_of() {
	case $1 in
	psql_*) echo postgresql ;;
	redis_*) echo redis ;;
	curl_* | wget | pycurl | go_* | *_https | tstclnt | s_client | \
		gnutls_cli) echo nginx ;;
	*) echo mariadb ;;
	esac
}

# library_of CLIENT: as tls.library has it; nothing: no TLS.
library_of() {
	case $1 in
	*_plain | *_unix) ;;
	wget | pycurl | gnutls_cli) echo gnutls ;;
	curl_nss | tstclnt) echo nss ;;
	go_*) echo go ;;
	*) echo openssl ;;
	esac
}

# ---- once: the servers, and all clients under each tracer

start_servers() {
	local server
	local -A option=([mariadb]=--plain)
	for server in $servers; do
		mkdir "$matrix/$server"
		# shellcheck disable=SC2086 # one word or none
		timeout 90 "$top/tools/$server.sh" start "$matrix/$server" \
			${option[$server]:-} 3>&- >&2
	done
	ask_mariadb 'CREATE TABLE witness (tag TEXT, port TEXT)' >&2
	(
		know postgresql
		echo 'CREATE TABLE witness (tag TEXT, port INT, pid INT)' |
			client_psql_plain
	) >&2
}

# know SERVER: its env file in the environment.
know() {
	set -a
	# shellcheck source=/dev/null
	. "$matrix/$1/env"
	set +a
}

ask_mariadb() {
	(
		know mariadb
		echo "$1" | client_mariadb_plain
	)
}

# Names that no other run's clients have, and what clients are given.
prepare_clients() {
	local name
	export unix_name=mx$BASHPID
	for name in mariadb-cli psql redis-cli sysbench; do
		mkdir "$matrix/$name"
	done
	ln -s "$(command -v mariadb)" "$matrix/mariadb-cli/$unix_name"
	ln -s "$(command -v redis-cli)" "$matrix/redis-cli/$unix_name"
	ln -s "$(postgresql_program psql)" "$matrix/psql/$unix_name"
	cp "$matrix/mariadb/server.key" "$matrix/sysbench/client-key.pem"
	cp "$matrix/mariadb/server.pem" "$matrix/sysbench/client-cert.pem"
	cp "$matrix/mariadb/ca.pem" "$matrix/sysbench/cacert.pem"
	GO111MODULE=off GOFLAGS='' timeout 120 go build -o "$matrix/https-go" \
		"$programs/https.go"
}

# keep_known CLIENT...: each is left waiting for its input, so that the tracer
# knows its executable: of one with its TLS inside it sees nothing before it
# has found a process of it.
keep_known() {
	local client
	mkfifo "$matrix/never"
	exec 8<>"$matrix/never"
	for client; do
		(
			know nginx
			"client_$client" <&8 >/dev/null 2>&1 3>&-
		) &
		own_pids+=($!)
	done
	exec 8<&-
}

# statements SERVER TAG: what is asked; each has the tag, and is noted.
statements() {
	local text
	case $1 in
	mariadb) text="INSERT INTO witness SELECT '$2-%g', HOST FROM \
information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()\n" ;;
	postgresql) text="INSERT INTO witness SELECT '$2-%g', \
inet_client_port(), pg_backend_pid()\n" ;;
	redis) text="SET $2-%g something\n" ;;
	nginx) text="/$2-%g\n" ;;
	esac
	# shellcheck disable=SC2059 # it is one
	printf "$text" $(seq $COUNT)
}

# run_client CLIENT: to its end; its pid goes to $round/CLIENT.pid.
run_client() {
	local server pid status=0
	server=$(server_of "$1")
	statements "$server" "$1.${round##*/}" >"$round/$1.in"
	(
		know "$server"
		"client_$1" <"$round/$1.in" >"$round/$1.log" 2>&1 3>&-
	) &
	pid=$!
	own_pids+=("$pid")
	echo $pid >"$round/$1.pid"
	wait_for has_ended $pid || kill -KILL $pid
	wait $pid || status=$?
	echo $status >"$round/$1.status"
}

# run_round NAME CLIENTS OPTION...: all clients under one tracer.
run_round() {
	local client clients=$2
	round=$matrix/$1
	mkdir "$round"
	work=$round
	session main
	shift 2
	trace "$datasnoop" -j --show-values --ring-mb 64 "$@"
	for client in $clients; do
		run_client "$client"
	done
	end_trace
}

all_ports() {
	sed -n 's/^\(TLS_\)\?PORT=//p' "$matrix"/*/env | paste -sd,
}

setup_file() {
	[ -z "$(why_not)" ] || return 0
	local ports
	export matrix
	matrix=$(mktemp -d "${BATS_TMPDIR:-/tmp}/datasnoop-matrix.XXXXXX")
	chmod 711 "$matrix" # the servers' users pass through
	own_pids=()
	start_servers
	prepare_clients
	keep_known go_http1 node_https
	ports=$(all_ports)
	run_round one "$tcp_clients" --port "$ports"
	run_round both "$tcp_clients" --port "$ports" --both-ends
	run_round unix_one "$unix_clients" -c "$unix_name"
	run_round unix_both "$unix_clients" --both-ends \
		-c "$unix_name,mariadbd,postgres,redis-server"
	note_truth
	kill "${own_pids[@]:0:2}"
}

teardown_file() {
	local server
	[ -n "${matrix:-}" ] || return 0
	for server in $servers; do
		timeout 60 "$top/tools/$server.sh" stop "$matrix/$server"
	done
	rm -rf "$matrix"
}

# ---- what the servers noted: tag, the client's port, their process

note_truth() {
	(
		know mariadb
		ask_mariadb 'SELECT tag, port FROM witness' | sed 1d |
			sed "s/\t.*:/\t/; s/\tlocalhost$/\t/; s/\$/\t$PID/"
		know postgresql
		echo "COPY witness TO STDOUT (NULL '')" | client_psql_plain
		know redis
		redis-cli --json -s "$SOCKET" SLOWLOG GET 10000 | jq -r "
			.[] | select(.[3][0] == \"SET\") |
			[.[3][1], (.[4] | sub(\".*:0?\"; \"\")), $PID] | @tsv"
		know nginx
		awk -v OFS='\t' -v body="$BODY_BYTES" '$4 == body {
			print substr($3, 2), $1, $2
		}' "$ACCESS_LOG"
	) | sort >"$matrix/truth"
}

setup() {
	prepare
}

teardown() {
	clean_up
}

# ---- what must be seen, and what is

# truth_of CLIENT ROUND: a line for each of its statements that came, with the
# statement, the client's port, the server's process.
truth_of() {
	awk -F '\t' -v OFS='\t' -v tag="$1.$2-" '
		NR == FNR { text[FNR] = $0; next }
		index($1, tag) == 1 {
			print text[substr($1, length(tag) + 1)], $2, $3
		}' "$matrix/$2/$1.in" "$matrix/truth"
}

# What the servers say to each statement.
answer_of() {
	case $1 in
	redis) echo OK ;;
	nginx) echo "200 $BODY_BYTES" ;;
	*) echo 1 ;;
	esac
}

# Programs that keep TLS apart from their sockets, so that the addresses are
# a conclusion, and said to be one.
inferred_of() {
	case $1 in
	node_tls | node_https) echo inferred ;;
	esac
}

# socket_of CLIENT: the path of the server's socket; nothing: it is TCP.
socket_of() {
	case $1 in
	psql_unix) echo "$SOCKET/.s.PGSQL.$PORT" ;;
	*_unix) echo "$SOCKET" ;;
	esac
}

# expected CLIENT ROUND: a line for each exchange, as seen prints them:
# statement, role, process, TLS library, the client's and the server's address
# and port, the other process where that is known, the answer, inferred or not.
expected() {
	local server library server_library='' port socket roles=client
	server=$(server_of "$1")
	library=$(library_of "$1")
	know "$server"
	port=$PORT
	if [ -n "$library" ]; then
		server_library=openssl
		port=${TLS_PORT:-$PORT}
	fi
	socket=$(socket_of "$1")
	[[ $2 != *both ]] || roles='client server'
	truth_of "$1" "$2" | awk -F '\t' -v OFS='\t' \
		-v pid="$(cat "$matrix/$2/$1.pid")" -v roles="$roles" \
		-v library="$library" -v server_library="$server_library" \
		-v address="$HOST" -v port="$port" -v socket="$socket" \
		-v listener="$PID" -v answer="$(answer_of "$server")" \
		-v inferred="$(inferred_of "$1")" '
		{
			ends = address OFS $2 OFS address OFS port
			if (socket)
				ends = OFS OFS socket OFS
			print $1, "client", pid, library, ends,
				socket ? listener : "", answer, inferred
			if (roles ~ /server/)
				print $1, "server", $3, server_library, ends,
					socket ? pid : "", answer, ""
		}' | sort
}

# seen CLIENT ROUND: the exchanges whose statement has the client's tag; one
# that is not whole says so.
seen() {
	jq -r --arg tag "$1.$2-" '
		select(."event.name" == "datasnoop.exchange") |
		(."url.original" // ."db.query.text" // "") as $text |
		select($text | contains($tag)) |
		[($text | rtrimstr(";")), ."datasnoop.role", ."process.pid",
		."tls.library", ."client.address", ."client.port",
		."server.address", ."server.port", ."datasnoop.peer.pid",
		(if ."http.request.method" then
			"\(."http.response.status_code") " +
				"\(."http.response.body.size")"
		else
			."datasnoop.affected_rows" // ."redis.reply"
		end),
		(if ."datasnoop.address_inferred" then "inferred"
		else "" end),
		(if ."datasnoop.complete" and ."datasnoop.missed_bytes" == 0
		then empty else "not whole" end)] |
		@tsv' "$matrix/$2/main.out" | sort
}

# matches CLIENT ROUND: it asked all, and each was seen as it should be.
matches() {
	local asked
	if [ "$(cat "$matrix/$2/$1.status")" -ne 0 ]; then
		echo "$1 failed:"
		tail -n 5 "$matrix/$2/$1.log"
		return 1
	fi
	asked=$(truth_of "$1" "$2" | wc -l)
	if [ "$asked" -ne $COUNT ]; then
		echo "$1: the server was asked $asked times, not $COUNT"
		return 1
	fi
	(expected "$1" "$2") >"$work/expected"
	seen "$1" "$2" >"$work/seen"
	if ! diff "$work/expected" "$work/seen" >"$work/diff"; then
		echo "$1, $2: expected <, seen >:"
		head -n 12 "$work/diff"
		return 1
	fi
}

# row CLIENT: once from its end; once from each when both are asked for.
row() {
	matches "$1" one
	matches "$1" both
}

unix_row() {
	matches "$1" unix_one
	matches "$1" unix_both
}

@test "MariaDB: its own client, TLS" {
	row mariadb_tls
}

@test "MariaDB: its own client, TCP" {
	row mariadb_plain
}

@test "MariaDB: its own client, UNIX socket" {
	unix_row mariadb_unix
}

@test "MariaDB: sysbench, TLS" {
	row sysbench_tls
}

@test "MariaDB: sysbench, TCP" {
	row sysbench_plain
}

@test "MariaDB: PyMySQL, Python's ssl" {
	row pymysql_tls
}

@test "MariaDB: PyMySQL, TCP" {
	row pymysql_plain
}

@test "MariaDB: PHP's mysqlnd, TLS" {
	row php_tls
}

@test "MariaDB: PHP's mysqlnd, TCP" {
	row php_plain
}

@test "MariaDB: Node's mysql, TLS apart from its socket" {
	row node_tls
}

@test "MariaDB: Node's mysql, TCP" {
	row node_plain
}

@test "MariaDB: Perl's DBD::mysql, TLS" {
	row dbd_mysql
}

@test "MariaDB: Perl's DBD::MariaDB, TLS" {
	row dbd_mariadb
}

@test "PostgreSQL: psql, TLS" {
	row psql_tls
}

@test "PostgreSQL: psql, TCP" {
	row psql_plain
}

@test "PostgreSQL: psql, UNIX socket" {
	unix_row psql_unix
}

@test "Redis: redis-cli, TLS" {
	row redis_tls
}

@test "Redis: redis-cli, TCP" {
	row redis_plain
}

@test "Redis: redis-cli, UNIX socket" {
	unix_row redis_unix
}

@test "nginx: curl, TCP" {
	row curl_plain
}

@test "nginx: curl, OpenSSL, HTTP/1.1" {
	row curl_http1
}

@test "nginx: curl, OpenSSL, HTTP/2" {
	row curl_http2
}

@test "nginx: wget, GnuTLS" {
	row wget
}

@test "nginx: libcurl, GnuTLS" {
	row pycurl
}

@test "nginx: gnutls-cli, requests in a row" {
	row gnutls_cli
}

@test "nginx: libcurl, NSS" {
	row curl_nss
}

@test "nginx: tstclnt, NSS, requests in a row" {
	row tstclnt
}

@test "nginx: Go's crypto/tls, HTTP/1.1" {
	row go_http1
}

@test "nginx: Go's crypto/tls, HTTP/2" {
	row go_http2
}

@test "nginx: Node's https, TLS apart from its socket" {
	row node_https
}

@test "nginx: openssl s_client, requests in a row" {
	row s_client
}

@test "no byte is lost, and the accounts close" {
	local round
	for round in one both unix_one unix_both; do
		# shellcheck disable=SC2034 # nothing_lost uses it
		out=$matrix/$round/main.out
		nothing_lost
	done
}
