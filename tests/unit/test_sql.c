/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sql.c - the SQL lexer: masks, redactions, verbs and tables.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/sql.h"
#include "tests/unit/suite.h"

/* text, masked */
static const char *const masks[][2] = {
	{ "SELECT 1", "SELECT ?" },
	{ "SELECT -1, +2, 3-4, a -5, (-6)", "SELECT ?, ?, ?-?, a -?, (?)" },
	{ "WHERE a=-1 AND b IN (-1,+2)", "WHERE a=? AND b IN (?,?)" },
	{ "'a''b', 'c\\'d', \"e\"\"f\"", "?, ?, ?" },
	{ "N'x' x'1f' b'01' _utf8'y' _utf8 'z'", "? ? ? ? _utf8 ?" },
	{ "0x1F 0b01 1.5 .5 1e9 1.5e-3 2.", "? ? ? ? ? ? ?" },
	{ "t1.c2, t.1, `a`.5, a.5x", "t1.c2, t.1, `a`.5, a.5x" },
	{ "`it's` = 'x' AND `a``b'` = 'y'", "`it's` = ? AND `a``b'` = ?" },
	{ "SELECT 1 -- 'secret'\n, 2", "SELECT ? -- ?\n, ?" },
	{ "SELECT 1 # secret\n, 2", "SELECT ? # ?\n, ?" },
	{ "SELECT /* secret */ 2", "SELECT /* ? */ ?" },
	{ "SELECT /**/ 2", "SELECT /**/ ?" },
	{ "5--1", "?-?" },
	{ "/*!50003 SELECT 'x' */ + 1", "/*!50003 SELECT ? */ + ?" },
	{ "/*M!100100 SELECT 'x' */", "/*M!100100 SELECT ? */" },
	{ "SELECT /*+ INDEX(t i) */ 1", "SELECT /*+ INDEX(t i) */ ?" },
	{ "SELECT /*+ MAX_EXECUTION_TIME(1000) */ 1",
	  "SELECT /*+ MAX_EXECUTION_TIME(?) */ ?" },
	{ "SELECT /*+ SET_VAR(a='se''cret') BKA(`t`) -- x */ 1",
	  "SELECT /*+ SET_VAR(a=?) BKA(`t`) -- ?*/ ?" },
	{ "SELECT /*+ 'cut */ 1", "SELECT /*+ ?*/ ?" },
	{ "SELECT /*+*/ 1", "SELECT /*+*/ ?" },
	{ "SELECT /*+ /*x*/ 1", "SELECT /*+ /* ? */*/ ?" },
	{ "TRUE, NULL, ?, @v, @@x", "TRUE, NULL, ?, @v, @@x" },
	{ "SELECT 'cut secret", "SELECT ?" },
	{ "SELECT \"cut secret", "SELECT ?" },
	{ "SELECT 'cut secret\\", "SELECT ?" },
	{ "SELECT /* cut secret", "SELECT /* ? */" },
	{ "SELECT /*+ cut secret", "SELECT /* ? */" },
	{ "SELECT -- cut secret", "SELECT -- ?" },
	{ "", "" },
	{ "/", "/" },
	{ "-", "-" },
	{ "'", "?" },
};

START_TEST(masks_literals)
{
	const char *text = masks[_i][0];
	char out[512];
	size_t length = sql_mask(text, strlen(text), 0, out);

	out[length] = '\0';
	ck_assert_str_eq(out, masks[_i][1]);
}
END_TEST

/* text, shown */
static const char *const redactions[][2] = {
	{ "SELECT 'a', 1", "SELECT 'a', 1" },
	{ "CREATE USER 'u'@'h' IDENTIFIED BY 's', v IDENTIFIED BY 't'",
	  "CREATE USER 'u'@'h' IDENTIFIED BY '?', v IDENTIFIED BY '?'" },
	{ "CREATE USER u IDENTIFIED VIA ed25519 USING PASSWORD('s')",
	  "CREATE USER u IDENTIFIED VIA ed25519 USING PASSWORD('?')" },
	{ "ALTER USER u IDENTIFIED BY 'n' REPLACE 'o' REQUIRE SSL COMMENT 'c'",
	  "ALTER USER u IDENTIFIED BY '?' REPLACE '?' REQUIRE SSL COMMENT "
	  "'c'" },
	{ "GRANT ALL ON *.* TO u IDENTIFIED WITH p AS 0x12ab",
	  "GRANT ALL ON *.* TO u IDENTIFIED WITH p AS '?'" },
	{ "SET PASSWORD = 's'", "SET PASSWORD = '?'" },
	{ "set password for 'u'@'h' = password('s')",
	  "set password for 'u'@'h' = password('?')" },
	{ "SELECT PASSWORD('s'), OLD_PASSWORD(CONCAT('s', 't')), 'shown'",
	  "SELECT PASSWORD('?'), OLD_PASSWORD(CONCAT('?', '?')), 'shown'" },
	{ "CHANGE MASTER TO MASTER_PASSWORD='s', MASTER_PORT=3306",
	  "CHANGE MASTER TO MASTER_PASSWORD='?', MASTER_PORT=3306" },
	{ "UPDATE u SET password='s', n='shown'",
	  "UPDATE u SET password='?', n='shown'" },
	{ "SELECT 1 FROM u WHERE `user_passwd` = 's' AND n = 'shown'",
	  "SELECT 1 FROM u WHERE `user_passwd` = '?' AND n = 'shown'" },
	{ "SET PASSWORD = 'cut", "SET PASSWORD = '?'" },
	{ "SET PASSWORD = 's'; SELECT 'shown'",
	  "SET PASSWORD = '?'; SELECT 'shown'" },
	{ "ALTER USER u PASSWORD EXPIRE, 'shown'",
	  "ALTER USER u PASSWORD EXPIRE, 'shown'" },
};

