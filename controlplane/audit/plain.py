"""Text of strangers in a line of ours: nothing in it may break the line, or make it read as something else. Pure."""

# What breaks a line, moves a terminal's cursor, or turns the direction of reading.
_BREAKS = (
    *range(32), *range(127, 160), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF
)  # fmt: skip
_SPACES = dict.fromkeys(_BREAKS, " ")
_ESCAPED = {code: f"\\u{code:04x}" for code in _BREAKS}
_LINES_ESCAPED = {code: spelt for code, spelt in _ESCAPED.items() if chr(code) not in "\n\t"}


def one_line(text: str) -> str:
    """The text as one line that reads as it is written."""
    return text.translate(_SPACES).strip()


def visible(text: str) -> str:
    """The text with every such character spelt out: for what stands in a line, wherever it comes from."""
    return text.translate(_ESCAPED)


def shown(text: str) -> str:
    """The text with every such character spelt out, line breaks and tabs apart: for what was recorded as it came."""
    return text.translate(_LINES_ESCAPED)
