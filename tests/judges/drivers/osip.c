/* What libosip2 sees: its parser, then the conditions under which it begins a transaction. */

#include <osipparser2/osip_headers.h>
#include <osipparser2/osip_message.h>
#include <osipparser2/osip_parser.h>
#include <osipparser2/osip_port.h>

#include "judge.h"

static size_t size(const char *text)
{
    return text ? strlen(text) : 0;
}

static void mark(const char *place, const char *name, const char *value)
{
    judge_mark(place, name, size(name), value, size(value));
}

static void uri_marks(const char *place, osip_uri_t *uri)
{
    if (!uri)
        return;
    mark(place, "user", uri->username);
    mark(place, "other", uri->string);
    for (int i = 0; i < osip_list_size(&uri->url_params); i++) {
        osip_uri_param_t *found = osip_list_get(&uri->url_params, i);
        mark(place, found->gname, found->gvalue);
    }
    for (int i = 0; i < osip_list_size(&uri->url_headers); i++) {
        osip_uri_header_t *found = osip_list_get(&uri->url_headers, i);
        mark("URI header", found->gname, found->gvalue);
    }
}

static void address_marks(const char *place, osip_from_t *address)
{
    if (!address)
        return;
    uri_marks(place, address->url);
    for (int i = 0; i < osip_list_size(&address->gen_params); i++) {
        osip_generic_param_t *found = osip_list_get(&address->gen_params, i);
        mark(place, found->gname, found->gvalue);
    }
}

static void header_marks(osip_message_t *sip)
{
    for (int i = 0; i < osip_list_size(&sip->headers); i++) {
        osip_header_t *found = osip_list_get(&sip->headers, i);
        mark("header", found->hname, found->hvalue);
        for (const char *const *name = judge_addresses; *name; name++) {
            osip_from_t *address = NULL;
            if (strcasecmp(*name, found->hname) || !found->hvalue || osip_from_init(&address))
                continue;
            if (osip_from_parse(address, found->hvalue) == OSIP_SUCCESS)
                address_marks(*name, address);
            osip_from_free(address);
        }
    }
}

/* The number of a P-Asserted-Identity, or of the first one that has a number. */
static void asserted(osip_message_t *sip)
{
    osip_header_t *found = NULL;

    for (int at = 0; (at = osip_message_header_get_byname(sip, "p-asserted-identity", at, &found)) >= 0; at++) {
        osip_from_t *address = NULL;
        if (!found->hvalue || osip_from_init(&address))
            continue;
        int read = osip_from_parse(address, found->hvalue) == OSIP_SUCCESS && address->url;
        const char *user = !read ? NULL : address->url->username ? address->url->username : address->url->string;
        if (user)
            judge_field("pai", user, size(user));
        osip_from_free(address);
        if (user)
            return;
    }
}

static void tell(osip_message_t *sip)
{
    osip_generic_param_t *tag = NULL;
    osip_uri_t *from = sip->from->url;
    const char *caller = !from ? NULL : from->username ? from->username : from->string;
    char *uri = NULL;

    judge_request(sip->sip_method, size(sip->sip_method), MSG_IS_INVITE(sip));
    osip_uri_to_str(sip->req_uri, &uri);
    judge_field("uri", uri, size(uri));
    osip_free(uri);
    if (caller)
        judge_field("from", caller, size(caller));
    if (osip_to_get_tag(sip->to, &tag) == OSIP_SUCCESS && tag)
        judge_field("to_tag", tag->gvalue ? tag->gvalue : "", size(tag->gvalue));
    asserted(sip);
    uri_marks("Request-URI", sip->req_uri);
    address_marks("From", sip->from);
    address_marks("To", sip->to);
    for (int i = 0; i < osip_list_size(&sip->contacts); i++)
        address_marks("Contact", osip_list_get(&sip->contacts, i));
    header_marks(sip);
    judge_end();
}

static const char *refusal(osip_message_t *sip)
{
    if (!sip->sip_method || !sip->req_uri)
        return "not a request";
    if (!sip->from || !sip->to || !sip->call_id || !sip->cseq || !osip_list_size(&sip->vias))
        return "a mandatory header field is missing";
    if (!sip->cseq->method || strcmp(sip->cseq->method, sip->sip_method))
        return "CSeq has another method";
    return NULL;
}

/* Without this, the library writes its errors to stdout. */
static void silent(const char *file, int line, osip_trace_level_t level, const char *format, va_list arguments)
{
    (void)file;
    (void)line;
    (void)level;
    (void)format;
    (void)arguments;
}

int main(void)
{
    static char message[JUDGE_LONGEST + 1];
    int length;

    parser_init();
    osip_trace_initialize_func(TRACE_LEVEL0, silent);
    while ((length = judge_next(message)) >= 0) {
        osip_message_t *sip = NULL;
        const char *why = "cannot be parsed";
        if (osip_message_init(&sip) == OSIP_SUCCESS && osip_message_parse(sip, message, (size_t)length) == OSIP_SUCCESS)
            why = refusal(sip);
        if (why)
            judge_refused(why);
        else
            tell(sip);
        osip_message_free(sip);
    }
    return 0;
}
