"""Headless Chromiums in one meeting, three with fake cameras unless told otherwise, and what arrives at each.

The page is watched from outside: a few lines put in before it loads keep every RTCPeerConnection it makes, and the check
reads those connections' own statistics. Nothing that the page says of itself is believed.

By hand, against a platform that runs:  python browsers.py ADDRESS [--screenshots DIR]
"""
import argparse
import contextlib
import pathlib
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

NAMES = ("Ada", "Grace", "Edsger")
STREAMS = len(NAMES) * (len(NAMES) - 1)  # everybody receives everybody else

KEEP_CONNECTIONS = """
  window.__connections = [];
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...args) { super(...args); window.__connections.push(this); }
  };
"""

# One number a received video stream: frames decoded so far.
FRAMES_DECODED = """
  const done = arguments[0];
  (async () => {
    const frames = [];
    for (const connection of window.__connections) {
      for (const report of (await connection.getStats()).values()) {
        if (report.type === "inbound-rtp" && report.kind === "video") frames.push(report.framesDecoded);
      }
    }
    done(frames);
  })();
"""


def chromium(profile, tile, camera):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                 "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
                 "--disable-backgrounding-occluded-windows",
                 "--disable-features=WebRtcHideLocalIpsWithMdns,OptimizationHints,MediaRouter",
                 "--ignore-certificate-errors", "--use-fake-ui-for-media-stream",
                 f"--user-data-dir={profile}", f"--window-size={tile[0]},{tile[1]}"):
        options.add_argument(flag)
    if camera:
        options.add_argument("--use-fake-device-for-media-stream=fps=10")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(20)
    driver.set_page_load_timeout(60)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": KEEP_CONNECTIONS})
    return driver


class Meeting:
    """Use as a context: the browsers and their profiles are gone afterwards, whatever happened."""

    def __init__(self, address, room="standup", names=NAMES, without_camera=(), say=print):
        self.url, self.room, self.names, self.say, self.browsers = f"https://{address}", room, names, say, {}
        self.without_camera = without_camera

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            for name in self.names:
                profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="meeting-", ignore_cleanup_errors=True))
                browser = chromium(profile, (960, 600), name not in self.without_camera)
                stack.callback(browser.quit)
                self.browsers[name] = browser
                browser.get(f"{self.url}/{self.room}?join&size=small&name={name}")
                self.say(f"{name}'s browser is in the room {self.room}")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self.stack.close()

    def frames(self):
        """Frames decoded, a list a browser."""
        return {name: browser.execute_async_script(FRAMES_DECODED) for name, browser in self.browsers.items()}

    def wait_until_all_are_seen(self, timeout=90):
        """Waits inside each browser until the others' streams show pictures."""
        for name, browser in self.browsers.items():
            WebDriverWait(browser, timeout, 0.5).until(
                lambda b: sum(frames > 0 for frames in b.execute_async_script(FRAMES_DECODED)) == len(self.names) - 1,
                f"{name} does not see the others; its page says {self.status(browser)!r}, its console {browser.get_log('browser')}")
            self.say(f"{name} sees the others")

    def wait_until_bridge_is_missed(self, timeout=30):
        for name, browser in self.browsers.items():
            WebDriverWait(browser, timeout, 0.2).until(
                lambda b: "bridge is down" in self.status(b), f"{name}'s page does not say that the bridge is down")
            self.say(f"{name}'s page says that the bridge is down")

    @staticmethod
    def status(browser):
        return browser.execute_script("return document.getElementById('status').textContent")

    def everybody_says_hello(self, timeout=30):
        """In the chat, which is Prosody's: waits until each page shows what all have written."""
        for name, browser in self.browsers.items():
            browser.find_element("id", "toggle-chat").click()
            field = browser.find_element("id", "chat-field")
            WebDriverWait(browser, timeout, 0.2).until(lambda _: field.is_enabled(), f"{name}'s chat does not open")
            field.send_keys(f"hello from {name}")
            field.submit()
        wanted = {f"hello from {name}" for name in self.names}
        for name, browser in self.browsers.items():
            WebDriverWait(browser, timeout, 0.2).until(
                lambda b: {item.text.splitlines()[-1] for item in b.find_elements("css selector", "#messages li")} == wanted,
                f"{name}'s chat does not show what everybody wrote")
        self.say("everybody reads what everybody wrote")

    def growth(self, seconds):
        """Watches for so long; returns the number of frames that each of the streams gained in each second."""
        seen = [self._flat()]
        began = time.monotonic()
        for second in range(1, seconds + 1):
            # The pace of sampling, not a wait for something to happen: growth is a rate.
            time.sleep(max(0, began + second - time.monotonic()))
            seen.append(self._flat())
            self.say(f"{second:2d} s  frames decoded " + "  ".join(f"{count:5d}" for count in seen[-1].values()))
        return {stream: [later[stream] - earlier.get(stream, 0) for earlier, later in zip(seen, seen[1:])]
                for stream in seen[-1]}

    def _flat(self):
        return {(name, number): count for name, counts in self.frames().items() for number, count in enumerate(counts)}

    def screenshots(self, directory):
        for name, browser in self.browsers.items():
            browser.save_screenshot(str(pathlib.Path(directory) / f"{name}.png"))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("address")
    arguments.add_argument("--screenshots")
    arguments.add_argument("--seconds", type=int, default=10)
    options = arguments.parse_args()
    with Meeting(options.address) as meeting:
        try:
            meeting.wait_until_all_are_seen()
            print(meeting.growth(options.seconds))
        finally:
            if options.screenshots:
                meeting.screenshots(options.screenshots)


if __name__ == "__main__":
    main()
