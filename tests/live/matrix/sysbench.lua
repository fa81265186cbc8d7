-- SPDX-License-Identifier: GPL-2.0-or-later
-- sysbench.lua - sysbench, over libmariadb: an event for each line of the file
-- that STATEMENTS names; one thread, or they come more than once.
function thread_init()
	connection = sysbench.sql.driver():connect()
	statements = {}
	for statement in io.lines(os.getenv("STATEMENTS")) do
		statements[#statements + 1] = statement
	end
	turn = 0
end

function event()
	turn = turn + 1
	connection:query(statements[turn])
end

function thread_done()
	connection:disconnect()
end
