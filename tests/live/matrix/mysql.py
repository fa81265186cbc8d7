#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mysql.py - PyMySQL, which takes Python's ssl where CA is given: each line of
# standard input is a statement.  Server and user are in the environment.
import os
import sys

import pymysql

authority = os.environ.get("CA")
connection = pymysql.connect(
    host=os.environ["HOST"], port=int(os.environ["PORT"]),
    user=os.environ["USER"], password=os.environ["PASSWORD"],
    database=os.environ["DATABASE"], autocommit=True,
    ssl={"ca": authority} if authority else None)
with connection, connection.cursor() as cursor:
    for statement in sys.stdin.read().splitlines():
        cursor.execute(statement)
