"""The life of a VM: every state and every transition of a domain record.
 Two rules carry the rest. While nobody owns the VM a client moves the state; once somebody does, a client writes wishes (``want``,
``request``), or begins a migration of a guest that runs undisturbed, and everything else the owner does on evidence from its hypervisor.
And a guest is created in exactly one place: ``claim``, by the node that becomes its owner in that write.
"""

from pvc.fsm import guards as g
from pvc.fsm.row import Row, State, Table
from pvc.fsm.states import By, Domain, Effect, Kind, Request, Take, Want

STOP, PLACE, BOOT, START, SHUTDOWN, RESTART, DESTROY, MIGRATE, FAILED, DISABLE, CONFLICT, DELETE = Domain
CLIENT, OWNER, TARGET, HOME, HOST, FENCER, PEER, _ = By

OFF = (STOP, FAILED, DISABLE)  # nobody owns it, nothing runs
OWNED = (BOOT, START, SHUTDOWN, RESTART, DESTROY, MIGRATE)  # a daemon owns it, a guest may run
GOING = (SHUTDOWN, RESTART, DESTROY)  # on its way off

STATES = (
    State(STOP, "It is off, and nobody owns it.", rests=True, needs_human="off is where the admin wants it, until told otherwise"),
    State(PLACE, "It is wanted up; a node is chosen and has yet to claim it."),
    State(BOOT, "Its owner is starting the guest."),
    State(START, "The guest runs on its owner.", rests=True),
    State(SHUTDOWN, "The guest was asked to power itself off."),
    State(RESTART, "The guest was asked to power itself off, to be started again."),
    State(DESTROY, "Its owner is cutting the guest's power."),
    State(MIGRATE, "The guest is moving to another node, live; the migration's phases say how far it is."),
    State(FAILED, "It would not stay up; the reason is in the record.", rests=True, needs_human="the cause lies outside of PVC: look at the reason, then start it"),
    State(DISABLE, "It is off, and stays off until it is enabled or started.", rests=True, needs_human="that is what disable means"),
    State(CONFLICT, "A guest of it runs on a node that does not own it; nobody touches either until an admin resolves it."),
    State(DELETE, "It is undefined: its records are gone, and whoever still holds a copy of it drops it.", final=True),
)

REFUSALS = {
    "start": "it is {state}: only a VM that is off, or on its way off, can be started",
    "stop": "it is {state}: it is off already, or has a conflict to resolve first",
    "shutdown": "it is {state}: only a VM that is up, or coming up, can be shut down",
    "disable": "it is {state}: it is disabled already, or has a conflict to resolve first",
    "enable": "it is {state}: only a disabled VM can be enabled",
    "undefine": "it is {state}: resolve the conflict first",
    "restart": "it is {state}: only a running VM can be restarted",
    "migrate": "it is {state}: only a guest that runs undisturbed can move live",
    "move": "it is {state}: only a VM that runs undisturbed, or is off, can move",
    "unmigrate": "it is {state}: only a guest that runs undisturbed can move live",
    "stay": "it is {state}: only a guest that runs undisturbed can stay where it is",
    "cancel": "it is {state}: no migration is in flight",
    "resolve_keep": "it is {state}: there is no conflict to resolve",
    "resolve_stop": "it is {state}: there is no conflict to resolve",
    "replace": "it is {state}: it is not waiting to be placed",
    "claim": "it is {state}: it is not waiting to be placed",
    "started": "it is {state}: it is not being started",
    "unpause": "it is {state}: no guest that was found is taken over",
    "off": "it is {state}: nobody waits for it to be off",
    "ended": "it is {state}: it is not supposed to be up",
    "again": "it is {state}: it is not on its way off",
    "give_up": "it is {state}: it is not supposed to be up",
    "halt": "it is {state}: it is off, or its power is being cut already",
    "ask_off": "it is {state}: it is not running undisturbed",
    "ask_again": "it is {state}: it was not asked to power itself off",
    "overdue": "it is {state}: nobody waits for it to be off",
    "reboot": "it is {state}: it is not running undisturbed",
    "evacuate": "it is {state}: it is not running undisturbed",
    "relocate": "it is {state}: it is not running undisturbed",
    "go_home": "it is {state}: it is not running undisturbed",
    "forget": "it is {state}: it is not running undisturbed",
    "call_home": "it is {state}: it is not running undisturbed",
    "call_off": "it is {state}: no migration is in flight",
    "migrate_failed": "it is {state}: no migration is in flight",
    "migrated": "it is {state}: no migration is in flight",
    "collide": "it is {state}: a guest of it may well run",
    "cleared": "it is {state}: there is no conflict",
    "suspend_stray": "it is {state}: nobody owns it, so a guest is a conflict",
    "discard_stray": "it is {state}: it is not known to run elsewhere",
    "discard_copy": "it is {state}: no state keeps a copy that no migration brings",
    "recover": "it is {state}: there is nothing to recover",
}

