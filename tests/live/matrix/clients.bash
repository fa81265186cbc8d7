# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# clients.bash - the programs of the matrix, a function for each.
#
# Each becomes its program, which asks what its standard input says, a
# statement or target a line.  The server's env file is in the environment;
# $programs is this directory, $matrix has what was built and copied.
# shellcheck disable=SC2154 # the .bats file sets these

sql_lines() {
	sed 's/$/;/'
}

# request_lines: HTTP/1.1 of targets, the last one to end the connection.
request_lines() {
	awk -v ORS='\r\n' '
		NR > 1 { print "" }
		{ print "GET " $0 " HTTP/1.1"; print "Host: localhost" }
		END { print "Connection: close"; print "" }'
}

# url_lines SCHEME PORT
url_lines() {
	sed "s|^|$1://$HOST:$2|"
}

# ---- MariaDB

# run_mariadb OPTION...
run_mariadb() {
	MYSQL_PWD=$PASSWORD exec "${mariadb:-mariadb}" --no-defaults \
		--user="$USER" "$@" "$DATABASE" < <(sql_lines)
}

client_mariadb_tls() {
	run_mariadb --host="$HOST" --port="$PORT" --ssl-ca="$CA"
}

client_mariadb_plain() {
	run_mariadb --host="$HOST" --port="$PORT" --skip-ssl
}

client_mariadb_unix() {
	mariadb=$matrix/mariadb-cli/$unix_name
	run_mariadb --socket="$SOCKET" --skip-ssl
}

# run_sysbench OPTION...: its TLS takes files of fixed names, from where it is.
run_sysbench() {
	cat >"$matrix/sysbench/statements"
	cd "$matrix/sysbench" || exit
	STATEMENTS=statements exec sysbench "$programs/sysbench.lua" \
		--db-driver=mysql --mysql-host="$HOST" --mysql-port="$PORT" \
		--mysql-user="$USER" --mysql-password="$PASSWORD" \
		--mysql-db="$DATABASE" --threads=1 --time=0 \
		--events="$(wc -l <statements)" "$@" run
}

client_sysbench_tls() {
	run_sysbench --mysql-ssl=on
}

client_sysbench_plain() {
	run_sysbench
}

client_pymysql_tls() {
	exec /usr/bin/python3 "$programs/mysql.py"
}

client_pymysql_plain() {
	CA='' exec /usr/bin/python3 "$programs/mysql.py"
}

client_php_tls() {
	exec php "$programs/mysql.php"
}

client_php_plain() {
	CA='' exec php "$programs/mysql.php"
}

client_node_tls() {
	NODE_PATH=/usr/share/nodejs exec node "$programs/mysql.js"
}

client_node_plain() {
	CA='' NODE_PATH=/usr/share/nodejs exec node "$programs/mysql.js"
}

client_dbd_mysql() {
	exec perl "$programs/mysql.pl" mysql
}

client_dbd_mariadb() {
	exec perl "$programs/mysql.pl" MariaDB
}

# ---- PostgreSQL

# run_psql HOST SSLMODE
run_psql() {
	PGPASSWORD=$PASSWORD PGSSLMODE=$2 PGSSLROOTCERT=$CA \
		exec "${psql:-$(postgresql_program psql)}" --no-psqlrc --quiet \
		--host="$1" --port="$PORT" --username="$USER" \
		--dbname="$DATABASE" < <(sql_lines)
}

# The program behind Debian's script.
postgresql_program() {
	local files=(/usr/lib/postgresql/*/bin/"$1")
	echo "${files[-1]}"
}

client_psql_tls() {
	run_psql "$HOST" verify-full
}

client_psql_plain() {
	run_psql "$HOST" disable
}

client_psql_unix() {
	psql=$matrix/psql/$unix_name
	run_psql "$SOCKET" disable
}

# ---- Redis

client_redis_tls() {
	exec redis-cli -h "$HOST" -p "$TLS_PORT" --tls --cacert "$CA"
}

client_redis_plain() {
	exec redis-cli -h "$HOST" -p "$PORT"
}

client_redis_unix() {
	exec "$matrix/redis-cli/$unix_name" -s "$SOCKET"
}

# ---- nginx

# run_curl SCHEME PORT OPTION...
run_curl() {
	local urls
	mapfile -t urls < <(url_lines "$1" "$2")
	shift 2
	exec curl --silent --fail --cacert "$CA" "$@" "${urls[@]}"
}

client_curl_plain() {
	run_curl http "$PORT"
}

client_curl_http1() {
	run_curl https "$TLS_PORT" --http1.1
}

client_curl_http2() {
	run_curl https "$TLS_PORT" --http2
}

client_wget() {
	exec wget --quiet --output-document=- --ca-certificate="$CA" \
		--input-file=<(url_lines https "$TLS_PORT")
}

client_pycurl() {
	exec /usr/bin/python3 "$programs/https_pycurl.py"
}

client_curl_nss() {
	exec /usr/bin/python3 "$programs/https_nss.py"
}

client_go_http1() {
	PROTOCOL=1 exec "$matrix/https-go"
}

client_go_http2() {
	PROTOCOL=2 exec "$matrix/https-go"
}

client_node_https() {
	exec node "$programs/https.js"
}

# The end of its input is the end of tstclnt's side; nginx answers all the same.
client_tstclnt() {
	request_lines >"$matrix/requests"
	exec tstclnt -h "$HOST" -p "$TLS_PORT" -D -o <"$matrix/requests"
}

# open_requests: all of the requests in a pipe whose end never comes, for
# programs that leave at the end of their input; here it is the server's word.
open_requests() {
	rm -f "$matrix/pipe"
	mkfifo "$matrix/pipe"
	exec 9<>"$matrix/pipe"
	request_lines >&9
}

client_s_client() {
	open_requests
	exec openssl s_client -quiet -verify_return_error -CAfile "$CA" \
		-connect "$HOST:$TLS_PORT" <&9
}

client_gnutls_cli() {
	open_requests
	exec gnutls-cli --x509cafile="$CA" --port="$TLS_PORT" "$HOST" <&9
}
