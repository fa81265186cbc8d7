/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_llm_endpoint.c - whose API a request is for, by host and path.
 *
 * Never by port.  Where the host is not a provider's own the path tells the
 * dialect, which many servers speak: `known` says that it is no guess.
 * Names of providers: OpenTelemetry's gen_ai.provider.name, and the
 * provider's own where that has none.
 */
#include "parsers/llm.h"

#include <string.h>
#include <strings.h>

#define OPENAI	"openai"
#define GEMINI	"gcp.gemini"
#define VERTEX	"gcp.vertex_ai"
#define BEDROCK "aws.bedrock"
#define AZURE	"azure.ai.openai"
#define OLLAMA	"ollama"

static const struct {
	const char *host; /* with a dot before it: of all below it */
	const char *provider;
} hosts[] = {
	{ "api.openai.com", OPENAI },
	{ ".api.openai.com", OPENAI },
	{ ".openai.azure.com", AZURE },
	{ ".cognitiveservices.azure.com", AZURE },
	{ ".services.ai.azure.com", "azure.ai.inference" },
	{ ".models.ai.azure.com", "azure.ai.inference" },
	{ "models.inference.ai.azure.com", "azure.ai.inference" },
	{ "api.anthropic.com", "anthropic" },
	{ "generativelanguage.googleapis.com", GEMINI },
	{ "aiplatform.googleapis.com", VERTEX },
	{ "-aiplatform.googleapis.com", VERTEX },
	{ "api.mistral.ai", "mistral_ai" },
	{ "codestral.mistral.ai", "mistral_ai" },
	{ "api.cohere.com", "cohere" },
	{ "api.cohere.ai", "cohere" },
	{ "api.deepseek.com", "deepseek" },
	{ "api.groq.com", "groq" },
	{ "api.perplexity.ai", "perplexity" },
	{ "api.x.ai", "x_ai" },
	{ ".ml.cloud.ibm.com", "ibm.watsonx.ai" },
	{ "openrouter.ai", "openrouter" },
	{ "api.together.xyz", "together_ai" },
	{ "api.fireworks.ai", "fireworks_ai" },
	{ "api.moonshot.ai", "moonshot_ai" },
	{ "api.cerebras.ai", "cerebras" },
	{ "router.huggingface.co", "hugging_face" },
	{ "ollama.com", OLLAMA },
};

/* Ends of paths that tell what is asked for. */
static const struct {
	const char *end;
	const char *provider; /* whose dialect */
	const char *operation;
} paths[] = {
	{ "/chat/completions", OPENAI, "chat" },
	{ "/completions", OPENAI, "text_completion" },
	{ "/completion", "llama.cpp", "text_completion" },
	{ "/responses", OPENAI, "chat" },
	{ "/embeddings", OPENAI, "embeddings" },
	{ "/v1/messages", "anthropic", "chat" },
	{ "/v1/messages/count_tokens", "anthropic", "count_tokens" },
	{ "/v1/complete", "anthropic", "text_completion" },
	{ "/api/chat", OLLAMA, "chat" },
	{ "/api/generate", OLLAMA, "text_completion" },
	{ "/api/embed", OLLAMA, "embeddings" },
	{ "/api/embeddings", OLLAMA, "embeddings" },
	{ "/v2/chat", "cohere", "chat" },
	{ "/v1/embed", "cohere", "embeddings" },
	{ "/v2/embed", "cohere", "embeddings" },
};

/* Google's methods: .../models/NAME:METHOD */
static const struct {
	const char *method, *operation;
	bool streams;
} google[] = {
	{ "generateContent", "generate_content", false },
	{ "streamGenerateContent", "generate_content", true },
	{ "embedContent", "embeddings", false },
	{ "batchEmbedContents", "embeddings", false },
	{ "countTokens", "count_tokens", false },
	{ "predict", "embeddings", false },
	{ "rawPredict", "chat", false },
	{ "streamRawPredict", "chat", true },
};

/* Bedrock's: /model/NAME/METHOD */
static const struct {
	const char *method, *operation;
	bool streams, invokes;
} bedrock[] = {
	{ "converse", "chat", false, false },
	{ "converse-stream", "chat", true, false },
	{ "invoke", "text_completion", false, true },
	{ "invoke-with-response-stream", "text_completion", true, true },
};

static bool ends_with(struct span text, const char *end)
{
	size_t length = strlen(end);

	return text.bytes && text.length >= length &&
	       !strncasecmp(text.bytes + text.length - length, end, length);
}

static bool begins_with(struct span text, const char *start)
{
	size_t length = strlen(start);

	return text.bytes && text.length >= length &&
	       !memcmp(text.bytes, start, length);
}

static struct span after(struct span text, size_t at)
{
	return (struct span){ text.bytes + at, text.length - at };
}

/* Behind the last `c`; all of it where there is none. */
static struct span behind_last(struct span text, char c)
{
	const char *at = text.length ? memrchr(text.bytes, c, text.length) :
				       NULL;

	return at ? after(text, (size_t)(at + 1 - text.bytes)) : text;
}

/* Up to the first `c`, or all. */
static struct span before(struct span text, char c)
{
	const char *at = text.length ? memchr(text.bytes, c, text.length) :
				       NULL;