START_TEST(redacts_passwords)
{
	const char *text = redactions[_i][0];
	char out[512];
	size_t length = sql_redact(text, strlen(text), 0, out);

	out[length] = '\0';
	ck_assert_str_eq(out, redactions[_i][1]);
	/* The mask hides them too. */
	length = sql_mask(text, strlen(text), 0, out);
	out[length] = '\0';
	ck_assert_ptr_null(strstr(out, "'s'"));
	ck_assert_ptr_null(strstr(out, "cut"));
}
END_TEST

/* text, "VERB table table" */
static const char *const descriptions[][2] = {
	{ "select * from t", "SELECT t" },
	{ "SELECT a FROM `my``t` m, db.`o` x JOIN y ON 1, z",
	  "SELECT my`t db.o y z" },
	{ "SELECT EXTRACT(YEAR FROM d), TRIM(BOTH 'x' FROM y) FROM t",
	  "SELECT t" },
	{ "SELECT SUBSTRING(a FROM 2) FROM (SELECT * FROM u) d", "SELECT u" },
	{ "SELECT 1 FROM DUAL", "SELECT" },
	{ "(SELECT 1 FROM a) UNION ALL (SELECT 2 FROM b)", "SELECT a b" },
	{ "SELECT (SELECT 1 FROM o) FROM c WHERE EXISTS (SELECT 1 FROM p)",
	  "SELECT o c p" },
	{ "SELECT * FROM a LEFT JOIN (b, c) ON a.x = b.x", "SELECT a b c" },
	{ "SELECT `from` FROM t WHERE t.from = @from", "SELECT t" },
	{ "SELECT * FROM t FOR UPDATE", "SELECT t" },
	{ "SELECT * FROM JSON_TABLE('[]', '$') j", "SELECT" },
	{ "SELECT STRAIGHT_JOIN a FROM t STRAIGHT_JOIN u", "SELECT t u" },
	{ "SELECT a INTO OUTFILE '/x' FROM t", "SELECT t" },
	{ "SELECT a INTO @v FROM t", "SELECT t" },
	{ "WITH RECURSIVE c (n) AS (SELECT 1 UNION SELECT n FROM c), d AS "
	  "(SELECT * FROM base) SELECT * FROM c JOIN d JOIN real_one",
	  "SELECT base real_one" },
	{ "WITH c AS (SELECT 1) DELETE FROM t WHERE id IN (SELECT 1 FROM c)",
	  "DELETE t" },
	{ "INSERT INTO t (a, b) VALUES (1, 2), (3, 4)", "INSERT t" },
	{ "insert ignore t select * from s", "INSERT t s" },
	{ "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1",
	  "INSERT t" },
	{ "REPLACE INTO t SET a = REPLACE(b, 'x', 'y')", "REPLACE t" },
	{ "UPDATE a, b SET a.x = 1 WHERE b.y = (SELECT 1 FROM c)",
	  "UPDATE a b c" },
	{ "DELETE x, y FROM t AS x JOIN u AS y", "DELETE t u" },
	{ "DELETE FROM x USING t AS x JOIN u", "DELETE t u" },
	{ "LOAD DATA LOCAL INFILE 'f' INTO TABLE t FIELDS TERMINATED BY ','",
	  "LOAD t" },
	{ "CREATE TABLE IF NOT EXISTS a.b (id INT, KEY k (id))",
	  "CREATE a.b" },
	{ "CREATE TABLE a LIKE b", "CREATE a b" },
	{ "CREATE UNIQUE INDEX i ON t (a)", "CREATE t" },
	{ "DROP TABLE IF EXISTS a, b", "DROP a b" },
	{ "TRUNCATE t", "TRUNCATE t" },
	{ "TRUNCATE TABLE t", "TRUNCATE t" },
	{ "LOCK TABLES a READ, b WRITE", "LOCK a b" },
	{ "RENAME TABLE a TO b, c TO d", "RENAME a b c d" },
	{ "GRANT SELECT ON shop.t TO u", "GRANT shop.t" },
	{ "SHOW FULL COLUMNS FROM t FROM db", "SHOW t" },
	{ "SHOW TABLES FROM db", "SHOW" },
	{ "SHOW CREATE TABLE t", "SHOW t" },
	{ "DESC t", "DESC t" },
	{ "EXPLAIN SELECT * FROM t", "EXPLAIN t" },
	{ "/* c */ -- d\n SELECT * FROM t", "SELECT t" },
	{ "/*!40000 ALTER TABLE `t` DISABLE KEYS */", "ALTER t" },
	{ "SELECT 1 FROM a; DELETE FROM b", "SELECT a b" },
	{ "CALL p(1)", "CALL" },
	{ "BEGIN", "BEGIN" },
	{ "  commit  ", "COMMIT" },
	{ "USE shop", "USE" },
	{ "1", "" },
	{ "", "" },
	{ "((((", "" },
	{ "SELECT * FROM t, T, t", "SELECT t" },
};

