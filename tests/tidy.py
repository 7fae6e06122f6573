"""What "tidy" means, as functions from source to complaints, so that each can be shown a bad example."""

import ast
import sys
from collections.abc import Container, Iterator
from itertools import chain
from typing import NamedTuple

MODULE_LINES = 300
FUNCTION_LINES = 40

# Who may import whom; dependencies point down, and the client works without the daemon.
LAYERS = {
    "errors":  set(),
    "fsm":     {"errors"},
    "cluster": {"errors", "fsm"},
    "core":    {"errors", "fsm", "cluster"},
    "check":   {"errors", "fsm", "cluster", "core"},
    "agent":   {"errors", "fsm", "cluster", "core"},
    "hypervisor": {"errors", "fsm", "cluster", "core", "agent"},
    "client":  {"errors", "fsm", "cluster", "core"},
    "sim":     {"errors", "fsm", "cluster", "core", "agent", "client"},
    "daemon":  {"errors", "fsm", "cluster", "core", "agent", "hypervisor"},
    "cli":     {"errors", "fsm", "cluster", "core", "check", "agent", "client", "sim"},
}

PURE = {"fsm", "core"}
# I/O, clocks, threads and chance: with none of these, what the checker explores is what the daemon does.
IMPURE = {
    "asyncio", "concurrent", "ctypes", "datetime", "fcntl", "ftplib", "glob", "http", "io", "logging.handlers", "mmap", "multiprocessing",
    "os", "pathlib", "pickle", "queue", "random", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "socketserver",
    "sqlite3", "ssl", "subprocess", "tempfile", "_thread", "threading", "time", "urllib", "uuid", "zoneinfo",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "breakpoint", "exec", "eval"}
# Packages from outside that a pure part may use: by file.
PURE_EXCEPTIONS = {"pvc/fsm/machine.py": {"transitions"}}

# A package with hazards of its own is tamed in one file: this one, or, where no file is named yet, any single one.
ONE_IMPORTER = {
    "kazoo": "pvc/cluster/zookeeper.py",
    "transitions": "pvc/fsm/machine.py",
    "graphviz": "pvc/cli/picture.py",
    "libvirt": "pvc/hypervisor/library.py",
    "prometheus_client": "pvc/daemon/metrics.py",
}

SLEEPLESS = {"core", "cluster", "agent", "daemon", "hypervisor"}

# Bases which promise nothing about a method of ours.
PLAIN_BASES = {"ABC", "Enum", "Exception", "Generic", "IntEnum", "IntFlag", "NamedTuple", "Protocol", "PvcError", "StrEnum", "TypedDict"}


