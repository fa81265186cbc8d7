<?php
// SPDX-License-Identifier: GPL-2.0-or-later
// mysql.php - mysqli over mysqlnd, with PHP's TLS streams where CA is given:
// each line of standard input is a statement.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$connection = mysqli_init();
$flags = 0;
if (getenv('CA')) {
	$connection->ssl_set(null, null, getenv('CA'), null, null);
	$flags = MYSQLI_CLIENT_SSL;
}
$connection->real_connect(getenv('HOST'), getenv('USER'), getenv('PASSWORD'),
	getenv('DATABASE'), (int)getenv('PORT'), null, $flags);
foreach (file('php://stdin', FILE_IGNORE_NEW_LINES) as $statement)
	$connection->query($statement);
$connection->close();
