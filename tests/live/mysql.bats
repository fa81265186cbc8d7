#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mysql.bats - each statement once, with its answer, and only what may be seen.
#
# A private MariaDB and two kinds of clients: loadgen, which notes each of its
# commands and what came back, and MariaDB's own command line client.

load helpers

setup_file() {
	start_database --general-log
}

teardown_file() {
	stop_database
}

setup() {
	prepare
	know_database
	agents=load$BASHPID
	log_start=$(stat -c %s "$database/general.log")
}

teardown() {
	clean_up
}

# ---- loadgen

# Commands with an answer: loadgen's truth has a line for each of these.
answered='select(."db.operation.name" |
	IN("LOGIN", "COM_STMT_CLOSE", "COM_QUIT") | not)'

# each_once ROLE FIELDS: the truth and the role's exchanges are the same lines,
# in the order of each connection.  FIELDS: of exchange_lines, as cut has them.
each_once() {
	exchanges "select(.\"datasnoop.role\" == \"$1\" and
		.\"client.port\" != null) | $answered" | exchange_lines |
		cut -f "$2" >"$work/seen"
	truth_lines | cut -f "$2" >"$work/true"
	[ -s "$work/true" ]
	by_connection "$2" "$work/true" >"$work/true.sorted"
	by_connection "$2" "$work/seen" >"$work/seen.sorted"
	diff "$work/true.sorted" "$work/seen.sorted" | head -20 >"$work/diff"
	cat "$work/diff"
	[ ! -s "$work/diff" ]
}

# Lines by the client's port, the second of all fields, in their order.
by_connection() {
	local field=2
	[[ "$1" == 1* ]] || field=1
	sort -s -t $'\t' -k $field,${field}n "$2"
}

# The server's own record of what it was asked since the test began.
logged() {
	tail -c +$((log_start + 1)) "$database/general.log" |
		grep -cE "[[:space:]][0-9]+ ($1)[[:space:]]"
}

# Every exchange is whole, and names the table that its statement names.
whole_and_right() {
	[ "$(exchanges 'select((."datasnoop.complete" | not) or
		."datasnoop.missed_bytes" != 0)' | wc -l)" -eq 0 ]
	[ "$(exchanges 'select(."db.operation.name" |
		IN("SELECT", "INSERT", "UPDATE", "PREPARE"))' |
		tee "$work/statements" | wc -l)" -gt 0 ]
	jq -r 'select(."db.response.status_code" == "0") |
		(."db.query.text" |
			capture("(FROM|INTO|UPDATE) (?<table>[a-z]+)").table) as
			$table |
		select(."db.collection.name" != $table)' "$work/statements" \
		>"$work/wrong"
	head -3 "$work/wrong"
	[ ! -s "$work/wrong" ]
}

# mixed_load ARGUMENT...: traced from its first byte; all that it did is seen.
mixed_load() {
	trace "$datasnoop" -j --show-values -c "$agents"
	load --name "$agents" --agents 4 --count 101 --mix mixed \
		--statement-tag --truth "$work/truth" "$@"
	end_trace
	nothing_lost
	whole_and_right
	[ "$(exchanges . | wc -l)" -gt 404 ]
	[ "$(cut -f7 "$work/truth" | grep -cx EXECUTE)" -gt 0 ]
	[ "$(cut -f6 "$work/truth" | grep -cvx 0)" -gt 0 ]
}

@test "small reads: each statement once, in order, with rows and error" {
	mixed_load --read small
	each_once client 1-5
	[ "$(exchanges "$answered" | jq -s 'map(select(."db.query.text" and
		."db.operation.name" != "PREPARE")) | length')" -eq \
		"$(logged 'Query|Execute')" ]
	[ "$(exchanges "select(.\"db.operation.name\" == \"PREPARE\")" |
		wc -l)" -eq "$(logged Prepare)" ]
}

@test "large reads, processes, SSL_read_ex: each statement once" {
	mixed_load --read large --processes --ex
	each_once client 1-5
}

