"""CSV with line breaks in values, with delimiters of several characters, and without a header."""

import random
from pathlib import Path

import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.dlt_plugin import SchemaContractViolation, SourceReadError

SMALL = 64 * 1024


def written(rows: list[tuple[int, str]], delimiter: str, end: str = "\n") -> str:
    """Return rows as CSV, with quotes where a value needs them."""

    def value(text: str) -> str:
        special = any(part in text for part in (delimiter, "\n", "\r")) or text.startswith('"')
        return '"' + text.replace('"', '""') + '"' if special else text

    lines = [f"id{delimiter}note"]
    lines += [f"{number}{delimiter}{value(note)}" for number, note in rows]
    return end.join(lines) + end


@pytest.mark.parametrize("delimiter", [",", "||", "§", "~|~"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_value_is_read_as_it_was_written(
    files: Source, landing: Path, load: Load, rows: Rows, delimiter: str, end: str
) -> None:
    """Also at the ends of blocks, and with quotes in the middle of a value."""
    choose = random.Random(7)
    parts = ["x", 'a "b"', '5" pipe', "two\nlines", '"', '""', delimiter, "|", "~", "é" * 40]
    notes = [
        (number, "z" + "".join(choose.choices(parts, k=choose.randrange(1, 9))))
        for number in range(6000)
    ]
    (landing / "a.csv").write_bytes(written(notes, delimiter, end).encode())
    load(configured(files, newlines_in_values=True, delimiter=delimiter, block_size=SMALL))
    assert [(row["id"], row["note"]) for row in rows("bronze.items")] == notes


def test_a_delimiter_of_several_characters_separates_lines_and_names(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text('id||name\n1||a|b\n2||"c||d"\n3||\x1f\n')
    load(configured(files, delimiter="||"))
    assert [row["name"] for row in rows("bronze.items")] == ["a|b", "c||d", "\x1f"]
    (landing / "b.csv").write_text("id||name\n1||2||3\n")
    with pytest.raises(SourceReadError, match=r"b\.csv: line 2: Expected 2 columns, got 3"):
        load(configured(files, delimiter="||"))


def test_a_column_of_numbers_may_be_text_further_down_where_values_contain_line_breaks(
    files: Source, landing: Path, load: Load
) -> None:
    """The error has the line, which is not the number of the row."""
    lines = "".join(f'{number},"a\nb"\n' for number in range(20_000))
    (landing / "a.csv").write_text(f"id,note\n{lines}x,y\n")
    with pytest.raises(SourceReadError, match=r"a\.csv: line 40002: column 'id'"):
        load(configured(files, newlines_in_values=True, block_size=SMALL))


def test_a_quote_that_is_not_closed_before_the_end_of_the_file_fails(
    files: Source, landing: Path, load: Load
) -> None:
    """The rows after it would be part of its value."""
    (landing / "a.csv").write_text('id,note\n1,"a\nb"\n2,"open\n3,y\n')
    with pytest.raises(SourceReadError, match=r"a\.csv: line 4: a quoted value is not closed"):
        load(configured(files, newlines_in_values=True))


@pytest.mark.parametrize(
    ("file_format", "text", "options"),
    [
        ("csv", 'id,note\n1,x\n2,"{}"\n3,y\n', {"newlines_in_values": True}),
        ("csv", 'id,note\n1,x\n2,"{}\n3,y\n', {"newlines_in_values": True}),
        ("csv", "id,note\n1,x\n2,{}\n3,y\n", {}),
        ("jsonl", '{{"id": 1}}\n{{"id": 2, "note": "{}"}}\n', {}),
        ("json", '[{{"id": 1}}, {{"id": 2, "note": "{}"}}, {{"id": 3}}]', {}),
    ],
)
def test_a_row_that_does_not_fit_into_a_block_names_block_size(
    files: Source,
    landing: Path,
    load: Load,
    rows: Rows,
    file_format: str,
    text: str,
    options: dict[str, bool],
) -> None:
    closed = not text.startswith('id,note\n1,x\n2,"{}\n')
    (landing / "a").write_text(text.format("z" * 3_000_000))
    source = configured(files, format=file_format, file_glob="*", block_size=SMALL, **options)
    says = r"a: (line|row) \d: the row does not fit into 65536 bytes; increase .*block_size"
    with pytest.raises(SourceReadError, match=says):
        load(source)
    if closed:
        load(configured(source, block_size=4_000_000))
        assert max(len(row["note"] or "") for row in rows("bronze.items")) == 3_000_000


def test_a_file_without_a_header_among_files_with_one_fails(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    """Its first row would be names of new columns, and the others be without a value elsewhere."""
    (landing / "a.csv").write_text("id,name\n1,Jane Doe\n")
    load(files)
    (landing / "b.csv").write_text("2,John Smith\n3,Ada\n")
    says = r"b\.csv: line 1: no name in the header is a column.*add the header"
    with pytest.raises(SourceReadError, match=says) as failed:
        load(files)
    assert "John" not in str(failed.value)
    (landing / "b.csv").write_text("id,name\n2,John Smith\n3,Ada\n")
    load(files)
    (landing / "c.csv").write_text("other\n1\n")
    load({**files, "columns": {"other": "bigint"}})
    assert len(rows("bronze.items")) == 4


def test_a_file_without_a_header_fails_in_the_first_load(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.csv").write_text("id,name\n1,x\n")
    (landing / "b.csv").write_text("2,y\n3,z\n")
    with pytest.raises(SourceReadError, match=r"b\.csv: line 1: no name in the header"):
        load(files)


def test_a_header_where_the_configuration_has_the_names_fails(
    files: Source, landing: Path, load: Load, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,name\n1,x\n")
    source = configured(files, column_names=["id", "name"])
    with pytest.raises(SourceReadError, match=r"a\.csv: line 1: a header.*remove column_names"):
        load({**source, "columns": {"id": "text"}})
    (landing / "a.csv").write_text("1,x\n")
    load(source)
    assert rows("bronze.items") == [{"id": 1, "name": "x"}]


def test_a_contract_s_error_names_the_file(files: Source, landing: Path, load: Load) -> None:
    frozen = {**files, "schema_contract": "freeze", "columns": {"id": "bigint"}}
    (landing / "a.csv").write_text("id\n1\n")
    (landing / "b.csv").write_text("id,more\n2,x\n")
    (landing / "c.csv").write_text("id\n3\n")
    with pytest.raises(SchemaContractViolation, match=r"^b\.csv: new column 'more'"):
        load(frozen)
    (landing / "b.csv").write_text("id\nx\n")
    with pytest.raises(SchemaContractViolation, match=r"^b\.csv: column 'id' of table 'items'"):
        load(frozen)
