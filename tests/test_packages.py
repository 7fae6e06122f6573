"""The two Debian packages: each is complete, they share no file, and unit, samples and manual pages say what the code does."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from pvc import __version__
from pvc.cli.access import Access
from pvc.cli.main import main
from pvc.cluster import login
from pvc.daemon import process
from pvc.daemon.config import read_config
from pvc.daemon.keys import KEYS
from tests.tidy import Module, imports

ROOT = Path(__file__).parent.parent
DEBIAN = ROOT / "debian"
PACKAGES = ("pvc-client", "pvc-daemon")
UNIT = DEBIAN / "pvc-daemon.pvcd.service"
SAMPLE = ROOT / "etc/pvcd.conf.sample"

# Where Debian has what we import, and whether a package of ours may be installed without it.
IN_DEBIAN = {
    "click": "python3-click", "kazoo": "python3-kazoo", "libvirt": "python3-libvirt", "transitions": "python3-transitions",
    "graphviz": "python3-graphviz", "numpy": "python3-numpy", "prometheus_client": "python3-prometheus-client",
}  # fmt: skip
OPTIONAL = {"graphviz", "numpy", "prometheus_client"}


def installed(package):
    """Where each file or folder of the source goes: as `debian/*.install` says."""
    lines = (line.split() for line in (DEBIAN / f"{package}.install").read_text().splitlines())
    return {source: f"{folder}/{Path(source).name}" for source, folder in lines}


def modules(package):
    """The Python modules in a package."""
    named = [ROOT / source for source in installed(package) if source.startswith("pvc/")]
    paths = [path for name in named for path in (sorted(name.rglob("*.py")) if name.is_dir() else [name])]
    return [Module(str(path.relative_to(ROOT)), path.read_text()) for path in paths]


def dotted(path):
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def control(package):
    """The fields of a package in `debian/control`."""
    text = (DEBIAN / "control").read_text().split(f"Package: {package}\n")[1].split("\nPackage:")[0]
    return {name: value.split() for name, value in re.findall(r"^(\w+):((?:.*\n(?: .*\n)*))", text, re.MULTILINE)}


def unit():
    """The settings of the unit."""
    return dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#"))


# ---- files


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_holds_every_module_that_it_imports(package):
    here = {dotted(module.path) for module in modules(package)}
    ours = {name for module in modules(package) for name in imports(module) if name.split(".")[0] == "pvc"}
    assert {name for name in ours if name not in here and name.rpartition(".")[0] not in here} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_names_whatever_else_it_imports(package):
    roots = {name.split(".")[0] for module in modules(package) for name in imports(module)} - sys.stdlib_module_names - {"pvc"}
    assert roots <= set(IN_DEBIAN)
    needed, useful = control(package)["Depends"], [*control(package).get("Recommends", []), *control(package).get("Suggests", [])]
    assert {name for name in roots if IN_DEBIAN[name].rstrip(",") not in [word.rstrip(",") for word in needed]} == roots & OPTIONAL
    assert {name for name in roots & OPTIONAL if IN_DEBIAN[name] not in [word.rstrip(",") for word in useful]} == set()


def test_every_command_of_the_client_can_be_read_without_what_is_only_suggested():
    missing = "".join(f"sys.modules[{name!r}] = None; " for name in sorted(OPTIONAL))
    read = "import runpy; from pvc.cli.main import main; manual = runpy.run_path('tools/manual.py')"
    call = f"import sys; {missing}{read}; print(len(list(manual['pages'](main, manual['root']()))))"
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True)
    assert int(done.stdout or 0) > 30, done.stderr


def test_no_two_packages_install_the_same_file():
    client, daemon = (set(installed(package).values()) for package in PACKAGES)
    assert client & daemon == set()


def test_everything_that_is_to_be_installed_is_there():
    made = {"debian/completion/pvc", "debian/completion/_pvc"}  # by debian/rules
    assert [source for package in PACKAGES for source in installed(package) if not (ROOT / source).exists() and source not in made] == []
    assert all(source in (DEBIAN / "rules").read_text() for source in made)


def test_the_packages_have_the_version_of_the_code():
    assert (DEBIAN / "changelog").read_text().startswith(f"pvc ({__version__}) ")


# ---- the unit


def test_systemd_understands_the_unit(require, tmp_path):
    require("systemd", Path("/usr/bin/systemd-analyze").exists(), "it looks at the unit; apt install systemd")
    copy = tmp_path / "pvcd.service"
    copy.write_text(UNIT.read_text().replace("/usr/sbin/pvcd", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)


def test_the_unit_starts_what_is_installed_with_the_configuration_that_must_be_there():
    said = unit()
    assert f"{said['ExecStart']}".lstrip("/") in installed("pvc-daemon").values()
    assert said["Environment"] == f"PVCD_CONFIG_FILE={said['ConditionPathExists']}"


def test_the_unit_gives_a_daemon_the_time_that_it_may_take():
    said = unit()
    config = read_config(SAMPLE, "hv1.example.org")
    assert float(said["TimeoutStopSec"]) >= process.LEAVE_S + process.CLOSE_S
    assert float(said["WatchdogSec"]) / 2 > config.settings.own_lease_s, "the daemon's own last resort comes first"


def test_the_directories_of_the_unit_are_those_of_the_configuration():
    config = read_config(SAMPLE, "hv1.example.org")
    said = unit()
    assert config.claims_directory.parent == Path("/run") / said["RuntimeDirectory"]
    assert said["RuntimeDirectoryPreserve"] == "yes", "libvirt's hook reads claims also while the daemon is away"
    assert config.state_file.parent == Path("/var/lib") / said["StateDirectory"]


# ---- the files in /etc


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_the_sample_explains_each_key_and_names_its_unit(key):
    blocks = re.split(r"\n\n", SAMPLE.read_text().partition("\n[hv1")[0])
    block = next(block for block in blocks if re.search(rf"^#?{key.name} =", block, re.MULTILINE))
    words = " ".join(line[2:] for line in block.splitlines() if line.startswith("# "))
    assert len(words) > 20
    if key.read.__qualname__.startswith("seconds"):
        assert re.search(r"\b[Ss]econds?\b", words), words


def test_the_clients_file_says_nothing_by_itself_and_shows_how_to(tmp_path, monkeypatch):
    monkeypatch.delenv("PVC_ZOOKEEPER", raising=False)
    text = (ROOT / "etc/pvc.conf").read_text()
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
    path = tmp_path / "pvc.conf"
    path.write_text(text.replace("#zookeeper =", "zookeeper ="))
    options = Access(config_file=path).options()
    assert (len(options.hosts), options.chroot) == (3, "/pvc")
    shown = set(re.findall(r"^#(zookeeper\w*) =", text, re.MULTILINE))
    assert {"zookeeper_ca", "zookeeper_user"} <= shown <= {"zookeeper", *login.KEYS}


# ---- manual pages


@pytest.fixture(scope="module")
def pages():
    manual = runpy.run_path(str(ROOT / "tools/manual.py"))
    return dict(manual["pages"](main, manual["root"]()))


def test_every_command_has_a_page_that_says_what_it_does(pages):
    assert {"pvc", "pvc-vm", "pvc-vm-start", "pvc-fsm-explain"} <= set(pages)
    assert [name for name, text in pages.items() if not re.search(r'^\.SH NAME\n\S+ \\- \S.*\n\.SH SYNOPSIS', text, re.MULTILINE)] == []
    assert "\\-\\-reason" in pages["pvc-vm-start"]
    assert ".B \\-h, \\-\\-help" in pages["pvc-vm-start"]


def test_no_line_of_a_page_is_indented_but_by_roff(pages):
    """A line that begins with a space breaks the paragraph."""
    kept = re.compile(r"^\.nf$.*?^\.fi$", re.MULTILINE | re.DOTALL)
    assert [name for name, text in pages.items() if re.search("^ ", kept.sub("", text), re.MULTILINE)] == []


def test_no_line_of_a_page_is_a_command_of_roff_by_accident(pages):
    commands = {".TH", ".SH", ".PP", ".TP", ".B", ".nf", ".fi"}
    lines = [line for text in pages.values() for line in text.splitlines() if line.startswith((".", "'"))]
    assert {line.split()[0] for line in lines} <= commands


def test_the_page_of_the_daemon_names_its_files():
    text = (DEBIAN / "pvcd.8").read_text()
    targets = [target for source, target in installed("pvc-daemon").items() if source.startswith(("etc/", "hooks/"))]
    assert [target for target in targets if f"/{target}" not in text] == []
    assert unit()["ConditionPathExists"] in text
