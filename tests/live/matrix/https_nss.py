#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# https_nss.py - libcurl over NSS, for which Debian has no binding: each line of
# standard input is a target.  The server's certificate is not looked at, since
# NSS takes no authority from a file.
# Source of the numbers: https://curl.se/libcurl/c/symbols-in-versions.html
import ctypes
import os
import sys

WRITEFUNCTION, URL, SSL_VERIFYPEER, SSL_VERIFYHOST = 20011, 10002, 64, 81

curl = ctypes.CDLL("libcurl-nss.so.4")
curl.curl_easy_init.restype = ctypes.c_void_p
handle = ctypes.c_void_p(curl.curl_easy_init())


@ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t,
                  ctypes.c_size_t, ctypes.c_void_p)
def take(data, size, count, context):
    return size * count


# Variadic: where that matters, the fixed arguments are told apart.
curl.curl_easy_setopt.argtypes = [ctypes.c_void_p, ctypes.c_int]
curl.curl_easy_setopt(handle, SSL_VERIFYPEER, ctypes.c_long(0))
curl.curl_easy_setopt(handle, SSL_VERIFYHOST, ctypes.c_long(0))
curl.curl_easy_setopt(handle, WRITEFUNCTION, take)
base = "https://%s:%s" % (os.environ["HOST"], os.environ["TLS_PORT"])
for target in sys.stdin.read().splitlines():
    curl.curl_easy_setopt(handle, URL, (base + target).encode())
    error = curl.curl_easy_perform(handle)
    if error:
        sys.exit("curl_easy_perform: %d" % error)
curl.curl_easy_cleanup(handle)
