"""The daemon of a node: from joining the cluster to proven death."""

from pvc.fsm import guards as g
from pvc.fsm.row import Row, State, Table
from pvc.fsm.states import By, Daemon

STOP, INIT, RUN, DEAD, FENCING, FENCED, UNFENCED = Daemon
CLIENT, OWNER, _, _, _, FENCER, _, _ = By

STATES = (
    State(STOP, "The daemon was stopped cleanly; guests may run on.", rests=True),
    State(INIT, "The daemon has joined and is counting its guests; it takes no work yet."),
    State(RUN, "The daemon works.", rests=True),
    State(DEAD, "No proof of life for the dead time; the saving throws run, and it may still come back."),
    State(FENCING, "Its fencer may have sent the order to cut its power: it takes no work and cannot join."),
    State(FENCED, "Its power is proven off: what it owned is being recovered.", rests=True),
    State(UNFENCED, "Its death is not proven: nothing is recovered; the fence is tried again, or an operator gives their word."),
)

REFUSALS = {
    "join": "the node is {state}: its fencer holds it until it has proof",
    "ready": "the node is {state}: it has not just joined",
    "leave": "the node is {state}: its daemon does not run",
    "die": "the node is {state}: it is not supposed to be alive",
    "shoot": "the node is {state}: it is not dead",
    "miss": "the node is {state}: no shot is in flight",
    "prove": "the node is {state}: that is proven already",
}

# fmt: off
ROWS = (
    Row("join",  (STOP, INIT, RUN, DEAD, UNFENCED, FENCED),      INIT,     OWNER,           (g.OUTSIDE,),          {}, (), "A daemon that starts, or whose session ended, enters with its proof of life in the same write (H73).", ("fence", "clear")),
    Row("join",  (FENCING,),                                     INIT,     OWNER,           (g.OUTSIDE, g.HOLDER_GONE), {}, (), "Its fencer died before it had proof, and this node lives.", ("fence", "clear")),
    Row("ready", (INIT,),                                        RUN,      OWNER,           (g.JOINED, g.INVENTORY), {}, (), "Its guests are counted and matched with the records (H28)."),
    Row("leave", (INIT, RUN),                                    STOP,     OWNER,           (g.JOINED, g.TOLD_TO_STOP), {}, (), "The daemon was told to stop; its guests are left alone."),
    Row("die",   (INIT, RUN),                                    DEAD,     FENCER,          (),                    {}, (), "No proof of life for the dead time."),
    Row("shoot", (DEAD, UNFENCED),                               FENCING,  FENCER,          (),                    {}, (), "The order to cut its power is about to be sent."),
    Row("miss",  (FENCING,),                                     UNFENCED, FENCER,          (),                    {}, (), "The order did not lead to proof."),
    Row("prove", (STOP, INIT, RUN, DEAD, FENCING, UNFENCED),     FENCED,   FENCER | CLIENT, (),                    {}, (), "Its power reads off, or an operator gave their word."),
)
# fmt: on

NODE = Table("node", STOP, STATES, ROWS, REFUSALS, partner_triggers=frozenset({"die", "shoot", "miss", "prove"}))
