"""The dashboard: what it serves, to whom, and how it looks in a real browser."""

import base64
import http.client
import json
import threading

import pytest

from pvc.cli.dashboard_feed import KEPT, Feed
from pvc.cli.dashboard_server import STREAMS, Dashboard
from pvc.fsm.tables import TABLES
from tests.cli.browser import Browser, available
from tests.client.world import World, xml


@pytest.fixture
def world():
    """Three nodes that work."""
    return World()


@pytest.fixture
def shown(world):
    """A cluster with a VM that runs, on a dashboard."""
    cluster = world.client()
    cluster.define(xml("web1"), home="hv1")
    cluster.wait_for(cluster.start("web1", "hv1"), timeout_s=60)
    dashboard = Dashboard(world.client("dashboard"), "127.0.0.1", 0)
    for _ in range(6):
        dashboard.step(1.0)
    yield dashboard
    dashboard.close()


def ask(dashboard, path, method="GET", **headers):
    """Status, headers and content of an answer."""
    connection = http.client.HTTPConnection(*dashboard.server.server_address[:2], timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = b"" if path == "/stream" and answer.status == 200 else answer.read()
    return connection, answer, content


@pytest.mark.parametrize(("path", "kind"), [("/", "text/html"), ("/dashboard.js", "text/javascript"), ("/dashboard.css", "text/css")])
def test_the_page_needs_nothing_from_elsewhere(shown, path, kind):
    connection, answer, content = ask(shown, path)
    connection.close()
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, kind)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert b"http://" not in content.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in content


@pytest.mark.parametrize("path", ["/nothing", "/diagram/nothing.svg", "/diagram/../page/index.html", "/../main.py", "/page/index.html"])
def test_nothing_else_is_served(shown, path):
    connection, answer, _ = ask(shown, path)
    connection.close()
    assert answer.status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(shown, method):
    connection, answer, _ = ask(shown, "/", method)
    connection.close()
    assert answer.status == 501


HOSTS = [("evil.example:80", 403), ("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:8006", 200), ("", 403)]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_a_page_of_somebody_else_cannot_read_it(shown, host, status):
    connection, answer, _ = ask(shown, "/", Host=host)
    connection.close()
    assert answer.status == status


def test_each_machine_is_a_picture(shown, require):
    import shutil

    require("Graphviz", bool(shutil.which("dot")), "install the Debian package graphviz")
    for machine in TABLES:
        connection, answer, content = ask(shown, f"/diagram/{machine}.svg")
        connection.close()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml")
        assert f"<title>{machine}.".encode() in content


def told(answer):
    """The next thing that the stream tells."""
    while not (line := answer.fp.readline()).startswith(b"data: "):
        assert line, "the stream has ended"
    return json.loads(line[6:])


def test_the_stream_tells_everything_and_then_what_is_different(shown, world):
    connection, answer, _ = ask(shown, "/stream")
    first = told(answer)
    (key,) = [key for key in first["parts"] if key.startswith("vm/")]
    assert (first["parts"][key]["name"], first["parts"][key]["last"]["domain"]) == ("web1", ["boot", "started", "start"])
    assert first["parts"]["cluster"]["counts"]["domain"] == {"start": 1}
    assert {"node/hv1", "node/hv2", "node/hv3"} < first["parts"].keys()
    world.client("ben@hall").stop("web1", "enough")
    for _ in range(8):
        shown.step(1.0)
    news = told(answer)
    assert key in news["parts"]
    assert "node/hv3" not in news["parts"]
    assert news["happened"][0]["why"] == "enough"
    world.client().undefine("web1")
    for _ in range(8):
        shown.step(1.0)
    while key in news["parts"] and news["parts"][key] is not None:
        news = told(answer)
    assert news["parts"][key] is None
    connection.close()