NOBODY = {"owner": None, "target": None, "request": Request.none}
PLACED = {"owner": None, "request": Request.none}
ARRIVED = {"target": None, "avoid": (), "home": Take.home_after, "request": Request.none}
ASK = {"target": Take.choice, "op_id": Take.op_id, "request": Request.none}
ASK_HOME = {"target": Take.home, "op_id": Take.op_id, "request": Request.none}
AFRESH = {"want": Want.start, "request": Request.none, "target": Take.choice, "restarts": 0, "avoid": ()}
DROP, BEGIN = ("migration", "drop"), ("migration", "ask")

CAN_MOVE = (g.WANTS_UP, g.NOT_RESTART_YET, g.OWNER_ALIVE, g.CHOICE_OTHER, g.CHOICE_FITS)
UNDISTURBED = (g.RUNS, g.IDLE, g.WANTS_UP)

# fmt: off
ROWS = (
    # A client, while nobody owns it: the state moves at once.
    Row("start",     OFF,                       PLACE,    CLIENT, (g.CHOICE_FITS,),                      AFRESH,                                             (), "The admin wants it up, on the node that was chosen."),
    Row("start",     (PLACE,),                  None,     CLIENT, (g.TARGET_UNFIT, g.CHOICE_FITS),       {"target": Take.choice},                            (), "Its target cannot take it any more, so the admin's word chooses another."),
    Row("stop",      (PLACE, FAILED),           STOP,     CLIENT, (),                                    {"want": Want.stop, **NOBODY},                      (), "Nothing was created, so nothing has to be awaited."),
    Row("shutdown",  (PLACE,),                  STOP,     CLIENT, (),                                    {"want": Want.shutdown, **NOBODY},                  (), "Nothing was created, so nothing has to be awaited."),
    Row("disable",   (STOP, PLACE, FAILED),     DISABLE,  CLIENT, (),                                    {"want": Want.disable, **NOBODY},                   (), "The admin wants it to stay off."),
    Row("enable",    (DISABLE,),                STOP,     CLIENT, (),                                    {"want": Want.stop},                                (), "It may be started again by whoever starts things."),
    Row("undefine",  (*OFF, PLACE),             DELETE,   CLIENT, (),                                    {"want": Want.delete, **NOBODY},                    (), "Nobody owns it, so its records can go at once."),
    Row("move",      OFF,                       None,     CLIENT, (g.CHOICE_NOT_HOME, g.CHOICE_FITS),   {"home": Take.choice},                              (), "A VM that is off moves by its home alone."),

    # A client, while a daemon owns it: wishes, which stick until the owner has acted on them (I2, H3, H83).
    Row("start",     OWNED,                     None,     CLIENT, (g.WANTS_DOWN,),                       {"want": Want.start},                               (), "The admin changed their mind: up after all."),
    Row("stop",      OWNED,                     None,     CLIENT, (g.NOT_STOP_YET,),                     {"want": Want.stop},                                (), "Off at once; legal in every state that can run a guest."),
    Row("shutdown",  OWNED,                     None,     CLIENT, (g.NOT_SHUTDOWN_YET,),                 {"want": Want.shutdown},                            (), "Off in the guest's own time, within its deadline."),
    Row("disable",   OWNED,                     None,     CLIENT, (g.NOT_DISABLE_YET,),                  {"want": Want.disable},                             (), "Off in the guest's own time, and to stay off."),
    Row("undefine",  OWNED,                     None,     CLIENT, (g.NOT_DELETE_YET,),                   {"want": Want.delete},                              (), "The client only asks; the records go on the owner's evidence (H25)."),
    Row("restart",   (START,),                  None,     CLIENT, (g.WANTS_UP, g.NOT_RESTART_YET),       {"request": Request.restart},                       (), "Off in the guest's own time, then up again."),
    Row("migrate",   (START,),                  MIGRATE,  CLIENT, CAN_MOVE,                              {**ASK, "kind": Kind.migrate},                      (), "Away for a while; its home is remembered (H41).", BEGIN),
    Row("move",      (START,),                  MIGRATE,  CLIENT, CAN_MOVE,                              {**ASK, "kind": Kind.move},                         (), "Away for good: its home moves when it has arrived.", BEGIN),
    Row("unmigrate", (START,),                  MIGRATE,  CLIENT, (g.WANTS_UP, g.NOT_RESTART_YET, g.OWNER_ALIVE, g.DISPLACED, g.HOME_FITS), {**ASK_HOME, "kind": Kind.migrate}, (), "Back to its home.", BEGIN),
    Row("stay",      (START,),                  None,     CLIENT, (g.OWNER_ALIVE, g.DISPLACED, g.NOTHING_ASKED), {"home": Take.owner},                               (), "It may stay where a failover or a migration has brought it."),
    Row("cancel",    (MIGRATE,),                None,     CLIENT, (g.NOT_CANCEL_YET, g.BEFORE_HANDOVER), {"request": Request.cancel},                        (), "The admin wants it to stay where it is."),
    Row("resolve_keep", (CONFLICT,),            BOOT,     CLIENT, (g.TARGET_CHOSEN,),                    {"want": Want.start, "owner": Take.target, "target": None, "epoch": Take.next_epoch}, (), "The admin says that the guest that was found is the right one."),
    Row("resolve_stop", (CONFLICT,),            DESTROY,  CLIENT, (g.TARGET_CHOSEN,),                    {"want": Want.stop, "owner": Take.target, "target": None, "epoch": Take.next_epoch},  (), "The admin says that the guest that was found must go."),

    # Placement: whoever is named claims; nobody else ever starts a guest (I4).
    Row("collide",   (*OFF, PLACE),             CONFLICT, HOST,   (g.FOUND_HERE, g.IDLE),                {"target": Take.me},                                (), "A guest is here that nobody owns: started by hand, or a stray whose owner let go (H28)."),
    Row("claim",     (PLACE,),                  BOOT,     TARGET, (g.ABSENT, g.IDLE, g.BACKED_OFF, g.ME_FITS), {"owner": Take.me, "target": None, "epoch": Take.next_epoch}, (Effect.create,), "The write that makes this node the owner is the only way to start a guest."),
    Row("replace",   (PLACE,),                  None,     TARGET | PEER, (g.TARGET_UNFIT, g.CHOICE_FITS), {"target": Take.choice},                           (), "Nothing was created, so no proof is needed to choose again."),

    # The guest is gone, seen by its owner: what is wanted decides.
    Row("off",       (BOOT, START, SHUTDOWN, RESTART, DESTROY, MIGRATE), STOP,    OWNER, (g.ABSENT, g.IDLE, g.NOT_MOVING, g.WANTS_STOP),    NOBODY,        (), "The hypervisor shows it gone, which releases it (I4).", DROP),
    Row("off",       (BOOT, START, SHUTDOWN, RESTART, DESTROY, MIGRATE), DISABLE, OWNER, (g.ABSENT, g.IDLE, g.NOT_MOVING, g.WANTS_DISABLE), NOBODY,        (), "The hypervisor shows it gone, which releases it (I4).", DROP),
    Row("off",       (BOOT, START, SHUTDOWN, RESTART, DESTROY, MIGRATE), DELETE,  OWNER, (g.ABSENT, g.IDLE, g.NOT_MOVING, g.WANTS_DELETE),  NOBODY,        (), "The hypervisor shows it gone, so its records can go (I6).", DROP),
    Row("again",     GOING,                     PLACE,    OWNER, (g.ABSENT, g.IDLE, g.WANTS_UP, g.TARGET_CHOSEN), PLACED,                                    (), "Off, and wanted up on the node that was chosen when it left."),
    Row("again",     GOING,                     PLACE,    OWNER, (g.ABSENT, g.IDLE, g.WANTS_UP, g.NO_TARGET),     {**PLACED, "target": Take.choice_or_me},   (), "Off, and wanted up again."),
    Row("ended",     (START,),                  STOP,     OWNER, (g.ABSENT, g.IDLE, g.STAYS_OFF),         NOBODY,                                            (), "The guest powered itself off, and its policy leaves it so (H20)."),
    Row("ended",     (BOOT, START, MIGRATE),    PLACE,    OWNER, (g.ABSENT, g.IDLE, g.NOT_MOVING, g.BUDGET), {**PLACED, "target": Take.choice_or_me, "restarts": Take.next_restart}, (), "It failed to start, or died: tried again within its budget.", DROP),
    Row("give_up",   (BOOT, START, MIGRATE),    FAILED,   OWNER, (g.ABSENT, g.IDLE, g.NOT_MOVING, g.NO_BUDGET), NOBODY,                                       (), "Its restarts are used up (H20, H21).", DROP),

    # The guest is up, and its owner acts on what is wanted.
    Row("started",   (BOOT,),                   START,    OWNER, (g.RUNS, g.IDLE),                        {"avoid": ()},                                     (), "The hypervisor shows it running."),
    Row("unpause",   (BOOT,),                   None,     OWNER, (g.PAUSED, g.IDLE),                      {},                                                (Effect.resume,),   "The guest that was found is suspended, and the admin keeps it."),
    Row("halt",      (START, SHUTDOWN, RESTART), DESTROY, OWNER, (g.HERE, g.INTERRUPTIBLE, g.WANTS_HARD), {"request": Request.none, "target": None},         (Effect.destroy,),  "The admin wants it off at once."),
    Row("ask_off",   (START,),                  SHUTDOWN, OWNER, (g.RUNS, g.IDLE, g.WANTS_SOFT),          {"request": Request.none},                         (Effect.shutdown,), "The admin wants it off in its own time."),
    Row("reboot",    (START,),                  RESTART,  OWNER, (*UNDISTURBED, g.ASKED_RESTART),         {"request": Request.none},                         (Effect.shutdown,), "The admin wants it off and up again."),
    Row("overdue",   (SHUTDOWN, RESTART),       DESTROY,  OWNER, (g.HERE, g.INTERRUPTIBLE, g.DUE),        {},                                                (Effect.destroy,),  "The guest ignored the request beyond its deadline (H23)."),
    Row("overdue",   (DESTROY,),                None,     OWNER, (g.HERE, g.INTERRUPTIBLE, g.DUE),        {},                                                (Effect.destroy,),  "Cutting its power did not work the last time, or was never ordered: an answer was lost."),
    Row("ask_again", (SHUTDOWN, RESTART),       None,     OWNER, (g.RUNS, g.IDLE),                        {},                                                (Effect.shutdown,), "A guest that was booting did not hear the first request, and a daemon that starts anew cannot know of one."),
    Row("go_home",   (START,),                  MIGRATE,  OWNER, (*UNDISTURBED, g.ASKED_HOME, g.LIVE, g.HOME_FITS, g.HOME_UNTRIED), {**ASK_HOME, "kind": Kind.home}, (), "Its home called it.", BEGIN),
    Row("go_home",   (START,),                  RESTART,  OWNER, (*UNDISTURBED, g.ASKED_HOME, g.COLD, g.HOME_FITS), {"target": Take.home, "request": Request.none}, (Effect.shutdown,), "Its home called it, and the policy is not to move the guest live."),
    Row("evacuate",  (START,),                  MIGRATE,  OWNER, (*UNDISTURBED, g.LEAVING, g.LIVE, g.CHOICE_OTHER, g.CHOICE_FITS, g.CHOICE_UNTRIED), {**ASK, "kind": Kind.migrate}, (), "This node is being flushed.", BEGIN),
    Row("relocate",  (START,),                  RESTART,  OWNER, (*UNDISTURBED, g.LEAVING, g.COLD, g.CHOICE_OTHER, g.CHOICE_FITS), {"target": Take.choice},  (Effect.shutdown,), "This node is being flushed, and the policy is not to move the guest live."),
    Row("forget",    (START,),                  None,     OWNER, (g.DUE, g.AVOIDS),                       {"avoid": ()},                                     (), "Targets that failed are tried again after a while, not at once."),
    Row("forget",    (START,),                  None,     OWNER, (g.DUE, g.RESTARTED),                    {"restarts": 0},                                   (), "It has run long enough for its failures to be forgotten."),
    Row("call_home", (START,),                  None,     HOME,  (g.CALLING, g.DISPLACED, g.NOTHING_ASKED, g.MOVABLE), {"request": Request.home},                       (), "Its home is ready again and takes back what it had."),

    # A live migration ends, one way or the other; its phases are a table of their own.
    Row("migrated",  (MIGRATE,),                START,    OWNER, (g.RUNS, g.IDLE, g.HANDED_OVER), ARRIVED,                                            (), "It runs on its new owner.", ("migration", "drop")),
    Row("call_off",  (MIGRATE,),                START,    OWNER, (g.STAYED, g.IDLE, g.BEFORE_HANDOVER, g.ADMIN_CALLED_OFF), {"target": None, "request": Request.none}, (), "The admin wants something else; the guest is still here.", DROP),
    Row("migrate_failed", (MIGRATE,),           START,    OWNER, (g.STAYED, g.IDLE, g.BEFORE_HANDOVER, g.HOPELESS), {"target": None, "avoid": Take.avoid_target, "request": Take.request_again}, (), "The guest is still here; the target is avoided for a while.", DROP),

    # Guests and copies where none should be.
    Row("cleared",   (CONFLICT,),               STOP,     TARGET, (g.ABSENT, g.IDLE, g.WANTS_STOP),       NOBODY,                                            (), "The guest that should not have been is gone."),
    Row("cleared",   (CONFLICT,),               DISABLE,  TARGET, (g.ABSENT, g.IDLE, g.WANTS_DISABLE),    NOBODY,                                            (), "The guest that should not have been is gone."),
    Row("cleared",   (CONFLICT,),               PLACE,    TARGET, (g.ABSENT, g.IDLE, g.WANTS_UP),         {**PLACED, "target": Take.choice_or_me},           (), "The guest that should not have been is gone, and it is wanted up: this time by the record."),
    Row("suspend_stray", OWNED,                 None,     HOST,  (g.STRAY_GUEST, g.IDLE),                 {},                                                (Effect.suspend,),  "Another node owns it: this copy must not run on (H28)."),
    Row("discard_stray", (START,),              None,     HOST,  (g.STRAY_PAUSED, g.IDLE),                {},                                                (Effect.discard,),  "Its owner reports it running, so the suspended copy can go."),
    Row("discard_copy", (*OFF, PLACE, *OWNED, CONFLICT, DELETE), None, HOST, (g.STRAY_COPY, g.IDLE),              {},                                                (Effect.discard,),  "The migration that brought this copy is over, and the record does not want it."),

    # Its owner is proven to be off: the holder of that fence gives it away (I4, H68).
    Row("recover",   OWNED,                     STOP,     FENCER, (g.OWNER_GONE, g.COPY_HARMLESS, g.WANTS_STOP),    NOBODY,                                  (), "What was wanted off is off with its node.", DROP),
    Row("recover",   OWNED,                     DISABLE,  FENCER, (g.OWNER_GONE, g.COPY_HARMLESS, g.WANTS_DISABLE), NOBODY,                                  (), "What was wanted off is off with its node.", DROP),
    Row("recover",   OWNED,                     DELETE,   FENCER, (g.OWNER_GONE, g.COPY_HARMLESS, g.WANTS_DELETE),  NOBODY,                                  (), "What was wanted gone is off with its node.", DROP),
    Row("recover",   OWNED,                     PLACE,    FENCER, (g.OWNER_GONE, g.COPY_HARMLESS, g.WANTS_UP, g.CHOICE_FITS), {**PLACED, "target": Take.choice}, (), "What was wanted up is started on another node.", DROP),
    Row("cleared",   (CONFLICT,),               STOP,     FENCER | PEER, (g.TARGET_GONE, g.WANTS_STOP),   NOBODY,                                            (), "The node where the guest ran is proven off."),
    Row("cleared",   (CONFLICT,),               DISABLE,  FENCER | PEER, (g.TARGET_GONE, g.WANTS_DISABLE), NOBODY,                                           (), "The node where the guest ran is proven off."),
    Row("cleared",   (CONFLICT,),               PLACE,    FENCER | PEER, (g.TARGET_GONE, g.WANTS_UP, g.CHOICE_FITS), {**PLACED, "target": Take.choice},      (), "The node where the guest ran is proven off, and it is wanted up."),
)
# fmt: on

DOMAIN = Table("domain", STOP, STATES, ROWS, REFUSALS)
