"""A live migration: its phases, while the VM's state is ``migrate``.

In the paused hand-over the target's copy stays paused until the record says who owns it: ``hand_over`` is the switchover. An error of libvirt proves nothing
about the other side, so the source looks at its own hypervisor, and a failed migration is recorded before the target drops its copy.
"""

from pvc.fsm import guards as g
from pvc.fsm.row import Row, State, Table
from pvc.fsm.states import By, Effect, Kind, Migration, Take

NONE, ASKED, ACCEPTED, MOVING, HANDOVER = Migration
CLIENT, OWNER, TARGET, _, _, FENCER, PEER, _ = By

STATES = (
    State(NONE, "No migration is in flight.", rests=True),
    State(ASKED, "Source and target are fixed; the target has yet to accept."),
    State(ACCEPTED, "The target has admitted the guest under its present kernel boot; the source has yet to begin."),
    State(MOVING, "libvirt is copying the guest from source to target."),
    State(HANDOVER, "The target owns the guest, which is gone from the source; it has yet to be seen running."),
)

REFUSALS = {
    "ask": "the migration is {state}: one is in flight already",
    "accept": "the migration is {state}: nobody waits for the target's word",
    "begin": "the migration is {state}: it is not accepted, or has begun already",
    "abort": "the migration is {state}: no copying is in flight",
    "hand_over": "the migration is {state}: no copying is in flight",
    "wake": "the migration is {state}: no copying was in flight",
    "yield": "the migration is {state}: no copying was in flight",
    "entrust": "the migration is {state}: the target cannot hold a copy, or owns it already",
    "resume": "the migration is {state}: the record does not say that the target owns the guest",
    "drop": "the migration is {state}",
}

OVER = {"kind": Kind.none, "op_id": None, "target_boot": None}
GIVEN = {"owner": Take.target, "epoch": Take.next_epoch}

# fmt: off
ROWS = (
    Row("ask",       (NONE,),              ASKED,    CLIENT | OWNER, (),                                             {},                            (),                  "The domain's row that begins a migration chose source and target."),
    Row("accept",    (ASKED,),             ACCEPTED, TARGET, (g.ABSENT, g.IDLE, g.NOT_CALLED_OFF, g.ME_FITS),        {"target_boot": Take.my_boot}, (Effect.admit,),     "Only a node that has joined, has room, and holds no older copy admits a guest."),
    Row("begin",     (ACCEPTED,),          MOVING,   OWNER,  (g.RUNS, g.IDLE, g.NOT_CALLED_OFF, g.TARGET_HERE),      {},                            (Effect.migrate,),   "The target admits it, so libvirt may copy."),
    Row("abort",     (MOVING,),            None,     OWNER,  (g.MIGRATING, g.CALLED_OFF),                            {},                            (Effect.abort_job,), "Called off, or it does not converge (H45)."),
    Row("hand_over", (MOVING,),            HANDOVER, OWNER,  (g.ABSENT, g.IDLE),                                     GIVEN,                         (),                  "Gone from the source: this write is the switchover (H32)."),
    Row("wake",      (MOVING,),            None,     OWNER,  (g.PAUSED, g.IDLE, g.PAUSED_HANDOVER),                  {},                            (Effect.resume,),    "libvirt left the guest paused here; the target's copy cannot run, so this one may."),
    Row("yield",     (MOVING,),            None,     OWNER,  (g.PAUSED, g.IDLE, g.LIBVIRT_HANDOVER),                 {},                            (Effect.destroy,),   "libvirt left the guest paused here; the target may run it, so this one goes."),
    Row("entrust",   (ACCEPTED, MOVING),   HANDOVER, FENCER, (g.OWNER_GONE, g.TARGET_HERE),                          GIVEN,                         (),                  "The source is proven off; the target may hold a complete copy, and knows best."),
    Row("resume",    (HANDOVER,),          None,     OWNER,  (g.HELD, g.IDLE),                                       {},                            (Effect.resume,),    "The record says that the guest is this node's, so the paused copy may run."),
    Row("drop",      (NONE, ASKED, ACCEPTED, MOVING, HANDOVER), NONE, OWNER | FENCER, (),                            OVER,                          (),                  "The domain's row that ends a migration said how it ended."),
)
# fmt: on

MIGRATION = Table("migration", NONE, STATES, ROWS, REFUSALS, partner_triggers=frozenset({"ask", "drop"}))
