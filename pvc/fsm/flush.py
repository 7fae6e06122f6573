"""Whether a node takes VMs: a field of its own, so that it survives death and reboot."""

from pvc.fsm import guards as g
from pvc.fsm.row import Row, State, Table
from pvc.fsm.states import By, Flush

READY, FLUSH_, FLUSHED, UNFLUSH = Flush
CLIENT, OWNER = By.CLIENT, By.OWNER

STATES = (
    State(READY, "The node takes VMs.", rests=True, needs_human="taking VMs is what a node is for, until an admin flushes it"),
    State(FLUSH_, "The node takes no VMs, and those it has are leaving."),
    State(FLUSHED, "The node takes no VMs, and its hypervisor shows none.", rests=True, needs_human="the admin flushed it for a reason, and says when that is over"),
    State(UNFLUSH, "The node is calling home what left it, and then takes VMs again."),
)

REFUSALS = {
    "flush": "the node is {state}: it is being flushed already, or is empty",
    "ready": "the node is {state}: it is calling its VMs home already",
    "flushed": "the node is {state}: it is not being flushed",
    "called": "the node is {state}: it is not calling its VMs home",
}

# fmt: off
ROWS = (
    Row("flush",   (READY, UNFLUSH),          FLUSH_,  CLIENT, (g.NODE_RUNS,),  {}, (), "The admin wants the node empty; a node whose daemon is down cannot empty itself (H57)."),
    Row("ready",   (READY, FLUSH_, FLUSHED),  UNFLUSH, CLIENT, (),              {}, (), "The admin gives the node back; also cancels a flush (H53)."),
    Row("flushed", (FLUSH_,),                 FLUSHED, OWNER,  (g.EMPTY,),      {}, (), "The hypervisor shows no guest and no record names the node (H50)."),
    Row("called",  (UNFLUSH,),                READY,   OWNER,  (g.ALL_CALLED,), {}, (), "Every VM that belongs here and runs elsewhere was called home."),
)
# fmt: on

FLUSH = Table("flush", READY, STATES, ROWS, REFUSALS)
