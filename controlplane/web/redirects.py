"""Where to go on after a form: only ever to a page of this site."""

from urllib.parse import urlsplit


def safe_path(wanted: str | None, otherwise: str = "/") -> str:
    r"""`wanted` if it is a plain path on this host, else `otherwise`.

    Browsers take "//host", "/\host" and a tab or line break inside either for another host; all are refused.
    """
    if not wanted or not wanted.startswith("/") or wanted.startswith("//"):
        return otherwise
    if "\\" in wanted or any(ord(each) < 33 or ord(each) == 127 for each in wanted):
        return otherwise
    parts = urlsplit(wanted)
    return otherwise if parts.scheme or parts.netloc else wanted
