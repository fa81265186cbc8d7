// SPDX-License-Identifier: GPL-2.0-or-later
// mysql.js - the mysql package, which takes Node's TLS (OpenSSL inside the
// executable) where CA is given: each line of standard input is a statement.
"use strict";
const fs = require("fs");
const mysql = require("mysql");

const environment = process.env;
const connection = mysql.createConnection({
	host: environment.HOST,
	port: Number(environment.PORT),
	user: environment.USER,
	password: environment.PASSWORD,
	database: environment.DATABASE,
	ssl: environment.CA ? {ca: fs.readFileSync(environment.CA)} : undefined,
});

function check(error) {
	if (error)
		throw error;
}

for (const statement of fs.readFileSync(0, "utf8").trimEnd().split("\n"))
	connection.query(statement, check);
connection.end(check);