START_TEST(describes)
{
	static struct sql_description d;
	const char *text = descriptions[_i][0];
	char out[512];
	int n;

	sql_describe(&d, text, strlen(text), 0);
	n = snprintf(out, sizeof(out), "%s", d.operation);
	for (size_t i = 0; i < d.table_count; i++)
		n += snprintf(out + n, sizeof(out) - (size_t)n, " %.*s",
			      (int)d.tables[i].length, d.tables[i].bytes);
	ck_assert_str_eq(out, descriptions[_i][1]);
}
END_TEST

START_TEST(names_the_database_used)
{
	static struct sql_description d;

	sql_describe(&d, "USE `my shop`", 13, 0);
	ck_assert_uint_eq(d.database.length, 7);
	ck_assert(!memcmp(d.database.bytes, "my shop", 7));
	sql_describe(&d, "SELECT 1", 8, 0);
	ck_assert_ptr_null(d.database.bytes);
}
END_TEST

/* NO_BACKSLASH_ESCAPES: a backslash ends no literal's end. */
START_TEST(backslash_by_mode)
{
	static const char text[] = "SELECT 'a\\', 'secret'";
	char out[64];
	size_t length = sql_mask(text, sizeof(text) - 1, SQL_NO_BACKSLASH, out);

	ck_assert_uint_eq(length, 11);
	ck_assert(!memcmp(out, "SELECT ?, ?", 11));
}
END_TEST

/* Cut at every byte, in exact-size memory: no read past the end, no leak. */
START_TEST(cut_anywhere)
{
	static const char text[] =
		"INSERT INTO `t` VALUES ('secret', \"secret\", N'secret', "
		"'a\\'secret', 'b''secret') -- secret\n /* secret */ # secret";
	static struct sql_description d;

	for (size_t n = 0; n < sizeof(text); n++) {
		char *exact = malloc(n ? n : 1), *out = malloc(SQL_ROOM(n) + 1);
		size_t length;

		ck_assert(exact && out);
		memcpy(exact, text, n);
		length = sql_mask(exact, n, 0, out);
		ck_assert_uint_le(length, SQL_ROOM(n));
		out[length] = '\0';
		ck_assert_msg(!strstr(out, "sec"), "cut at %zu: %s", n, out);
		ck_assert_uint_le(sql_redact(exact, n, 0, out), SQL_ROOM(n));
		sql_describe(&d, exact, n, 0);
		free(exact);
		free(out);
	}
}
END_TEST

/* Deeper than is looked at, and back: what follows is seen again. */
START_TEST(parentheses_of_any_depth)
{
	static struct sql_description d;
	char text[1024];

	for (int depth = 1; depth < 300; depth++) {
		char *at = mempcpy(text, "SELECT ", 7);

		memset(at, '(', (size_t)depth);
		at += depth;
		*at++ = '1';
		memset(at, ')', (size_t)depth);
		at = mempcpy(at + depth, " FROM t", 7);
		sql_describe(&d, text, (size_t)(at - text), 0);
		ck_assert_int_eq((int)d.table_count, 1);
		ck_assert_int_eq(*d.tables[0].bytes, 't');
	}
}
END_TEST

/* Any bytes at all stay within the room that is asked for. */
START_TEST(room_is_enough)
{
	static const char alphabet[] = "'\"`\\-#/*!+1.ex0b(,;= \nPASSWORD";
	static struct sql_description d;
	uint32_t seed = 7;

	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)round % 40;
		char *text = malloc(n + 1), *out = malloc(SQL_ROOM(n));

		ck_assert(text && out);
		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = alphabet[(seed >> 16) %
					   (sizeof(alphabet) - 1)];
		}
		ck_assert_uint_le(sql_mask(text, n, 0, out), SQL_ROOM(n));
		ck_assert_uint_le(sql_redact(text, n, 0, out), SQL_ROOM(n));
		sql_describe(&d, text, n, (unsigned)round & 1);
		free(text);
		free(out);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sql");
	TCase *c = tcase_create("sql");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, masks_literals, 0, COUNT(masks));
	tcase_add_loop_test(c, redacts_passwords, 0, COUNT(redactions));
	tcase_add_loop_test(c, describes, 0, COUNT(descriptions));
	tcase_add_test(c, names_the_database_used);
	tcase_add_test(c, backslash_by_mode);
	tcase_add_test(c, cut_anywhere);
	tcase_add_test(c, parentheses_of_any_depth);
	tcase_add_test(c, room_is_enough);
	suite_add_tcase(s, c);
	return suite_run(s);
}
