"""What the browser loads: whole, small, and nobody else's but what VENDOR.md says."""

import gzip
import hashlib
import re
from pathlib import Path

from tests.page import PageClient

STATIC = Path(__file__).resolve().parents[2] / "static"
TEMPLATES = STATIC.parent / "templates"


def weight(*patterns: str) -> int:
    files = [path for pattern in patterns for path in STATIC.glob(pattern)]
    assert files
    return sum(len(gzip.compress(path.read_bytes(), 9, mtime=0)) for path in files)


def test_the_styles_of_any_page_weigh_less_than_12_kilobytes() -> None:
    linked = [set(re.findall(r"css/\w+\.css", page.read_text())) for page in TEMPLATES.rglob("*.html")]
    assert {"css/releases.css", "css/proposals.css"} in linked, "this finds what pages ask for"
    assert max(weight(*{"css/site.css", *styles}) for styles in linked) < 12 * 1024


def test_scripts_of_an_ordinary_page_weigh_less_than_25_kilobytes() -> None:
    assert weight("vendor/*.js", "js/site.js") < 25 * 1024


def test_the_pages_of_any_editor_weigh_less_than_35_kilobytes_of_script() -> None:
    assert weight("vendor/*.js", "js/*.js") < 35 * 1024


def test_vendored_files_are_what_their_list_says() -> None:
    listed = dict(
        re.findall(r"\| `([\w.-]+)` .*\| ([0-9a-f]{64}) \|", (STATIC / "vendor/VENDOR.md").read_text())
    )
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (STATIC / "vendor").glob("*.js")
    }
    assert found == listed


def test_every_sign_that_is_named_is_in_the_sprite() -> None:
    known = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "sprite.svg").read_text()))
    named = {
        (path.name, name)
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r'(?:\bicon\(|\bsign=)"([a-z0-9-]+)"', path.read_text())
    }
    assert named
    assert {each for each in named if each[1] not in known} == set()


def test_static_addresses_carry_the_hash_of_their_file_and_are_kept_for_ever(client: PageClient) -> None:
    page = client.get("/sign-in")
    address = next(each.get("href", "") for each in page.all("link", rel="stylesheet"))
    assert re.fullmatch(r"/static/css/site\.css\?v=[0-9a-f]{12}", address)
    answer = client.get(address)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/css/site.css").headers["Cache-Control"] == "no-cache"


def test_text_is_compressed_for_those_who_take_it(client: PageClient) -> None:
    page = client.get("/sign-in")
    address = next(each.get("href", "") for each in page.all("link", rel="stylesheet"))
    plain = client.flask.get(address)
    packed = client.flask.get(address, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.data) == plain.data
    plain.close()
    packed.close()


def test_scripts_make_no_code_out_of_text() -> None:
    for path in (STATIC / "js").glob("*.js"):
        assert not re.search(
            r"\beval\(|new Function|innerHTML\s*=|insertAdjacentHTML|document\.write", path.read_text()
        )
