#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mariadb.sh - a private MariaDB server over TLS, for demo, bench and tests.
#
#	mariadb.sh start DIR [--port N] [--general-log] [--plain]
#	mariadb.sh stop DIR
#
# All of it lives in DIR, which the caller makes and removes: data, socket,
# certificates, error.log, general.log, and `env`, shell assignments of HOST
# PORT SOCKET CA PID DATABASE USER PASSWORD.  It listens on 127.0.0.1, refuses
# a login without TLS (with --plain: lets it in), and holds the database `shop`,
# whose people, addresses and cards are made up (the cards pass Luhn's check; no
# bank issues them).
# client.cnf is for `mariadb --defaults-file=DIR/client.cnf`.  `stop` leaves
# the files, for the logs.
set -euo pipefail
# shellcheck source=tools/server.bash
. "$(dirname "$0")/server.bash"

DATABASE=shop
USERS='loadgen support-bot billing-agent report-ai'
PASSWORD='only-for-tests'

usage() {
	echo "usage: mariadb.sh start DIR [--port N] [--general-log]" \
		"[--plain]" >&2
	echo "       mariadb.sh stop DIR" >&2
	exit 2
}

# Sized for tests: nothing outlives them, so nothing is synced to disk.
write_configuration() {
	cat >"$dir/my.cnf" <<-END
		[mariadbd]
		datadir=$dir/data
		tmpdir=$dir
		socket=$dir/socket
		pid-file=$dir/pid
		log-error=$dir/error.log
		general-log=$general_log
		general-log-file=$dir/general.log
		bind-address=127.0.0.1
		port=$port
		skip-name-resolve
		ssl-ca=$dir/ca.pem
		ssl-cert=$dir/server.pem
		ssl-key=$dir/server.key
		character-set-server=utf8mb4
		local-infile=ON
		max-connections=2000
		max-allowed-packet=64M
		thread-cache-size=64
		table-open-cache=400
		performance-schema=OFF
		key-buffer-size=1M
		aria-pagecache-buffer-size=8M
		innodb-buffer-pool-size=32M
		innodb-log-file-size=8M
		innodb-flush-log-at-trx-commit=0
		innodb-flush-method=nosync
		innodb-doublewrite=0
	END
	cat >"$dir/client.cnf" <<-END
		[client]
		host=127.0.0.1
		port=$port
		user=loadgen
		password=$PASSWORD
		$client_tls
	END
	chmod 644 "$dir/my.cnf"
}

# SQL of the tables; the same rows each time, so that tests may count on them.
shop_tables() {
	cat <<-END
		CREATE DATABASE $DATABASE;
		USE $DATABASE;
		CREATE TABLE customers (id INT PRIMARY KEY,
			name VARCHAR(64) NOT NULL, email VARCHAR(96) NOT NULL,
			card CHAR(16) NOT NULL, phone VARCHAR(20) NOT NULL,
			country CHAR(2));
		CREATE TABLE transactions (id INT PRIMARY KEY AUTO_INCREMENT,
			customer_id INT NOT NULL, amount DECIMAL(10,2) NOT NULL,
			currency CHAR(3) NOT NULL,
			merchant VARCHAR(64) NOT NULL,
			made_at DATETIME NOT NULL, note VARCHAR(255),
			KEY (customer_id));
		CREATE TABLE tickets (id INT PRIMARY KEY AUTO_INCREMENT,
			customer_id INT NOT NULL, subject VARCHAR(120) NOT NULL,
			body TEXT NOT NULL, status VARCHAR(12) NOT NULL,
			opened_at DATETIME NOT NULL, KEY (customer_id));
	END
}

