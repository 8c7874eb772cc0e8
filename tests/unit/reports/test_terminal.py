import io
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.reports.terminal import Screen, bar, cells, clean, cut, pad, paragraph


@given(st.text())
def test_clean_text_steers_no_terminal(text):
    cleaned = clean(text)
    assert all(unicodedata.category(one)[0] != "C" for one in cleaned)
    assert cleaned.splitlines() in ([], [cleaned])
    assert clean(cleaned) == cleaned


@given(st.text().map(clean), st.integers(1, 40), st.booleans())
def test_padded_text_takes_exactly_its_columns(text, width, right):
    assert cells(pad(text, width, right=right)) == width


@given(st.text().map(clean), st.integers(1, 40))
def test_cut_text_says_that_there_is_more(text, width):
    shown = cut(text, width)
    assert cells(shown) <= width
    assert shown == text or (shown.endswith("+") and text.startswith(shown[:-1]))


def test_wide_and_combining_characters():
    assert cells("训练") == 4
    assert cells("e\u0301") == 1


def test_turned_writing_and_escapes_are_gone():
    assert clean("a\u202eb\x1b[31m\nc\x9b") == "ab?[31m?c?"


def test_a_little_is_never_drawn_as_nothing():
    assert bar([(0.0001, "#")], 10) == "#........."
    assert bar([(0.0, "#")], 10) == ".........."
    assert bar([(2.0, "#"), (1.0, "=")], 10) == "##########"


def test_paragraph_fits_and_is_clean():
    lines = paragraph("word \x1b[0m " * 40, 60, "  ")
    assert all(len(line) <= 60 and line.startswith("  ") for line in lines)
    assert "\x1b" not in "".join(lines)


def test_no_colour_off_a_terminal_or_when_asked(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Screen.of(Terminal()).paint("x", "red") == "\x1b[31mx\x1b[0m"
    assert Screen.of(io.StringIO()).paint("x", "red") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen.of(Terminal()).paint("x", "red") == "x"
