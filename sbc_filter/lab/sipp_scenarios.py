"""The programs of the demonstration's hosts: SIPp scenarios for user agents, Kamailio as an ordinary SBC."""

from string import Template

_CALLER_HEAD = """\
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="caller">
  <send retrans="500"><![CDATA[
    INVITE sip:+[field1]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    Max-Forwards: 70
    From: <sip:+[field0]@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:+[field1]@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 INVITE
    Contact: <sip:+[field0]@[local_ip]:[local_port]>
    $identity
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=caller 1 1 IN IP[local_ip_type] [local_ip]
    s=-
    c=IN IP[media_ip_type] [media_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
"""
_IN_CALL = Template("""\
  <send$again><![CDATA[
    $method sip:+[field1]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch$shift]
    Max-Forwards: 70
    From: <sip:+[field0]@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:+[field1]@[remote_ip]:[remote_port]>[peer_tag_param]
    Call-ID: [call_id]
    CSeq: $cseq $method
    Content-Length: 0

  ]]></send>
""")
_ANSWERED = (
    '  <recv response="200"/>\n'
    + _IN_CALL.substitute(method="ACK", cseq=1, shift="", again="")
    + _IN_CALL.substitute(method="BYE", cseq=2, shift="", again=' retrans="500"')
    + '  <recv response="200"/>\n</scenario>\n'
)
# The ACK of a refusal belongs to the INVITE's transaction and has its branch (RFC 3261 §17.1.1.3).
_REFUSED = (
    '  <recv response="$code"/>\n' + _IN_CALL.substitute(method="ACK", cseq=1, shift="-4", again="") + "</scenario>\n"
)

# No 180: SIPp would take an INVITE that is sent again for another one, once it has answered twice.
CALLED = """\
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="called">
  <recv request="INVITE"/>
  <send retrans="500"><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:];tag=[pid]-[call_number]
    [last_Call-ID:]
    [last_CSeq:]
    Contact: <sip:[local_ip]:[local_port]>
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=called 1 1 IN IP[local_ip_type] [local_ip]
    s=-
    c=IN IP[media_ip_type] [media_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0
  ]]></send>
  <!-- An ACK waits for the filter, a BYE does not: on a busy host it may come first. -->
  <recv request="ACK" optional="true"/>
  <recv request="BYE"/>
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:]
    [last_Call-ID:]
    [last_CSeq:]
    Content-Length: 0

  ]]></send>
</scenario>
"""

# Relays all messages from one side to the other, without STIR.
SBC = Template("""\
debug=0
log_stderror=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
mhomed=1
$listen
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {
    if (is_method("OPTIONS")) {
        sl_send_reply("200", "OK");
        exit;
    }
    if (is_method("CANCEL") && !t_check_trans()) exit;
$relay
    t_relay();
}
""")


def caller(identity: str | None, refusal: int | None = None) -> str:
    """A user agent that calls.

    Fields 0 and 1 of each line are caller and called; field 2 is the token in front of the parameters `identity`. It
    expects a call that is answered, or the response `refusal`, which it acknowledges.
    """
    header = f"Identity: [field2];{identity}" if identity else "User-Agent: SIPp"
    end = _ANSWERED if refusal is None else Template(_REFUSED).substitute(code=refusal)
    return Template(_CALLER_HEAD).substitute(identity=header) + end


def sbc(listen: list[str], relay: dict[str, str]) -> str:
    """Kamailio's configuration: the addresses to listen on, and where to relay messages from each address.

    It listens for UDP and TCP, and relays by the transport by which a message came.
    """
    sockets = [f"listen={transport}:{address}:5060" for transport in ("udp", "tcp") for address in listen]
    lines = [
        f'    if (src_ip == {source} && proto == {transport.upper()}) $du = "sip:{target}:5060;transport={transport}";'
        for source, target in relay.items()
        for transport in ("udp", "tcp")
    ]
    return SBC.substitute(listen="\n".join(sockets), relay="\n".join(lines))
