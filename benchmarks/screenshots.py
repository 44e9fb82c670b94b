"""Pictures of a report's page, light and dark, for README and docs.

    python benchmarks/screenshots.py build/locnet-loihi-emulator/report.html docs

Needs Selenium (the extra dev), Chromium and its driver.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

WIDTH, HEIGHT = 1200, 1490  # pixels
COLOURS = 256
WORDS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")


def main(page: Path, folder: Path) -> None:
    """Write page-light.png and page-dark.png into the folder."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for word in WORDS:
        options.add_argument(word)
    browser = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False},
    )
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.get(page.absolute().as_uri())
        taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        with Image.open(io.BytesIO(base64.b64decode(taken["data"]))) as image:
            small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(folder / f"page-{scheme}.png", optimize=True)
    browser.quit()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
