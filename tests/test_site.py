"""The site: all pages in their order, no dead link, and nothing from elsewhere."""

import functools
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.jupyterlab import CHROMIUM, FLAGS
from tests.test_pages import PAGES, html_of
from tools import build_site

# What a browser fetches by itself; an <a href> is fetched only if somebody clicks.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video)\b[^>]*?\ssrc=\"([^\"]+)\""
    r"|<link\b(?![^>]*rel=\"(?:index|search|next|prev|canonical)\")[^>]*?href=\"([^\"]+)\""
)
LED_TO = re.compile(r"<a\b[^>]*?\shref=\"([^\"#][^\"]*)\"")
IN_STYLE = re.compile(r"@import|url\(\s*[\"']?(?!data:|#)(?:https?:)?//")
page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built with each warning an error."""
    out = tmp_path_factory.mktemp("site") / "html"
    build_site.build(build_site.ROOT, out)
    return out


def html_in(site):
    return sorted(site.rglob("*.html"))


def target_of(file, link):
    return (file.parent / re.split(r"[?#]", link)[0]).resolve()


def test_the_map_names_every_page_in_its_order(site):
    front = (site / "index.html").read_text()
    map_of_it = front[front.index("sidebar-tree") : front.index('class="main"')]
    listed = re.findall(r'href="notebooks/([\w-]+)\.html"', map_of_it)
    assert listed == [path.stem for path in PAGES]


@page
def test_a_page_has_all_its_pictures(site, path):
    wanted = sum(html.count("<img ") for html in html_of(path))
    text = (site / "notebooks" / f"{path.stem}.html").read_text()
    assert len(re.findall('src="data:image/(?:png|svg[+]xml);base64,', text)) == wanted
    assert wanted > 0


@page
def test_a_page_leads_to_the_one_before_and_the_one_after(site, path):
    text = (site / "notebooks" / f"{path.stem}.html").read_text()
    place = PAGES.index(path)
    for relation, other in (("prev", place - 1), ("next", place + 1)):
        if 0 <= other < len(PAGES):
            name = f"{PAGES[other].stem}.html"
            assert re.search(rf'<link rel="{relation}"[^>]*href="{name}"', text)


def test_no_link_inside_is_dead(site):
    for file in html_in(site):
        for link in LED_TO.findall(file.read_text()):
            if not re.match(r"https?:|mailto:", link):
                assert target_of(file, link).exists(), f"{file.name}: {link}"


def test_nothing_is_fetched_from_elsewhere(site):
    for file in html_in(site):
        for links in FETCHED.findall(file.read_text()):
            link = "".join(links)
            assert link.startswith("data:") or target_of(file, link).exists(), link
    for file in site.rglob("*.css"):
        assert not IN_STYLE.search(file.read_text()), file.name


def test_a_link_to_what_the_site_lacks_becomes_its_words():
    known = {Path("docs/glossary.md")}
    text = "[a](../docs/glossary.md#x), [b](../data/x.md), [c](https://c.org), [d](#d)"
    kept = build_site.without_dead_links(text, Path("notebooks"), known)
    assert kept == "[a](../docs/glossary.md#x), b, [c](https://c.org), [d](#d)"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def address(site):
    handler = functools.partial(Quiet, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt: chromium)")
def test_a_browser_asks_nobody_else_and_the_search_finds(address):
    from playwright.sync_api import sync_playwright

    asked, complaints = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda said: complaints.append((said.type, said.text)))
        tab.goto(f"{address}search.html?q=herd")
        tab.wait_for_selector(".search li a:has-text('The thundering')")
        for name in ("index", f"notebooks/{PAGES[0].stem}"):
            tab.goto(f"{address}{name}.html", wait_until="networkidle")
        browser.close()
    assert len(asked) > 10
    assert not [url for url in asked if not url.startswith((address, "data:"))]
    assert not complaints
