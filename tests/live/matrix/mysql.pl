#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
# mysql.pl DRIVER - DBI with DBD::mysql or DBD::MariaDB, both over libmariadb:
# each line of standard input is a statement.
use strict;
use warnings;
use DBI;

my ($driver) = @ARGV;
my $option = lc $driver;
my $source = "dbi:$driver:host=$ENV{HOST};port=$ENV{PORT}"
	. ";database=$ENV{DATABASE}";
# DBD::mysql does not believe that libmariadb can insist on TLS.
$source .= ";${option}_ssl=1;${option}_ssl_ca_file=$ENV{CA}"
	. ($driver eq 'mysql' ? ";mysql_ssl_optional=1" : "") if $ENV{CA};
my $connection = DBI->connect($source, $ENV{USER}, $ENV{PASSWORD},
	{RaiseError => 1, PrintError => 0});
while (my $statement = <STDIN>) {
	chomp $statement;
	$connection->do($statement);
}
$connection->disconnect;
