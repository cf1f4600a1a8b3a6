"""What PJSIP reads from TCP: a line for each message that its transport hands on (tests/judges/drivers/stream.py).

Its own log has the method and the octets of each message, and the message as it is in memory, for the Call-ID.
"""

import re

import pjsua2

_RECEIVED = re.compile(
    r"RX (?P<octets>\d+) bytes (?:Request msg (?P<method>.*?)|Response msg (?P<status>\d+)/.*?)/cseq=-?\d+ "
    r"[^\n]*\n(?P<text>.*)",
    re.DOTALL,
)
_CALL_ID = re.compile(r"\n(?:call-id|i)\s*:\s*([^\r\n]*?)\s*[\r\n]", re.IGNORECASE)


class Log(pjsua2.LogWriter):  # type: ignore[misc]
    """Takes what the library writes to its log."""

    def write(self, entry: pjsua2.LogEntry) -> None:
        found = _RECEIVED.search(entry.msg)
        if found is not None:
            call = _CALL_ID.search(found["text"])
            method = found["method"] or found["status"]
            fields = [part.encode("utf-8", "replace").hex() for part in (method, call[1] if call else "")]
            print(f"|judge|{fields[0]}|{fields[1]}|message|{found['octets']}|", flush=True)


def main() -> None:
    endpoint, log = pjsua2.Endpoint(), Log()
    endpoint.libCreate()
    settings = pjsua2.EpConfig()
    settings.uaConfig.threadCnt, settings.uaConfig.mainThreadOnly = 0, True
    settings.logConfig.level, settings.logConfig.consoleLevel, settings.logConfig.msgLogging = 4, 4, 1
    settings.logConfig.writer = log
    log.__disown__()
    endpoint.libInit(settings)
    transport = pjsua2.TransportConfig()
    transport.port, transport.boundAddress = 5070, "127.0.0.1"
    endpoint.transportCreate(pjsua2.PJSIP_TRANSPORT_TCP, transport)
    endpoint.libStart()
    while True:
        endpoint.libHandleEvents(1000)


if __name__ == "__main__":
    main()
