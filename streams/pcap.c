/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.c - the offline source: a capture file's packets into connections.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "streams/pcap.h"
#include "streams/pcap_ip.h"
#include "streams/pcap_link.h"
#include "streams/pcap_tcp.h"
#include "streams/pcapng.h"

#define INPUT_BYTES   (256 << 10) /* of one read() */
#define NS_PER_SECOND 1000000000ULL

struct offline {
	struct offline_settings settings;
	FILE *file;	/* NULL: libpcap's, which closes it */
	char *buffer;	/* of `file` */
	pcap_t *pcap;	/* one of these two */
	struct pcapng *pcapng;
	int link_type;	/* of a pcap file */
	struct ip_fragments *fragments;
	struct tcp_table *tcp;
	bool stopped;	/* wait() said so */
	bool link_warned;
	char error[PCAP_ERRBUF_SIZE];
};

/* What stdio reads from when the source opened the file itself. */
struct input {
	int fd;
	struct offline *offline;
};

static bool input_ready(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 0) > 0;
}

/* A read of stdio's, which tells when it would have to wait. */
static ssize_t input_read(void *cookie, char *bytes, size_t size)
{
	struct input *input = cookie;
	struct offline *offline = input->offline;
	ssize_t length;

	for (;;) {
		if (offline->settings.wait && !input_ready(input->fd)) {
			if (offline->settings.wait(offline->settings.context,
						   input->fd))
				continue;
			offline->stopped = true;
			return 0;
		}
		length = read(input->fd, bytes, size);
		if (length >= 0 || (errno != EINTR && errno != EAGAIN))
			return length;
	}
}

static int input_close(void *cookie)
{
	struct input *input = cookie;
	int status = input->fd == STDIN_FILENO ? 0 : close(input->fd);

	free(input);
	return status;
}

/* A stream on the file that tells when it would wait; NULL: see errno. */
static FILE *input_open(struct offline *offline, const char *path)
{
	const cookie_io_functions_t functions = { .read = input_read,
						  .close = input_close };
	struct input *input = calloc(1, sizeof(*input));
	FILE *file;

	if (!input)
		return NULL;
	input->offline = offline;
	input->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) :
					STDIN_FILENO;
	file = input->fd >= 0 ? fopencookie(input, "r", functions) : NULL;
	if (!file && input->fd >= 0)
		input_close(input);
	else if (!file)
		free(input);
	return file;
}

void offline_free(struct offline *offline)
{
	if (!offline)
		return;
	if (offline->pcap)
		pcap_close(offline->pcap);
	if (offline->file)
		fclose(offline->file);
	free(offline->buffer);
	pcapng_free(offline->pcapng);
	ip_fragments_free(offline->fragments);
	tcp_table_free(offline->tcp);
	free(offline);
}

/* A pcap file: libpcap takes the stream over. */
static int open_pcap(struct offline *offline)
{
	offline->pcap = pcap_fopen_offline_with_tstamp_precision(
		offline->file, PCAP_TSTAMP_PRECISION_NANO, offline->error);
	if (!offline->pcap)
		return -1;
	offline->file = NULL;
	offline->link_type = pcap_datalink(offline->pcap);
	if (link_known(offline->link_type))
		return 0;
	snprintf(offline->error, sizeof(offline->error),
		 "packets of link type %d (%s), which is not known",
		 offline->link_type,
		 pcap_datalink_val_to_description_or_dlt(offline->link_type));
	return -1;
}

/* Which format it is the first byte tells. */
static int open_format(struct offline *offline)
{
	int first;

	errno = 0;
	first = getc(offline->file);
	if (first == EOF) {
		snprintf(offline->error, sizeof(offline->error), "%s",
			 errno ? strerror(errno) : "the file is empty");
		return -1;
	}
	ungetc(first, offline->file);
	if (first != PCAPNG_FIRST_BYTE)
		return open_pcap(offline);
	offline->pcapng = pcapng_new(offline->file);
	if (offline->pcapng)
		return 0;
	snprintf(offline->error, sizeof(offline->error), "out of memory");
	return -1;
}

static int open_tables(struct offline *offline)
{
	const struct offline_settings *settings = &offline->settings;
	const struct tcp_settings tcp = {
		.connections = settings->connections,
		.account = settings->account,
		.bound = settings->bound,
		.opened = settings->opened,
		.context = settings->context,
	};

	offline->fragments = ip_fragments_new();
	offline->tcp = tcp_table_new(&tcp);
	if (offline->fragments && offline->tcp)
		return 0;
	snprintf(offline->error, sizeof(offline->error), "out of memory");
	return -1;
}

/* The stream is open, or is not and errno says why. */
static int open_source(struct offline **result, struct offline *offline,
		       FILE *file, char *text, size_t size)
{
	offline->file = file;
	if (!file) {
		snprintf(text, size, "%s", strerror(errno));
		offline_free(offline);
		return -1;
	}
	if (open_tables(offline) || open_format(offline)) {
		snprintf(text, size, "%s", offline->error);
		offline_free(offline);
		return -1;
	}
	offline->settings.account->offline = true;
	connection_table_offline(offline->settings.connections);
	*result = offline;
	return 0;
}

