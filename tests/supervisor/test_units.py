"""Human units, in and out."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_supervisor._units import (
    format_count,
    format_money,
    format_size,
    format_time,
    parse_count,
    parse_money,
    parse_size,
    parse_time,
    write_units,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("256M", 256 << 20),
        ("256m", 256 << 20),
        ("1.5G", 3 << 29),
        ("64KiB", 64 << 10),
        ("64 kB", 64 << 10),
        ("1t", 1 << 40),
        ("10B", 10),
        (" 1K ", 1024),
    ],
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "M", "-1M", "+1", "1e9", "nan", "inf", "1.5", "0x10", "1 000", "5s", "1MM", "\uff19M"],
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"256M|whole number of bytes"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("300ms", 0.3), ("2m", 120), ("2min", 120), ("1h", 3600), ("0.5", 0.5), ("7", 7)],
)
def test_a_time_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-5s", "nan", "inf", "1d", "5 s s", "1e3", "M"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write 5s"):
        parse_time(text)


@pytest.mark.parametrize("text", ["-0.5", "nan", "inf", "$1", "1,5", "", "1e2"])
def test_what_is_no_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"0\.50"):
        parse_money(text)


@pytest.mark.parametrize("text", ["-1", "1.0", "", "1e2", "two", "1_000", "9" * 16])
def test_what_is_no_count_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="200"):
        parse_count(text)


def test_an_endless_argument_is_refused_at_once_and_shown_short() -> None:
    with pytest.raises(ValueError, match="not a whole number") as caught:
        parse_count("9" * 1_000_000)
    assert len(str(caught.value)) < 100


def test_a_long_argument_is_shown_by_its_first_forty_characters() -> None:
    with pytest.raises(ValueError, match=f"^'{'x' * 39}…' is|^'{'x' * 40}' is"):
        parse_size("x" * 40)
    with pytest.raises(ValueError, match="not a size") as caught:
        parse_size("x" * 41)
    assert "x" * 41 not in str(caught.value)


def test_an_argument_that_is_refused_is_shown_without_its_control_characters() -> None:
    with pytest.raises(ValueError, match="not a size") as caught:
        parse_size("\x1b[2J\r1M")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (format_size(256 << 20), "256 MiB"),
        (format_size(3 << 29), "1.5 GiB"),
        (format_size(1), "1 byte"),
        (format_size(0), "0 bytes"),
        (format_size(1536), "1.5 KiB"),
        (format_time(1.234), "1.2 s"),
        (format_time(0.3), "300 ms"),
        (format_time(0.0012), "1.2 ms"),
        (format_time(0.0106), "11 ms"),
        (format_time(0.01), "10 ms"),
        (format_time(1), "1 s"),
        (format_time(60), "1 min"),
        (format_time(3599), "59 min 59 s"),
        (format_size(1 << 30), "1 GiB"),
        (format_size(1 << 20), "1 MiB"),
        (format_size(1 << 10), "1 KiB"),
        (format_size(1023), "1023 bytes"),
        (format_money(0.01), "$0.01"),
        (format_time(120), "2 min"),
        (format_time(90), "1 min 30 s"),
        (format_time(3600), "1 h"),
        (format_time(5400), "1 h 30 min"),
        (format_money(0.5), "$0.50"),
        (format_money(0.0012), "$0.0012"),
        (format_money(0), "$0.00"),
        (format_count(200_000), "200,000"),
    ],
)
def test_a_number_is_shown_as_a_person_reads_it(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (256 << 20, "bytes", "256M"),
        (3 << 29, "bytes", "1536M"),
        (2 << 30, "bytes", "2G"),
        (1536, "bytes", "1536"),
        (0, "bytes", "0"),
        (7200, "seconds", "2h"),
        (120, "seconds", "2m"),
        (90.0, "seconds", "90s"),
        (59, "seconds", "59s"),
        (0.25, "seconds", "0.25s"),
        (0, "seconds", "0s"),
        (0.5, "dollars", "0.50"),
        (2, "dollars", "2.00"),
        (200.0, "count", "200"),
    ],
)
def test_a_number_is_written_in_its_largest_whole_unit(value: float, unit: Any, text: str) -> None:
    assert write_units(value, unit) == text


@pytest.mark.parametrize("size", [1, 1000, 1024, 1 << 20, 3 << 29, 64 << 30])
def test_a_size_that_was_written_reads_the_same(size: int) -> None:
    assert parse_size(write_units(size, "bytes")) == size


@pytest.mark.parametrize("seconds", [0.3, 1, 10.0, 90, 120, 3600, 86_400])
def test_a_time_that_was_written_reads_the_same(seconds: float) -> None:
    assert parse_time(write_units(seconds, "seconds")) == pytest.approx(seconds)
