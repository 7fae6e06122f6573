"""Why the checker does not miss some rows and guards: each survivor of :mod:`pvc.check.mutate`, with the reason.

A reason is of one of four kinds: something else decides the case; two guards make up for each other; what is lost is courtesy or time,
and no promise; or the models do not have what it is about, and a test elsewhere asks for it.
"""

SURVIVORS: tuple[tuple[str, frozenset[str]], ...] = (
    # ---- something else decides the case
    (
        "An earlier row of the same state, or of the table that is asked first, takes every case in which this guard does not hold. "
        "It is written out because a row is to read as a sentence by itself, and to stay right if rows change places.",
        frozenset(
            {
                "domain again 1: wanted up", "domain again 2: wanted up", "domain again 2: no target chosen",
                "domain give_up: restarts are used up", "domain unpause: the guest is paused here", "domain halt: guest is here",
                "domain reboot: wanted up", "domain overdue 1: guest is here", "domain overdue 2: guest is here",
                "domain ask_again: guest runs here", "domain go_home 1: wanted up", "domain go_home 2: wanted up",
                "domain evacuate: wanted up",
                "domain cleared 3: wanted up", "domain cleared 6: wanted up",
                "domain relocate: wanted up", "domain call_off: not handed over yet", "domain migrate_failed: not handed over yet",
                "domain everywhere: guest is here", "domain recover 4: wanted up", "migration begin: not called off",
                "migration wake: the guest is paused here", "migration yield: the guest is paused here",
                "migration yield: libvirt's hand-over", "migration everywhere: the guest is paused here",
                "migration resume: a complete copy waits here", "fence prove 2: stopped cleanly",
            }
        ),
    ),
    (
        "`migrate_failed` comes first: without a target that answers under the boot that accepted, the migration is hopeless. The "
        "guard stays because by it the write checks the target's record once more.",
        frozenset({"migration begin: its target is there"}),
    ),
    (
        "What is here and not suspended is not expected either: a guest that runs is suspended by the row before, and a copy would be "
        "dropped by `discard_copy` just the same.",
        frozenset({"domain discard_stray: a suspended stray is here"}),
    ),
    (
        "The actor's role says it already (`roles` in core/facts.py): the home's daemon acts in that role only about a VM that "
        "another node owns.",
        frozenset({"domain call_home: away from home"}),
    ),
    (
        "A fencer acts about a VM only while the record of its owner, or of the node where a conflict was found, says fenced (`roles` "
        "in core/facts.py), which is all that this guard asks. It stays because by it the write checks that record once more. That "
        "nothing is recovered before the proof is asked in tests/core/test_unmodelled.py.",
        frozenset(
            {
                "domain recover 1: its node is proven off", "domain recover 2: its node is proven off",
                "domain recover 3: its node is proven off", "domain recover 4: its node is proven off",
                "domain everywhere: its node is proven off", "migration entrust: its node is proven off",
            }
        ),
    ),
    (
        "A conflict names the node where the guest was found, from the write that begins it to the one that ends it "
        "(tests/fsm/invariants.py), so there is always a target. The guard keeps a record that another program wrote from getting "
        "nobody as its owner.",
        frozenset({"domain resolve_keep: a target is chosen", "domain resolve_stop: a target is chosen"}),
    ),
    (
        "The node that the guest is on is being flushed, so it does not fit, and the guard that asks whether the choice fits refuses it.",
        frozenset({"domain evacuate: choice is another node", "domain relocate: choice is another node"}),
    ),
    (
        "A node that holds its session is under no fence, in any state of any exact model: that is judged. `suspect` and `confirm` do "
        "not begin a fence then, and `join` ends it in the write that begins the session. The guard stays because by it the write "
        "checks that there is no session (cluster/evidence.py).",
        frozenset(
            {
                "fence adopt 1: it holds no session", "fence prove 1: it holds no session", "fence prove 2: it holds no session",
                "fence prove 3: it holds no session", "fence declare: it holds no session", "fence shoot: it holds no session",
            }
        ),
    ),
    (
        "A reading that counts exists only while no power job is in flight: whoever orders one forgets what was read before "
        "(`_ordered` in core/core.py). A power that reads off, on or silent says so already.",
        frozenset(
            {
                "fence prove 1: no power job in flight", "fence prove 2: no power job in flight", "fence prove 3: no power job in flight",
                "fence miss: no power job in flight", "fence pass_on: no power job in flight",
            }
        ),
    ),
    (
        "Who has not joined joins: that row comes first. Only a daemon that is told to stop does not, and of that one "
        "tests/core/test_unmodelled.py asks that it just goes.",
        frozenset({"node ready: joined", "node leave: joined", "node everywhere: joined"}),
    ),
    (
        "A node that has joined is not in `fencing`, because joining led out of it, and it cannot be shot while it holds that session.",
        frozenset({"node join 2: not joined"}),
    ),
    (
        "In the models every wait may be over and no brake holds, which is all that an operator's order to shoot brings about. What it "
        "does, and when it is refused, is asked in tests/client/test_fences.py.",
        frozenset({"fence order", "fence order: it holds no session", "fence order: not stopped cleanly", "fence order: order is news"}),
    ),
    # ---- two guards make up for each other
    (
        "A VM comes to `start` or `migrate` only when its owner has no job in flight, and the orders lead out of that state or are "
        "requests to go: so there is nothing to ask. Two orders at once are judged, and noticed where a state can have a job and when "
        "the guard is taken from all rows.",
        frozenset(
            {
                "domain ask_off: no job in flight", "domain reboot: no job in flight", "domain go_home 1: no job in flight",
                "domain go_home 2: no job in flight",
                "domain evacuate: no job in flight", "domain relocate: no job in flight", "domain halt: no job but a shutdown in flight",
                "domain overdue 1: no job but a shutdown in flight", "domain ended 1: no job in flight",
                "migration begin: no job in flight", "domain cleared 1: no job in flight", "domain cleared 2: no job in flight",
                "domain cleared 3: no job in flight",
            }
        ),
    ),
    (
        "The guest runs, so what the record says is true. The job that brought it here has not returned yet, but every row that gives "
        "an order in `start` asks for that. Waiting costs nothing, and makes `start` a state in which nothing is in flight.",
        frozenset({"domain started: no job in flight", "domain migrated: no job in flight"}),
    ),
    # ---- courtesy and time, no promise
    (
        "The admin is told at once what the owner would find out a moment later, and undo: the VM would be asked to restart or to "
        "move, and be back without having gone. Nothing is lost but writes.",
        frozenset(
            {
                "domain restart: wanted up", "domain migrate: wanted up", "domain migrate: its node answers", "domain move 2: wanted up",
                "domain move 2: its node answers", "domain unmigrate: wanted up", "domain unmigrate: its node answers",
                "domain stay: its node answers", "domain cancel: not handed over yet", "domain everywhere: not handed over yet",
                "domain everywhere: wanted up", "domain everywhere: its node answers",
            }
        ),
    ),
    (
        "A home that cannot take the VM at this moment does no harm, because nothing starts anywhere without the guards of `start` "
        "and `claim`. But an admin who names a node that is down, or too small, is better told now.",
        frozenset({"domain move 1: choice fits"}),
    ),
    (
        "A VM that is placed where it does not fit is not claimed there, and `replace` chooses again. But no write should say what the "
        "next one has to correct.",
        frozenset({"domain cleared 6: choice fits"}),
    ),
    (
        "A guest that a job of this node is about to end would be reported as a conflict all the same, and the conflict is cleared "
        "when it has ended: a false alarm, no damage.",
        frozenset({"domain collide: no job in flight"}),
    ),
    (
        "Without this row a migration that the admin called off ends by `migrate_failed`, when its time is over: later, and with the "
        "target blamed for it.",
        frozenset({"domain call_off"}),
    ),
    (
        "A migration that was called off before it began would be accepted and begun, to be aborted at once: the same end after more work.",
        frozenset({"migration accept: not called off", "migration everywhere: not called off"}),
    ),
    (
        "The VM would be given to a node that is lost as well, and wait for that node's fence; the coarse model, which has any number "
        "of faults, finds that safe. With the guard it is recovered from the present owner, or waits for the same fence where libvirt "
        "hands over.",
        frozenset({"migration entrust: its target is there", "migration everywhere: its target is there"}),
    ),
    (
        "The node would join although the order to cut its power is under way, and lose its power a moment later: a loss like any "
        "other, and safe. The guard spares the VMs that it is given meanwhile.",
        frozenset({"node join 2: nobody holds its fence"}),
    ),
    (
        "Without it the proof waits for the dead time, and for the node to be declared dead: the same end, later. "
        "tests/agent/test_agent.py asks that a loss of power is recovered without a shot.",
        frozenset({"fence prove 1"}),
    ),
    (
        "A shot is called missed before its reading has come. Nothing follows but another reading and, after the back-off, another "
        "shot; nothing is recovered without proof.",
        frozenset({"fence miss: its power does not read off"}),
    ),
    (
        "A node whose daemon is down would be marked as flushing, and empty itself once it joins; an admin who waits for that is "
        "better told now.",
        frozenset({"flush flush: its daemon runs"}),
    ),
    # ---- not in the models, and asked elsewhere
    (
        "No model has a guest that libvirt paused by itself, after an I/O error for example, nor a hypervisor that does not answer: a "
        "guest of its owner runs or is gone. That a paused one is left alone is asked in tests/core/test_unmodelled.py, that nothing "
        "follows from an unknown one in tests/core/test_core.py.",
        frozenset(
            {
                "domain ask_off: guest runs here", "domain reboot: guest runs here", "domain go_home 1: guest runs here",
                "domain go_home 2: guest runs here",
                "domain evacuate: guest runs here", "domain relocate: guest runs here", "migration begin: guest runs here",
            }
        ),
    ),
    (
        "Running guests and copies at the target are taken by earlier rows; what is left is a suspended stray, and no world has both "
        "strays and migrations. tests/core/test_unmodelled.py asks that such a node does not accept.",
        frozenset({"migration accept: guest is not here"}),
    ),
    (
        "The models count no restarts: whether any are left is asked both ways at every decision, so there is none to wait for or to "
        "forget. tests/core/test_unmodelled.py asks for the back-off and for the forgetting, tests/agent/test_agent.py for the end of "
        "a guest that keeps failing.",
        frozenset(
            {
                "domain claim: first try, or back-off over", "domain ended 2: restarts are left", "domain forget 2",
                "domain forget 2: time is over",
            }
        ),
    ),
    (
        "The models have no time, so a deadline or a second request before the power is cut makes no difference there. To the guest's "
        "disks it does; tests/core/test_unmodelled.py and tests/core/test_core.py ask for them.",
        frozenset({"domain overdue 1: time is over", "domain overdue 2: time is over", "domain ask_again"}),
    ),
    (
        "The models have no time: neither the dead time, nor the saving throws, the time of a planned reboot, or the growing pause "
        "between readings. tests/core/test_unmodelled.py asks for each, tests/agent/test_agent.py that a node which comes back in "
        "time is left alone.",
        frozenset(
            {
                "fence declare: time is over", "fence shoot: time is over", "fence prove 1: not stopped cleanly",
                "fence prove 2: time is over", "fence everywhere: time is over", "fence read: its power is unread or long read",
            }
        ),
    ),
    (
        "Without it a guest that powered itself off is started again, against its policy, which no model judges; "
        "tests/core/test_unmodelled.py does.",
        frozenset({"domain ended 1"}),
    ),
    (
        "In every model a VM may leave its node, live or cold; tests/core/test_unmodelled.py asks that one whose policy is to stay is not "
        "called.",
        frozenset({"domain call_home: policy: live, or off and on again"}),
    ),
    (
        "In the models a reading takes no time, so none is in flight when a shot is due; tests/core/test_unmodelled.py asks that the "
        "shot waits for it.",
        frozenset({"fence shoot: no power job in flight"}),
    ),
    (
        "The models have no brakes, which only forbid: tests/core/test_core.py asks for each, tests/agent/test_agent.py that with two "
        "nodes nobody is ever shot.",
        frozenset({"fence shoot: no brake"}),
    ),
    (
        "In the models every lost node concerns somebody; tests/core/test_unmodelled.py asks that one which was stopped cleanly, and which "
        "no VM names, is not suspected.",
        frozenset({"fence suspect: it did not say goodbye, or a VM names it"}),
    ),
    (
        "In the models a fence device that was silent may answer the next time, so the same fencer gets its reading in the end. "
        "tests/core/test_unmodelled.py asks that it passes the fence on.",
        frozenset({"fence pass_on"}),
    ),
    (
        "No model has a watchdog, whose time is a reading like any other there. tests/core/test_fences.py asks that the fence stays where "
        "that time is counted.",
        frozenset({"fence pass_on: its watchdog is not waited for"}),
    ),
    (
        "That a node which is ready has called its VMs home is a promise about VMs and nodes together, and no property looks at both. "
        "tests/core/test_unmodelled.py asks that it waits, tests/agent/test_agent.py that the guests come back.",
        frozenset({"flush called: all its VMs are called"}),
    ),
    (
        "No model switches a node on again by policy; booting is a move of the world there. tests/core/test_unmodelled.py asks for "
        "the policy, the delay and the order.",
        frozenset(
            {
                "fence power_on", "fence power_on: no power job in flight", "fence power_on: its power reads off, twice",
                "fence power_on: time is over", "fence power_on: policy: power on again",
            }
        ),
    ),
)


def reason_for(name: str) -> str | None:
    """Why this mutant survives; nothing when nobody has said."""
    return next((why for why, names in SURVIVORS if name in names), None)


def stale_reasons(survived: set[str]) -> list[str]:
    """Reasons that are not needed any more, because the mutant is noticed or does not exist."""
    return sorted(f"{name} is excused, and does not survive" for _, names in SURVIVORS for name in names - survived)
