"""What an answer means: no failure of a transaction is taken for success, and no silence for a no."""

import pytest
from kazoo import exceptions as kz
from kazoo.handlers.threading import KazooTimeoutError

from pvc.cluster import zookeeper  # noqa: F401  it teaches kazoo the codes it does not know
from pvc.cluster.replies import NotSent, Reply, raise_refused
from pvc.cluster.store import Absent, Check, Create, NotConnected, OutcomeUnknown, Refused, SessionLost, Why

OPS = [Check("/a", 0), Create("/b"), Create("/c")]


class Failed:
    def __init__(self, error):
        self.error = error

    def get(self, *, timeout):
        raise self.error


def raised(error, *, write):
    with pytest.raises((Refused, NotConnected, OutcomeUnknown, SessionLost)) as caught:
        Reply("/a", Failed(error), lambda answer: answer, write=write).wait(1)
    return caught.value


def test_the_failed_part_of_a_transaction_is_named():
    """H1"""
    for place in range(3):
        results = [kz.RolledBackError()] * place + [kz.BadVersionError()] + [kz.RuntimeInconsistency()] * (2 - place)
        with pytest.raises(Refused) as refused:
            raise_refused(OPS, results)
        assert (refused.value.op, refused.value.why) == (OPS[place], Why.VERSION)


def test_a_transaction_that_was_rolled_back_without_a_reason_is_refused_all_the_same():
    with pytest.raises(Refused):
        raise_refused(OPS, [kz.RolledBackError()] * 3)


def test_a_transaction_answers_every_part():
    with pytest.raises(ValueError, match="zip"):
        raise_refused(OPS, [True, "/b"])


def test_success_raises_nothing():
    raise_refused([Absent("/a"), Absent("/a")], ["/a", True])


@pytest.mark.parametrize("error", [kz.ConnectionLoss(), kz.AuthFailedError(), KazooTimeoutError(), RuntimeError("xids do not match")])
def test_no_answer_to_a_write_is_an_unknown_outcome_and_to_a_read_nothing(error):
    assert type(raised(error, write=True)) is OutcomeUnknown
    assert type(raised(error, write=False)) is NotConnected


@pytest.mark.parametrize("error", [NotSent(), kz.SessionMovedError()])
def test_what_was_not_sent_or_not_taken_is_not_unknown(error):
    assert type(raised(error, write=True)) is NotConnected


def test_a_write_in_an_ended_session_is_not_applied():
    assert type(raised(kz.SessionExpiredError(), write=True)) is SessionLost
    assert type(raised(kz.SessionExpiredError(), write=False)) is NotConnected


CODES = {-101: Why.MISSING, -102: Why.NO_AUTH, -103: Why.VERSION, -110: Why.EXISTS, -111: Why.NOT_EMPTY, -125: Why.QUOTA, -1: Why.OTHER}


@pytest.mark.parametrize(("code", "why"), CODES.items())
def test_a_refusal_says_why(code, why):
    assert raised(kz.EXCEPTIONS[code](), write=True).why is why


def test_a_code_that_nobody_knows_is_a_refusal():
    """kazoo raises RuntimeError on its connection thread, which then dies."""
    error = kz.EXCEPTIONS[-98765]()
    assert isinstance(error, kz.ZookeeperError)
    assert raised(error, write=True).why is Why.OTHER
