"""A daemon whose work has stopped does not go on looking alive."""

import queue

from pvc.daemon.deadman import LOOKS, Deadman


class Counter:
    def __init__(self):
        self.value = 0

    def __call__(self):
        return self.value


def looked(deadman, times):
    return [deadman.look() for _ in range(times)]


def test_what_stands_still_for_the_whole_limit_is_named():
    core, keepalive = Counter(), Counter()
    deadman = Deadman({"the core": core, "the keepalive": keepalive}, 1.0, lambda why: None)
    for _ in range(LOOKS * 2):
        core.value += 1
        keepalive.value += 1
        assert deadman.look() is None
    for _ in range(LOOKS - 1):
        core.value += 1
        assert deadman.look() is None
    core.value += 1
    assert deadman.look() == "the keepalive"


def test_one_turn_is_enough_to_begin_anew():
    core = Counter()
    deadman = Deadman({"the core": core}, 1.0, lambda why: None)
    assert set(looked(deadman, LOOKS)) == {None}
    core.value += 1
    assert set(looked(deadman, LOOKS)) == {None}
    assert looked(deadman, 1) == ["the core"]


def test_its_thread_ends_the_daemon():
    ended = queue.SimpleQueue()
    deadman = Deadman({"the core": Counter()}, 0.1, ended.put)
    deadman.start()
    assert "the core has stood still for 0.1 s" in ended.get(timeout=30)