	if (at)
		text.length = (size_t)(at - text.bytes);
	return text;
}

/* The target's path, whatever its form; the query is left out. */
static struct span path_of(struct span target)
{
	struct span path = before(target, '?');

	for (size_t i = 0; i + 2 < path.length; i++) {
		const char *slash;

		if (memcmp(path.bytes + i, "://", 3))
			continue;
		slash = memchr(path.bytes + i + 3, '/', path.length - i - 3);
		if (!slash)
			return (struct span){ "/", 1 };
		return after(path, (size_t)(slash - path.bytes));
	}
	return path;
}

/* A provider's own host; NULL: nobody's that is known. */
static const char *provider_of(struct span authority)
{
	struct span host = before(authority, ':');

	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
		if (hosts[i].host[0] == '.' || hosts[i].host[0] == '-' ?
			    ends_with(host, hosts[i].host) :
			    span_is_nocase(host, hosts[i].host))
			return hosts[i].provider;
	if (ends_with(host, ".amazonaws.com") &&
	    memmem(host.bytes, host.length, "bedrock", 7))
		return BEDROCK;
	return NULL;
}

static unsigned hex_value(char c)
{
	return c >= '0' && c <= '9' ? (unsigned)(c - '0') :
	       (c | 32) >= 'a' && (c | 32) <= 'f' ?
				      (unsigned)((c | 32) - 'a' + 10) : 16;
}

/* A segment of the path without its percent-encoding (RFC 3986 2.1). */
static void set_model(struct llm_endpoint *endpoint, struct span text)
{
	size_t length = 0;

	for (size_t i = 0; i < text.length && length < LLM_NAME_MAX - 1; i++) {
		char c = text.bytes[i];

		if (c == '%' && i + 2 < text.length &&
		    hex_value(text.bytes[i + 1]) < 16 &&
		    hex_value(text.bytes[i + 2]) < 16) {
			c = (char)(hex_value(text.bytes[i + 1]) << 4 |
				   hex_value(text.bytes[i + 2]));
			i += 2;
		}
		endpoint->model[length++] = c;
	}
	endpoint->model[length] = '\0';
}

static bool find_google(struct span path, struct llm_endpoint *endpoint)
{
	struct span last = behind_last(path, '/');
	struct span name = before(last, ':'), method;
	struct span parent = { path.bytes, path.length - last.length };

	if (name.length == last.length || !ends_with(parent, "/models/"))
		return false;
	method = after(last, name.length + 1);
	for (size_t i = 0; i < sizeof(google) / sizeof(*google); i++) {
		if (!span_is(method, google[i].method))
			continue;
		endpoint->provider = memmem(parent.bytes, parent.length,
					    "/publishers/", 12) ?
					     VERTEX : GEMINI;
		endpoint->operation = google[i].operation;
		endpoint->streams = google[i].streams;
		endpoint->known = true;
		set_model(endpoint, name);
		return true;
	}
	return false;
}

static bool find_bedrock(struct span path, struct llm_endpoint *endpoint)
{
	struct span method = behind_last(path, '/');
	struct span model = { path.bytes, path.length - method.length };

	if (!begins_with(path, "/model/") || model.length <= 8)
		return false;
	for (size_t i = 0; i < sizeof(bedrock) / sizeof(*bedrock); i++) {
		if (!span_is(method, bedrock[i].method))
			continue;
		endpoint->provider = BEDROCK;
		endpoint->operation = bedrock[i].operation;
		endpoint->streams = bedrock[i].streams;
		endpoint->invokes = bedrock[i].invokes;
		endpoint->known = true;
		model.length--;
		set_model(endpoint, after(model, 7));
		return true;
	}
	return false;
}

/* Azure's: /openai/deployments/NAME/... */
static void find_deployment(struct span path, struct llm_endpoint *endpoint)
{
	static const char start[] = "/openai/deployments/";
	const char *at = path.length ? memmem(path.bytes, path.length, start,
					      sizeof(start) - 1) : NULL;

	if (!at)
		return;
	endpoint->provider = AZURE;
	endpoint->known = true;
	set_model(endpoint,
		  before(after(path, (size_t)(at - path.bytes) +
				     sizeof(start) - 1), '/'));
}

static bool find_path(struct span path, struct llm_endpoint *endpoint)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (!ends_with(path, paths[i].end))
			continue;
		endpoint->provider = paths[i].provider;
		endpoint->operation = paths[i].operation;
		find_deployment(path, endpoint);
		return true;
	}
	return false;
}

bool llm_endpoint_of(const struct http_head *request,
		     struct llm_endpoint *endpoint)
{
	struct span path = path_of(request->target);
	const char *host = provider_of(request->authority);

	*endpoint = (struct llm_endpoint){ .provider = NULL };
	if (!span_is(request->method, "POST") || !path.length)
		return false;
	while (path.length > 1 && path.bytes[path.length - 1] == '/')
		path.length--;
	if (!find_google(path, endpoint) && !find_bedrock(path, endpoint) &&
	    !find_path(path, endpoint))
		return false;
	endpoint->certain = host != NULL;
	/* Several providers serve others' dialects under their own name. */
	if (host) {
		endpoint->provider = host;
		endpoint->known = true;
	}
	return true;
}
