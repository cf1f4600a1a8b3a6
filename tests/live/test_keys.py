"""Our own keys, live: one on a token (SoftHSM), and one that takes over from another while calls leave."""

import itertools
import time
from collections import Counter
from pathlib import Path

import pytest
from support import calls, softhsm
from support.keys import CARRIER, KEYS, X5U, configuration, signed_by, token_of, written
from support.netns import LIVE, endpoint
from support.runs import started

from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE


def leaving(lab: Lab, file: Path, count: int, per_second: int, until: float = 0.0) -> Counter[tuple[str, bool, bool]]:
    """Calls that leave at this rate, so many at least, and until this time (POSIX seconds): how many arrive with which
    x5u, signed by the first key, by the second."""
    keys = [each.public_key() for each in KEYS]
    arrived: Counter[tuple[str, bool, bool]] = Counter()
    with started(lab, file), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        begin = time.monotonic()
        for number in itertools.count():
            if number >= count and time.time() > until:
                break
            time.sleep(max(0.0, begin + number / per_second - time.monotonic()))
            sbc.sendto(calls.invite(number=number), CARRIER)
            token, x5u = token_of(carrier.recv(70000))
            arrived[x5u, signed_by(token, keys[0]), signed_by(token, keys[1])] += 1
    return arrived


def test_a_key_takes_over_at_200_calls_a_second(lab: Lab, tmp_path: Path) -> None:
    """None is lost, and none has the URL of one certificate and the signature of the other key."""
    maker = Maker(time.time(), "keys")
    made = maker.laboratory()
    first, second = (written(tmp_path, made, maker, at) for at in range(2))
    arrived: Counter[tuple[str, bool, bool]] = Counter()
    for delay in (6, 12, 24, 48):  # seconds; until the filter is there in time
        begins = time.time() + delay
        moment = time.strftime("from = %Y-%m-%dT%H:%M:%SZ\n", time.gmtime(begins))
        more = f"[credentials.ours]\n{first}[[credentials.ours.next]]\n{second}{moment}"
        arrived = leaving(lab, configuration(tmp_path, made, more), 400, 200, begins + 1)
        assert arrived.keys() <= {(X5U.format(0), True, False), (X5U.format(1), False, True)}
        if len(arrived) > 1:
            break
    assert len(arrived) == 2
    assert min(arrived.values()) > 0


@pytest.mark.skipif(softhsm.MISSING is not None, reason=str(softhsm.MISSING))
def test_a_token_signs(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key never lies on disk; calls wait for the token, and each leaves signed."""
    maker = Maker(time.time(), "keys")
    made = maker.laboratory()
    environment = softhsm.make_store(tmp_path)
    softhsm.make_token(environment, "STIR", {"01": ("shaken", KEYS[0])})
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lines = written(tmp_path, made, maker, 0).replace('"0.key"', '"pkcs11:token=STIR;object=shaken"')
    (tmp_path / "0.key").unlink()
    (tmp_path / "pin").write_text(softhsm.PIN)
    (tmp_path / "pin").chmod(0o600)
    lines += f'pkcs11_module = "{softhsm.MODULE}"\npin = "pin"\n'
    arrived = leaving(lab, configuration(tmp_path, made, f"[credentials.ours]\n{lines}"), 100, 100)
    assert arrived == {(X5U.format(0), True, False): 100}
