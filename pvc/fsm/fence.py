"""A fence: from the suspicion that a node is lost to the proof that it is off.

Suspicion is harmless: it lets one fencer read the node's power. Only power that reads off, twice, while the node holds no session, or an operator's word, is
proof; a time that has passed, an order that was accepted, a device that does not answer are none (H63).
"""

from pvc.fsm import guards as g
from pvc.fsm.row import Row, State, Table
from pvc.fsm.states import By, Effect, Fence, Take

NONE, EVIDENCE, THROWS, SHOT, FAILED, PROVEN = Fence
CLIENT, OWNER, _, _, _, FENCER, PEER, _ = By

STATES = (
    State(NONE, "Nobody suspects the node.", rests=True),
    State(EVIDENCE, "The node holds no session; its fencer reads its power.", rests=True),
    State(THROWS, "The node is dead; its saving throws run before the shot."),
    State(SHOT, "The order to cut its power may have been sent; its fencer reads the power back."),
    State(FAILED, "The shot did not lead to proof; the power is read again and again, and the shot repeated with back-off."),
    State(PROVEN, "The node is off; the holder of the fence recovers what it owned.", rests=True),
)

REFUSALS = {
    "suspect": "the fence is {state}: somebody suspects the node already",
    "adopt": "the fence is {state}: there is nothing to adopt",
    "read": "the fence is {state}: there is nothing to prove",
    "pass_on": "the fence is {state}: a shot is in flight, or there is nothing to pass on",
    "prove": "the fence is {state}: nobody suspects the node, or it is proven already",
    "declare": "the fence is {state}: it is declared already, or nobody suspects the node",
    "shoot": "the fence is {state}: the node is not dead, or a shot is in flight",
    "miss": "the fence is {state}: no shot is in flight",
    "order": "the fence is {state}: a shot is in flight, or it is proven already",
    "confirm": "the fence is {state}: it is proven already",
    "power_on": "the fence is {state}: only a node that is proven off is switched on",
    "clear": "the fence is {state}",
}

FOUND = (g.NODE_IDLE, g.READ_OFF, g.LOST)
OPEN = (EVIDENCE, THROWS, SHOT, FAILED)
OBEYED = {"ordered": False}

# fmt: off
ROWS = (
    Row("suspect",  (NONE,),                             EVIDENCE, PEER,   (g.LOST, g.MISSED),                             {"by": Take.me}, (Effect.read_power,), "It lost its session, and did not say goodbye or left VMs behind: one daemon asks for evidence."),
    Row("adopt",    (EVIDENCE, THROWS, SHOT, FAILED),    None,     PEER,   (g.LOST, g.HOLDER_GONE),                        {"by": Take.me}, (Effect.read_power,), "Its fencer is gone, or passed it on; the phase is kept (H71)."),
    Row("adopt",    (PROVEN,),                           None,     PEER,   (g.HOLDER_GONE,),                               {"by": Take.me}, (),                   "Its fencer is gone; the proof stays, and the recovery goes on."),
    Row("prove",    (EVIDENCE,),                         PROVEN,   FENCER, (*FOUND, g.NOT_STOPPED),                        OBEYED,          (),                   "Off without a shot: the commonest death.", ("node", "prove")),
    Row("prove",    (EVIDENCE,),                         PROVEN,   FENCER, (*FOUND, g.STOPPED, g.NODE_DUE),                OBEYED,          (),                   "Stopped cleanly, and off for longer than a planned reboot takes.", ("node", "prove")),
    Row("prove",    (THROWS, SHOT, FAILED),              PROVEN,   FENCER, FOUND,                                          OBEYED,          (),                   "The power reads off: this is proof.", ("node", "prove")),
    Row("miss",     (SHOT,),                             FAILED,   FENCER, (g.NODE_IDLE, g.READ_NOT_OFF),                  {},              (),                   "The order failed, or nothing confirms it: no proof, no recovery (H63).", ("node", "miss")),
    Row("declare",  (EVIDENCE,),                         THROWS,   FENCER, (g.NODE_DUE, g.LOST, g.NOT_STOPPED),            {},              (),                   "No proof of life for the dead time.", ("node", "die")),
    Row("shoot",    (THROWS, FAILED),                    SHOT,     FENCER, (g.NODE_IDLE, g.NODE_DUE, g.LOST, g.UNBRAKED),  OBEYED,          (Effect.power_off,),  "The saving throws, or the back-off, are over. No write, no shot.", ("node", "shoot")),
    Row("pass_on",  (EVIDENCE, FAILED),                  None,     FENCER, (g.NODE_IDLE, g.READ_SILENT, g.NOT_COUNTED),    {"by": None},    (),                   "The device does not answer here; another node's path to it may work."),
    Row("read",     OPEN,                                None,     FENCER, (g.NODE_IDLE, g.UNREAD_OR_STALE),                 {},              (Effect.read_power,), "Read again, ever more slowly, as long as nothing is proven."),
    Row("order",    (NONE, EVIDENCE, THROWS, FAILED),    None,     CLIENT, (g.LOST, g.NOT_STOPPED, g.NOT_ORDERED),         {"ordered": True}, (),                "An operator wants it shot: now, and whatever brakes others."),
    Row("confirm",  (NONE, EVIDENCE, THROWS, SHOT, FAILED), PROVEN, CLIENT, (g.LOST,),                                     {"by": None, **OBEYED}, (),                   "An operator looked and gave their word (H89).", ("node", "prove")),
    Row("power_on", (PROVEN,),                           None,     FENCER, (g.NODE_IDLE, g.READ_OFF, g.NODE_DUE, g.POWER_BACK), {},         (Effect.power_on,),   "The policy is to switch a fenced node on again."),
    Row("clear",    (NONE, EVIDENCE, THROWS, SHOT, FAILED, PROVEN), NONE, OWNER, (),                                       {"by": None, **OBEYED}, (),                   "The node has joined: it speaks for itself."),
)
# fmt: on

FENCE = Table("fence", NONE, STATES, ROWS, REFUSALS, partner_triggers=frozenset({"clear"}))
