/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql.h - what the files of the MySQL parser share; no other file's affair.
 *
 *   mysql.c            packets -> messages, resynchronising, the interface
 *   mysql_queue.c      the requests that wait for their responses
 *   mysql_align.c      which of them a response answers, and how sure that is
 *   mysql_client.c     messages of the client -> commands in a queue
 *   mysql_server.c     messages of the server -> the first command's response
 *   mysql_report.c     a command and its response -> an exchange
 *   mysql_values.c     fields of rows and parameters -> text
 *   mysql_statements.c the prepared statements of a connection
 *   mysql_shape.c      what bytes look like, for probe() and resync()
 *   mysql_compress.c   frames of the compressed protocol -> packets
 *
 * A message is the payload of a packet, or of several where each but the last
 * is 16 MB - 1 long.  One that lies whole in the window is read there; else
 * its first bytes are gathered, up to MESSAGE_KEPT_BYTES, and the rest counted.
 * Source: MySQL source documentation, "Client/Server Protocol"; MariaDB
 * Knowledge Base, "Clients & Utilities: Client/Server Protocol".
 */
#ifndef DATASNOOP_PARSERS_MYSQL_H
#define DATASNOOP_PARSERS_MYSQL_H

#include "parsers/buffer.h"
#include "parsers/cursor.h"
#include "parsers/parser.h"
#include "parsers/sql_text.h"

#define MYSQL_HEADER_BYTES   4
#define MYSQL_PACKET_MAX     0xffffffu /* of this length: continued */
#define MESSAGE_KEPT_BYTES   (STATEMENT_BYTES_MAX + 4096)
#define COMMANDS_MAX	     128  /* pipelined; beyond, the client waits */
#define STATEMENTS_MAX	     256  /* prepared ones, the latest used */
#define STATEMENTS_BYTES_MAX (1u << 20) /* of their texts and columns */
#define LONG_DATA_MAX	     16	   /* parameters sent by SEND_LONG_DATA, kept */
#define COLUMN_NAMES_BYTES   32768 /* of names of one response's columns */
#define COLUMN_TYPES_MAX     4096  /* MySQL's own limit of columns */
#define PARAMETER_TYPES_MAX  65535 /* MySQL's own limit of parameters */
#define PARAMETERS_BYTES_MAX 65536 /* of decoded parameters of an execution */
#define PLUGIN_BYTES_MAX     64	   /* of an authentication plugin's name */

/* Capabilities, as both ends agreed; MariaDB's own are shifted by 32. */
#define CLIENT_MYSQL		 (1ull << 0)
#define CLIENT_CONNECT_WITH_DB	 (1ull << 3)
#define CLIENT_COMPRESS		 (1ull << 5)
#define CLIENT_PROTOCOL_41	 (1ull << 9)
#define CLIENT_SSL		 (1ull << 11)
#define CLIENT_SECURE_CONNECTION (1ull << 15)
#define CLIENT_PLUGIN_AUTH	 (1ull << 19)
#define CLIENT_CONNECT_ATTRS	 (1ull << 20)
#define CLIENT_LENENC_AUTH	 (1ull << 21)
#define CLIENT_DEPRECATE_EOF	 (1ull << 24)
#define CLIENT_OPTIONAL_METADATA (1ull << 25)
#define CLIENT_ZSTD		 (1ull << 26)
#define CLIENT_QUERY_ATTRIBUTES	 (1ull << 27)
#define MARIADB_EXTENDED_TYPES	 (1ull << 35)

#define STATUS_MORE_RESULTS	0x0008
#define STATUS_CURSOR_EXISTS	0x0040
#define STATUS_NO_BACKSLASH	0x0200
#define STATUS_SESSION_CHANGED	0x4000

enum mysql_command {
	COM_QUIT = 0x01,
	COM_INIT_DB = 0x02,
	COM_QUERY = 0x03,
	COM_FIELD_LIST = 0x04,
	COM_STATISTICS = 0x09,
	COM_CHANGE_USER = 0x11,
	COM_BINLOG_DUMP = 0x12,
	COM_TABLE_DUMP = 0x13,
	COM_REGISTER_SLAVE = 0x15,
	COM_STMT_PREPARE = 0x16,
	COM_STMT_EXECUTE = 0x17,
	COM_STMT_SEND_LONG_DATA = 0x18,
	COM_STMT_CLOSE = 0x19,
	COM_STMT_RESET = 0x1a,
	COM_STMT_FETCH = 0x1c,
	COM_BINLOG_DUMP_GTID = 0x1e,
	COM_RESET_CONNECTION = 0x1f,
	COM_STMT_BULK_EXECUTE = 0xfa,
	COMMAND_LOGIN = 0x100,	/* a HandshakeResponse */
	COMMAND_UNKNOWN = 0x101, /* a response whose request was lost */
	COMMAND_CONNECT = 0x102 /* nothing: the server refuses the connection */
};

