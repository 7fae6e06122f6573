"""A daemon's ZooKeeper connection: in which of its states anything may be decided at all (I10)."""

from pvc.fsm.row import Row, State, Table
from pvc.fsm.states import By, Connection

CLOSED, CONNECT, SYNC, LIVE, SUSPENDED, LOST = Connection
SESSION, OWNER = By.SESSION, By.OWNER

STATES = (
    State(CLOSED, "There is no connection, and none is wanted.", rests=True, needs_human="the daemon was stopped"),
    State(CONNECT, "The first connection is being made."),
    State(SYNC, "Connected; every record is being read again before anything is decided."),
    State(LIVE, "Connected, and every record is known: the only state in which transitions are decided.", rests=True),
    State(SUSPENDED, "Not connected; the session may live on. Guests run on, nothing is decided."),
    State(LOST, "The session has ended: a new one has to join again."),
)

REFUSALS = {
    "open": "the connection is {state}: it was opened already",
    "connected": "the connection is {state}: it is connected already, or was closed",
    "synced": "the connection is {state}: nothing is being read again",
    "suspended": "the connection is {state}: it is not connected",
    "expired": "the connection is {state}: it has no session to lose",
    "close": "the connection is {state}",
}

# fmt: off
ROWS = (
    Row("open",      (CLOSED,),                                  CONNECT,   OWNER,   (), {}, (), "The daemon starts."),
    Row("connected", (CONNECT, SUSPENDED, LOST),                 SYNC,      SESSION, (), {}, (), "Connected: what was known before may be stale (H8)."),
    Row("synced",    (SYNC,),                                    LIVE,      OWNER,   (), {}, (), "Every record was read on this connection."),
    Row("suspended", (CONNECT, SYNC, LIVE),                      SUSPENDED, SESSION, (), {}, (), "The connection broke; writes without an answer have an unknown outcome."),
    Row("expired",   (CONNECT, SYNC, LIVE, SUSPENDED),           LOST,      SESSION, (), {}, (), "The ensemble, or this daemon's own lease, ended the session."),
    Row("close",     (CONNECT, SYNC, LIVE, SUSPENDED, LOST),     CLOSED,    OWNER,   (), {}, (), "The daemon stops; the session goes last (H80)."),
)
# fmt: on

CONNECTION = Table("connection", CLOSED, STATES, ROWS, REFUSALS)
