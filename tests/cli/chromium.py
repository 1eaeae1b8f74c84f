"""chromium.py - a headless Chromium, driven over the pipe that it offers (DevTools protocol), with nothing but Python.

    with Browser() as browser:
        tab = browser.open(path)
        tab.value("document.title")

A page keeps a list of all that it asked for and of all that it complained about.
"""
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def program():
    asked = os.environ.get("CHROMIUM")
    return asked or next((found for found in map(shutil.which, NAMES) if found), None)


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="verbatim-chromium-")
        down, self.write = os.pipe()  # it reads file 3 and writes file 4
        self.read, up = os.pipe()
        line = [program(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={self.home}", "about:blank"]
        self.process = subprocess.Popen(["/bin/bash", "-c", f'exec "$@" 3<&{down} 4>&{up}', "chromium", *line],
                                        pass_fds=(down, up), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(down)
        os.close(up)
        self.number, self.rest, self.answers, self.tabs = 0, b"", {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(20)
        except (OSError, EOFError, subprocess.TimeoutExpired):
            self.process.kill()
        self.process.wait()
        os.close(self.write)
        os.close(self.read)
        shutil.rmtree(self.home, ignore_errors=True)

    def listen(self, seconds):
        """Takes in what comes within that time, at least one message if there is one."""
        if not select.select([self.read], [], [], seconds)[0]:
            return False
        data = os.read(self.read, 1 << 20)
        if not data:
            raise EOFError("the browser has gone")
        *whole, self.rest = (self.rest + data).split(b"\0")
        for text in whole:
            message = json.loads(text)
            if "id" in message:
                self.answers[message["id"]] = message
            elif message.get("sessionId") in self.tabs:
                self.tabs[message["sessionId"]].heard(message["method"], message["params"])
        return True

    def call(self, method, params=None, session=None, seconds=60):
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": params or {}}
        data = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while data:
            data = data[os.write(self.write, data):]
        end = time.monotonic() + seconds
        while number not in self.answers:
            assert time.monotonic() < end, f"{method}: no answer within {seconds} s"
            self.listen(1)
        answer = self.answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def open(self, path, width=1400, height=1000, dark=False):
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        address = path if str(path).startswith("http://") else pathlib.Path(path).resolve().as_uri()
        return Tab(self, session, target, address, width, height, dark)


class Tab:
    def __init__(self, browser, session, target, address, width, height, dark):
        self.browser, self.session, self.target, self.address = browser, session, target, address
        self.requests, self.complaints, self.loaded = [], [], False
        browser.tabs[session] = self
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        self.load("Page.navigate", {"url": address})

    def load(self, method="Page.reload", params=None):
        self.loaded = False
        self.call(method, params)
        end = time.monotonic() + 60
        while not self.loaded:
            assert time.monotonic() < end, f"{self.address}: not loaded"
            self.browser.listen(1)
        self.settle()  # until it has been drawn, what was measured may move

    def call(self, method, params=None):
        return self.browser.call(method, params, self.session)

    def heard(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {params['message']}")
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console: {params['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {params['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"log: {params['entry']['text']}")

    def value(self, expression):
        """A JavaScript expression's value, as JSON carries it."""
        result = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def settle(self):
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def middle(self, element):
        """Brings what the JavaScript expression names into view; where its middle is."""
        return self.value(f"(e => {{ e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect();"
                          f" return [b.left + b.width / 2, b.top + b.height / 2]; }})({element})")

    def point(self, x, y, click=False):
        for kind in ["mouseMoved"] + ["mousePressed", "mouseReleased"] * click:
            self.call("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left" if kind != "mouseMoved" else "none",
                                                   "clickCount": 1 if kind != "mouseMoved" else 0})
        self.settle()

    def key(self, name):
        text = {"text": name} if len(name) == 1 else {"text": "\r"} if name == "Enter" else {}
        code = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "End": 35, "Home": 36, "Tab": 9, "Enter": 13,
                "Escape": 27}.get(name, 0)
        self.call("Input.dispatchKeyEvent", {"type": "keyDown" if text else "rawKeyDown", "key": name, "windowsVirtualKeyCode": code, **text})
        self.call("Input.dispatchKeyEvent", {"type": "keyUp", "key": name, "windowsVirtualKeyCode": code})
        self.settle()

    def type(self, text):
        self.call("Input.insertText", {"text": text})
        self.settle()

    def shot(self, path, whole=False):
        data = self.call("Page.captureScreenshot", {"captureBeyondViewport": whole})["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        self.browser.call("Target.closeTarget", {"targetId": self.target})
