"""All tables by name, proven against each other at import."""

from collections.abc import Mapping

from pvc.fsm.connection import CONNECTION
from pvc.fsm.domain import DOMAIN
from pvc.fsm.fence import FENCE
from pvc.fsm.flush import FLUSH
from pvc.fsm.migration import MIGRATION
from pvc.fsm.node import NODE
from pvc.fsm.row import Table, prove_joints

TABLES: Mapping[str, Table] = {table.name: table for table in (NODE, FLUSH, DOMAIN, MIGRATION, FENCE, CONNECTION)}
prove_joints(TABLES)

FIELDS: Mapping[str, str] = {
    "node": "daemon",
    "flush": "flush",
    "domain": "state",
    "migration": "phase",
    "fence": "fence",
    "connection": "state",
}
"""The field of the record that each machine moves."""