/* Is it that?  SHAPE_SHORT: the bytes end too early to tell. */
enum shape { SHAPE_NO, SHAPE_SHORT, SHAPE_YES };

/* A piece of a buffer that may move; length 0 and at 0: none. */
struct piece_of {
	uint32_t at;
	uint32_t length : 31;
	uint32_t alias : 1; /* a column's that has no origin */
};

/* A message, as one of the handlers gets it. */
struct message {
	const uint8_t *bytes;
	size_t kept;	 /* bytes there */
	uint64_t length; /* of the whole; > kept: cut */
	bool holed;	 /* bytes are missing behind the kept ones */
	uint8_t first_sequence, last_sequence;
	uint64_t wire_bytes; /* headers included */
	uint64_t first_ns, last_ns;
	uint64_t sent_ns; /* when its first byte moved, at the latest */
	uint64_t missed; /* bytes of it */
	uint32_t tid;
};

enum flow_place {
	FLOW_UNSYNCED, /* no packet boundary known */
	FLOW_HEADER,   /* a packet's header is next */
	FLOW_BODY      /* inside a packet's payload */
};

/* One side's stream of packets. */
struct flow {
	enum flow_place place;
	uint64_t body_left;   /* payload bytes of this packet to come */
	bool continues;	      /* another packet of the message follows */
	bool inside;	      /* between two packets of a message */
	uint8_t sequence;     /* of the last packet */
	bool begun;	      /* a window of it has been seen */
	uint64_t last_ns;     /* when the byte before the window moved, at the
				 latest; UINT64_MAX: it was lost */
	bool at_gap;	      /* the message may have begun in the write that
				 a gap has cut */
	struct message message; /* as far as read; bytes unused */
	struct buffer gathered;
};

/* The column definitions of a response, all its result sets together. */
struct origin {
	struct piece_of schema, table;
};

struct columns {
	struct buffer names;  /* text that the pieces below point into */
	struct buffer pieces; /* struct piece_of[]: a name for each column */
	struct origin origins[EXCHANGE_TARGETS_MAX];
	size_t origin_count;
	struct buffer codes; /* uint16_t[] of the current set: type, flags */
	uint64_t total;	     /* of all sets */
	uint64_t set_total;  /* of the current set */
	size_t set_first;    /* index of the current set's first name */
};

#define CODE_UNSIGNED 0x8000 /* in a column's or parameter's code */

struct statement;

/* How sure is it that a response answers this command? */
enum pairing {
	PAIRING_COUNTED, /* no packet was lost since it was sure */
	PAIRING_TIMED,	 /* their times and their neighbours' leave no other */
	PAIRING_OPEN,	 /* what the client sends next will tell */
	PAIRING_UNSURE
};

/* A request whose response is not finished. */
struct command {
	unsigned code;	     /* enum mysql_command, or another byte */
	struct buffer text;  /* a statement; a name of a table or database */
	bool text_cut;	     /* longer than kept */
	bool text_known;     /* text is the statement */
	struct buffer values; /* parameters as text; user and database */
	struct buffer pieces; /* struct piece_of[] into values */
	uint32_t statement_id;
	uint16_t parameters; /* of the prepared statement */
	uint16_t bulk_flags; /* of COM_STMT_BULK_EXECUTE */
	uint64_t bulk_sets;  /* its sets of parameters */
	bool has_file;	     /* file content of LOAD DATA LOCAL has come */
	bool file_ended;     /* and its empty last packet */
	uint8_t answer_sequence; /* of the first packet of its response */
	uint8_t last_sequence; /* of the client's packets of it */
	uint64_t request_bytes, start_ns;
	uint64_t sent_ns; /* its first byte's, at the latest; start_ns: at the
			     earliest */
	uint32_t tid;
	bool damaged;
	bool after_gap; /* requests may have been lost right before it */
	bool near_gap;	/* and in the same write */
	bool alone;	/* of that one's, answered as if it was the only */
	enum pairing pairing;
	uint64_t missed;
};

