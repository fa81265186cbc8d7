/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_link.h - from a packet's link layer to the IP packet in it.
 */
#ifndef DATASNOOP_STREAMS_PCAP_LINK_H
#define DATASNOOP_STREAMS_PCAP_LINK_H

#include "streams/pcap_packet.h"

enum link_verdict {
	LINK_IP,    /* the slice begins with an IPv4 or IPv6 header */
	LINK_OTHER, /* carries something else: ARP, a control frame */
	LINK_CUT    /* ends inside its link header */
};

/* Is it a link type that link_open() knows? */
bool link_known(int link_type);

/*
 * link_open - take the link header, VLAN tags too, off the slice
 *
 * Knows Ethernet, Linux cooked v1 and v2, raw IP, and BSD loopback in either
 * byte order.  Which IP it is the first four bits of the IP header tell.
 * Source: https://www.tcpdump.org/linktypes.html and the pages it names;
 * IEEE 802.1Q-2018, 9.5 for tags.
 */
enum link_verdict link_open(int link_type, struct slice *slice);

#endif
