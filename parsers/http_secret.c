/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_secret.c - where HTTP carries what nobody may see.
 *
 * Names are compared in any case.  Sources: RFC 9110 section 11, RFC 6750
 * section 2.3 (access_token), RFC 6749 (client_secret, refresh_token), the
 * IANA registry of authentication schemes, and the API references of the
 * services whose headers and parameters are listed.
 */
#include "parsers/http_transaction.h"

#include <string.h>

static bool is_one_of(struct span name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_is_nocase(name, names[i]))
			return true;
	return false;
}

#define IS_ONE_OF(name, names) \
	is_one_of(name, names, sizeof(names) / sizeof(*(names)))

bool http_parameter_is_secret(struct span name)
{
	static const char *const secrets[] = {
		"key", "api_key", "apikey", "api-key", "x-api-key",
		"access_key", "accesskey", "subscription-key",
		"access_token", "refresh_token", "id_token", "auth_token",
		"token", "auth", "authorization", "bearer", "jwt",
		"client_secret", "client_assertion", "secret", "password",
		"passwd", "passphrase", "pwd", "pass", "credential",
		"sig", "signature", "x-amz-signature", "x-amz-credential",
		"x-amz-security-token", "x-goog-signature",
		"x-goog-credential", "jsessionid", "phpsessid",
	};

	return IS_ONE_OF(name, secrets);
}

bool http_header_is_key(struct span name)
{
	static const char *const keys[] = {
		"x-api-key", "api-key", "apikey", "x-goog-api-key",
		"x-auth-token", "x-access-token", "x-auth-key", "x-token",
		"ocp-apim-subscription-key", "private-token",
		"x-amz-security-token", "x-vault-token", "x-csrf-token",
		"x-xsrf-token", "x-clickhouse-key", "x-aws-ec2-metadata-token",
	};

	return IS_ONE_OF(name, keys);
}

const char *http_auth_scheme(struct span credentials)
{
	/* A secret sent without a scheme must not pass for one. */
	static const char *const schemes[] = {
		"Basic", "Bearer", "Digest", "Negotiate", "NTLM", "OAuth",
		"DPoP", "GNAP", "Hawk", "HOBA", "Mutual", "PrivateToken",
		"SCRAM-SHA-1", "SCRAM-SHA-256", "vapid", "AWS",
		"AWS4-HMAC-SHA256", "ApiKey", "Token", "SharedKey",
		"SharedAccessSignature", "Key",
	};
	const char *space = credentials.length ?
		memchr(credentials.bytes, ' ', credentials.length) : NULL;

	if (space)
		credentials.length = (size_t)(space - credentials.bytes);
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (span_is_nocase(credentials, schemes[i]))
			return schemes[i];
	return "other";
}

/* A digit of base64 (RFC 4648 section 4); -1: none. */
static int digit64(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool http_auth_user(struct buffer *buffer, struct span credentials,
		    size_t bound)
{
	size_t start = buffer->length;
	uint32_t bits = 0;
	unsigned held = 0;

	if (credentials.length < 6 ||
	    !span_is_nocase((struct span){ credentials.bytes, 6 }, "Basic "))
		return false;
	for (size_t i = 6; i < credentials.length; i++) {
		int digit = digit64(credentials.bytes[i]);
		uint8_t byte;

		if (credentials.bytes[i] == ' ' && i < credentials.length - 1 &&
		    buffer->length == start && !held)
			continue;
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		held += 6;
		if (held < 8)
			continue;
		held -= 8;
		byte = (uint8_t)(bits >> held);
		/* All behind the first colon is the password. */
		if (byte == ':')
			return buffer->length > start;
		if (!buffer_gather(buffer, &byte, 1, bound))
			return false;
	}
	return false;
}
