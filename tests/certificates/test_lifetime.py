import pytest
from requests.structures import CaseInsensitiveDict

from sbc_filter.certificates.lifetime import expires

NOW = 1_700_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # NOW
TWO_DAYS_LATER = "Thu, 16 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ({}, DAY),
        ({"Cache-Control": "max-age=172800"}, 2 * DAY),
        ({"cache-control": 'public,MAX-AGE="172800"'}, 2 * DAY),
        ({"Cache-Control": "max-age=172800", "Age": "3600"}, 2 * DAY - HOUR),
        ({"Cache-Control": "max-age=172800", "Age": "-1"}, 2 * DAY),
        ({"Cache-Control": "max-age=172800", "Age": "170000"}, DAY),
        ({"Cache-Control": "max-age=259200, s-maxage=172800"}, 2 * DAY),
        ({"Cache-Control": "max-age=60"}, DAY),
        ({"Cache-Control": "max-age=0"}, DAY),
        ({"Cache-Control": "max-age=-5"}, DAY),
        ({"Cache-Control": "max-age=99999999999999999999"}, 30 * DAY),
        ({"Cache-Control": "x-max-age=172800"}, DAY),
        ({"Cache-Control": "no-store, max-age=172800"}, DAY),
        ({"Cache-Control": "max-age=172800, No-Cache"}, DAY),
        ({"Cache-Control": "max-age=172800, must-revalidate"}, 2 * DAY),
        ({"Cache-Control": "max-age=31536000"}, 30 * DAY),
        ({"Expires": TWO_DAYS_LATER, "Date": DATE}, 2 * DAY),
        ({"Expires": TWO_DAYS_LATER, "Date": "Mon, 13 Nov 2023 22:13:20 GMT"}, 3 * DAY),
        ({"Expires": TWO_DAYS_LATER, "Date": DATE, "Age": "3600"}, 2 * DAY - HOUR),
        ({"Expires": TWO_DAYS_LATER}, 2 * DAY),
        ({"Expires": TWO_DAYS_LATER, "Date": "garbage"}, 2 * DAY),
        ({"Expires": TWO_DAYS_LATER, "Cache-Control": "max-age=259200"}, 3 * DAY),
        ({"Expires": "0"}, DAY),
        ({"Expires": "-1", "Date": DATE}, DAY),
        ({"Expires": "Fri, 31 Dec 9999 23:59:59 GMT"}, 30 * DAY),
        ({"Expires": "Thu, 16 Nov 99999999999 22:13:20 GMT"}, DAY),
    ],
)
def test_expires(headers: dict[str, str], lifetime: float) -> None:
    assert expires(CaseInsensitiveDict(headers), NOW) == NOW + lifetime
