"""`docs/znodes.md`: the layout, the fields, an example of every znode, and the rules for whoever writes beside PVC.

The page is made from the layout, the schemas and the rows, and its examples from real records, so none of it can differ from what runs.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence

from pvc.cluster import device_tests, examples, formats, schemas, znodes
from pvc.cluster.codec import Kind, Maybe, Several
from pvc.cluster.fields import REQUIRED, Field, Object
from pvc.cluster.names import NAME_RULE, TOKEN_RULE, UUID_RULE
from pvc.cluster.records import MAX_HISTORY_BYTES, MAX_RECORD_BYTES, MAX_XML_BYTES
from pvc.fsm.domain import OWNED
from pvc.fsm.draw.words import assignments, destination
from pvc.fsm.states import By
from pvc.fsm.tables import TABLES

GENERATED = "<!-- Generated from pvc/cluster and the rows in pvc/fsm by `make diagrams`: do not edit. -->"

INTRODUCTION = f"""\
What PVC keeps in ZooKeeper is its public interface: a program in any language may read all of it, and may ask for what a person may ask
for with `pvc`. Paths are relative to the cluster's chroot. Records are JSON objects in UTF-8, at most {MAX_RECORD_BYTES // 1024} KiB each,
with a field `v`, the version of their format. The states and what leads from one to another are in [states.md](states.md)."""

RULES = """\
1. **Compare and set.** Write a record only with the version that you read, never with -1. When that is refused, read again and decide
   again: what you saw is no longer true.
2. **Check the generation.** In the same multi, check `/domains/<uuid>/g-<gen>` (version -1, it is empty), with the `gen` of the record that
   you read. A VM that was undefined and defined again has versions from 0, and is another one.
3. **Check what you looked at**, in the same multi: `/config`, and the record of each node on which your decision rests.
4. **Keep what you do not know.** Write back every field that you read, at every level, and add your own beside them.
5. **Leave alone what you cannot read.** A record whose `v` you do not know, or that does not parse, is not yours to write. In all versions
   the fields marked *stable* stay where they are, so owner and fence can be read from any.
6. **Write only what is listed below** under *What a client may write*, and only where the conditions hold. Set `request_id` to an id that
   nobody else uses: when the answer is lost, read the record and look for it, instead of writing again.
7. **Keep the index.** Whoever changes `owner`, `target` or `home` creates and deletes the entries `/nodes/<node>/domains/<uuid>` in the
   same multi: a daemon looks at nothing else to learn which VMs are its own.
8. **Watch a record, not a state.** A watch may skip values; what counts is what the record says now."""

CLIENT = """\
`choice` is the node that the client chose; it checks that node's record. A row with `migration.ask` writes a new `op` with all its fields,
its phase `asked`, its `id` an id that nobody else uses; what the row sets as `kind` and `op_id` are `kind` and `id` of that `op`. To
undefine a VM that nobody owns is to delete its record with everything below it, its name and its index entries, in one multi. In `/config`
a client may change `hold` and `defaults`. To define a VM takes six znodes in one multi: leave that to `pvc`, which also reads the XML."""

NEVER = """\
But for the rows above:

- `owner`, `epoch` and `op` of a VM, and its `state` while it has an owner: they say who may run the guest, and only the owner's evidence,
  or the proof that its node is off, changes them. A wrong one means two guests on one disk.
- `/boots` and `/alive`: a daemon's right to write hangs on them.
- `daemon` and `fence` of a node. `confirm` is for somebody who has looked at the machine.
- Passwords: there is no field for one, and a fence address cannot hold one."""

STOP_BY_HAND = """\
By hand, with the shell that comes with ZooKeeper:

```
get /names/web1
get -s /domains/{uuid}
set -v 41 /domains/{uuid} '{{"v":1,"name":"web1", ... "want":"stop", ... }}'
```

where 41 is the `dataVersion` that the second line showed, and the record is the one it showed, with `want` changed and nothing else. That
shell knows no multi, so nothing checks the generation: make sure that nobody undefines the VM in between. A program does better:"""

KINDS = f"""\
A field that is missing has the value under *without it*; where that is *unreadable*, nobody acts on the record until somebody has repaired
it. The same holds for a record in which anything is not as it says here.

