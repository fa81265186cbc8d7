#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# demo.sh - a private database over TLS, agents that query it, and datasnoop.
#
# `make demo` runs it.  DEMO_SECONDS (15) is how long it traces; Ctrl-C ends it
# at once.  Nothing is left running or on disk.
set -euo pipefail
cd "$(dirname "$0")/.."

SECONDS_TO_TRACE=${DEMO_SECONDS:-15}
LOADGEN=build/tools/loadgen

directory=$(mktemp -d /tmp/datasnoop-demo.XXXXXX)
agents=()

# An agent in the middle of a statement ends it, says goodbye, and goes.
clean_up() {
	trap '' INT TERM
	if [ ${#agents[@]} -gt 0 ]; then
		kill "${agents[@]}" 2>/dev/null || true
		wait "${agents[@]}" 2>/dev/null || true
	fi
	tools/mariadb.sh stop "$directory"
	rm -rf "$directory"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# agent NAME RATE QUERY...: a process of that name that asks these in turn.
agent() {
	local name=$1 rate=$2 query
	local options=()
	shift 2
	for query; do
		options+=(--query "$query")
	done
	"$LOADGEN" --host "$HOST" --port "$PORT" --ca "$CA" --user "$name" \
		--password "$PASSWORD" --name "$name" --rate "$rate" \
		--duration $((SECONDS_TO_TRACE + 60)) "${options[@]}" \
		>/dev/null 2>>"$directory/agents.log" &
	agents+=($!)
}

# Somebody at a terminal: MariaDB's own client, with a pause between queries.
shell_user() {
	local i
	for ((i = 0; i < SECONDS_TO_TRACE + 60; i += 3)); do
		echo "SELECT country, COUNT(*) FROM customers GROUP BY country;"
		echo "DO SLEEP(3);"
	done >"$directory/shell.sql"
	exec mariadb --defaults-file="$directory/client.cnf" "$DATABASE" \
		<"$directory/shell.sql" >/dev/null 2>>"$directory/agents.log"
}

start_agents() {
	agent support-bot 1 \
		"SELECT id, subject, status FROM tickets WHERE status = 'open' \
LIMIT 10" \
		"SELECT t.subject, t.body, c.name, c.email FROM tickets t \
JOIN customers c ON c.id = t.customer_id WHERE t.id = {n}" \
		"UPDATE tickets SET status = 'pending' WHERE id = {n}"
	agent billing-agent 0.7 \
		"SELECT id, amount, currency, merchant FROM transactions \
WHERE customer_id = {n}" \
		"SELECT customer_id, SUM(amount) FROM transactions \
WHERE customer_id < {n} GROUP BY customer_id"
	agent report-ai 0.4 \
		"SELECT id, name, email, card, phone FROM customers \
WHERE id > {n} LIMIT 50"
	shell_user &
	agents+=($!)
}

echo "demo: starting a MariaDB server over TLS, and four programs that use it"
tools/mariadb.sh start "$directory" >/dev/null
# shellcheck source=/dev/null
. "$directory/env"
start_agents
echo "demo: ./datasnoop for $SECONDS_TO_TRACE seconds; Ctrl-C ends it"
echo
status=0
./datasnoop -d "$SECONDS_TO_TRACE" || status=$?
echo
if [ -s "$directory/agents.log" ]; then
	echo "demo: an agent complained:"
	head -n 5 "$directory/agents.log"
fi
if [ $status -ne 0 ]; then
	echo "demo: datasnoop failed; ./datasnoop --doctor says what is missing"
	exit $status
fi
echo "demo: done.  To trace what this host's own programs ask: ./datasnoop"