enum phase {
	PHASE_FIRST,	   /* the response's, or a further result's, first */
	PHASE_DEFINITIONS, /* column definitions */
	PHASE_METADATA_END,/* behind them: an EOF, a row or the end */
	PHASE_ROWS,
	PHASE_EVENTS,	   /* of a binary log, as long as the client listens */
	PHASE_PREPARED,	   /* definitions behind a COM_STMT_PREPARE's OK */
	PHASE_FILE	   /* the server reads a LOAD DATA LOCAL file */
};

/* The response to the first command in the queue, as far as it has come. */
struct response {
	enum phase phase;
	bool started;
	bool binary, binary_known; /* rows */
	uint64_t definitions_left;
	uint64_t parameters_left; /* PHASE_PREPARED: of definitions_left */
	uint32_t statement_id;	  /* PHASE_PREPARED */
	uint16_t parameter_count;
	bool failed;
	int64_t status, rows, affected;
	uint64_t insert_id; /* the last one told; 0: none */
	uint64_t warnings;  /* the last number of them told */
	uint64_t events;    /* of a binary log */
	uint32_t results;
	char sqlstate[5];
	bool has_sqlstate;
	struct buffer error;
	uint64_t bytes, first_ns, last_ns;
	bool described; /* connection->exchange holds what the request says */
};

/* Does the connection use the compressed protocol? */
enum framing {
	FRAMING_UNKNOWN, /* begun in mid-connection */
	FRAMING_NONE,
	FRAMING_MAYBE, /* the client asked for it, the next bytes tell */
	FRAMING_DOUBTFUL, /* but those were lost, so later ones must */
	FRAMING_FRAMES
};

struct frames;

enum eof_mode { EOF_UNKNOWN, EOF_CLASSIC, EOF_DEPRECATED };

struct mysql {
	const struct observer *observer;
	bool from_start;   /* the first bytes are the connection's */
	bool greeted;	   /* the server's greeting has been read */
	bool commanded;	   /* a request has been read */
	bool answered;	   /* a message of the server has been read */
	bool done;	   /* nothing more can be read here */
	uint64_t capabilities; /* of the client, or of both once greeted */
	uint64_t server_capabilities;
	bool capabilities_known;
	enum eof_mode eof_mode;
	bool stray_eof;	  /* an EOF that ends definitions may follow still */
	uint16_t status;  /* flags of the last OK or EOF */
	struct buffer namespace;
	bool namespace_known;
	struct flow flows[SIDES];
	struct command *commands; /* ring of command_room, a power of two */
	size_t command_first, command_count, command_room;
	bool pipelined;	  /* commands overtake responses here */
	char plugin[PLUGIN_BYTES_MAX]; /* that the login names; "": none */
	char switched[PLUGIN_BYTES_MAX]; /* that the server asks for instead */
	bool response_lost; /* server's packets are out of step */
	bool client_gap;  /* requests may have been lost behind the last */
	bool doubt;	  /* responses may have been lost: times must tell */
	unsigned crowded; /* responses to go until times are trusted again */
	bool held;	  /* the first command's response is whole, and open */
	uint64_t answer_first_ns, answer_last_ns; /* when the response began */
	size_t dropped;	  /* bytes that resync() told the caller to drop */
	uint64_t dropped_ns; /* and when the last of them moved */
	bool forced[SIDES]; /* gap(side, 0): do not wait for the other side */
	uint64_t client_missed; /* bytes that belong to no known command */
	uint64_t server_missed;
	enum framing framing;
	struct frames *frames; /* NULL: it is not, or not yet */
	struct response response;
	struct columns columns;
	struct statements *statements;
	struct exchange exchange;
	struct sql_text *text; /* held: the exchange's statement; NULL: none */
	struct buffer names; /* qualified targets of the exchange */
	char unnamed[24]; /* "COM_??? (0x2f)" */
};

/* mysql.c: a side's packets, once what frames them has been taken off. */
struct step mysql_parse_packets(struct mysql *my, enum side side,
				const struct window *window);
size_t mysql_resync_packets(struct mysql *my, enum side side,
			    const struct window *window);
