"""What tables and rows say, in words that pictures, documents and the terminal share."""

import re
from collections.abc import Iterable
from inspect import cleandoc
from textwrap import wrap

from pvc.fsm import connection, domain, fence, flush, migration, node
from pvc.fsm.row import Guard, Row, State, Table
from pvc.fsm.states import Word
from pvc.fsm.tables import TABLES

# Commits together with a row of another machine, in one transaction.
JOINT = "*"

# Of more rows than these, only the machine is named.
LEADS = 2

# Pictures that show two machines, because their users think of them as one.
TOGETHER = {"node": ("node", "flush")}

_FILES = {"node": node, "flush": flush, "domain": domain, "migration": migration, "fence": fence, "connection": connection}
_VALUE = re.compile(r"\{v\.(?:life\.)?(\w+)\}")


def drawn_with(machine: str) -> tuple[Table, ...]:
    """The tables that the picture of a machine shows."""
    return tuple(TABLES[name] for name in TOGETHER.get(machine, (machine,)))


def about(table: Table) -> str:
    """What the machine is for, in the words of its own file."""
    return cleandoc(_FILES[table.name].__doc__ or "")


def headline(table: Table) -> str:
    """The first line of :func:`about`, without markup."""
    return about(table).partition("\n")[0].replace("`", "")


def is_joint(table: Table, row: Row) -> bool:
    """Whether this row commits together with one of another machine, whichever of the two leads."""
    return row.joint is not None or row.trigger in table.partner_triggers


def mark(table: Table, row: Row) -> str:
    """The trigger, marked when it commits together with a row of another machine."""
    return row.trigger + (JOINT if is_joint(table, row) else "")


def marked(table: Table, rows: Iterable[Row]) -> list[str]:
    """The triggers of these rows with their marks, sorted, each once."""
    return sorted({mark(table, row) for row in rows})


def partner(table: Table, row: Row) -> str:
    """What commits in the same transaction: a transition of another machine, or the rows that lead to this one; empty when nothing does."""
    if row.joint:
        return ".".join(row.joint)
    if row.trigger not in table.partner_triggers:
        return ""
    others = [(other.name, lead) for other in TABLES.values() for lead in other.rows]
    leads = sorted({(name, lead.trigger) for name, lead in others if lead.joint == (table.name, row.trigger)})
    if len(leads) > LEADS:
        return "a row of " + " or ".join(sorted({name for name, _ in leads}))
    return " or ".join(".".join(lead) for lead in leads)


def destination(row: Row) -> str:
    """Where the row leads."""
    return "stays" if row.dest is None else str(row.dest)


def assignments(row: Row) -> list[str]:
    """What the row writes besides the state."""
    return [f"{name} = {_value(value)}" for name, value in row.sets.items()]


def _value(value: object) -> str:
    return "none" if value is None or value == () else str(value)


def reason(guard: Guard, before: str = "<", after: str = ">") -> str:
    """The sentence that is read when the guard does not hold, with names in place of what only a real situation knows."""
    return _VALUE.sub(lambda found: before + found[1].replace("_", " ") + after, guard.refusal)


def refusal(table: Table, trigger: str, state: Word | str) -> str:
    """Why a state does not take a trigger."""
    return table.refusals[trigger].format(state=state)


def refused(table: Table, state: Word) -> list[str]:
    """The triggers that this state does not take, sorted."""
    taken = {row.trigger for row in table.rows if state in row.source}
    return [trigger for trigger in table.triggers if trigger not in taken]


def rest(state: State) -> str:
    """Whether something may stay in this state for ever, and who gets it out."""
    if state.final:
        return "the end"
    words = ["may rest"] if state.rests else []
    return "; ".join([*words, f"an admin gets it out: {state.needs_human}"] if state.needs_human else words)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most so many characters, cut between words."""
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)