- A *name* is {NAME_RULE}.
- A *UUID* is {UUID_RULE}, in lower case.
- An *id* is {TOKEN_RULE}.
- *Text* is one line without control characters."""

EXAMPLES = {
    "config": formats.encode_config(examples.CONFIG),
    "domain": formats.encode_domain(examples.DOMAIN),
    "node": formats.encode_node(examples.NODE),
    "stats": formats.encode_stats("node1", examples.STATS),
    "progress": formats.encode_progress("node1", examples.PROGRESS),
    "fence-tests": device_tests.encode_tests("node1", examples.TESTS),
    "boot": formats.encode_boot("node1", examples.BOOT),
    "history": formats.encode_history("", examples.HISTORY),
}
FIELDS = {
    "config": schemas.CONFIG,
    "domain": schemas.DOMAIN,
    "node": schemas.NODE,
    "stats": schemas.STATS,
    "progress": schemas.PROGRESS,
    "fence-tests": device_tests.FIELDS,
    "boot": schemas.BOOT,
    "history": schemas.HISTORY,
}
PLAIN = {
    "uuid": f"The UUID, as text: `{examples.UUID}`.",
    "xml": f"What libvirt gets, unchanged, at most {MAX_XML_BYTES // 1024} KiB: `{examples.XML}`",
    "empty": "Nothing: that it exists is what it says.",
}
FIRST = "older entries by which a daemon led nothing anywhere go first, then the oldest"
SIZES = {"history": f"At most {MAX_HISTORY_BYTES // 1024} KiB; {FIRST}. "}


def page() -> str:
    """Return the whole page."""
    parts = [GENERATED, "# Znodes", INTRODUCTION, "## Layout", *_layout(), "## Rules for writers", RULES]
    parts += ["## What a client may write", *_client(), "## What no client may touch", NEVER]
    parts += ["## Example: ask for a VM to be stopped", *_stop(), "## Records", *_records()]
    return "\n\n".join(parts) + "\n"


def stop_program() -> str:
    """The program of the example."""
    return examples.STOP_PROGRAM.replace("{owned}", "{" + ", ".join(f'"{state}"' for state in OWNED) + "}")


def _layout() -> Iterator[str]:
    yield "*Ephemeral* znodes go with the session of their daemon; all others stay."
    heads = ("path", "holds", "written by", "watched by", "what it is")
    yield _table(heads, ((_path(entry), _holds(entry), entry.writers, entry.watchers, entry.meaning) for entry in znodes.LAYOUT))


def _path(entry: znodes.Entry) -> str:
    return f"`{entry.path}`" + (" *ephemeral*" if entry.ephemeral else "")


def _holds(entry: znodes.Entry) -> str:
    return f"[{entry.holds}](#{entry.holds})" if entry.holds else ""


def _client() -> Iterator[str]:
    yield (
        "These are the rows of the tables that a client may fire. A row writes the state it leads to and what it sets, in one multi. "
        "Without an owner a VM's state moves at once; with one, a client writes wishes, and the owner acts on them."
    )
    yield CLIENT
    for name, record in (("domain", "/domains/<uuid>"), ("flush", "/nodes/<node>"), ("fence", "/nodes/<node>")):
        rows = [row for row in TABLES[name].rows if row.by & By.CLIENT and row.trigger not in TABLES[name].partner_triggers]
        yield f"### {name}, in `{record}`"
        heads = ("trigger", "in", "to", "sets", "only if", "why")
        yield _table(
            heads,
            (
                (
                    f"`{row.trigger}`" + (f" with {'.'.join(row.joint)}" if row.joint else ""),
                    " ".join(map(str, row.source)),
                    destination(row),
                    "; ".join(assignments(row)),
                    "; ".join(guard.name for guard in row.guards),
                    row.why,
                )
                for row in rows
            ),
        )


def _stop() -> Iterator[str]:
    yield (
        f"While a daemon owns the VM (it is {', '.join(f'`{state}`' for state in OWNED)}), to stop it is to write a wish: the owner "
        "sees it, cuts the guest's power, and moves the state when the guest is gone."
    )
    yield STOP_BY_HAND.format(uuid=examples.UUID)
    yield f"```python\n{stop_program()}```"


def _records() -> Iterator[str]:
    yield KINDS
    for name, fields in FIELDS.items():
        yield f"### {name}"
        yield f"{SIZES.get(name, '')}In " + " and ".join(f"`{entry.path}`" for entry in znodes.LAYOUT if entry.holds == name) + "."
        yield _fields(fields)
        for field in fields.fields:
            inner = _object(field.kind)
            if inner is not None:
                yield f"Fields of `{field.name}`:"
                yield _fields(inner)
        yield f"```json\n{json.dumps(json.loads(EXAMPLES[name]), indent=2, ensure_ascii=False)}\n```"
    for name, text in PLAIN.items():
        yield f"### {name}"
        yield text


def _object(kind: Kind) -> Object | None:
    inner = kind.kind if isinstance(kind, Maybe | Several) else kind
    return inner if isinstance(inner, Object) else None


def _fields(fields: Object) -> str:
    return _table(("field", "what may stand there", "without it", "what it means"), map(_field, fields.fields))


def _field(field: Field) -> tuple[str, ...]:
    return f"`{field.name}`" + (" *stable*" if field.stable else ""), field.kind.words, _default(field), field.meaning


def _default(field: Field) -> str:
    if field.default is REQUIRED:
        return "unreadable"
    if _object(field.kind) is not None:
        return "its defaults"
    return f"`{json.dumps(field.kind.write(field.default))}`"


def _table(heads: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode())