@test "results that end as of MySQL 5.7: each statement once" {
	mixed_load --deprecate-eof
	each_once client 1-5
}

@test "many short connections: each statement once" {
	trace "$datasnoop" -j --show-values -c "$agents"
	load --name "$agents" --agents 4 --count 101 --reconnect-every 3 \
		--mix mixed --statement-tag --truth "$work/truth"
	end_trace
	nothing_lost
	whole_and_right
	each_once client 1-5
	# Each is plain up to its SSLRequest, and TLS from there.
	[ "$(account '."capture.connections"')" -eq \
		$((2 * $(loaded connections))) ]
	[ "$(loaded connections)" -gt 100 ]
}

@test "the server traced alone: each statement once, the server's pid" {
	trace "$datasnoop" -j --show-values -c mariadbd --port "$server_port"
	load --name "$agents" --agents 4 --count 101 --mix mixed \
		--statement-tag --truth "$work/truth"
	end_trace
	each_once server 2-5
	[ "$(exchanges '."process.pid"' | sort -u)" = "$server_pid" ]
	[ "$(exchanges '."process.executable.name"' | sort -u)" = '"mariadbd"' ]
}

@test "both ends: a statement shows once, or with --both-ends twice" {
	trace "$datasnoop" -j --show-values --port "$server_port"
	load --name "$agents" --agents 2 --count 53 --statement-tag \
		--truth "$work/truth"
	end_trace
	each_once client 1-5
	[ "$(exchanges 'select(."datasnoop.role" == "server")' | wc -l)" -eq 0 ]
	account '."capture.bytes_mirrored" > 0'

	session both
	rm "$work/truth"
	trace "$datasnoop" -j --show-values --port "$server_port" --both-ends
	load --name "$agents" --agents 2 --count 53 --statement-tag \
		--truth "$work/truth"
	end_trace
	each_once client 1-5
	each_once server 2-5
}

# No filter at all: both ends are traced, and whatever else this host does.
@test "default flags, full load for 5 s: no byte lost, each statement once" {
	trace "$datasnoop" -j --show-values
	load --name "$agents" --agents 4 --duration 5 --statement-tag \
		--truth "$work/truth"
	end_trace
	nothing_lost
	exchanges "select(.\"process.command\" == \"$agents\")" >"$work/ours"
	mv "$work/ours" "$work/ours.out"
	session ours
	each_once client 1-5
	[ "$(exchanges "$answered" | wc -l)" -eq "$(loaded statements)" ]
}

@test "a load that began before the tracer: from then on each statement once" {
	load_aside --name "$agents" --agents 3 --duration 12 --rate 300 \
		--mix mixed --statement-tag --truth "$work/truth"
	wait_for client_is_busy
	trace "$datasnoop" -j --show-values -c "$agents"
	wait "$loader"
	end_trace
	nothing_lost
	exchanges "$answered"'| select(."datasnoop.complete")' |
		exchange_lines >"$work/seen"
	ends_of_truth >"$work/true"
	[ "$(wc -l <"$work/true")" -gt 300 ]
	# What an execution of a statement prepared before asks is not known.
	sort -s -t $'\t' -k 2,2n "$work/seen" >"$work/seen.sorted"
	diff <(known_texts "$work/true" <"$work/seen.sorted") "$work/true"
}

client_is_busy() {
	[ "$(ss -Htn "dport = :$server_port" | wc -l)" -ge 3 ]
}

# Of each connection's truth, as many last lines as were seen.
ends_of_truth() {
	local port
	for port in $(truth_lines | cut -f2 | sort -un); do
		truth_lines | awk -F '\t' -v port="$port" '$2 == port' |
			tail -n "$(cut -f2 "$work/seen" | grep -cx "$port")"
	done
}

# Lines without a statement get that of the same line of FILE, whose command
# it must have been.
known_texts() {
	awk -F '\t' -v OFS='\t' -v file="$1" '{
		getline truth < file
		split(truth, of_truth, "\t")
		if ($3 == "" && of_truth[3] ~ / = \? /)
			$3 = of_truth[3]
		print
	}'
}

