"""Writes screenshots of the report to docs/images, of the page that `xattn demo` leaves.

`python -m tests.figures.docs_screenshots xattn-demo/run/report.html`, with Chromium installed.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.figures.browser import Tab, browser

IMAGES = Path(__file__).parents[2] / "docs/images"
OUTLINED = ("patches", "ruler", "lesion")

_GALLERY = """
(() => {
  const tools = document.getElementById("tools");
  const say = (field) => field.dispatchEvent(new Event("input", { bubbles: true }));
  tools.querySelector("[name=method][value=all]").click();
  tools.querySelector("[name=outlines]").click();
  for (const label of tools.querySelectorAll(".features label:not(.every)"))
    if (NAMES.includes(label.textContent.trim())) label.querySelector("input").click();
  const has = tools.elements.has;
  has.value = [...has.options].find((one) => one.text === "patches").value;
  tools.elements.order.value = "high";
  say(has); say(tools.elements.order);
})()
"""


def screenshot(tab: Tab, section: str, height: int, above: int = 12) -> Image.Image:
    """Return the page from a little above a section's heading on."""
    place = f"document.getElementById('{section}-title').getBoundingClientRect().top + scrollY"
    top = 0 if section == "summary" else tab.evaluate(place) - above
    width = tab.evaluate("innerWidth")
    clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
    got = tab.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    return Image.open(io.BytesIO(base64.b64decode(got["data"]))).convert("RGB")


def load_images(tab: Tab) -> None:
    """Scroll through the page, for images are decoded when they come near, and back."""
    tab.evaluate(
        "Promise.all([...document.images].map((one) => { one.loading = 'eager'; "
        "return one.decode().catch(() => null); })).then(() => null)"
    )


def main(page: Path) -> None:
    """Write the four screenshots."""
    names = str(list(OUTLINED))
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as chromium:
        with chromium.tab(1100) as tab:
            tab.open(page.resolve())
            screenshot(tab, "summary", 905).quantize(256).save(IMAGES / "report-summary.png")
            edits = screenshot(tab, "interventions", 900)
            edits.quantize(256).save(IMAGES / "report-interventions.png")
            tab.evaluate(_GALLERY.replace("NAMES", names))
            load_images(tab)
            shown = screenshot(tab, "images", 1046)
            shown.save(IMAGES / "report-gallery.jpg", quality=85, subsampling=0)
        with chromium.tab(420, dark=True) as tab:
            tab.open(page.resolve())
            tab.evaluate(_GALLERY.replace("NAMES", names))
            load_images(tab)
            phone = screenshot(tab, "images", 1412)
            phone.save(IMAGES / "report-phone.jpg", quality=85, subsampling=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
