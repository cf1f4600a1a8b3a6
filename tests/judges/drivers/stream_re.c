/* What libre reads from TCP: its transport, up to the listeners for requests and responses. */

#include <stdlib.h>

#include <re/re.h>

#include "stream.h"

static bool request(const struct sip_msg *msg, void *arg)
{
    (void)arg;
    stream_message(msg->met.p, msg->met.l, msg->callid.p, msg->callid.l, mbuf_get_left(msg->mb));
    return true;
}

static bool response(const struct sip_msg *msg, void *arg)
{
    char code[8];

    (void)arg;
    int length = re_snprintf(code, sizeof(code), "%u", msg->scode);
    stream_message(code, (size_t)length, msg->callid.p, msg->callid.l, mbuf_get_left(msg->mb));
    return true;
}

int main(void)
{
    struct sip *sip = NULL;
    struct sip_lsnr *requests = NULL, *responses = NULL;
    struct sa address;

    return libre_init() || sa_set_str(&address, STREAM_ADDRESS, (uint16_t)atoi(STREAM_PORT)) ||
           sip_alloc(&sip, NULL, 32, 32, 32, "judge", NULL, NULL) || sip_transp_add(sip, SIP_TRANSP_TCP, &address) ||
           sip_listen(&requests, sip, true, request, NULL) || sip_listen(&responses, sip, false, response, NULL) ||
           re_main(NULL);
}
