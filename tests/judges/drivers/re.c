/* What libre sees: its decoder, then the conditions of its transport and of its listener for calls. */

#include <re/re.h>

#include "judge.h"

struct place {
    const char *name;
    int (*unescape)(struct re_printf *pf, const struct pl *pl);
};

static size_t length_of(const struct pl *pl)
{
    return pl->p ? pl->l : 0;
}

static void field(const char *name, const struct pl *pl)
{
    if (pl_isset(pl))
        judge_field(name, pl->p, pl->l);
}

/* A part of a URI as applications read it: escapes undone. */
static void mark(const struct place *place, const struct pl *name, const struct pl *value)
{
    char *names = NULL, *values = NULL;

    if (re_sdprintf(&names, "%H", place->unescape, name) || re_sdprintf(&values, "%H", place->unescape, value))
        judge_mark(place->name, name->p, length_of(name), value->p, length_of(value));
    else
        judge_mark(place->name, names, strlen(names), values, strlen(values));
    mem_deref(names);
    mem_deref(values);
}

static int parameter(const struct pl *name, const struct pl *value, void *arg)
{
    mark(arg, name, value);
    return 0;
}

static void uri_marks(const char *name, const struct uri *uri)
{
    struct place user = {name, uri_user_unescape}, parameters = {name, uri_param_unescape};
    struct place headers = {"URI header", uri_header_unescape};
    struct pl label = PL("user");

    mark(&user, &label, &uri->user);
    uri_params_apply(&uri->params, parameter, &parameters);
    uri_headers_apply(&uri->headers, parameter, &headers);
}

static void header_parameter(const struct pl *name, const struct pl *value, void *arg)
{
    judge_mark(arg, name->p, length_of(name), value->p, length_of(value));
}

static void parameter_marks(char *name, const struct pl *params)
{
    fmt_param_apply(params, header_parameter, name);
}

static void number_field(const char *name, const struct uri *uri)
{
    char *plain = NULL;
    const struct pl *found = pl_isset(&uri->user) ? &uri->user : &uri->host;

    if (!pl_isset(&uri->user) && pl_strcasecmp(&uri->scheme, "tel"))
        return;
    if (!re_sdprintf(&plain, "%H", uri_user_unescape, found))
        judge_field(name, plain, strlen(plain));
    else
        field(name, found);
    mem_deref(plain);
}

static bool is_address(const struct pl *name)
{
    for (const char *const *known = judge_addresses; *known; known++)
        if (!pl_strcasecmp(name, *known))
            return true;
    return !pl_strcasecmp(name, "Contact") || !pl_strcasecmp(name, "m");
}

static bool header_marks(const struct sip_hdr *header, const struct sip_msg *msg, void *arg)
{
    struct sip_addr address;
    char name[64];

    (void)msg;
    (void)arg;
    judge_mark("header", header->name.p, header->name.l, header->val.p, header->val.l);
    if (is_address(&header->name) && !sip_addr_decode(&address, &header->val)) {
        re_snprintf(name, sizeof(name), "%r", &header->name);
        uri_marks(name, &address.uri);
        parameter_marks(name, &address.params);
    }
    return false;
}

static bool asserted(const struct sip_hdr *header, const struct sip_msg *msg, void *arg)
{
    struct sip_addr *address = arg;

    (void)msg;
    return !sip_addr_decode(address, &header->val);
}

static void tell(const struct sip_msg *msg)
{
    struct sip_addr address;

    judge_request(msg->met.p, msg->met.l, !pl_strcmp(&msg->met, "INVITE"));
    field("uri", &msg->ruri);
    number_field("from", &msg->from.uri);
    field("to_tag", &msg->to.tag);
    if (sip_msg_hdr_apply(msg, true, SIP_HDR_P_ASSERTED_IDENTITY, asserted, &address))
        number_field("pai", &address.uri);
    uri_marks("Request-URI", &msg->uri);
    uri_marks("From", &msg->from.uri);
    parameter_marks("From", &msg->from.params);
    uri_marks("To", &msg->to.uri);
    parameter_marks("To", &msg->to.params);
    for (struct le *le = msg->hdrl.head; le; le = le->next)
        header_marks(le->data, msg, NULL);
    judge_end();
}

static const char *refusal(const struct sip_msg *msg)
{
    if (!msg->req)
        return "not a request";
    if (!pl_isset(&msg->to.auri) || !pl_isset(&msg->from.auri) || !pl_isset(&msg->cseq.met) ||
        !pl_isset(&msg->callid) || !pl_isset(&msg->maxfwd) || !pl_isset(&msg->via.branch))
        return "a mandatory header field is missing";
    if (pl_casecmp(&msg->cseq.met, &msg->met))
        return "CSeq has another method";
    return NULL;
}

int main(void)
{
    static char message[JUDGE_LONGEST + 1];
    int length;

    if (libre_init())
        return 1;
    while ((length = judge_next(message)) >= 0) {
        struct mbuf *mb = mbuf_alloc((size_t)length + 1);
        struct sip_msg *msg = NULL;

        mbuf_write_mem(mb, (uint8_t *)message, (size_t)length);
        mbuf_set_pos(mb, 0);
        const char *why = length > 4 && !sip_msg_decode(&msg, mb) ? refusal(msg) : "cannot be parsed";
        if (why)
            judge_refused(why);
        else
            tell(msg);
        mem_deref(msg);
        mem_deref(mb);
    }
    return 0;
}
