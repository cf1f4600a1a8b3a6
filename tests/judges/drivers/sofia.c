/* What Sofia-SIP sees: its transport and parser, over a socket of this host, up to the call-back that gets all requests.
 * A message that never arrives there was refused: the request behind it says that its turn is over. */

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sofia-sip/nta.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/su_wait.h>
#include <sofia-sip/url.h>

#include "judge.h"

static const char END[] =
    "OPTIONS sip:judge SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-judge-%u\r\nMax-Forwards: 70\r\n"
    "From: <sip:judge>;tag=judge\r\nTo: <sip:judge>\r\nCall-ID: judge-%u\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
static char awaited[32];
static int answered, ended;

static size_t size(const char *text)
{
    return text ? strlen(text) : 0;
}

/* As applications read parts of a URI: escapes undone. */
static void mark(const char *place, const char *name, const char *value)
{
    static char names[JUDGE_LONGEST + 1], values[JUDGE_LONGEST + 1];

    names[0] = values[0] = '\0';
    url_unescape(names, name ? name : "");
    url_unescape(values, value ? value : "");
    judge_mark(place, names, strlen(names), values, strlen(values));
}

static void whole(const char *place, const char *parameter, size_t length)
{
    const char *equals = memchr(parameter, '=', length);
    char name[1024];
    size_t before = equals ? (size_t)(equals - parameter) : length;

    snprintf(name, sizeof(name), "%.*s", (int)before, parameter);
    char *value = equals ? strndup(equals + 1, length - before - 1) : strdup("");
    mark(place, name, value);
    free(value);
}

static void uri_marks(const char *place, const url_t *url)
{
    mark(place, "user", url->url_user);
    mark(place, "other", url->url_host);
    const char *parts[] = {url->url_params, url->url_headers};
    for (int i = 0; i < 2; i++)
        for (const char *at = parts[i]; at && *at; at += at[0] != '\0') {
            size_t length = strcspn(at, i ? "&" : ";");
            whole(i ? "URI header" : place, at, length);
            at += length;
        }
}

static void address_marks(const char *place, const url_t *url, msg_param_t const *parameters)
{
    uri_marks(place, url);
    for (; parameters && *parameters; parameters++)
        whole(place, *parameters, strlen(*parameters));
}

static const char *number(const url_t *url)
{
    return url->url_user ? url->url_user : url->url_type == url_tel ? url->url_host : NULL;
}

static void number_field(const char *name, const url_t *url)
{
    const char *found = number(url);
    if (!found)
        return;
    char *plain = calloc(1, strlen(found) + 1);
    url_unescape(plain, found);
    judge_field(name, plain, strlen(plain));
    free(plain);
}

static void tell(sip_t *sip)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    sip_p_asserted_identity_t *asserted = sip_p_asserted_identity(sip);
    char *uri = url_as_string(home, sip->sip_request->rq_url);

    judge_request(sip->sip_request->rq_method_name, size(sip->sip_request->rq_method_name),
                  sip->sip_request->rq_method == sip_method_invite);
    judge_field("uri", uri, size(uri));
    number_field("from", sip->sip_from->a_url);
    if (sip->sip_to->a_tag)
        judge_field("to_tag", sip->sip_to->a_tag, size(sip->sip_to->a_tag));
    if (asserted)
        number_field("pai", asserted->paid_url);
    uri_marks("Request-URI", sip->sip_request->rq_url);
    address_marks("From", sip->sip_from->a_url, sip->sip_from->a_params);
    address_marks("To", sip->sip_to->a_url, sip->sip_to->a_params);
    for (sip_contact_t *contact = sip->sip_contact; contact; contact = contact->m_next)
        address_marks("Contact", contact->m_url, contact->m_params);
    for (; asserted; asserted = asserted->paid_next)
        address_marks("P-Asserted-Identity", asserted->paid_url, NULL);
    sip_p_preferred_identity_t *preferred = sip_p_preferred_identity(sip);
    for (; preferred; preferred = preferred->ppid_next)
        address_marks("P-Preferred-Identity", preferred->ppid_url, NULL);
    sip_remote_party_id_t *remote = sip_remote_party_id(sip);
    for (; remote; remote = remote->rpid_next)
        address_marks("Remote-Party-ID", remote->rpid_url, remote->rpid_params);
    for (sip_unknown_t *other = sip->sip_unknown; other; other = other->un_next)
        judge_mark("header", other->un_name, size(other->un_name), other->un_value, size(other->un_value));
    judge_end();
    su_home_deinit(home);
}

static int delivered(nta_agent_magic_t *context, nta_agent_t *agent, msg_t *msg, sip_t *sip)
{
    (void)context;
    if (sip->sip_request && sip->sip_call_id && !strcmp(sip->sip_call_id->i_id, awaited))
        ended = 1;
    else if (sip->sip_request && sip->sip_from && sip->sip_to && !answered) {
        answered = 1;
        tell(sip);
    }
    nta_msg_discard(agent, msg);
    return 0;
}

int main(void)
{
    static char message[JUDGE_LONGEST + 1];
    char end[sizeof(END) + 32];
    int length;

    su_init();
    su_root_t *root = su_root_create(NULL);
    nta_agent_t *agent = nta_agent_create(root, URL_STRING_MAKE("sip:127.0.0.1:*;transport=udp"), delivered, NULL,
                                          NTATAG_MCLASS(sip_extend_mclass(NULL)), TAG_END());
    if (!agent)
        return 1;
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_port = htons((uint16_t)atoi(nta_agent_contact(agent)->m_url->url_port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(sender, (struct sockaddr *)&to, sizeof(to)))
        return 1;
    for (unsigned turn = 1; (length = judge_next(message)) >= 0; turn++) {
        snprintf(awaited, sizeof(awaited), "judge-%u", turn);
        int bytes = snprintf(end, sizeof(end), END, turn, turn);
        answered = ended = 0;
        int sent = length && send(sender, message, (size_t)length, 0) == length;
        if (send(sender, end, (size_t)bytes, 0) != bytes)
            return 1;
        while (!ended)
            su_root_step(root, 1000);
        if (!answered)
            judge_refused(sent ? "not delivered" : "no datagram");
    }
    return 0;
}
