"""Engine state that survives a reload: the engine with the new rules takes over the old one's state."""

from collections import Counter
from collections.abc import Mapping

from sbc_filter.counters import CounterName
from sbc_filter.engine.act.reasons_received import Complaints
from sbc_filter.engine.act.reasons_sent import Reports
from sbc_filter.engine.act.redirects import Redirects
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.memory.transactions import Transactions
from sbc_filter.outcomes import Detail, Repair
from sbc_filter.rules.model import Mode
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import RemoteCredential


class EngineState:
    """Everything that an engine remembers. One engine at a time uses it, in one thread.

    A retransmission gets its first copy's result. Held calls are decided by the rules they arrived under.
    `reports`, `redirects` and `complaints` are None where no rule needs them.
    """

    def __init__(self, certificates: CertificateMemory) -> None:
        self.counters: Counter[CounterName | Detail] = Counter()  # details of packets that are not looked at
        self.deviations: Counter[tuple[str, ...]] = Counter()  # those of one call together: one look-up a call
        self.repairs: Counter[Repair] = Counter()
        self.unread = 0  # packets that are not for the engine; a counter would cost more than looking at them
        self.needs = 0  # how many there were: the number of the last
        self.transactions = Transactions()
        self.certificates = certificates
        self.credentials: Mapping[str, Credential | RemoteCredential] = {}
        self.reports: Reports | None = None
        self.redirects: Redirects | None = None
        self.complaints: Complaints | None = None

    def prepare(
        self,
        rules: RuleSet,
        certificates: CertificateMemory,
        credentials: Mapping[str, Credential | RemoteCredential],
    ) -> None:
        """Make this the state of an engine with these rules and credentials.

        Certificates that are known stay known, as far as the trust store of `certificates` believes them. What no rule
        needs any more is forgotten.
        """
        if self.certificates is not certificates:
            self.certificates.set_trust_store(certificates.trust, certificates.tolerate)
        # What is held may name credentials that the new configuration does not have.
        self.credentials = {**self.credentials, **credentials} if self.transactions.held else credentials
        every = rules.rules
        self.reports = (self.reports or Reports()) if any(rule.reports for rule in every) else None
        redirects = any(rule.redirects and rule.mode is Mode.ENFORCE for rule in every)
        self.redirects = (self.redirects or Redirects()) if redirects else None
        self.complaints = (self.complaints or Complaints()) if any(rule.removes_reasons for rule in every) else None
