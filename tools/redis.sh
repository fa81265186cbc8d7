#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# redis.sh - a private Redis server, for tests.
#
#	redis.sh start DIR [--port N] [--tls-port N]
#	redis.sh stop DIR
#
# All of it lives in DIR, which the caller makes and removes: socket,
# certificates, error.log and `env`, shell assignments of HOST PORT TLS_PORT
# SOCKET CA PID.  It listens on 127.0.0.1, saves nothing, asks for no password,
# and its SLOWLOG holds the last commands, with their clients' addresses.
# `stop` leaves the files, for the logs.
set -euo pipefail
# shellcheck source=tools/server.bash
. "$(dirname "$0")/server.bash"

usage() {
	echo "usage: redis.sh start DIR [--port N] [--tls-port N]" >&2
	echo "       redis.sh stop DIR" >&2
	exit 2
}

# The title that ps shows holds the directory, by which `stop` knows it.
write_configuration() {
	cat >"$dir/redis.conf" <<-END
		bind 127.0.0.1
		port $port
		tls-port $tls_port
		tls-cert-file $dir/server.pem
		tls-key-file $dir/server.key
		tls-ca-cert-file $dir/ca.pem
		tls-auth-clients no
		unixsocket $dir/socket
		unixsocketperm 777
		pidfile $dir/pid
		dir $dir/data
		save ""
		proc-title-template "{title} {config-file}"
		slowlog-log-slower-than 0
		slowlog-max-len 10000
	END
	chmod 644 "$dir/redis.conf"
}

is_up() {
	redis-cli -s "$dir/socket" ping
}

start() {
	new_directory
	choose_user redis
	port=${port:-$(free_port)}
	tls_port=${tls_port:-$(free_port)}
	make_certificates
	write_configuration
	mkdir "$dir/data"
	own "$dir" "$dir/data" "$dir/server.key"
	launch "${become[@]}" redis-server "$dir/redis.conf" || stop_failed
	echo "$pid" >"$dir/pid"
	cat >"$dir/env" <<-END
		HOST=127.0.0.1
		PORT=$port
		TLS_PORT=$tls_port
		SOCKET=$dir/socket
		CA=$dir/ca.pem
		PID=$pid
	END
	cat "$dir/env"
}

# Ends this directory's server, and returns when it has gone.
stop() {
	stop_server "$(cat "$dir/pid" 2>/dev/null)" TERM
}

[ $# -ge 2 ] || usage
action=$1
dir=$(realpath -m -- "$2")
shift 2
port=
tls_port=
while [ $# -gt 0 ]; do
	[[ ${2:-} =~ ^[0-9]+$ ]] || usage
	case $1 in
	--port) port=$2 ;;
	--tls-port) tls_port=$2 ;;
	*) usage ;;
	esac
	shift 2
done
case $action in
start) start ;;
stop) stop ;;
*) usage ;;
esac