/* @exact: so many bytes of packets, not more; > 0 */
void mysql_gap_packets(struct mysql *my, enum side side, uint64_t missed,
		       bool exact);

/* mysql_compress.c */
/*
 * mysql_frames_begin - are the side's bytes frames of the compressed protocol?
 *
 * Both ends turn to it behind the OK of a login that agreed on it.  Where no
 * login was seen, the bytes must tell.
 */
bool mysql_frames_begin(struct mysql *my, enum side side,
			const struct window *window);
/* Must the next bytes tell whether the connection is compressed? */
bool mysql_frames_possible(const struct mysql *my);
/* Does a login wait for the answer that turns compression on? */
bool mysql_frames_pending(struct mysql *my);
/* The login was answered: what follows is compressed if it agreed on that. */
void mysql_frames_agreed(struct mysql *my);
/* Does a frame that begins a request or a response stand here? */
enum shape mysql_frames_shape(enum side side, const uint8_t *bytes,
			      size_t length);
/*
 * The number of the packet that answers a request whose last one has that
 * number; where frames are numbered as well, theirs counts.
 */
uint8_t mysql_frames_answer(const struct mysql *my, uint8_t sequence);
/* Does a frame of that number begin at that byte of the server's packets? */
bool mysql_frames_start(const struct mysql *my, uint64_t offset,
			uint8_t sequence);
/* As those of struct parser, for a connection that is compressed. */
struct step mysql_frames_parse(struct mysql *my, enum side side,
			       const struct window *window);
size_t mysql_frames_resync(struct mysql *my, enum side side,
			   const struct window *window);
void mysql_frames_gap(struct mysql *my, enum side side, uint64_t missed);
/* Where the side's next frame begins is not known. */
void mysql_frames_lose(struct mysql *my, enum side side);
/* The connection has ended: reads what waits still. */
void mysql_frames_close(struct mysql *my);
void mysql_frames_free(struct mysql *my);

/* mysql_queue.c */
struct command *mysql_head(struct mysql *my);
struct command *mysql_command_at(struct mysql *my, size_t index);
/* A new last command, emptied; NULL: out of memory or COMMANDS_MAX. */
struct command *mysql_push(struct mysql *my);
/* Like mysql_push, but before all others. */
struct command *mysql_push_front(struct mysql *my);
void mysql_pop(struct mysql *my);
/* Does the command ask for a stream of events? */
bool mysql_is_dump(unsigned code);
/* Has the command no response by its nature? */
bool mysql_is_silent(const struct command *command);
/* Reports commands at the queue's head that get no response. */
void mysql_report_silent(struct mysql *my);

/* mysql_client.c */
/* May the message whose packet begins here be read before the server's? */
bool mysql_client_must_wait(struct mysql *my, const uint8_t *packet,
			    size_t length);
void mysql_client_message(struct mysql *my, const struct message *message);

/* Keeps the name of a plugin that checks passwords; what is none: "". */
void mysql_set_plugin(char plugin[PLUGIN_BYTES_MAX], struct span name);
/* Capabilities are what both ends said, as far as both were read. */
void mysql_agree(struct mysql *my);

/* mysql_server.c */
void mysql_server_message(struct mysql *my, const struct message *message);

/* mysql_align.c */
/* Which pending command does a response answer whose start moved at `ns`? */
struct command *mysql_align_answered(struct mysql *my, uint64_t ns);
/*
 * A response begins where the window does: makes the command that it answers
 * the queue's head, reporting those before it, whose responses are lost.
 * There must be one.
 */
void mysql_align_begin(struct mysql *my, const struct window *window);
/*
 * Several requests, or responses, moved as one: these times prove nothing, nor
 * those of the next.  To be told of every response that begins.
 */
void mysql_align_watch(struct mysql *my, const struct window *window);
#define CROWDED_RESPONSES 8 /* that must come singly, then */
/* The response is whole: reports it, unless what comes next must tell first. */
void mysql_align_end(struct mysql *my);
/* A request begins here, nothing was lost between it and the last. */
void mysql_align_next(struct mysql *my, const struct window *window);
/* The pairing that was open is sure, or it will never be. */
void mysql_align_settle(struct mysql *my, bool sure);
/* No more will come behind the response. */
void mysql_align_close(struct mysql *my);