# SQL of the rows: 500 customers, 5,000 transactions, 500 tickets.
shop_rows() {
	awk '
	function luhn(digits, i, d, sum) {
		for (i = 1; i <= 15; i++) {
			d = substr(digits, i, 1)
			if (i % 2) { d *= 2; if (d > 9) d -= 9 }
			sum += d
		}
		return digits (10 - sum % 10) % 10
	}
	function row(table, i, last, values) {
		if (i % 250 == 1) printf "INSERT INTO %s VALUES\n", table
		printf "(%s)%s\n", values,
			i % 250 == 0 || i == last ? ";" : ","
	}
	function when(i) {
		return sprintf("2026-%02d-%02d %02d:%02d:00", 1 + i % 12,
			1 + i % 28, i % 24, i * 7 % 60)
	}
	BEGIN {
		q = "\047"
		first = split("Ana Bruno Chiara Dmitri Elena Farid Greta " \
			"Hiro Ines Jonas Kofi Lucia Mehmet Nora Oscar " \
			"Priya Quentin Rosa Sven Tanvi", given, " ")
		last = split("Almeida Bianchi Costa Duarte Eriksen Fischer " \
			"Gupta Hansen Ivanova Jensen Kowalski Lindqvist " \
			"Moreau Novak Okafor Petrov Rossi", family, " ")
		lands = split("DE FR IT PT ES NL SE PL IN JP", country, " ")
		shops = split("Bookshop Grocer Airline Hotel Pharmacy " \
			"Cinema Garage Florist", merchant, " ")
		words = split("refund,lost card,late parcel,wrong address," \
			"cannot log in,double charge", subject, ",")
		split("open,pending,closed", status, ",")
		for (i = 1; i <= 500; i++) {
			g = given[1 + i % first]
			f = family[1 + int(i / first) % last]
			row("customers", i, 500, sprintf( \
				"%d,%s%s %s%s,%s%s.%s%d@mail.example.com%s," \
				"%s%s%s,%s+49 30 5550%04d%s,%s%s%s", i,
				q, g, f, q, q, tolower(g), tolower(f), i, q,
				q, luhn(sprintf("411111%09d", i * 7919)), q,
				q, i, q, q, country[1 + i % lands], q))
		}
		for (i = 1; i <= 5000; i++)
			row("transactions", i, 5000, sprintf( \
				"%d,%d,%d.%02d,%sEUR%s,%s%s %d%s,%s%s%s,NULL",
				i, 1 + i * 31 % 500, 1 + i * 37 % 900,
				i % 100, q, q, q, merchant[1 + i % shops],
				i % 40, q, q, when(i), q))
		for (i = 1; i <= 500; i++)
			row("tickets", i, 500, sprintf( \
				"%d,%d,%s%s%s,%sPlease look at my %s, number " \
				"%d, soon. Reach me at +49 30 5550%04d.%s," \
				"%s%s%s,%s%s%s", i, 1 + i * 17 % 500,
				q, subject[1 + i % words], q,
				q, subject[1 + i % words], i, i, q,
				q, status[1 + i % 3], q, q, when(i), q))
	}'
}

shop_users() {
	local name
	for name in $USERS; do
		cat <<-END
			CREATE USER '$name'@'%' IDENTIFIED BY '$PASSWORD'
				REQUIRE $require;
			GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP
				ON $DATABASE.* TO '$name'@'%';
		END
	done
}

is_up() {
	mariadb-admin --no-defaults --socket="$dir/socket" \
		--user="$(id -un)" ping
}

load_shop() {
	{
		shop_tables
		echo 'START TRANSACTION;'
		shop_rows
		echo 'COMMIT;'
		shop_users
		echo "SET GLOBAL general_log=$general_log;"
	} | mariadb --no-defaults --socket="$dir/socket" --user="$(id -un)" \
		--init-command='SET GLOBAL general_log=OFF'
}

start() {
	local user_option=()
	new_directory
	choose_user mysql
	[ "$(id -u)" -ne 0 ] || user_option=(--user="$user")
	port=${port:-$(free_port)}
	make_certificates
	write_configuration
	mkdir "$dir/data"
	own "$dir" "$dir/data" "$dir/server.key"
	as_user mariadb-install-db --defaults-file="$dir/my.cnf" \
		--skip-test-db --auth-root-authentication-method=socket \
		--auth-root-socket-user="$(id -un)" >"$dir/install.log" 2>&1 ||
		fail "mariadb-install-db failed, see $dir/install.log"
	if ! launch mariadbd --defaults-file="$dir/my.cnf" \
		"${user_option[@]}" || ! load_shop; then
		stop_failed
	fi
	cat >"$dir/env" <<-END
		HOST=127.0.0.1
		PORT=$port
		SOCKET=$dir/socket
		CA=$dir/ca.pem
		PID=$pid
		DATABASE=$DATABASE
		USER=loadgen
		PASSWORD=$PASSWORD
	END
	cat "$dir/env"
}

# Ends this directory's server, and returns when it has gone.
stop() {
	stop_server "$(cat "$dir/pid" 2>/dev/null || echo "$pid")" TERM
}

[ $# -ge 2 ] || usage
action=$1
dir=$(realpath -m -- "$2")
shift 2
port=
general_log=OFF
require=SSL
client_tls="ssl-ca=$dir/ca.pem
ssl-verify-server-cert"
while [ $# -gt 0 ]; do
	case $1 in
	--port)
		[[ ${2:-} =~ ^[0-9]+$ ]] || usage
		port=$2
		shift
		;;
	--general-log) general_log=ON ;;
	--plain)
		require=NONE
		client_tls=skip-ssl
		;;
	*) usage ;;
	esac
	shift
done
case $action in
start) start ;;
stop) stop ;;
*) usage ;;
esac