class Module(NamedTuple):
    """One source file: its path from the root of the repository, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.path)

    @property
    def layer(self) -> str:
        """The part of the package it belongs to; empty for `pvc/__init__.py`."""
        part = self.path.split("/")[1].removesuffix(".py")
        return "" if part == "__init__" else part


def imports(module: Module) -> Iterator[str]:
    """Full names of everything imported anywhere in the file, `from a import b` as a.b."""
    package = module.path.split("/")[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def layering(module: Module) -> list[str]:
    """Imports that point up or sideways."""
    if not module.layer:
        return []
    if module.layer not in LAYERS:
        return [f"{module.path}: pvc.{module.layer} has no place among the layers"]
    allowed = LAYERS[module.layer] | {module.layer, "__version__"}
    wrong = [name for name in imports(module) if name.startswith("pvc.") and name.split(".")[1] not in allowed]
    return [f"{module.path}: pvc.{module.layer} may not import {name}" for name in wrong]


def purity(module: Module) -> list[str]:
    """I/O, clocks, threads, chance and packages from outside, in the parts that must know none."""
    if module.layer not in PURE:
        return []
    allowed = PURE_EXCEPTIONS.get(module.path, set())
    wrong = [name for name in imports(module) if _impure(name) and name.split(".")[0] not in allowed]
    calls = (node.func.id for node in ast.walk(module.tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    wrong += [f"{name}()" for name in calls if name in IMPURE_CALLS]
    return [f"{module.path}: pvc.{module.layer} is pure and may not use {name}" for name in wrong]


def _impure(name: str) -> bool:
    root = name.split(".")[0]
    if root == "pvc":
        return False
    return root not in sys.stdlib_module_names or any(name == bad or name.startswith(f"{bad}.") for bad in IMPURE)


def reached_impurity(modules: list[Module]) -> list[str]:
    """Impure modules that the pure parts reach through others of ours: importing one would do what it does."""
    by_name = {_dotted(module.path): module for module in modules}
    complaints = []
    reached = {name: [name] for name, module in by_name.items() if module.layer in PURE}
    queue = list(reached)
    for name in queue:
        for target in {found for used in imports(by_name[name]) if (found := _ours(used, by_name))} - reached.keys():
            reached[target] = [*reached[name], target]
            queue.append(target)
            wrong = [used for used in imports(by_name[target]) if _impure(used)]
            complaints += [f"{' -> '.join(reached[target])} -> {used}: the first is pure" for used in wrong]
    return complaints


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _ours(name: str, known: dict[str, Module]) -> str | None:
    """The module of ours that an import names, directly or by one of its members."""
    return name if name in known else name.rpartition(".")[0] if name.rpartition(".")[0] in known else None


def single_importers(modules: list[Module]) -> list[str]:
    """Packages that more files import than the one which tames them."""
    complaints = []
    for package, home in ONE_IMPORTER.items():
        users = [module.path for module in modules if package in {name.split(".")[0] for name in imports(module)}]
        expected = [home] if home in {module.path for module in modules} else []
        if users != expected and (home or len(users) > 1):
            complaints.append(f"{package} is for {home or 'one file'} alone, and {users or 'nobody'} imports it")
    return complaints


def sleeping(module: Module) -> list[str]:
    """Calls of time.sleep where every wait must be a declared state."""
    if module.layer not in SLEEPLESS:
        return []
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")]
    return [f"{module.path}:{node.lineno}: sleeps" for node in calls]


def long_module(module: Module, tables: dict[str, str]) -> list[str]:
    """A module too long to hold in the head; a declared table may be, its rows are read one by one."""
    lines = module.text.count("\n")
    return [f"{module.path}: {lines} lines, more than {MODULE_LINES}"] if lines > MODULE_LINES and module.path not in tables else []


def long_functions(module: Module, allowed: dict[str, str]) -> list[str]:
    """Functions too long to read at a glance, their docstring not counted."""
    functions = [node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [(f"{module.path}:{node.name}", _lines(node)) for node in functions if _lines(node) > FUNCTION_LINES]
    return [f"{name}: {size} lines, more than {FUNCTION_LINES}" for name, size in long if name not in allowed]


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = ast.get_docstring(node) is not None and first.end_lineno is not None
    return (node.end_lineno or node.lineno) - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


def undocumented(module: Module, promised: Container[str] = ()) -> list[str]:
    """Public modules, classes, functions and methods without a docstring; `promised` methods have theirs in a Protocol."""
    missing = [] if ast.get_docstring(module.tree) else [module.path]
    missing += [f"{module.path}:{node.name}" for node in _public(module.tree) if not ast.get_docstring(node)]
    for parent in _classes(module):
        wrong = [node.name for node in _public(parent) if not ast.get_docstring(node) and node.name not in promised]
        missing += [f"{module.path}:{parent.name}.{name}" for name in wrong]
    return missing


def promised_methods(modules: list[Module]) -> set[str]:
    """Names of all methods that a Protocol documents: who implements one need not say it again."""
    protocols = [parent for module in modules for parent in _classes(module) if "Protocol" in _bases(parent)]
    return {node.name for parent in protocols for node in _public(parent) if ast.get_docstring(node)}


def _public(parent: ast.Module | ast.ClassDef) -> list[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    definitions = [node for node in parent.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    return [node for node in definitions if not node.name.startswith("_")]


def _classes(module: Module) -> list[ast.ClassDef]:
    """Public classes, but for those that derive from another of ours: a method that overrides one has its promise."""
    classes = [node for node in _public(module.tree) if isinstance(node, ast.ClassDef)]
    return [node for node in classes if _bases(node) <= PLAIN_BASES]


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}


def forbidden_words(path: str, text: str, words: list[str]) -> list[str]:
    """Words that tie the project to one machine."""
    lines = enumerate(text.splitlines(), 1)
    return list(chain.from_iterable((f"{path}:{number}: {word}" for word in words if word in line) for number, line in lines))