/* mysql_report.c */
void mysql_response_reset(struct mysql *my);
/* Fills my->exchange with what the request and the columns say, once. */
void mysql_describe(struct mysql *my);
/* Reports the first command and takes it off the queue. */
void mysql_report(struct mysql *my);
void mysql_set_namespace(struct mysql *my, const void *name, size_t length);
size_t mysql_column_names(const struct columns *columns);
void mysql_columns_clear(struct columns *columns);
void mysql_columns_free(struct columns *columns);
size_t mysql_columns_bytes(const struct columns *columns);

/* mysql_values.c */
/* Room that mysql_value_text() needs at most for what is not a string. */
#define VALUE_TEXT_BYTES 96
/*
 * mysql_value_text - a binary field at the cursor as text
 * @text: where numbers and times are written; strings are not copied
 *
 * bytes NULL: an unknown type or a short field (cursor bad).
 */
struct span mysql_value_text(struct cursor *c, unsigned code,
			     char text[VALUE_TEXT_BYTES]);
/* Walks a row of the current result set; gives its fields to the observer. */
void mysql_row_values(struct mysql *my, const struct message *row);
bool mysql_row_is_text(const struct mysql *my, const uint8_t *row,
		       size_t length);
bool mysql_row_is_binary(struct mysql *my, const uint8_t *row,
			 size_t length);
/* Bulk execution's result: a row a set, its id and its affected rows. */
#define BULK_UNIT_RESULTS 64 /* in command->bulk_flags */
void mysql_unit_values(struct mysql *my, const struct message *row);
/*
 * mysql_query_attributes - the named values before a COM_QUERY's text
 *
 * Moves the cursor behind them, and puts "name=value" into command->values, a
 * piece each.  Nothing is done where there are none.
 */
void mysql_query_attributes(struct mysql *my, struct command *command,
			    struct cursor *c);
/* The parameters of COM_STMT_EXECUTE, _BULK_EXECUTE into command->values. */
void mysql_parameters(struct mysql *my, struct command *command,
		      struct statement *statement,
		      const struct message *message);

/* mysql_statements.c */
struct long_data {
	uint16_t parameter;
	struct buffer bytes; /* at most VALUE_BYTES_MAX */
};

struct statement {
	uint32_t id;
	uint64_t used; /* when last: a count of uses */
	struct buffer text;
	bool cut, known; /* of the text */
	uint16_t parameters;
	struct buffer types;	/* uint16_t[parameters], as last bound */
	struct columns columns; /* as last defined; what FETCH reads by */
	struct long_data long_data[LONG_DATA_MAX];
	unsigned long_count;
};

struct statement *mysql_statement_find(struct mysql *my, uint32_t id);
/* Forgets another of that id, and the longest unused when full. NULL: OOM. */
struct statement *mysql_statement_add(struct mysql *my, uint32_t id,
				      const struct command *prepare);
void mysql_statement_forget(struct mysql *my, uint32_t id);
void mysql_statements_clear(struct mysql *my);
void mysql_statement_reset(struct statement *statement);
/* Requests were lost: forgets what they may have bound or sent. */
void mysql_statements_unbind(struct mysql *my);
/* Copies the columns of the response to the statement. */
void mysql_statement_define(struct mysql *my, struct statement *statement);
/* Takes the statement's columns for the response's. */
void mysql_statement_recall(struct mysql *my, struct statement *statement);

/* mysql_shape.c */
/* Does a packet that begins a client's request stand here? */
enum shape mysql_shape_request(const uint8_t *bytes, size_t length);
/* A HandshakeResponse, protocol 4.1, or an SSLRequest? */
enum shape mysql_shape_login(const uint8_t *bytes, size_t length);
enum shape mysql_shape_greeting(const uint8_t *bytes, size_t length);
/* An error, all there is, from a server that wants no more clients? */
enum shape mysql_shape_refusal(const uint8_t *bytes, size_t length);
/* An event of a binary log, as a dump sends it? */
enum shape mysql_shape_event(const uint8_t *bytes, size_t length);
/* The first packet of a response, of that number? */
enum shape mysql_shape_response(const uint8_t *bytes, size_t length,
				uint8_t sequence);
/* A row of the current result set, or its end, then the next packet. */
enum shape mysql_shape_row(struct mysql *my, const uint8_t *bytes,
			   size_t length);
enum verdict mysql_probe(const struct opening *opening, bool *client_out);

#endif
