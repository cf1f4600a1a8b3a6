"""The connections of a server: who gives way to whom, and who is late."""

import random

from sbc_filter.concurrency.connection_table import Client, ConnectionTable


def entered(table: ConnectionTable[str], address: str, name: str, deadline: float = 5.0) -> Client[str]:
    client, displaced = table.enter(address, name, deadline)
    assert client is not None
    assert displaced is None
    return client


def test_the_longest_waiting_connection_of_the_address_with_most_gives_way() -> None:
    table: ConnectionTable[str] = ConnectionTable(4, 4)
    first = entered(table, "evil", "e1")
    for address, name in (("other", "o1"), ("evil", "e2"), ("evil", "e3")):
        entered(table, address, name)
    assert table.enter("honest", "h1", 5.0)[1] == "e1"
    assert table.enter("third", "t1", 5.0)[1] == "e2"
    assert first not in table
    assert len(table) == 4


def test_a_request_that_is_complete_never_gives_way() -> None:
    table: ConnectionTable[str] = ConnectionTable(2, 2)
    for name in ("e1", "e2"):
        table.begin(entered(table, "evil", name))
    assert table.enter("honest", "h1", 5.0) == (None, None)
    assert table.enter("evil", "e3", 5.0) == (None, None)
    assert table.overdue(1e9) == []


def test_an_address_with_its_full_number_displaces_only_itself() -> None:
    table: ConnectionTable[str] = ConnectionTable(9, 2)
    entered(table, "other", "o1")
    clients = [entered(table, "evil", name) for name in ("e1", "e2")]
    table.wait(clients[0], 7.0)  # its head has come: now it waits for the body, and for less long than the other
    assert table.enter("evil", "e3", 5.0)[1] == "e2"
    assert len(table) == 3


def test_who_is_late() -> None:
    table: ConnectionTable[str] = ConnectionTable(9, 9)
    clients = [entered(table, "one", name, deadline) for name, deadline in (("a", 5.0), ("b", 6.0), ("c", 5.0))]
    table.begin(clients[2])
    assert table.overdue(4.9) == []
    assert table.overdue(5.0) == ["a"]
    table.wait(clients[0], 99.0)  # what its thread says from here on does not matter
    table.begin(clients[0])
    table.leave(clients[0])
    assert len(table) == 2
    table.wait(clients[2], 5.5)
    assert sorted(table.overdue(6.0)) == ["b", "c"]
    assert len(table) == 0


def test_nothing_is_left_behind() -> None:
    chance = random.Random(18)
    table: ConnectionTable[int] = ConnectionTable(6, 4)
    clients: list[Client[int]] = []
    for number in range(3000):
        client, _ = table.enter(chance.choice("abcd"), number, chance.random() + number / 10)
        clients += [client] if client is not None else []
        for each in chance.sample(clients, min(3, len(clients))):
            if chance.random() < 0.3:
                table.wait(each, chance.random() + number / 10)
            else:
                chance.choice([table.begin, table.leave])(each)
        table.overdue(number / 10)
        clients = [each for each in clients if each in table]
        assert len(table) == len(clients) <= 6
        assert all(sum(each.address == address for each in clients) <= 4 for address in "abcd")
    for client in clients:
        table.leave(client)
    empty: ConnectionTable[int] = ConnectionTable(6, 4)
    assert (table._total, table._waiting, vars(table._most_waiting)) == ({}, {}, vars(empty._most_waiting))