static struct offline *offline_new(const struct offline_settings *settings,
				   char *text, size_t size)
{
	struct offline *offline = calloc(1, sizeof(*offline));

	if (!offline) {
		snprintf(text, size, "out of memory");
		return NULL;
	}
	offline->settings = *settings;
	return offline;
}

int offline_open(struct offline **result, const char *path,
		 const struct offline_settings *settings, char *text,
		 size_t size)
{
	struct offline *offline = offline_new(settings, text, size);
	FILE *file;

	if (!offline)
		return -1;
	file = input_open(offline, path);
	offline->buffer = malloc(INPUT_BYTES);
	if (file && offline->buffer)
		setvbuf(file, offline->buffer, _IOFBF, INPUT_BYTES);
	return open_source(result, offline, file, text, size);
}

int offline_open_file(struct offline **result, FILE *file,
		      const struct offline_settings *settings, char *text,
		      size_t size)
{
	struct offline *offline = offline_new(settings, text, size);

	if (offline)
		return open_source(result, offline, file, text, size);
	fclose(file);
	return -1;
}

const char *offline_error(const struct offline *offline)
{
	return offline->error;
}

uint64_t offline_time(const struct offline *offline)
{
	return tcp_time(offline->tcp);
}

/* libpcap's next packet; as pcapng_read(). */
static int read_pcap(struct offline *offline, struct packet *packet)
{
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	int status = pcap_next_ex(offline->pcap, &header, &bytes);

	if (status == PCAP_ERROR_BREAK)
		return 0;
	if (status != 1) {
		snprintf(offline->error, sizeof(offline->error), "%s",
			 pcap_geterr(offline->pcap));
		return -1;
	}
	*packet = (struct packet){
		.data = { bytes, header->caplen,
			  header->len > header->caplen ? header->len :
							 header->caplen },
		.link_type = offline->link_type,
		/* Of nanosecond precision, whatever the field is called. */
		.time_ns = (uint64_t)header->ts.tv_sec * NS_PER_SECOND +
			   (uint64_t)header->ts.tv_usec,
	};
	return 1;
}

/* 1: a packet; 0: no more; -1: the rest cannot be read. */
static int read_packet(struct offline *offline, struct packet *packet)
{
	int status;

	if (offline->pcap)
		return read_pcap(offline, packet);
	status = pcapng_read(offline->pcapng, packet);
	if (status < 0)
		snprintf(offline->error, sizeof(offline->error), "%s",
			 pcapng_error(offline->pcapng));
	return status;
}

/* Packets of an interface of a pcapng file that nobody can read. */
static void warn_link(struct offline *offline, int link_type)
{
	char text[96];

	if (offline->link_warned || link_known(link_type) ||
	    !offline->settings.warning)
		return;
	offline->link_warned = true;
	snprintf(text, sizeof(text),
		 "packets of link type %d are passed over: not known",
		 link_type);
	offline->settings.warning(offline->settings.context, text);
}

/* True: of another connection than the packet before. */
static bool take_packet(struct offline *offline, const struct packet *packet)
{
	struct account *account = offline->settings.account;
	struct slice slice = packet->data;
	struct ip_packet ip;

	account->packets++;
	switch (link_open(packet->link_type, &slice)) {
	case LINK_IP:
		break;
	case LINK_OTHER:
		warn_link(offline, packet->link_type);
		account->packets_other++;
		return false;
	case LINK_CUT:
		account->packets_bad++;
		return false;
	}
	switch (ip_open(offline->fragments, slice, packet->time_ns, &ip)) {
	case IP_WHOLE:
		if (ip.protocol == IPPROTO_TCP)
			return tcp_add(offline->tcp, &ip, packet);
		account->packets_other++;
		break;
	case IP_KEPT:
	case IP_DROPPED:
		account->packets_fragments++;
		break;
	case IP_BAD:
		account->packets_bad++;
		break;
	}
	return false;
}

enum offline_status offline_read(struct offline *offline)
{
	size_t packets = 0, bytes = 0;
	bool is_other = false;
	struct packet packet;
	int status = 1;

	while (packets < OFFLINE_PASS_PACKETS && bytes < OFFLINE_PASS_BYTES &&
	       !is_other) {
		status = read_packet(offline, &packet);
		if (status != 1)
			break;
		packets++;
		bytes += packet.data.captured;
		is_other = take_packet(offline, &packet);
	}
	tcp_sweep(offline->tcp);
	if (status == 1)
		return OFFLINE_MORE;
	return status == 0 || offline->stopped ? OFFLINE_END : OFFLINE_FAILED;
}

void offline_settle(struct offline *offline)
{
	tcp_settle(offline->tcp);
}

void offline_end(struct offline *offline)
{
	tcp_end(offline->tcp);
	offline->settings.account->fragments_dropped =
		ip_fragments_dropped(offline->fragments) +
		ip_fragments_kept(offline->fragments);
}
