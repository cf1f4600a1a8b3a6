"""What `find` makes of records that come from two places: the filter's memory and the files."""

from sbc_filter.commands.find.find import _key


def test_a_record_is_the_same_in_memory_and_in_a_file() -> None:
    record = {"time": 1.8e9, "src": "192.0.2.7:5060", "call_id": "a", "cseq": 1, "rule": None, "mode": "enforce"}
    assert _key({**record, "more": 1}) == _key(record)
    for name in record:
        assert _key({**record, name: "other"}) != _key(record)


def test_a_damaged_record_can_be_compared() -> None:
    """JSON may have a list or an object in any place."""
    assert len({_key({"call_id": ["a"]}), _key({"call_id": {"a": []}}), _key({"call_id": ["a"]})}) == 2
