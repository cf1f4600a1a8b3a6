"""Certificates that were not available, and services that did not verify."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import CARRIER, CARRIER_FIRST, SERVICE, YOU, YOU_FIRST, Actor, Explanation
from sbc_filter.outcomes import Detail

_FETCH = "RFC 8224 §6.2 step 3, §7.2"
_SERVICE = "ATIS-1000082; RFC 8224 §6.2.2 for the code"

UNFETCHABLE: Mapping[Detail, Explanation] = {
    Detail.X5U_POLICY: Explanation(
        "The URL of the certificate breaks the rules for such URLs. It is not https, has a port other than 443 and"
        " 8443, a query or user information, or an address that is not public. `verstat` is `TN-Validation-Failed`.",
        "RFC 8224 §6.2 step 3, ATIS-1000074 §5.3.1",
        CARRIER,
        "The signer must publish its certificate at another URL. Inform it; the URL names it.",
    ),
    Detail.FETCH_REFUSED: Explanation(
        "The certificate is not on this host and was not fetched, so the signature was not checked. A replay and"
        " `explain` fetch only with `--fetch`. Live: it is not in the folder and fetching is off, the socket"
        " returned 404, the command failed, or more new URLs came than `fetch_rate` in `[certificates]` allows."
        " Also an emergency call whose certificate is not in the cache, because emergency calls never wait.",
        _FETCH,
        YOU,
        "In a replay or with `explain`, give `--fetch`, or name its file with `--certificate`, or a folder that has"
        " it with `--certificates`. Live, put it into the folder that `directory` in `[certificates]` of"
        " sbc-filter.toml names, or write `fetch = true` there. In a flood, do nothing: known signers continue.",
    ),
    Detail.FETCH_TIMEOUT: Explanation(
        "The certificate did not arrive in time: within `hold_ms` of the rule, and within the limit of the fetch,"
        " socket or command.",
        f"{_FETCH}. No standard sets the limit.",
        YOU_FIRST,
        "The next call usually finds it. If not, check whether the host of the URL is reachable from here. If it is"
        " only slow, raise `hold_ms` in `[rule.verify]` of the rule.",
    ),
    Detail.FETCH_DNS: Explanation(
        "The host name in the URL of the certificate does not resolve.",
        f"{_FETCH}; RFC 1035",
        YOU_FIRST,
        "Check DNS on this host. Otherwise the signer must correct its DNS or its URL.",
    ),
    Detail.FETCH_ADDRESS: Explanation(
        "The host name in the URL of the certificate leads to an address that is not public.",
        "RFC 6890, ATIS-1000074 §5.3.1",
        CARRIER_FIRST,
        "It is an attack, or a laboratory. For a laboratory, list its networks as `allowed_networks` in"
        " `[certificates]` of sbc-filter.toml.",
    ),
    Detail.FETCH_CONNECT: Explanation(
        "The connection failed. With `socket` in `[certificates]`: no server listens there, or it does not speak HTTP.",
        _FETCH,
        YOU_FIRST,
        "Check that your firewall allows ports 443 and 8443 outwards, or start your server.",
    ),
    Detail.FETCH_TLS: Explanation(
        "TLS failed: the certificate of the web server is wrong, or the version is below 1.2.",
        "RFC 9110 §4.3.4, RFC 8996",
        CARRIER_FIRST,
        "The signer must repair its web server. If a private authority issued the web certificate, name that as"
        " `web_ca` in `[certificates]` of sbc-filter.toml.",
    ),
    Detail.FETCH_STATUS: Explanation(
        "The web server, or yours at `socket`, did not return 200, or compressed the body. A redirect is followed"
        " only if `tolerate` in `[certificates]` has `redirects`, and a fourth one is not.",
        "ATIS-1000074 §5.3.1, RFC 9110 §15",
        CARRIER_FIRST,
        "The signer must serve the certificate at exactly this URL. If it came from your server, at `socket` in"
        " `[certificates]` of sbc-filter.toml, correct that.",
    ),
    Detail.FETCH_TOO_LARGE: Explanation(
        "The response has more than 64 KiB.",
        "None: this limit protects the filter. A chain has about 3 KiB.",
        CARRIER,
        "The signer must serve its chain and nothing else.",
    ),
    Detail.HOLD_LIMIT: Explanation(
        "1000 INVITEs are waiting, and this peer has [its share](security.md#shares-of-the-peers).",
        "None: this limit protects the filter.",
        YOU,
        "Find out which peer sends so many calls. In a flood, block that peer. Otherwise certificates come slowly:"
        " check the network of this host, and lower `hold_ms` in `[rule.verify]` of the rule until then.",
    ),
    Detail.VERIFICATION_TIMEOUT: Explanation(
        "The [service that verifies](configuration.md#verifiersname) did not respond in time: within `hold_ms` of"
        " the rule, and within 2 seconds.",
        "ATIS-1000082. No standard sets the limit.",
        (Actor.SERVICE, Actor.YOU),
        "Measure how long it takes. Have it repaired, or raise `hold_ms` in `[rule.verify]` of the rule.",
    ),
    Detail.VERIFICATION_REFUSED: Explanation(
        "The service that verifies refused, or its response cannot be read. Or the filter did not ask, because this is"
        " a replay, an explanation or an emergency call.",
        "ATIS-1000082",
        (Actor.YOU, Actor.SERVICE),
        "Read the log of `sbc-filter run`: it has the service's reason.",
    ),
    Detail.VERIFICATION_UNREACHABLE: Explanation(
        "The connection to the service that verifies failed, or TLS failed.",
        "ATIS-1000082",
        (Actor.YOU, Actor.SERVICE),
        "Check whether the service is up, then `service`, `web_ca` and `client_certificate` in `[verifiers.NAME]`"
        " of sbc-filter.toml.",
    ),
    Detail.VERIFICATION_MISMATCH: Explanation(
        "The response of the service that verifies contradicts itself, or is about another token.",
        "ATIS-1000082",
        SERVICE,
        "It mixes up calls. Inform its operator, and until then verify here: leave out `service` in `[rule.verify]`"
        " of the rule.",
    ),
    Detail.VERIFICATION_FAILED: Explanation(
        "The service that verifies could not get the certificate (436), or does not say why it did not verify.",
        _SERVICE,
        (Actor.CARRIER, Actor.SERVICE),
        "Ask the operator of the service why. If it could not get the certificate, inform the signer: `x5u`"
        " names the URL.",
    ),
}
