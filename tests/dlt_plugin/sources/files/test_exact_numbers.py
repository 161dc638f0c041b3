"""No digit of a number in a text file is lost."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.dlt_plugin import SourceReadError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,a\n1,10115\n2,01067\n", ["10115", "01067"]),
        ('id,a\n1,"49"\n2,"+49"\n', ["49", "+49"]),
        ("a,id\n+49,1\n30,2\n", ["+49", "30"]),
        ("id,a\n1,-5\n2,-05\n", ["-5", "-05"]),
        ("id,a\n1,007.5\n2,\n", ["007.5", None]),
        ("id,a\n1,0\n2,10\n", [0, 10]),
        ("id,a\n1,0.5\n2,-0.5\n", [0.5, -0.5]),
        ("id,a\n1,9223372036854775808\n2,7\n", [Decimal(9223372036854775808), 7]),
        (f"id,a\n1,{'9' * 39}\n2,7\n", ["9" * 39, "7"]),
        ("id,a\n1,9223372036854775808\n2,0.5\n", [9223372036854775808.0, 0.5]),
    ],
)
def test_a_new_column_of_csv_keeps_its_digits(
    files: Source, landing: Path, load: Load, rows: Rows, text: str, expected: list[object]
) -> None:
    (landing / "a.csv").write_text(text)
    load(files)
    found = sorted(rows("bronze.items"), key=lambda row: int(row["id"]))
    assert [row["a"] for row in found] == expected


@pytest.mark.parametrize("value", ["007", '"007"', "-07", " 07"])
def test_leading_zeros_and_signs_in_a_column_of_numbers_fail_with_line_and_remedy(
    files: Source, landing: Path, load: Load, rows: Rows, value: str
) -> None:
    (landing / "a.csv").write_text("id,code\n1,7\n")
    load(files)
    (landing / "b.csv").write_text(f"id,code\n2,8\n\n3,{value}\n")
    says = re.escape("b.csv: line 4: column 'code': leading zeros or plus signs")
    with pytest.raises(SourceReadError, match=f"{says}.*as text to keep them, as bigint"):
        load(files)
    load({**files, "columns": {"code": "bigint"}})
    assert [abs(row["code"]) for row in rows("bronze.items")] == [7, 8, 7]


def test_leading_zeros_are_found_in_every_block(files: Source, landing: Path, load: Load) -> None:
    lines = "".join(f"{n},{100000 + n}\n" for n in range(9000))
    (landing / "a.csv").write_text(f"id,code\n{lines}9000,000001\n")
    with pytest.raises(SourceReadError, match=r"a\.csv: line 9002: column 'code'"):
        load(configured(files, block_size=64 * 1024))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["9223372036854775808", "-5"], [Decimal(9223372036854775808), -5]),
        (["9223372036854775808", "null"], [Decimal(9223372036854775808), None]),
        (["9223372036854775808", "0.5"], [9223372036854775808.0, 0.5]),
        (["1e300", "1"], [1e300, 1.0]),
    ],
)
def test_an_integer_of_more_than_64_bits_in_jsonl_is_a_decimal(
    files: Source,
    landing: Path,
    load: Load,
    rows: Rows,
    values: list[str],
    expected: list[object],
) -> None:
    lines = [f'{{"id": {n}, "a": {value}}}\n' for n, value in enumerate(values)]
    (landing / "a.jsonl").write_text("".join(lines))
    load(configured(files, format="jsonl", file_glob="*.jsonl"))
    assert [row["a"] for row in rows("bronze.items")] == expected


@pytest.mark.parametrize("value", ["007", "+7"])
def test_digits_are_kept_where_values_contain_line_breaks(
    files: Source, landing: Path, load: Load, rows: Rows, value: str
) -> None:
    (landing / "a.csv").write_text(
        f'id,code,long,note\n1,{value},9223372036854775808,"two\nlines"\n'
    )
    source = configured(files, newlines_in_values=True)
    load(source)
    expected = {
        "id": 1,
        "code": value,
        "long": Decimal(9223372036854775808),
        "note": "two\nlines",
    }
    assert rows("bronze.items") == [expected]
    (landing / "b.csv").write_text('note,id\n"a\nb",2\n"c\nd",007\n')
    with pytest.raises(
        SourceReadError, match=r"b\.csv: line 4: column 'id': leading zeros or plus"
    ):
        load(source)


@pytest.mark.parametrize(
    ("file_format", "first", "second", "place"),
    [
        ("csv", "id,a\n1,0.5\n", "id,a\n2,0.5\n3,9007199254740993\n", "line 3"),
        ("csv", None, "id,a\n1,0.5\n3,-9007199254740993\n", "line 3"),
        ("jsonl", '{"a": 0.5}\n', '{"a": 1}\n{"a": 9007199254740993}\n', "line 2"),
        ("jsonl", None, '{"a": 0.5}\n\n{"a": 123456789012345678901}\n', "line 3"),
        ("json", None, '[{"a": 0.5},\n\n{"a": 9007199254740993}]', "row 2"),
    ],
)
def test_an_integer_that_a_double_cannot_represent_fails_with_line_and_remedy(
    files: Source,
    landing: Path,
    load: Load,
    rows: Rows,
    file_format: str,
    first: str | None,
    second: str,
    place: str,
) -> None:
    source = configured(files, format=file_format, file_glob="*")
    if first is not None:
        (landing / "a").write_text(first)
        load(source)
    (landing / "b").write_text(second)
    says = f"b: {place}: column 'a': an integer has more digits than a double.*as decimal or text"
    with pytest.raises(SourceReadError, match=says):
        load(source)
    load({**source, "columns": {"a": "double"}})
    assert max(abs(row["a"]) for row in rows("bronze.items")) > 9e15


def test_a_double_that_is_exact_is_loaded(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.jsonl").write_text('{"a": 0.5}\n{"a": 9007199254740994}\n{"a": 1e300}\n')
    load(configured(files, format="jsonl", file_glob="*"))
    assert [row["a"] for row in rows("bronze.items")] == [0.5, 9007199254740994.0, 1e300]


def test_an_integer_in_a_nested_value_of_json_keeps_its_digits(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.jsonl").write_text('{"a": {"b": [123456789012345678901, 0.5]}}\n{"a": null}\n')
    load(configured(files, format="jsonl", file_glob="*"))
    texts = [row["a"] for row in rows("bronze.items")]
    assert texts == ['{"b":[123456789012345678901,0.5]}', None]


def test_an_integer_of_more_than_64_bits_in_a_column_of_bigint_is_named_with_remedy(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    source = configured(files, format="jsonl", file_glob="*")
    (landing / "a.jsonl").write_text('{"id": 1}\n')
    load(source)
    (landing / "b.jsonl").write_text('{"id": 2}\n{"id": 9223372036854775808}\n')
    says = r"b\.jsonl: line 2: column 'id': an integer of more than 64 bits.*precision: 38"
    with pytest.raises(SourceReadError, match=says):
        load(source)
