import select
from threading import Thread

from sbc_filter.concurrency.mailbox import Mailbox


def readable(mailbox: Mailbox[int], seconds: float = 0.0) -> bool:
    return bool(select.select([mailbox], [], [], seconds)[0])


def test_posts_of_other_threads_wake_the_loop_and_none_is_lost() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert not readable(mailbox)

    def post() -> None:
        for _ in range(500):
            mailbox.post(1)

    threads = [Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    total = 0
    while total < 2000 and readable(mailbox, 5.0):
        total += sum(mailbox.collect())
    for thread in threads:
        thread.join()
    assert total == 2000
    list(mailbox.collect())
    assert not readable(mailbox)


def test_waking_without_an_item() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.wake()
    assert readable(mailbox)
    assert list(mailbox.collect()) == []
    assert not readable(mailbox)


def test_what_is_left_keeps_the_descriptor_readable() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for number in range(5):
        mailbox.post(number)
    assert (list(mailbox.collect(2)), readable(mailbox), mailbox.empty) == ([0, 1], True, False)
    assert (list(mailbox.collect(2)), readable(mailbox), mailbox.empty) == ([2, 3], True, False)
    assert (list(mailbox.collect(2)), readable(mailbox), mailbox.empty) == ([4], False, True)
