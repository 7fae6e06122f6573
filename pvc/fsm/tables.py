"""All tables by name, proven against each other at import."""

from collections.abc import Mapping

from pvc.fsm.connection import CONNECTION
from pvc.fsm.domain import DOMAIN
from pvc.fsm.fence import FENCE
from pvc.fsm.flush import FLUSH
from pvc.fsm.migration import MIGRATION
from pvc.fsm.node import NODE
from pvc.fsm.row import Table, prove_fields, prove_joints
from pvc.fsm.views import Life, NodeLife, SessionLife

TABLES: Mapping[str, Table] = {table.name: table for table in (NODE, FLUSH, DOMAIN, MIGRATION, FENCE, CONNECTION)}
RECORDS: Mapping[str, type] = {
    "domain": Life,
    "migration": Life,
    "connection": SessionLife,
    **dict.fromkeys(("node", "flush", "fence"), NodeLife),
}
"""The record that each machine moves."""

prove_joints(TABLES)
for _table in TABLES.values():
    prove_fields(_table, RECORDS[_table.name])

FIELDS: Mapping[str, str] = {
    "node": "daemon",
    "flush": "flush",
    "domain": "state",
    "migration": "phase",
    "fence": "fence",
    "connection": "state",
}
"""The field of the record that each machine moves."""