def test_there_are_only_so_many_streams(shown):
    held = [ask(shown, "/stream")[0] for _ in range(STREAMS)]
    connection, answer, _ = ask(shown, "/stream")
    assert answer.status == 503
    for one in (*held, connection):
        one.close()


def test_a_feed_tells_who_comes_late_everything_and_keeps_no_more_than_it_must():
    feed = Feed()
    feed.update({"a": 1, "b": 2}, [])
    feed.update({"a": 1, "b": 3}, list(range(KEPT + 10)))
    number, news = feed.after(0, 0)
    assert (number, news["parts"], len(news["happened"])) == (2, {"a": 1, "b": 3}, KEPT)
    assert feed.after(2, 0) is None
    assert feed.after(1, 0)[1]["parts"] == {"b": 3}
    feed.update({"a": 1}, [])
    assert feed.after(2, 0) == (3, {"parts": {"b": None}, "happened": []})
    feed.update({"a": 1}, [])
    assert feed.after(3, 0) is None


def test_a_feed_that_is_over_lets_nobody_wait():
    feed = Feed()
    waiting = threading.Thread(target=feed.after, args=(0, 600), daemon=True)
    waiting.start()
    feed.close()
    waiting.join(30)
    assert not waiting.is_alive()


def test_an_address_that_is_taken_is_a_sentence(pvc, shown):
    port = str(shown.server.server_address[1])
    done = pvc("dashboard", "--port", port)
    assert (done.code, "nobody can be served at 127.0.0.1" in done.err) == (1, True)


def test_ctrl_c_ends_it_well(pvc, world):
    def interrupt():
        raise KeyboardInterrupt

    world.idles = [*[lambda: None] * 3, interrupt]
    done = pvc("dashboard", "--port", "0")
    assert (done.code, done.out.startswith("The cluster is shown at http://127.0.0.1:")) == (0, True)


# ---- in a browser


@pytest.fixture
def browser(require, tmp_path):
    """Chromium, without a screen."""
    require("Chromium", available(), "install the Debian packages chromium and chromium-driver")
    browser = Browser(tmp_path)
    yield browser
    browser.close()


@pytest.mark.long
def test_the_page_in_a_browser(shown, world, browser, tmp_path):
    browser.open(shown.url)
    browser.until("document.querySelectorAll('#vms tbody tr').length === 1")
    assert browser.text("#name") == "test"
    assert browser.text("#vms tbody").split("\t")[:5] == ["web1", "start", "start", "hv1", "hv1"]
    assert [line.split("\t")[0] for line in browser.text("#nodes tbody").splitlines()] == ["hv1", "hv2", "hv3"]
    browser.until("document.querySelector('#diagram svg') !== null")
    browser.run("document.querySelector('#vms tbody tr').click()")
    browser.until("document.querySelector('g.here title')?.textContent === 'domain.start'")
    assert browser.run("return document.querySelector('g.last title').textContent") == "domain.boot->domain.start"
    assert browser.run("return document.querySelector('g.here .count').textContent") == "1"
    world.client("ben@hall").stop("web1", "a <b>reason</b>")
    browser.until("document.querySelector('g.here title')?.textContent === 'domain.stop'", lambda: shown.step(1.0))
    assert "a <b>reason</b>" in browser.text("#events")
    browser.run("document.querySelector('#nodes tbody tr').click()")
    browser.until("[...document.querySelectorAll('g.here title')].map(t => t.textContent).join() === 'node.run,flush.ready'")
    world.client().define(xml("db1"), home="hv2")
    browser.until("document.querySelectorAll('#vms tbody tr').length === 2", lambda: shown.step(1.0))
    browser.run("document.getElementById('filter').value = 'db'; document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert browser.text("#vms tbody").startswith("db1\t")
    assert browser.complaints() == []
    (tmp_path / "page.png").write_bytes(base64.b64decode(browser.picture()))  # for whoever looks at a failure
    shown.close()
    browser.until("!document.getElementById('stale').hidden")
    shown.server.server_close()
