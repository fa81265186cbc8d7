#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# https_pycurl.py - libcurl over GnuTLS: each line of standard input is a
# target.
import os
import sys

import pycurl

if "GnuTLS" not in pycurl.version:
    sys.exit("not over GnuTLS: " + pycurl.version)
base = "https://%s:%s" % (os.environ["HOST"], os.environ["TLS_PORT"])
curl = pycurl.Curl()
curl.setopt(pycurl.CAINFO, os.environ["CA"])
curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
curl.setopt(pycurl.WRITEFUNCTION, len)
for target in sys.stdin.read().splitlines():
    curl.setopt(pycurl.URL, base + target)
    curl.perform()
curl.close()
