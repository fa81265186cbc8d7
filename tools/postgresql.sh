#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# postgresql.sh - a private PostgreSQL server, for tests.
#
#	postgresql.sh start DIR [--port N]
#	postgresql.sh stop DIR
#
# All of it lives in DIR, which the caller makes and removes: data, socket,
# certificates, error.log and `env`, shell assignments of HOST PORT SOCKET (a
# directory) CA PID DATABASE USER PASSWORD.  It listens on 127.0.0.1, with and
# without TLS.  `stop` leaves the files, for the logs.
set -euo pipefail
# shellcheck source=tools/server.bash
. "$(dirname "$0")/server.bash"

DATABASE=shop
USER=reader
PASSWORD='only-for-tests'

usage() {
	echo "usage: postgresql.sh start DIR [--port N]" >&2
	echo "       postgresql.sh stop DIR" >&2
	exit 2
}

# The directory of the newest version's programs, which is in no PATH.
find_programs() {
	local versions=(/usr/lib/postgresql/*/bin)
	[ ! -x "${versions[-1]}/postgres" ] || echo "${versions[-1]}"
}

# Sized for tests: nothing outlives them, so nothing is synced to disk.
write_configuration() {
	cat >>"$dir/data/postgresql.conf" <<-END
		listen_addresses = '127.0.0.1'
		port = $port
		unix_socket_directories = '$dir'
		ssl = on
		ssl_cert_file = '$dir/server.pem'
		ssl_key_file = '$dir/server.key'
		fsync = off
		full_page_writes = off
		autovacuum = off
		shared_buffers = 16MB
	END
	cat >"$dir/data/pg_hba.conf" <<-END
		local all $administrator trust
		local all all scram-sha-256
		host all all 127.0.0.1/32 scram-sha-256
	END
}

query() {
	"$programs/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
		--host="$dir" --port="$port" --username="$administrator" "$@"
}

is_up() {
	query --dbname=postgres --command='SELECT 1'
}

make_database() {
	query --dbname=postgres <<-END
		CREATE USER $USER PASSWORD '$PASSWORD';
		CREATE DATABASE $DATABASE OWNER $USER;
	END
}

start() {
	new_directory
	programs=$(find_programs)
	[ -n "$programs" ] || fail "no PostgreSQL server here"
	choose_user postgres
	administrator=postgres
	port=${port:-$(free_port)}
	make_certificates
	chmod 600 "$dir/server.key"
	own "$dir" "$dir/server.key"
	as_user "$programs/initdb" --pgdata="$dir/data" --auth=trust \
		--username="$administrator" --encoding=UTF8 --locale=C.UTF-8 \
		--no-sync >"$dir/install.log" 2>&1 ||
		fail "initdb failed, see $dir/install.log"
	write_configuration
	if ! launch "${become[@]}" "$programs/postgres" -D "$dir/data" ||
		! make_database; then
		stop_failed
	fi
	cat >"$dir/env" <<-END
		HOST=127.0.0.1
		PORT=$port
		SOCKET=$dir
		CA=$dir/ca.pem
		PID=$pid
		DATABASE=$DATABASE
		USER=$USER
		PASSWORD=$PASSWORD
	END
	cat "$dir/env"
}

# Ends this directory's server, and returns when it has gone.
stop() {
	stop_server "$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null)" INT
}

[ $# -ge 2 ] || usage
action=$1
dir=$(realpath -m -- "$2")
shift 2
port=
while [ $# -gt 0 ]; do
	[[ ${2:-} =~ ^[0-9]+$ ]] || usage
	case $1 in
	--port) port=$2 ;;
	*) usage ;;
	esac
	shift 2
done
case $action in
start) start ;;
stop) stop ;;
*) usage ;;
esac
