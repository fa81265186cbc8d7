#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# demo.sh - private servers, agents that read from them, and datasnoop.
#
# `make demo` runs it.  DEMO_SECONDS (15) is how long it traces; Ctrl-C ends it
# at once.  Nothing is left running or on disk.
set -euo pipefail
cd "$(dirname "$0")/.."

SECONDS_TO_TRACE=${DEMO_SECONDS:-15}
LOADGEN=build/tools/loadgen
PLAYER=tools/demo_agent.py

directory=$(mktemp -d /tmp/datasnoop-demo.XXXXXX)
agents=()
servers=()

# An agent in the middle of a statement ends it, says goodbye, and goes.
clean_up() {
	trap '' INT TERM
	if [ ${#agents[@]} -gt 0 ]; then
		kill "${agents[@]}" 2>/dev/null || true
		wait "${agents[@]}" 2>/dev/null || true
	fi
	if [ ${#servers[@]} -gt 0 ]; then
		kill "${servers[@]}" 2>/dev/null || true
		wait "${servers[@]}" 2>/dev/null || true
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

# A Redis server and customers in it.  redis-tools has the server, too: it
# tells by its name which of its programs it is, and no service comes with it.
start_redis() {
	local i
	redis_port=$("$PLAYER" port)
	ln -s /usr/bin/redis-check-rdb "$directory/redis-server"
	"$directory/redis-server" --bind 127.0.0.1 --port "$redis_port" \
		--save '' --appendonly no --dir "$directory" \
		>"$directory/redis.log" 2>&1 &
	servers+=($!)
	for ((i = 0; i < 100; i++)); do
		redis-cli -p "$redis_port" PING >/dev/null 2>&1 && break
		sleep 0.1
	done
	for i in 1 2 3 4 5; do
		redis-cli -p "$redis_port" HSET "customer:$i" name "Customer $i" \
			email "customer$i@example.com" card 4000056655665556
		redis-cli -p "$redis_port" SET "session:$i" "page=orders"
	done >/dev/null
}

# An agent with tools and a model: what it reads goes on to an API, in plain.
start_ai() {
	local model_port i
	model_port=$("$PLAYER" port)
	"$PLAYER" model "$model_port" 2>>"$directory/agents.log" &
	servers+=($!)
	for ((i = 0; i < 100; i++)); do
		(: <"/dev/tcp/127.0.0.1/$model_port") 2>/dev/null && break
		sleep 0.1
	done
	"$PLAYER" agent "$redis_port" "$model_port" \
		$((SECONDS_TO_TRACE + 60)) 2>>"$directory/agents.log" &
	agents+=($!)
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
	start_ai
}

echo "demo: starting MariaDB with TLS, Redis, a stand-in for a language model,"
echo "demo: and programs that use them"
tools/mariadb.sh start "$directory" >/dev/null
start_redis
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
