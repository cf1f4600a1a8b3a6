"""INVITEs in the forms that devices and services send, made from their public documentation.

Numbers are 555-01xx, addresses and names are for documentation. Each calls +12155550199 at 192.0.2.1. `PLAIN` are correct
or close enough that nothing has to change; `SLOPPY` bend the grammar in ways that honest devices are known for.
"""

_SDP = "v=0\no=- 1 1 IN IP4 192.0.2.7\ns=-\nc=IN IP4 192.0.2.7\nt=0 0\nm=audio 20000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\n"
_URI = "sip:+12155550199@192.0.2.1"


def _made(text: str, uri: str = _URI, body: str = _SDP) -> bytes:
    """A message from header lines; `{length}` is the length of the body."""
    content = body.replace("\n", "\r\n").encode()
    head = text.strip("\n").replace("{length}", str(len(content))).replace("\n", "\r\n")
    return f"INVITE {uri} SIP/2.0\r\n{head}\r\n\r\n".encode() + content


_PLAIN = {
    "Teams": """
FROM: "Contoso"<sip:+12155550100@sip.pstnhub.example.com:5061;user=phone>;tag=8f1c0b9e72
TO: <sip:+12155550199@sbc.example:5061;user=phone>
CSEQ: 1 INVITE
CALL-ID: 8c1d8a1b6e2f5c0e9b7f4d0a1c2b3d4e
MAX-FORWARDS: 70
VIA: SIP/2.0/TLS 192.0.2.7:5061;branch=z9hG4bK1f2e3d4c
RECORD-ROUTE: <sip:sip-du-a-eu.pstnhub.example.com:5061;transport=tls;lr>
CONTACT: <sip:api-du-a-euwe.pstnhub.example.com:443;x-i=8f1c0b9e-72aa-4f4e-9d8e-1d2c3b4a5f60;x-c=72/d/8/f1c0b9e7>
CONTENT-LENGTH: {length}
MIN-SE: 300
SUPPORTED: histinfo,timer
USER-AGENT: Microsoft.PSTNHub.SIPProxy v.2024.5.2.8 i.EUWE.1
CONTENT-TYPE: application/sdp
ALLOW: INVITE
ALLOW: ACK
ALLOW: CANCEL
P-ASSERTED-IDENTITY: <tel:+12155550100>,<sip:alice@contoso.example>
PRIVACY: id
SESSION-EXPIRES: 3600""",
    "Teams with a forwarded call": """
FROM: <sip:+12155550100@sip.pstnhub.example.com:5061;user=phone>;tag=8f1c
TO: <sip:+12155550199@sbc.example:5061;user=phone>
CSEQ: 1 INVITE
CALL-ID: 8c1d8a1b6e2f5c0e
MAX-FORWARDS: 70
VIA: SIP/2.0/TLS 192.0.2.7:5061;branch=z9hG4bK1f2e
HISTORY-INFO: <sip:+12155550111@sip.pstnhub.example.com;user=phone?Reason=SIP%3bcause%3d302%3btext%3d%22Moved%22>;index=1
HISTORY-INFO: <sip:+12155550199@sip.pstnhub.example.com;user=phone>;index=1.1
CONTACT: <sip:api-du-a.pstnhub.example.com:443;x-i=1>
CONTENT-TYPE: application/sdp
CONTENT-LENGTH: {length}""",
    "Skype for Business": """
FROM: "Alice"<sip:+12155550100@contoso.example;user=phone>;epid=24A0B2F9E1;tag=bd6a6b8d9
TO: <sip:+12155550199@192.0.2.1;user=phone>
CSEQ: 7 INVITE
CALL-ID: 8f5b9c9a-1f7a-4c5d-9a4b-3a6f7b9a9c1d
MAX-FORWARDS: 70
VIA: SIP/2.0/TCP 192.0.2.7:55623;branch=z9hG4bK2ad2a24
CONTACT: <sip:fe01.contoso.example:5068;transport=Tcp;maddr=192.0.2.7;ms-opaque=a5c1b5d0>
CONTENT-LENGTH: {length}
SUPPORTED: 100rel
USER-AGENT: RTCC/6.0.0.0 MediationServer
CONTENT-TYPE: application/sdp; charset=utf-8
ALLOW: ACK
Allow: CANCEL,BYE,INVITE,PRACK,UPDATE""",
    "3GPP IMS, tel URIs": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKg3Zqkv7i;rport
Max-Forwards: 66
Route: <sip:ibcf.ims.mnc001.mcc001.3gppnetwork.org:5060;lr>
Record-Route: <sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:5060;lr;orig>
From: <tel:+12155550100>;tag=h7g4Esbg
To: <tel:+12155550199>
Call-ID: p65545t1612345678m123456c1s1@ims.mnc001.mcc001.3gppnetwork.org
CSeq: 1 INVITE
P-Asserted-Identity: <sip:+12155550100@ims.mnc001.mcc001.3gppnetwork.org;user=phone>, <tel:+12155550100>
P-Charging-Vector: icid-value="AyretyU0dm+6O2IrT5tAFrbHLso=023551024";orig-ioi=home1.net;icid-generated-at=192.0.2.7
P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=001010A1B0C2D3E4;network-provided
P-Early-Media: supported
Feature-Caps: *;+g.3gpp.srvcc;+g.3gpp.mid-call
Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"
P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel
Contact: <sip:192.0.2.7:5060;transport=udp>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";audio
Supported: 100rel,timer,precondition,histinfo
Allow: INVITE,ACK,CANCEL,BYE,PRACK,UPDATE,INFO,OPTIONS
Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000
Content-Type: application/sdp
Content-Length: {length}""",
    "3GPP IMS, category of the caller": """
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-mgcf-1
Max-Forwards: 70
From: <sip:+12155550100;cpc=ordinary@mgcf.example;user=phone>;tag=mg1
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: mgcf-1@192.0.2.7
CSeq: 1 INVITE
P-Asserted-Identity: <tel:+12155550100;cpc=ordinary;isup-oli=0>
P-Charge-Info: <sip:+12155550100@mgcf.example;npi=ISDN;noa=2>
Contact: <sip:192.0.2.7:5060>
Content-Type: application/sdp
Content-Length: {length}""",
    "Cisco CUBE": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1A2B3C
Remote-Party-ID: <sip:+12155550100@192.0.2.7>;party=calling;screen=yes;privacy=off
From: <sip:+12155550100@192.0.2.7>;tag=5C2A3F1-1D8B
To: <sip:+12155550199@192.0.2.1>
Date: Fri, 15 Jan 2027 08:00:00 GMT
Call-ID: 7A2B1C3D-564011ED-8A1BF0C2-9E3D4F5A@192.0.2.7
Supported: 100rel,timer,resource-priority,replaces,sdp-anat
Min-SE: 1800
Cisco-Guid: 2049672253-1447694829-2316038338-2654818138
User-Agent: Cisco-SIPGateway/IOS-17.3.4a
Allow: INVITE, OPTIONS, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY, INFO, REGISTER
CSeq: 101 INVITE
Timestamp: 1800000000
Contact: <sip:+12155550100@192.0.2.7:5060>
Expires: 180
Allow-Events: telephone-event
Max-Forwards: 69
Session-Expires: 1800
Content-Type: application/sdp
Content-Disposition: session;handling=required
Content-Length: {length}""",
    "Cisco CUCM": """
Via: SIP/2.0/TCP 192.0.2.7:5060;branch=z9hG4bK3f4a5b6c7d
From: "Alice" <sip:+12155550100@192.0.2.7>;tag=1234~b2c3d4e5-f6a7-4b8c-9d0e-1f2a3b4c5d6e-31457280
To: <sip:+12155550199@192.0.2.1>
Date: Fri, 15 Jan 2027 08:00:00 GMT
Call-ID: 5a6b7c00-1f2e3d4c-5b6-705020a@192.0.2.7
Supported: timer,resource-priority,replaces
Min-SE: 1800
User-Agent: Cisco-CUCM14.0
Allow: INVITE, OPTIONS, INFO, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY
CSeq: 101 INVITE
Expires: 180
Allow-Events: presence, kpml
Supported: X-cisco-srtp-fallback,X-cisco-original-called
Call-Info: <sip:192.0.2.7:5060>;method="NOTIFY;Event=telephone-event;Duration=500"
Call-Info: <urn:x-cisco-remotecc:callinfo>;x-cisco-video-traffic-class=DESKTOP
Cisco-Guid: 1516993536-0000065536-0000000012-0117571594
Session-Expires: 1800
P-Asserted-Identity: "Alice" <sip:+12155550100@192.0.2.7>
Remote-Party-ID: "Alice" <sip:+12155550100@192.0.2.7>;party=calling;screen=yes;privacy=off
Contact: <sip:+12155550100@192.0.2.7:5060;transport=tcp>;isFocus
Max-Forwards: 68
Content-Type: application/sdp
Content-Length: {length}""",
    "Cisco phone": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0a1b2c3d
From: "2155550100" <sip:2155550100@192.0.2.1>;tag=001122334455000212345678-1a2b3c4d
To: <sip:12155550199@192.0.2.1;user=phone>
Call-ID: 00112233-44550002-1a2b3c4d-5e6f7a8b@192.0.2.7
Max-Forwards: 70
CSeq: 101 INVITE
User-Agent: Cisco-CP7960G/8.0
Contact: <sip:2155550100@192.0.2.7:5060;transport=udp>
Expires: 180
Accept: application/sdp
Remote-Party-ID: "2155550100" <sip:2155550100@192.0.2.1>;party=calling;id-type=subscriber;privacy=off;screen=yes
Content-Type: application/sdp
Content-Disposition: session;handling=optional
Content-Length: {length}""",
    "Cisco SPA": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-d63c1d46
From: Reception <sip:12155550100@192.0.2.1>;tag=e6b5b7a1bf0a0cf7o0
To: <sip:12155550199@192.0.2.1>
Remote-Party-ID: Reception <sip:12155550100@192.0.2.1>;screen=yes;party=calling
Call-ID: 8a9b0c1d-2e3f4a5b@192.0.2.7
CSeq: 101 INVITE
Max-Forwards: 70
Contact: Reception <sip:12155550100@192.0.2.7:5060>
Expires: 240
User-Agent: Linksys/SPA942-6.1.5(a)
Content-Length: {length}
Allow: ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, REFER
Supported: replaces
Content-Type: application/sdp""",
    "Avaya Session Manager": """
Route: <sip:192.0.2.1;transport=tls;lr;phase=terminating>
Av-Global-Session-ID: 1a2b3c4d-5e6f-11ee-9a8b-0050569c1d2e
From: "Smith, John" <sip:+12155550100@avaya.example>;tag=-24c5e1a265a1b2c3_F2155550100192.0.2.7
To: <sip:+12155550199@avaya.example>
CSeq: 2 INVITE
Call-ID: 15_24c5e1a265a1b2c31d2e3f4_I@192.0.2.7
Contact: <sip:+12155550100@192.0.2.7:5061;transport=tls;gsid=1a2b3c4d;epv=%3csip:2155550100%40avaya.example%3bgr%3d1%3e>
Record-Route: <sip:a1b2c3d4@192.0.2.7;transport=tls;lr;av-lb>
Via: SIP/2.0/TLS 192.0.2.7;branch=z9hG4bK15_24c5e1a2-AP;ft=13
Via: SIP/2.0/TLS 192.0.2.8:5061;branch=z9hG4bK15_24c5e1a2;ap-via
P-AV-Message-Id: 1_1
P-Asserted-Identity: "Smith, John" <sip:+12155550100@avaya.example>
P-Location: SM;origlocname="HQ";origsiglocname="HQ";origmedialocname="HQ"
User-to-User: 00FA080001000A65A1B2C3;encoding=hex
Alert-Info: <cid:internal@avaya.example>;avaya-cm-alert-type=internal
Endpoint-View: <sip:2155550100@avaya.example;gr=1>;local-tag=abc
Allow: INVITE,ACK,OPTIONS,BYE,CANCEL,SUBSCRIBE,NOTIFY,REFER,INFO,PRACK,PUBLISH,UPDATE
Supported: 100rel, histinfo, join, replaces, timer
Max-Forwards: 66
Session-Expires: 1200;refresher=uac
Min-SE: 1200
Content-Type: application/sdp
Content-Length: {length}""",
    "Avaya IP Office": """
Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK9a8b7c6d5e4f
From: "Alice" <sip:12155550100@192.0.2.7>;tag=0f1e2d3c4b5a6978
To: <sip:12155550199@192.0.2.1>
Call-ID: 00112233445566778899aabbccddeeff
CSeq: 1 INVITE
Contact: "Alice" <sip:12155550100@192.0.2.7:5060;transport=udp>
Max-Forwards: 70
P-Asserted-Identity: "Alice" <sip:12155550100@192.0.2.7:5060>
Allow: INVITE,ACK,CANCEL,BYE,INFO,REFER,NOTIFY,UPDATE,OPTIONS
Content-Type: application/sdp
Supported: timer
User-Agent: IP Office 11.1.2.4.0 build 18
Content-Length: {length}""",
    "Asterisk chan_sip": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK3a4b5c6d;rport
Max-Forwards: 70
From: "Alice" <sip:+12155550100@192.0.2.7>;tag=as1d2c3b4a
To: <sip:+12155550199@192.0.2.1>
Contact: <sip:+12155550100@192.0.2.7:5060>
Call-ID: 6f7e8d9c0b1a2f3e4d5c6b7a8f9e0d1c@192.0.2.7:5060
CSeq: 102 INVITE
User-Agent: Asterisk PBX 18.9.0
Date: Fri, 15 Jan 2027 08:00:00 GMT
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE
Supported: replaces, timer
Remote-Party-ID: "Alice" <sip:+12155550100@192.0.2.7>;party=calling;privacy=off;screen=no
Content-Type: application/sdp
Content-Length: {length}""",
    "Asterisk chan_pjsip": """
Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKPj0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e
From: "Alice" <sip:+12155550100@192.0.2.7>;tag=9f8e7d6c-5b4a-3f2e-1d0c-9b8a7f6e5d4c
To: <sip:+12155550199@192.0.2.1>
Contact: <sip:asterisk@192.0.2.7:5060>
Call-ID: 1f2e3d4c-5b6a-7f8e-9d0c-1b2a3f4e5d6c
CSeq: 23456 INVITE
Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, MESSAGE, REFER
Supported: 100rel, timer, replaces, norefersub, histinfo
Session-Expires: 1800
Min-SE: 90
P-Asserted-Identity: "Alice" <sip:+12155550100@192.0.2.7>
Max-Forwards: 70
User-Agent: Asterisk PBX 20.5.0
Content-Type: application/sdp
Content-Length:   {length}""",
    "FreePBX anonymous trunk": """
Via: SIP/2.0/UDP 192.0.2.7:5160;rport;branch=z9hG4bKPjabc
From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=f1e2
To: <sip:+12155550199@192.0.2.1>
Contact: <sip:asterisk@192.0.2.7:5160>
Call-ID: d3c2b1a0-1111-2222-3333-444455556666
CSeq: 1 INVITE
P-Asserted-Identity: <sip:+12155550100@192.0.2.7>
Privacy: id
Max-Forwards: 70
User-Agent: FPBX-16.0.40.7(18.20.2)
Content-Type: application/sdp
Content-Length: {length}""",
    "FreeSWITCH": """
Via: SIP/2.0/UDP 192.0.2.7:5080;rport;branch=z9hG4bKvS4Zyt0jB0r8m
Max-Forwards: 69
From: "Alice" <sip:+12155550100@192.0.2.7>;tag=aS9v8y7u6t5rK
To: <sip:+12155550199@192.0.2.1>
Call-ID: 0c1d2e3f-4a5b-123c-9d8e-7f6a5b4c3d2e
CSeq: 12345678 INVITE
Contact: <sip:gw+carrier@192.0.2.7:5080;transport=udp;gw=carrier>
User-Agent: FreeSWITCH-mod_sofia/1.10.10-release-24-4cb05e7f4a~64bit
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REFER, NOTIFY
Supported: timer, path, replaces
Allow-Events: talk, hold, conference, refer
Content-Type: application/sdp
Content-Disposition: session
Content-Length: {length}
X-FS-Support: update_display,send_info
Remote-Party-ID: "Alice" <sip:+12155550100@192.0.2.7>;party=calling;screen=yes;privacy=off""",
    "Genesys SIP Server": """
From: <sip:+12155550100@192.0.2.7:5060>;tag=2B3C4D5E-6F70-4182-93A4-B5C6D7E8F901-42
To: <sip:+12155550199@192.0.2.1:5060>
Call-ID: 1A2B3C4D-5E6F-4071-8293-A4B5C6D7E8F9-17@192.0.2.7
CSeq: 1 INVITE
Content-Length: {length}
Content-Type: application/sdp
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9-21
Contact: <sip:+12155550100@192.0.2.7:5060>
X-Genesys-CallUUID: 00N3B1A2C3D4E5F60718293A4B5C6D7E
Max-Forwards: 69
Session-Expires: 1800;refresher=uac
Min-SE: 90
Supported: timer
Allow: ACK, BYE, CANCEL, INFO, INVITE, MESSAGE, NOTIFY, OPTIONS, PRACK, REFER, UPDATE""",
    "Ribbon SBC": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK00B1c2d3e4f5a6b7c8d
From: <sip:+12155550100@192.0.2.7;user=phone>;tag=gK001a2b3c
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: 1073741_12345678@192.0.2.7
CSeq: 654321 INVITE
Max-Forwards: 67
Allow: INVITE,ACK,CANCEL,BYE,REGISTER,REFER,INFO,SUBSCRIBE,NOTIFY,PRACK,UPDATE,OPTIONS
Accept: application/sdp, application/isup, application/dtmf, application/dtmf-relay,  multipart/mixed
Contact: <sip:+12155550100@192.0.2.7:5060>
P-Asserted-Identity: <sip:+12155550100@192.0.2.7:5060;user=phone>
Supported: timer,100rel,precondition,replaces
Session-Expires: 1800
Min-SE: 90
Content-Length:  {length}
Content-Disposition: session; handling=required
Content-Type: application/sdp""",
    "Sonus GSX with number portability": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0fB1a2b
From: <sip:+12155550100@192.0.2.7;isup-oli=0>;tag=gK0f1
To: <sip:+12155550199;npdi=yes;rn=+12155550000@192.0.2.1>
Call-ID: 99_1@192.0.2.7
CSeq: 1 INVITE
Max-Forwards: 70
Contact: <sip:+12155550100@192.0.2.7:5060>
P-Asserted-Identity: <sip:+12155550100@192.0.2.7:5060>
P-Charge-Info: <sip:2155550100@192.0.2.7>
Content-Type: application/sdp
Content-Length: {length}""",
    "Oracle SBC": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKk3n0jo30dgh1s2d7a8g0.1
From: <sip:+12155550100@192.0.2.7:5060;user=phone>;tag=SDq8a2c01-gK02d4e5f6
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: SDq8a2c01-0a1b2c3d4e5f60718293a4b5c6d7e8f9-v300g00010
CSeq: 1 INVITE
Max-Forwards: 64
Contact: <sip:+12155550100@192.0.2.7:5060;transport=udp>
P-Asserted-Identity: <sip:+12155550100@192.0.2.7;user=phone>
Diversion: <sip:+12155550111@192.0.2.7>;reason=unconditional;privacy=off;counter=1
Allow: INVITE,ACK,CANCEL,BYE,PRACK,UPDATE,OPTIONS
Content-Type: application/sdp
Content-Length: {length}""",
    "BroadWorks": """
Via:SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKBroadWorks.1abc2de-192.0.2.1V5060-0-123456789-1234567890-1609459200000-
From:"Alice Smith"<sip:+12155550100@192.0.2.7;user=phone>;tag=1234567890-1609459200000-
To:"Bob"<sip:+12155550199@192.0.2.1:5060;user=phone>
Call-ID:BW080000000150127-1234567890@192.0.2.7
CSeq:123456789 INVITE
Contact:<sip:192.0.2.7:5060>
P-Asserted-Identity:"Alice Smith"<sip:+12155550100@192.0.2.7;user=phone>
Privacy:none
Allow:ACK,BYE,CANCEL,INFO,INVITE,OPTIONS,PRACK,REFER,NOTIFY,UPDATE
Accept:application/media_control+xml,application/sdp,multipart/mixed
Supported:
Max-Forwards:10
Content-Type:application/sdp
Content-Length:{length}""",
    "Metaswitch": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK+0123456789abcdef0123456789abcdef1+sip+1+a64e1a2b
From: "ALICE SMITH" <sip:2155550100@192.0.2.7:5060>;tag=192.0.2.7+1+1a2b3c+4d5e6f70;isup-oli=62
To: <sip:2155550199@192.0.2.1>
CSeq: 987654321 INVITE
Expires: 180
Content-Length: {length}
Call-Info: <sip:192.0.2.7:5060>;method="NOTIFY;Event=telephone-event;Duration=1000"
Supported: resource-priority,siprec, 100rel
Contact: <sip:2155550100@192.0.2.7:5060>
Content-Type: application/sdp
Call-ID: 0gQAAC8WAAACBAAALxYAAPf@192.0.2.7
Max-Forwards: 69
P-Asserted-Identity: "ALICE SMITH" <sip:2155550100@192.0.2.7:5060>
Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE""",
    "Yealink": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1234567890
From: "Alice" <sip:+12155550100@192.0.2.1:5060>;tag=987654321
To: <sip:+12155550199@192.0.2.1:5060>
Call-ID: 0_1234567890@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:+12155550100@192.0.2.7:5060>
Content-Type: application/sdp
Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE, MESSAGE
Max-Forwards: 70
User-Agent: Yealink SIP-T46U 108.86.0.90
Supported: replaces
Allow-Events: talk,hold,conference,refer,check-sync
Content-Length: {length}""",
    "Polycom": """
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK3c4d5e6f7A8B9C0D
From: "Alice" <sip:+12155550100@192.0.2.1>;tag=1A2B3C4D-5E6F7081
To: <sip:+12155550199@192.0.2.1;user=phone>
CSeq: 1 INVITE
Call-ID: 9f8e7d6c5b4a39281706f5e4d3c2b1a0
Contact: <sip:+12155550100@192.0.2.7>
Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,MESSAGE,SUBSCRIBE,NOTIFY,PRACK,UPDATE,REFER
User-Agent: PolycomVVX-VVX_411-UA/5.9.5.0614
Accept-Language: en
Supported: replaces,100rel
Allow-Events: conference,talk,hold
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: {length}""",
    "Grandstream": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1456789012;rport
From: "Alice" <sip:+12155550100@192.0.2.1>;tag=1345678901
To: <sip:+12155550199@192.0.2.1>
Call-ID: 1876543210-5060-3@BJC.BGI.B.H
CSeq: 20 INVITE
Contact: "Alice" <sip:+12155550100@192.0.2.7:5060>
X-Grandstream-PBX: true
Max-Forwards: 70
User-Agent: Grandstream GXP2170 1.0.11.3
Privacy: none
P-Preferred-Identity: "Alice" <sip:+12155550100@192.0.2.1>
P-Access-Network-Info: IEEE-EUI-48;eui-48-addr=00-0B-82-00-00-01
Supported: replaces, path, timer
Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE
Content-Type: application/sdp
Accept: application/sdp, application/dtmf-relay
Content-Length:   {length}""",
    "Snom": """
Via: SIP/2.0/UDP 192.0.2.7:2048;branch=z9hG4bK-a1b2c3d4e5f6;rport
From: "Alice" <sip:+12155550100@192.0.2.1>;tag=k1l2m3n4o5
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: 3c26700a1b2c-d3e4f5a6b7c8
CSeq: 1 INVITE
Max-Forwards: 70
User-Agent: snomD765/10.1.64.14
Contact: <sip:+12155550100@192.0.2.7:2048;line=a1b2c3d4>;reg-id=1
X-Serialnumber: 000413000001
P-Key-Flags: keys="3"
Accept: application/sdp
Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO, UPDATE
Allow-Events: talk, hold, refer, call-info
Supported: timer, 100rel, replaces, from-change
Session-Expires: 3600
Min-SE: 90
Content-Type: application/sdp
Content-Length: {length}""",
    "Linphone": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK.a1B2c3D4e;rport
From: <sip:+12155550100@192.0.2.1>;tag=Xy9zAbC1d
To: sip:+12155550199@192.0.2.1
CSeq: 20 INVITE
Call-ID: r5T6y7U8i9
Max-Forwards: 70
Supported: replaces, outbound, gruu
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, PRACK, UPDATE
Content-Type: application/sdp
Content-Length: {length}
Contact: <sip:+12155550100@192.0.2.7;transport=udp>;+sip.instance="<urn:uuid:0c1d2e3f-4a5b-6c7d-8e9f-0a1b2c3d4e5f>"
User-Agent: Linphone Desktop/4.4.1 (host) debian/12 LinphoneCore/5.1.48""",
    "Zoiper": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-524287-1---a1b2c3d4e5f60718;rport
Max-Forwards: 70
Contact: <sip:+12155550100@192.0.2.7:5060;transport=UDP>
To: <sip:+12155550199@192.0.2.1;transport=UDP>
From: <sip:+12155550100@192.0.2.1;transport=UDP>;tag=b1c2d3e4
Call-ID: A1b2C3d4E5f6G7h8I9j0kL..
CSeq: 1 INVITE
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE
Content-Type: application/sdp
User-Agent: Z 5.6.1 v2.10.19.1
Allow-Events: presence, kpml, talk
Content-Length: {length}""",
    "3CX": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-524287-1---9f8e7d6c5b4a3928;rport
Max-Forwards: 70
Contact: <sip:+12155550100@192.0.2.7:5060>
To: <sip:+12155550199@192.0.2.1:5060>
From: "Alice"<sip:+12155550100@192.0.2.1:5060;nf=e>;tag=c3d4e5f6
Call-ID: dE3cX4gH5iJ6kL7mN8oP9q..
CSeq: 2 INVITE
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER, SUBSCRIBE, NOTIFY, REFER, INFO, MESSAGE, UPDATE
Content-Type: application/sdp
Supported: replaces, timer
User-Agent: 3CXPhoneSystem 18.0.9.20 (9000)
Remote-Party-ID: "Alice"<sip:+12155550100@192.0.2.1:5060>;party=calling
Content-Length: {length}""",
    "Mitel": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK2468013579-12345678
Max-Forwards: 70
From: "Alice" <sip:+12155550100@192.0.2.7:5060>;tag=0_1234567890-87654321
To: <sip:+12155550199@192.0.2.1:5060>
Call-ID: 1234567890-12345678
CSeq: 1 INVITE
Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,REFER,NOTIFY,INFO,PRACK,UPDATE
Supported: 100rel,timer,replaces
User-Agent: Mitel-3300-ICP 9.4.0.25
Contact: <sip:+12155550100@192.0.2.7:5060;transport=udp>
P-Asserted-Identity: "Alice" <sip:+12155550100@192.0.2.7:5060>
Session-Expires: 90;refresher=uac
Min-SE: 90
Content-Type: application/sdp
Content-Length: {length}""",
    "AudioCodes": """
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKac1234567890
Max-Forwards: 70
From: "Alice" <sip:+12155550100@192.0.2.7;user=phone>;tag=1c1234567890
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: 123456789015120279000@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:+12155550100@192.0.2.7:5060>
Supported: em,100rel,timer,replaces,path,resource-priority,sdp-anat
Allow: REGISTER,OPTIONS,INVITE,ACK,CANCEL,BYE,NOTIFY,PRACK,REFER,INFO,SUBSCRIBE,UPDATE
P-Asserted-Identity: "Alice" <sip:+12155550100@192.0.2.7>
User-Agent: Mediant VE SBC/v.7.40A.250.423
Content-Type: application/sdp
Content-Length: {length}""",
    "Twilio": """
Record-Route: <sip:192.0.2.7;r2=on;lr;ftag=12345678_c3356d0b_a1b2c3d4>
Record-Route: <sip:192.0.2.8;r2=on;lr;ftag=12345678_c3356d0b_a1b2c3d4>
CSeq: 1 INVITE
From: <sip:+12155550100@example.pstn.twilio.example>;tag=12345678_c3356d0b_a1b2c3d4
To: <sip:+12155550199@192.0.2.1>
Max-Forwards: 64
P-Asserted-Identity: <sip:+12155550100@192.0.2.7:5060>
Diversion: <sip:+12155550199@twilio.example>;reason=unconditional
Call-ID: 0123456789abcdef0123456789abcdef@0.0.0.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1a2b.c3d4e5f6.0
Via: SIP/2.0/UDP 192.0.2.9:5060;rport=5060;branch=z9hG4bK12345678-a1b2
Contact: <sip:+12155550100@192.0.2.9:5060;transport=udp>
Allow: INVITE,ACK,CANCEL,OPTIONS,BYE
User-Agent: Twilio Gateway
X-Twilio-AccountSid: AC00000000000000000000000000000000
X-Twilio-CallSid: CA00000000000000000000000000000000
Content-Type: application/sdp
Content-Length: {length}""",
    "Telnyx": """
Record-Route: <sip:192.0.2.7;lr;ftag=a1b2>
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK7d6e.0f1a2b3c4d5e6f708192a3b4c5d6e7f8.0
Max-Forwards: 65
From: "+12155550100" <sip:+12155550100@192.0.2.7>;tag=a1b2
To: <sip:+12155550199@192.0.2.1:5060>;cause=302
Call-ID: 01234567-89ab-123c-defa-0123456789ab
CSeq: 80000000 INVITE
Contact: <sip:+12155550100@192.0.2.7:5070;transport=udp>
Supported: path
X-Telnyx-Session-ID: 01234567-89ab-11ee-a1b2-c3d4e5f6a7b8
P-Asserted-Identity: "+12155550100" <sip:+12155550100@192.0.2.7>
Content-Type: application/sdp
Content-Length: {length}""",
    "Bandwidth": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0eBc1d2e3f4a5b6c7d8
From: "PENNSYLVANIA" <sip:+12155550100@192.0.2.7;isup-oli=62>;tag=gK0e1f2a3b
To: <sip:+12155550199@192.0.2.1>
Call-ID: 237_98765432@192.0.2.7
CSeq: 123456 INVITE
Max-Forwards: 69
Contact: <sip:+12155550100@192.0.2.7:5060;tgrp=PENN;trunk-context=192.0.2.7>
P-Asserted-Identity: "PENNSYLVANIA" <sip:+12155550100@192.0.2.7:5060>
Allow: INVITE,ACK,CANCEL,BYE,OPTIONS
Content-Type: application/sdp
Content-Length: {length}""",
    "Vonage": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK00a1b2c3
From: <sip:12155550100@192.0.2.7>;tag=a0b1c2
To: <sip:12155550199@192.0.2.1>
Call-ID: 0a1b2c3d4e5f6071@192.0.2.7
CSeq: 1 INVITE
Max-Forwards: 57
Contact: <sip:12155550100@192.0.2.7:5060>
P-Asserted-Identity: <sip:12155550100@192.0.2.7>
X-Nexmo-Trace-ID: 0123456789abcdef
Content-Type: application/sdp
Content-Length: {length}""",
    "Zoom Phone": """
Record-Route: <sip:192.0.2.7:5061;transport=tls;lr;r2=on>
Via: SIP/2.0/TLS 192.0.2.7:5061;branch=z9hG4bKd1e2f3;rport
Max-Forwards: 68
From: "Alice" <sip:+12155550100@192.0.2.7;user=phone>;tag=1A2b3C4d
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: 2f3e4d5c6b7a@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:+12155550100@192.0.2.7:5061;transport=tls;X-ZM-FORWARD=1>
P-Asserted-Identity: "Alice" <sip:+12155550100@192.0.2.7;user=phone>
User-Agent: ZoomPBXPhone_SBC
Content-Type: application/sdp
Content-Length: {length}""",
    "RingCentral": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1a2b-3c4d5e6f
Max-Forwards: 68
From: "WIRELESS CALLER" <sip:+12155550100@192.0.2.7:5060;transport=udp>;tag=10.1.2.3-5070-1a2b3c
To: <sip:+12155550199@192.0.2.1>
Call-ID: a1b2c3d4e5f6-12155550100-12155550199@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:+12155550100@192.0.2.7:5060;transport=udp>
P-Asserted-Identity: "WIRELESS CALLER" <sip:+12155550100@192.0.2.7>
p-rc-api-ids: party-id=p-1;session-id=s-1
Content-Type: application/sdp
Content-Length: {length}""",
    "Huawei": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK8y7x6w5v4u3t2s1r0q9p8o7nT15017;Role=3;Hpt=8e52_16;TRC=ffffffff-ffffffff
Record-Route: <sip:192.0.2.7:5060;transport=udp;lr;Hpt=8e52_116;CxtId=3;TRC=ffffffff-ffffffff>
Call-ID: asbc0a1b2c3d4e5f6071@192.0.2.7
From: <sip:+12155550100@192.0.2.7;user=phone>;tag=sbc0503a1b2c3d4
To: <sip:+12155550199@192.0.2.1;user=phone>
CSeq: 1 INVITE
Allow: INVITE,ACK,OPTIONS,BYE,CANCEL,INFO,PRACK,NOTIFY,MESSAGE,UPDATE
Contact: <sip:192.0.2.7:5060;Hpt=8e52_16;CxtId=3;TRC=ffffffff-ffffffff>
Max-Forwards: 62
Supported: 100rel,histinfo
P-Asserted-Identity: <sip:+12155550100@192.0.2.7;user=phone>
Privacy: none
Content-Length: {length}
Content-Type: application/sdp""",
    "Ericsson": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK4a3b2c1d0e9f8a7b6c5d4e3fk55555yaaaaacaaaaa3Zqkv7aaaaaaaaaaaaaaaa
To: <tel:+12155550199>
From: <tel:+12155550100>;tag=h7g4Esbg_p65542t1a2b3c
Call-ID: p65542t1a2b3cm987654c123456s2
CSeq: 1 INVITE
Max-Forwards: 60
Content-Length: {length}
Contact: <sip:sgc_c@192.0.2.7;transport=udp>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"
Record-Route: <sip:3Zqkv7%0BaGqmaaaaaacqsip%3A%2B12155550100%40ims.example@192.0.2.7;lr>
P-Asserted-Identity: <tel:+12155550100>
Content-Type: application/sdp
Supported: 100rel,timer""",
    "Nokia CFX": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK*1-2-16387-2345-9-678*a1b2c3d4.1
From: <sip:+12155550100@ims.example;user=phone>;tag=192.0.2.7+1+0+a1b2c3
To: <sip:+12155550199@ims.example;user=phone>
Call-ID: LU-160945920012345-9876543@ims.example
CSeq: 1 INVITE
Max-Forwards: 59
P-Asserted-Identity: "Alice" <sip:+12155550100@ims.example;user=phone>
P-Asserted-Identity: "Alice" <tel:+12155550100>
P-Charging-Vector: icid-value=PCSF:1-ims-0-1-5a6b;icid-generated-at=192.0.2.7;orig-ioi=ims.example
Contact: <sip:192.0.2.7:5060;lskpmc=P12>
Content-Type: application/sdp
Content-Length: {length}""",
    "Alcatel OXE": """
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK0a9b8c7d6e5f4a3b
From: "ALICE" <sip:+12155550100@192.0.2.7;user=phone>;tag=9c8d7e6f
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: 5d4c3b2a1f0e@192.0.2.7
CSeq: 1234567890 INVITE
Contact: <sip:+12155550100@192.0.2.7;transport=UDP>
Max-Forwards: 70
Supported: replaces,timer,path,100rel
User-Agent: OmniPCX Enterprise R12.4 m5.204.10
P-Asserted-Identity: "ALICE" <sip:+12155550100@192.0.2.7;user=phone>
Session-Expires: 1800;refresher=uac
Min-SE: 900
Content-Type: application/sdp
Content-Length: {length}""",
    "Unify OpenScape": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-bf1e.1a2b3c4d5e6f.1
Max-Forwards: 68
From: "Alice" <sip:+12155550100@192.0.2.7>;tag=snl_0a1B2c3D4e
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: SEC11-a1b2c3d-e4f5a6b7-1-c8d9e0f1a2b3@192.0.2.7
CSeq: 1235 INVITE
Contact: <sip:+12155550100@192.0.2.7:5060;transport=udp;maddr=192.0.2.7>
P-Asserted-Identity: "Alice" <sip:+12155550100@192.0.2.7>
X-Siemens-Call-Type: ST-secure
Alert-Info: <Bellcore-dr1>
Content-Type: application/sdp
Content-Length: {length}""",
    "Kamailio in front": """
Record-Route: <sip:192.0.2.7;lr=on;ftag=abc;did=123.4561>
Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK5d4c.3b2a1f0e9d8c7b6a5f4e3d2c1b0a9f8e.0
Via: SIP/2.0/UDP 10.0.0.5:5060;received=10.0.0.5;rport=5060;branch=z9hG4bK-524287-1---0a1b
Max-Forwards: 69
From: <sip:+12155550100@pbx.example>;tag=abc
To: <sip:+12155550199@192.0.2.1>
Call-ID: 9d8c7b6a
CSeq: 1 INVITE
Contact: <sip:+12155550100@10.0.0.5:5060;alias=10.0.0.5~5060~1>
Content-Type: application/sdp
Content-Length: {length}""",
    "OpenSIPS with topology hiding": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0f1e.2d3c4b5a69788796a5b4c3d2e1f0a9b8.0
Max-Forwards: 70
From: <sip:+12155550100@192.0.2.7>;tag=9z8y7x
To: <sip:+12155550199@192.0.2.1>
Call-ID: DLGCH_MDhhYzQ1NmI3OGM5ZDBlMQ--
CSeq: 2 INVITE
Contact: <sip:192.0.2.7:5060;did=5f4.a1b2c3d4>
Content-Type: application/sdp
Content-Length: {length}""",
    "Fritz!Box": """
Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK0A1B2C3D4E5F6A7B
From: <sip:+12155550100@192.0.2.1>;tag=0123456789ABCDEF
To: <sip:+12155550199@192.0.2.1>
Call-ID: 0123456789ABCDEF@192.0.2.7
CSeq: 5 INVITE
Contact: <sip:+12155550100@192.0.2.7;uniq=0123456789ABCDEF0123456789ABC>
Max-Forwards: 70
Expires: 120
User-Agent: AVM FRITZ!Box 7590 154.07.57 (Sep  5 2023)
Supported: 100rel,replaces,timer
Allow-Events: telephone-event,refer,reg
Allow: INVITE,ACK,OPTIONS,CANCEL,BYE,UPDATE,PRACK,INFO,SUBSCRIBE,NOTIFY,REFER,MESSAGE,PUBLISH
Content-Type: application/sdp
Accept: application/sdp, multipart/mixed
Accept-Encoding: identity
Content-Length: {length}
P-Early-Media: supported""",
    "Gigaset": """
Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK8f7e6d5c4b3a2918
From: "Alice" <sip:+12155550100@192.0.2.1>;tag=1029384756
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: 5647382910@192_0_2_7
CSeq: 2 INVITE
Contact: <sip:+12155550100@192.0.2.7:5060>
Max-Forwards: 70
User-Agent: Gigaset N510 IP PRO/42.270.00.000.000
Allow-Events: message-summary, refer, ua-profile, talk, check-sync
Content-Type: application/sdp
Content-Length: {length}""",
    "Patton": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0a1b2c3d4e5f6a7b8
Max-Forwards: 70
From: "" <sip:+12155550100@192.0.2.7:5060>;tag=a1b2c3d4e5
To: <sip:+12155550199@192.0.2.1:5060>
Call-ID: 0123abcd4567ef89
CSeq: 12345 INVITE
Contact: <sip:+12155550100@192.0.2.7:5060;transport=udp>
P-Asserted-Identity: <sip:+12155550100@192.0.2.7>
User-Agent: Patton SN4141 1BIS 00A0BA000001 R6.11
Content-Type: application/sdp
Content-Length: {length}""",
    "pjsua": """
Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKPj.a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p
Max-Forwards: 70
From: sip:+12155550100@192.0.2.7;tag=q6r7s8t9u0
To: sip:+12155550199@192.0.2.1
Contact: <sip:+12155550100@192.0.2.7:5060;ob>
Call-ID: v1w2x3y4z5
CSeq: 4711 INVITE
Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS
Supported: replaces, 100rel, timer, norefersub
Session-Expires: 1800
Min-SE: 90
User-Agent: PJSUA v2.13 Linux-6.1/x86_64/glibc-2.36
Content-Type: application/sdp
Content-Length:   {length}""",
    "baresip": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK0a1b2c3d4e5f6a7b;rport
Contact: <sip:+12155550100-0x55d0c0a1b2c3@192.0.2.7:5060>;expires=3600;+sip.instance="<urn:uuid:1a2b3c4d-5e6f-7081-92a3-b4c5d6e7f809>"
Max-Forwards: 70
To: <sip:+12155550199@192.0.2.1>
From: "Alice" <sip:+12155550100@192.0.2.1>;tag=0f1e2d3c4b5a6978
Call-ID: 9a8b7c6d5e4f3021
CSeq: 24680 INVITE
User-Agent: baresip v2.0.0 (x86_64/Linux)
Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,NOTIFY,SUBSCRIBE,INFO,MESSAGE,UPDATE,REFER
Supported: gruu
Content-Type: application/sdp
Content-Length: {length}""",
    "SIPp": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-12345-1-0
From: sipp <sip:+12155550100@192.0.2.7:5060>;tag=12345SIPpTag001
To: <sip:+12155550199@192.0.2.1:5060>
Call-ID: 1-12345@192.0.2.7
CSeq: 1 INVITE
Contact: sip:+12155550100@192.0.2.7:5060
Max-Forwards: 70
Subject: Performance Test
Content-Type: application/sdp
Content-Length: {length}""",
    "WebRTC gateway": """
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK2468024
Max-Forwards: 69
To: <sip:+12155550199@192.0.2.1>
From: "Alice" <sip:+12155550100@192.0.2.1>;tag=a1s2d3f4g5
Call-ID: 7h8j9k0l1q2w3e4r5t6y
CSeq: 9876 INVITE
Contact: <sip:df7jal23@df7jal23ls0d.invalid;transport=ws;ob>
Session-Expires: 90
Content-Type: application/sdp
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY
Supported: timer,ice,replaces,outbound
User-Agent: JsSIP 3.10.0
Content-Length: {length}""",
    "Bria": """
Via: SIP/2.0/UDP 192.0.2.7:63123;branch=z9hG4bK-d8754z-a1b2c3d4e5f60718-1---d8754z-;rport
Max-Forwards: 70
Contact: <sip:+12155550100@192.0.2.7:63123;rinstance=0a1b2c3d4e5f6071>
To: <sip:+12155550199@192.0.2.1>
From: "Alice"<sip:+12155550100@192.0.2.1>;tag=6b5a4f3e
Call-ID: MGExYjJjM2Q0ZTVmNjA3MTgyOTNhNGI1YzZkN2U4ZjkK
CSeq: 1 INVITE
Allow: SUBSCRIBE, NOTIFY, INVITE, ACK, CANCEL, BYE, REFER, INFO, OPTIONS, MESSAGE
Content-Type: application/sdp
Supported: replaces
User-Agent: Bria 4 release 4.8.1 stamp 83900
Content-Length: {length}""",
    "PBX extension as caller": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKpbx1;rport
Max-Forwards: 70
From: "Room 101" <sip:101@192.0.2.7>;tag=as0101
To: <sip:+12155550199@192.0.2.1>
Contact: <sip:101@192.0.2.7:5060>
Call-ID: ext-101@192.0.2.7
CSeq: 102 INVITE
User-Agent: Asterisk PBX 16.2.1
Content-Type: application/sdp
Content-Length: {length}""",
    "PBX user name as caller": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKpbx2;rport
Max-Forwards: 70
From: "Alice" <sip:alice.smith@pbx.example>;tag=u1
To: <sip:+12155550199@192.0.2.1>
Contact: <sip:alice.smith@192.0.2.7:5060>
Call-ID: name-1@192.0.2.7
CSeq: 1 INVITE
Content-Type: application/sdp
Content-Length: {length}""",
    "quoted name with comma, angle brackets and escapes": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKq1
Max-Forwards: 70
From: "Smith, \\"Bob\\" <sales> \\\\ Co." <sip:+12155550100@192.0.2.7>;tag=q1
To: "Doe; tag=x" <sip:+12155550199@192.0.2.1>
Contact: <sip:+12155550100@192.0.2.7:5060>
Call-ID: quoted-1@192.0.2.7
CSeq: 1 INVITE
Content-Type: application/sdp
Content-Length: {length}""",
    "name in UTF-8": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKutf8
Max-Forwards: 70
From: "J\u00fcrgen M\u00fcller" <sip:+12155550100@192.0.2.7>;tag=utf8
To: <sip:+12155550199@192.0.2.1>
Contact: <sip:+12155550100@192.0.2.7:5060>
Call-ID: utf8-1@192.0.2.7
CSeq: 1 INVITE
Content-Type: application/sdp
Content-Length: {length}""",
    "RFC 2543 device": """
Via: SIP/2.0/UDP 192.0.2.7:5060
From: <sip:+12155550100@192.0.2.7>
To: <sip:+12155550199@192.0.2.1>
Call-ID: 2543@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:+12155550100@192.0.2.7>
Content-Type: application/sdp
Content-Length: {length}""",
    "compact forms": """
v: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKc1
Max-Forwards: 70
f: "Alice" <sip:+12155550100@192.0.2.7>;tag=c1
t: <sip:+12155550199@192.0.2.1>
i: compact-1@192.0.2.7
CSeq: 1 INVITE
m: <sip:+12155550100@192.0.2.7:5060>
k: timer,100rel
x: 1800
o: talk
s: Lunch
c: application/sdp
l: {length}""",
    "ISUP tunnelled by a media gateway": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKisup
Max-Forwards: 70
From: <sip:+12155550100@192.0.2.7;user=phone>;tag=isup
To: <sip:+12155550199@192.0.2.1;user=phone>
Call-ID: isup-1@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:192.0.2.7:5060>
MIME-Version: 1.0
User-to-User: 34323936;encoding=hex;purpose=isdn-interwork
Content-Type: application/sdp
Content-Length: {length}""",
    "no body": """
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKnb1
Max-Forwards: 70
From: <sip:+12155550100@192.0.2.7>;tag=nb1
To: <sip:+12155550199@192.0.2.1>
Call-ID: nobody-1@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:+12155550100@192.0.2.7:5060>
Content-Length: 0""",
}
_WITHOUT_BODY = {"no body"}
_URIS = {
    "Teams": "sip:+12155550199@192.0.2.1:5061;user=phone;transport=tls",
    "3GPP IMS, tel URIs": "tel:+12155550199",
    "Sonus GSX with number portability": "sip:+12155550199;npdi=yes;rn=+12155550000@192.0.2.1:5060",
    "Cisco SPA": "sip:12155550199@192.0.2.1",
    "Metaswitch": "sip:2155550199@192.0.2.1:5060;user=phone",
    "Ericsson": "tel:+12155550199",
    "BroadWorks": "sip:+12155550199@192.0.2.1:5060;user=phone",
}
PLAIN = {
    name: _made(text, _URIS.get(name, _URI), "" if name in _WITHOUT_BODY else _SDP) for name, text in _PLAIN.items()
}
_CHAN_SIP = PLAIN["Asterisk chan_sip"]


def _but(old: str, new: str, message: bytes = _CHAN_SIP) -> bytes:
    changed = message.replace(old.replace("\n", "\r\n").encode(), new.replace("\n", "\r\n").encode(), 1)
    if changed == message:
        raise ValueError(old)
    return changed


def _lf(message: bytes) -> bytes:
    head, end, body = message.partition(b"\r\n\r\n")
    return (head + end).replace(b"\r\n", b"\n") + body


_LENGTH = len(_SDP.replace("\n", "\r\n"))
SLOPPY = {
    "name without quotes, with a comma": _but('From: "Alice" <', "From: Smith, Alice <"),
    "name without quotes, with parentheses and a dot": _but('From: "Alice" <', "From: Alice (Sales) Inc. <"),
    "name without quotes in UTF-8": _but('From: "Alice" <', "From: J\u00fcrgen <"),
    "name without quotes, with an apostrophe": _but('From: "Alice" <', "From: O'Neil's <"),
    "two Max-Forwards": _but("Max-Forwards: 70\n", "Max-Forwards: 70\nMax-Forwards: 70\n"),
    "Content-Length two too small": _but(f"Content-Length: {_LENGTH}", f"Content-Length: {_LENGTH - 2}"),
    "Content-Length two too large": _but(f"Content-Length: {_LENGTH}", f"Content-Length: {_LENGTH + 2}"),
    "Content-Length one too large": _but(f"Content-Length: {_LENGTH}", f"Content-Length: {_LENGTH + 1}"),
    "blanks in Via": _but("Via: SIP/2.0/UDP 192.0.2.7:5060;branch", "Via: SIP / 2.0 / UDP  192.0.2.7 : 5060 ; branch"),
    "Contact on several lines": _but("Contact: <sip:+12155550100@192.0.2.7:5060>", "Contact:\n  <sip:+12155550100@192.0.2.7:5060>\n\t;expires=60"),
    "From on two lines": _but("<sip:+12155550100@192.0.2.7>;tag=as1d2c3b4a", "<sip:+12155550100@192.0.2.7>\n ;tag=as1d2c3b4a"),
    "blank behind the semicolon of the From tag": _but(">;tag=as1d2c3b4a", ">; tag=as1d2c3b4a"),
    "blank in front of the colon": _but("Call-ID: ", "Call-ID : "),
    "blanks at the end of lines": _but("CSeq: 102 INVITE\n", "CSeq: 102 INVITE  \n"),
    "line ends of header fields are LF": _lf(_CHAN_SIP),
    "line ends in front": b"\r\n\r\n" + _CHAN_SIP,
    "line ends behind": PLAIN["no body"] + b"\r\n\r\n",
    "NUL behind": PLAIN["no body"] + b"\0",
    "no Content-Length": _but(f"Content-Length: {_LENGTH}\n", ""),
    "no Max-Forwards": _but("Max-Forwards: 70\n", ""),
    "empty header fields": _but("Supported: replaces, timer", "Supported:\nSubject: \nOrganization:"),
    "Call-ID with brackets and blanks": _but("Call-ID: 6f7e8d9c0b1a2f3e4d5c6b7a8f9e0d1c@192.0.2.7:5060", "Call-ID: {6F7E8D9C-0B1A}@[192.0.2.7]"),
    "two blanks in CSeq": _but("CSeq: 102 INVITE", "CSeq: 102  INVITE"),
    "tab behind the colon": _but("CSeq: 102 INVITE", "CSeq:\t102 INVITE"),
    "P-Asserted-Identity without brackets": _but("Remote-Party-ID:", "P-Asserted-Identity: tel:+12155550100\nRemote-Party-ID:"),
    "semicolon at the end of From": _but(";tag=as1d2c3b4a", ";tag=as1d2c3b4a;"),
    "underscore in a host name": _but("To: <sip:+12155550199@192.0.2.1>", "To: <sip:+12155550199@sbc_1.example>"),
    "brackets around the Request-URI's parameter": _but("INVITE sip:+12155550199@192.0.2.1 ", "INVITE sip:+12155550199@192.0.2.1;a=[b] "),
    "two Content-Type that agree": _but("Content-Type: application/sdp\n", "Content-Type: application/sdp\nContent-Type: application/sdp\n"),
    "two Content-Length that agree": _but(f"Content-Length: {_LENGTH}\n", f"Content-Length: {_LENGTH}\nContent-Length: {_LENGTH}\n"),
    "date without a zone": _but(" 08:00:00 GMT", " 08:00:00"),
}  # fmt: skip
