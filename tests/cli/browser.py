"""A real browser without a screen, driven by the WebDriver protocol, which is JSON over HTTP and needs no library."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

NEEDED = ("chromium", "chromedriver")
DEADLINE_S = 60
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1800"]


def available():
    """Whether there is one."""
    return all(map(shutil.which, NEEDED))


class Browser:
    """One browser with one page."""

    def __init__(self, folder):
        self.log = (folder / "chromedriver.log").open("w")
        options = [*OPTIONS, f"--user-data-dir={folder / 'profile'}"]
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = next(line for line in self.driver.stdout if "successfully on port" in line)
        self.base = f"http://127.0.0.1:{line.rstrip().rstrip('.').rpartition(' ')[2]}"
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": options}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base += f"/session/{self._ask('POST', '/session', {'capabilities': {'alwaysMatch': wanted}})['sessionId']}"

    def _ask(self, method, path, value=None):
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(f"{self.base}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def open(self, url):
        """Go there."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script):
        """What a piece of JavaScript returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": []})

    def until(self, script, turn=lambda: None):
        """Wait until this is true, and return it; `turn` lets the world go on meanwhile."""
        deadline = time.monotonic() + DEADLINE_S
        while not (found := self.run(f"return {script}")):
            assert time.monotonic() < deadline, f"{script} does not become true; the page says: {self.text('body')}"
            turn()
            time.sleep(0.05)
        return found

    def text(self, selector):
        """What somebody reads there."""
        return self.run(f"return document.querySelector({json.dumps(selector)}).innerText")

    def complaints(self):
        """What the page has complained about."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def picture(self):
        """What somebody sees, as PNG in base64."""
        return self._ask("GET", "/screenshot")

    def close(self):
        """End it."""
        try:
            self._ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(DEADLINE_S)
            self.driver.stdout.close()
            self.log.close()
