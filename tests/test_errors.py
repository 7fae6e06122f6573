"""The sentences an admin reads when something goes wrong."""

import pytest

from pvc import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [(errors.PvcError, 1), (errors.Refused, 1), (errors.UsageProblem, 2), (errors.NotFound, 3), (errors.TimedOut, 4), (errors.NoQuorum, 5)],
)
def test_each_kind_of_error_has_the_exit_code_that_scripts_rely_on(kind, code):
    assert kind("it failed").exit_code == code


def test_an_error_reads_as_its_message_and_keeps_the_next_step_apart():
    error = errors.Refused("web1 cannot move to hv3: it is flushed.", "pvc node ready hv3")
    assert str(error) == "web1 cannot move to hv3: it is flushed."
    assert error.next_step == "pvc node ready hv3"


def test_nearest_finds_a_typo():
    assert errors.nearest("domian", ["domain", "node", "fence"]) == ["domain"]


def test_nearest_does_not_mind_case():
    assert errors.nearest("WEB1", ["web1", "db1"])[0] == "web1"


def test_nearest_to_a_short_name_is_the_full_one():
    assert errors.nearest("HV1", ["hv2.example.org", "hv1.example.org", "hv10.example.org"]) == ["hv1.example.org"]


def test_nearest_is_silent_when_nothing_is_near():
    assert errors.nearest("zzz", ["domain", "node"]) == []


def test_nearest_puts_the_best_first_and_names_at_most_three():
    assert errors.nearest("web1", ["web2", "web3", "web4", "web1"])[0] == "web1"
    assert len(errors.nearest("web1", ["web2", "web3", "web4", "web1"])) == 3


def test_an_unknown_name_is_answered_with_a_guess_and_what_there_is():
    message = errors.unknown("machine", "domian", ["node", "domain"])
    assert message == 'no machine called "domian"; did you mean "domain"? Known: domain, node'


def test_an_unknown_name_far_from_all_others_gets_no_guess():
    assert errors.unknown("machine", "zzz", ["node"]) == 'no machine called "zzz". Known: node'


def test_an_unknown_name_among_none_says_so():
    assert errors.unknown("VM", "web1", []) == 'no VM called "web1". Known: none'


def test_a_long_list_of_names_is_cut_with_a_count():
    message = errors.unknown("VM", "zzz", [f"vm{number:04}" for number in range(5000)])
    assert message.endswith(f"and {5000 - errors.KNOWN_SHOWN} more")
    assert len(message) < 200
