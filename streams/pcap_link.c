/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_link.c - from a packet's link layer to the IP packet in it.
 */
#include "streams/pcap_link.h"

/* Values in files, which are not libpcap's DLT_* on every system. */
#define LINKTYPE_NULL	   0
#define LINKTYPE_ETHERNET  1
#define LINKTYPE_RAW_LINUX 12 /* as libpcap gives LINKTYPE_RAW on Linux */
#define LINKTYPE_RAW_BSD   14 /* likewise on OpenBSD */
#define LINKTYPE_RAW	   101
#define LINKTYPE_LOOP	   108
#define LINKTYPE_LINUX_SLL 113
#define LINKTYPE_IPV4	   228
#define LINKTYPE_IPV6	   229
#define LINKTYPE_SLL2	   276

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define VLAN_TAGS_MAX  8 /* QinQ has two; a frame of tags alone ends here */

#define ETHERNET_BYTES 14
#define SLL_BYTES      16
#define SLL2_BYTES     20
#define FAMILY_BYTES   4
#define VLAN_BYTES     4

bool link_known(int link_type)
{
	switch (link_type) {
	case LINKTYPE_NULL:
	case LINKTYPE_ETHERNET:
	case LINKTYPE_RAW_LINUX:
	case LINKTYPE_RAW_BSD:
	case LINKTYPE_RAW:
	case LINKTYPE_LOOP:
	case LINKTYPE_LINUX_SLL:
	case LINKTYPE_IPV4:
	case LINKTYPE_IPV6:
	case LINKTYPE_SLL2:
		return true;
	default:
		return false;
	}
}

static bool is_vlan(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 ||
	       type == 0x9200;
}

/* What follows is of that EtherType, perhaps behind tags. */
static enum link_verdict open_type(struct slice *slice, uint16_t type)
{
	unsigned tags;

	for (tags = 0; is_vlan(type) && tags < VLAN_TAGS_MAX; tags++) {
		if (slice->captured < VLAN_BYTES)
			return LINK_CUT;
		type = read_be16(slice->bytes + 2);
		slice_skip(slice, VLAN_BYTES);
	}
	return type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6 ? LINK_IP :
								  LINK_OTHER;
}

/* A header of that size, with the EtherType at an offset in it. */
static enum link_verdict open_header(struct slice *slice, size_t size,
				     size_t type_at)
{
	uint16_t type;

	if (slice->captured < size)
		return LINK_CUT;
	type = read_be16(slice->bytes + type_at);
	slice_skip(slice, size);
	return open_type(slice, type);
}

/*
 * The address family of the machine that captured, in its byte order (NULL)
 * or the network's (LOOP): AF_INET is 2 everywhere, AF_INET6 is not.
 */
static enum link_verdict open_family(struct slice *slice)
{
	uint32_t family;

	if (slice->captured < FAMILY_BYTES)
		return LINK_CUT;
	family = read_be32(slice->bytes);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	slice_skip(slice, FAMILY_BYTES);
	switch (family) {
	case 2:	 /* AF_INET */
	case 10: /* AF_INET6 of Linux */
	case 23: /* Windows */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* macOS */
		return LINK_IP;
	default:
		return LINK_OTHER;
	}
}

enum link_verdict link_open(int link_type, struct slice *slice)
{
	switch (link_type) {
	case LINKTYPE_ETHERNET:
		return open_header(slice, ETHERNET_BYTES, 12);
	case LINKTYPE_LINUX_SLL:
		return open_header(slice, SLL_BYTES, 14);
	case LINKTYPE_SLL2:
		return open_header(slice, SLL2_BYTES, 0);
	case LINKTYPE_NULL:
	case LINKTYPE_LOOP:
		return open_family(slice);
	default:
		return link_known(link_type) ? LINK_IP : LINK_OTHER;
	}
}