# ---- MariaDB's own client

# client ARGUMENT...: the command line client, under a name of this test's.
name_client() {
	client=cli$BASHPID
	ln -sf "$(command -v mariadb)" "$work/$client"
}

client() {
	timeout -k 5 60 "$work/$client" \
		--defaults-file="$database/client.cnf" --local-infile=1 \
		--max-allowed-packet=64M shop "$@" >"$work/answers" 2>&1
}

# What the client sent, as "statement|operation|table|rows|error" lines.
asked() {
	exchanges 'select(."db.query.text")' |
		jq -r '[."db.query.text", ."db.operation.name",
			."db.collection.name" // "",
			."db.response.returned_rows" // "",
			."db.response.status_code"] | join("|")'
}

@test "MariaDB's client: a script with an error, PREPARE, LOAD DATA, source" {
	name_client
	printf '1,Ana\n2,Bruno\n3,Chiara\n' >"$work/rows"
	chmod 644 "$work/rows"
	cat >"$work/sourced" <<-END
		SELECT COUNT(*) FROM tickets;
		SELECT id FROM customers LIMIT 3;
	END
	cat >"$work/script" <<-END
		SELECT id, email FROM customers WHERE id = 7;
		SELECT nothing FROM customers;
		CREATE OR REPLACE TABLE loaded (id INT, name VARCHAR(20));
		LOAD DATA LOCAL INFILE '$work/rows' INTO TABLE loaded
		FIELDS TERMINATED BY ',';
		PREPARE p FROM 'SELECT name FROM customers WHERE id < ?';
		SET @a = 5;
		EXECUTE p USING @a;
		source $work/sourced
		delimiter //
		SELECT 11; SELECT 22//
		delimiter ;
		UPDATE loaded SET name = 'none' WHERE id > 1;
		DROP TABLE loaded;
	END
	trace "$datasnoop" -j --show-values -c "$client"
	client --force <"$work/script"
	end_trace
	nothing_lost
	asked | grep -v 'version_comment' >"$work/asked"
	diff - "$work/asked" <<-END
		SELECT id, email FROM customers WHERE id = 7|SELECT|customers|1|0
		SELECT nothing FROM customers|SELECT|customers||1054
		CREATE OR REPLACE TABLE loaded (id INT, name VARCHAR(20))|CREATE|loaded||0
		LOAD DATA LOCAL INFILE '$work/rows' INTO TABLE loaded
		FIELDS TERMINATED BY ','|LOAD|loaded||0
		PREPARE p FROM 'SELECT name FROM customers WHERE id < ?'|PREPARE|||0
		SET @a = 5|SET|||0
		EXECUTE p USING @a|EXECUTE|customers|4|0
		SELECT COUNT(*) FROM tickets|SELECT|tickets|1|0
		SELECT id FROM customers LIMIT 3|SELECT|customers|3|0
		SELECT 11; SELECT 22|SELECT||2|0
		UPDATE loaded SET name = 'none' WHERE id > 1|UPDATE|loaded||0
		DROP TABLE loaded|DROP|loaded||0
	END
	[ "$(exchanges 'select(."db.operation.name" == "LOAD") |
		."datasnoop.affected_rows"')" = 3 ]
	[ "$(exchanges 'select(."db.operation.name" == "UPDATE") |
		."datasnoop.affected_rows"')" = 2 ]
	[ "$(exchanges 'select(."db.query.text" == "SELECT 11; SELECT 22") |
		."datasnoop.results"')" = 2 ]
	[ "$(exchanges 'select(."datasnoop.complete" | not)' | wc -l)" -eq 0 ]
	[ "$(exchanges '."db.operation.name"' | head -1)" = '"LOGIN"' ]
	[ "$(exchanges '."db.operation.name"' | tail -1)" = '"COM_QUIT"' ]
}

@test "a row of 17 MB, more than a packet takes" {
	name_client
	trace "$datasnoop" -j --show-values -c "$client" --ring-mb 64
	client --batch -e "SELECT REPEAT('x', 17825792) AS much; SELECT 5"
	end_trace
	[ "$(stat -c %s "$work/answers")" -gt 17825792 ]
	nothing_lost
	exchanges 'select(."db.query.text" // "" | startswith("SELECT REPEAT"))' \
		>"$work/large"
	[ "$(wc -l <"$work/large")" -eq 1 ]
	jq -e '."datasnoop.complete" and ."db.response.returned_rows" == 1 and
		."datasnoop.response.bytes" > 17825792' "$work/large"
	[ "$(exchanges 'select(."db.query.text" == "SELECT 5") |
		."db.response.returned_rows"')" = 1 ]
}

# ---- what may be seen

# Statements full of values, all with Zanzibar or 77317731 in them.
secrets() {
	client --force <<-'END'
		CREATE OR REPLACE TABLE seen (id VARCHAR(40) PRIMARY KEY, n BIGINT);
		INSERT INTO seen VALUES ('Zanzibar', 77317731), ("Zanzibar2", -77317731);
		INSERT INTO seen VALUES ('Zanzibar', 1);
		SELECT * FROM seen WHERE id = 'Zanzibar' OR n = 77317731.5e0;
		SELECT 'it''s Zanzibar', "Zanzibar \" Zanzibar", 0x77317731;
		PREPARE z FROM 'SELECT id FROM seen WHERE id = "Zanzibar"';
		EXECUTE z;
		SELECT 1 /* Zanzibar */; -- Zanzibar
		UPDATE seen SET id = 'Zanzibar3' WHERE n = 77317731;
		SELECT no_such FROM seen WHERE id = 'Zanzibar';
		CALL no_such('Zanzibar');
		DROP TABLE seen;
	END
}

@test "values are masked, in JSON, in the table, and on standard error" {
	local shape
	name_client
	for shape in -j --verbose; do
		session "masked$shape"
		trace "$datasnoop" $shape -vv -c "$client" 2>&1
		secrets
		end_trace
		[ "$(wc -l <"$out")" -ge 12 ]
		grep -q 'INSERT INTO seen VALUES' "$out"
		! cat "$out" "$err" | grep -n -e Zanzibar -e 77317731 || false
	done
}

@test "--show-values shows them" {
	local shape
	name_client
	for shape in -j --verbose; do
		session "shown$shape"
		trace "$datasnoop" $shape --show-values -c "$client"
		secrets
		end_trace
		grep -q Zanzibar "$out"
		grep -q 77317731 "$out"
	done
}

@test "parameters of prepared statements are masked, too" {
	trace "$datasnoop" -j -c "$agents"
	load --name "$agents" --agents 1 --count 53 --mix mixed
	end_trace
	[ "$(exchanges 'select(."db.operation.name" == "PREPARE")' |
		wc -l)" -gt 0 ]
	! grep -n 'EUR' "$out" || false
	session shown
	trace "$datasnoop" -j --show-values -c "$agents"
	load --name "$agents" --agents 1 --count 53 --mix mixed
	end_trace
	exchanges 'select(."db.query.parameter.1" == "EUR")' | grep -q .
}

@test "escape sequences of statements and answers never reach the terminal" {
	name_client
	touch "$work/typescript"
	script -qfc "exec $datasnoop --show-values -c $client -d $LIFE" \
		"$work/typescript" </dev/null >/dev/null 2>&1 3>&- &
	own_pids+=($!)
	tracer=$!
	wait_for grep -q ': tracing' "$work/typescript"
	client -e "SELECT '$(printf '\033[31m\r\b')red' AS x"
	client -e "SELECT 1 AS \`$(printf '\033')]0;title$(printf '\a')\`"
	client -e "SELECT nothing AS \`$(printf '\033[2J')\` FROM x" || true
	wait_for three_are_shown
	kill -INT "$(cat "/proc/$tracer/task/$tracer/children")"
	wait "$tracer"
	grep -q '^TIME .*OPERATION' "$work/typescript"
	grep -q "$client.*127.0.0.1:$server_port.*red" "$work/typescript"
	! grep -n "$(printf '\033')" "$work/typescript" || false
	! grep -n "$(printf '[\a\b]')" "$work/typescript" || false
}

three_are_shown() {
	[ "$(grep -c 'COM_QUIT' "$work/typescript")" -ge 3 ]
}

# ---- filters: what passes, and what does not

@test "-p, -u: one process, one user" {
	local mine
	cp "$loadgen" "$work/loadgen"
	chmod 755 "$work" "$work/loadgen"
	load_aside --name "$agents" --duration 30 --rate 100
	mine=$loader
	wait_for client_has_connected
	session pid
	trace "$datasnoop" -j -p "$mine"
	load --name "$agents" --count 53
	wait_for [ -s "$out" ]
	end_trace
	[ "$(exchanges '."process.pid"' | sort -u)" = "$mine" ]

	session user
	trace "$datasnoop" -j -u nobody
	load --name "$agents" --count 53
	setpriv --reuid nobody --regid nogroup --clear-groups \
		"$work/loadgen" --port "$server_port" --name "$agents" \
		--password "$PASSWORD" --count 53 >"$work/load"
	end_trace
	[ "$(exchanges 'select(."user.name" == "nobody" and
		."process.command" == "'"$agents"'" and
		."db.operation.name" == "SELECT")' | wc -l)" -eq 53 ]
	[ "$(exchanges 'select(."user.name" != "nobody")' | wc -l)" -eq 0 ]
	kill "$mine"
	wait "$mine"
}

client_has_connected() {
	[ "$(ss -Htn "dport = :$server_port" | wc -l)" -ge 1 ]
}

@test "-c: one command; its namesakes only" {
	trace "$datasnoop" -j -c "$agents"
	load --name "not$agents" --count 53
	load --name "$agents" --count 59
	end_trace
	[ "$(exchanges 'select(."db.operation.name" == "SELECT")' |
		wc -l)" -eq 59 ]
	[ "$(exchanges '."process.command"' | sort -u)" = "\"$agents\"" ]
}

@test "--port, -P: an end's port, a protocol" {
	trace "$datasnoop" -j -c "$agents" --port "1,$server_port" -P mysql
	load --name "$agents" --count 53
	end_trace
	[ "$(exchanges 'select(."db.operation.name" == "SELECT")' |
		wc -l)" -eq 53 ]
	session other
	trace "$datasnoop" -j -c "$agents" --port 1,2
	load --name "$agents" --count 53
	end_trace
	[ "$(exchanges . | wc -l)" -eq 0 ]
	account '."capture.exchanges" >= 53'
	run "$datasnoop" -P smtp -d 1
	[ "$status" -eq 2 ]
}

@test "-d: it ends by itself, not before, with the account" {
	local start=$SECONDS
	: >"$err"
	run timeout 30 "$datasnoop" -j -c "$agents" -d 2
	[ "$status" -eq 0 ]
	[ $((SECONDS - start)) -ge 2 ]
	[[ "$output" == *datasnoop.summary* ]]
}

@test "-x: what failed, and nothing else" {
	trace "$datasnoop" -j -x -c "$agents"
	load --name "$agents" --agents 2 --count 101 --mix mixed
	end_trace
	[ "$(loaded errors)" -gt 0 ]
	[ "$(exchanges . | wc -l)" -eq "$(loaded errors)" ]
	[ "$(exchanges 'select(."db.response.status_code" == "0")' |
		wc -l)" -eq 0 ]
}

@test "--min-ms: what was slow, and nothing else" {
	trace "$datasnoop" -j --show-values --min-ms 1000 -c "$agents"
	load --name "$agents" --count 12 --query 'SELECT 7' \
		--query 'SELECT 7' --query 'SELECT SLEEP(1.2)' \
		--query 'SELECT 8'
	end_trace
	[ "$(exchanges 'select(."db.query.text" == "SELECT SLEEP(1.2)")' |
		wc -l)" -eq 3 ]
	[ "$(exchanges 'select(."datasnoop.duration_ms" < 1000)' |
		wc -l)" -eq 0 ]
}
