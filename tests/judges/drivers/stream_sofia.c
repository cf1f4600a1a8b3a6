/* What Sofia-SIP reads from TCP: its transport and parser, up to the call-back that gets all requests and responses. */

#include <string.h>

#include <sofia-sip/nta.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/su_wait.h>

#include "stream.h"

static int delivered(nta_agent_magic_t *context, nta_agent_t *agent, msg_t *msg, sip_t *sip)
{
    const char *call = sip->sip_call_id ? sip->sip_call_id->i_id : "", *method = "";
    char code[16];

    (void)context;
    if (sip->sip_request)
        method = sip->sip_request->rq_method_name;
    else if (sip->sip_status) {
        snprintf(code, sizeof(code), "%d", sip->sip_status->st_status);
        method = code;
    }
    stream_message(method, strlen(method), call, strlen(call), sip->sip_payload ? sip->sip_payload->pl_len : 0);
    nta_msg_discard(agent, msg);
    return 0;
}

int main(void)
{
    su_init();
    su_root_t *root = su_root_create(NULL);
    nta_agent_t *agent =
        nta_agent_create(root, URL_STRING_MAKE("sip:" STREAM_ADDRESS ":" STREAM_PORT ";transport=tcp"), delivered, NULL,
                         TAG_END());
    if (!agent)
        return 1;
    su_root_run(root);
    return 0;
}
