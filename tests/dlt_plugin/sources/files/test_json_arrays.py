"""Files that are one JSON array are read like JSON lines, in blocks."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from dlt_plugin.sources.files.file_source import Load, Rows, Source, configured

from floe_ingestion_defs.dlt_plugin import SourceReadError
from floe_ingestion_defs.dlt_plugin.sources.files.json_arrays import read_array_blocks

Elements = list[dict[str, object]]


@pytest.fixture
def arrays(files: Source) -> Source:
    """The landing folder's JSON arrays."""
    return configured(files, format="json", file_glob="*.json")


def elements(number: int, seed: int = 3) -> Elements:
    """Return objects whose strings have everything that could be taken for structure."""
    choose = random.Random(seed)
    parts = ["x", '"', "\\", "\\\\", "{", "}", "[", "]", ",", "\n", "é", "},{"]
    return [
        {
            "id": n,
            "text": "".join(choose.choices(parts, k=choose.randrange(9))),
            "nested": {"list": [choose.choice(parts), {"deep": [n]}]},
        }
        for n in range(number)
    ]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("block_size", [200, 4096])
def test_every_element_is_found_whatever_its_strings_contain(
    indent: int | None, block_size: int
) -> None:
    expected = elements(300)
    text = f"\ufeff \n {json.dumps(expected, indent=indent, ensure_ascii=False)} \n"
    stream = pa.BufferReader(text.encode())
    blocks = list(read_array_blocks(stream, block_size))
    assert [json.loads(line) for block in blocks for line in block.data.split(b"\n")] == expected
    assert len(blocks) > 4
    firsts = [json.loads(block.data.split(b"\n")[0])["id"] + 1 for block in blocks]
    assert [block.first_line for block in blocks] == firsts


def test_an_array_is_loaded_with_the_types_of_json_lines(
    arrays: Source, landing: Path, load: Load, rows: Rows
) -> None:
    expected = elements(2000)
    (landing / "a.json").write_text(json.dumps(expected, indent=1))
    assert load(configured(arrays, block_size=65536)).rows_loaded == 2000
    found = rows("bronze.items")
    assert [(row["id"], row["text"]) for row in found] == [(e["id"], e["text"]) for e in expected]
    assert [json.loads(row["nested"]) for row in found] == [e["nested"] for e in expected]


def test_a_column_of_several_types_does_not_change_the_type_of_another(
    arrays: Source, landing: Path, load: Load, table: Callable[[str], pa.Table]
) -> None:
    at = "2024-01-01T00:00:00Z"
    (landing / "a.json").write_text(json.dumps([{"at": at, "v": 1}, {"at": at, "v": "x"}]))
    load({**arrays, "schema_contract": "discard_row"})
    found = table("bronze.items")
    assert pa.types.is_timestamp(found.schema.field("at").type)
    assert found["v"].to_pylist() == ["1", "x"]


@pytest.mark.parametrize("text", ["", " \n", "[]", " [ \n ] "])
def test_an_empty_array_has_no_rows(
    arrays: Source, landing: Path, load: Load, tables: Callable[[], set[str]], text: str
) -> None:
    (landing / "a.json").write_text(text)
    assert load({**arrays, "columns": {"id": "bigint"}}).rows_loaded == 0
    assert tables() == {"bronze.items"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"id": 1}, {"id": 2}', "row 2: the array is not closed"),
        ('[{"id": 1}, {"id": 2}, ', "row 3: the array is not closed"),
        ('[{"id": 1}] {"id": 2}', "text after the end of the array"),
        ('[{"id": 1}, 7]', "row 2: not a JSON object"),
        ('[{"id": 1}, [7]]', "row 2: not a JSON object"),
        ('[{"id": 1}, {"id" 2}]', "row 2: "),
        ('[{"id": 1} {"id": 2}]', "row 1 or later: the elements.*separated by one comma"),
        ('[{"id": 1},, {"id": 2}]', "row 1 or later: the elements.*separated by one comma"),
        ('[{"id": 1}, ]', "row 1 or later: the elements.*separated by one comma"),
        ('{"id": 1}\n{"id": 2}\n', "not a JSON array; set source_config.format: jsonl"),
        ("no JSON", "not a JSON array"),
    ],
)
def test_an_array_that_is_not_valid_fails_as_a_whole(
    arrays: Source,
    landing: Path,
    load: Load,
    tables: Callable[[], set[str]],
    text: str,
    says: str,
) -> None:
    (landing / "a.json").write_text(text)
    with pytest.raises(SourceReadError, match=rf"a\.json: {says}"):
        load(arrays)
    assert tables() == set()


def test_an_array_in_a_source_of_json_lines_names_the_format(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "a.json").write_text('[\n{"id": 1}\n]')
    with pytest.raises(SourceReadError, match=r"line 1: a JSON array.*format: json"):
        load(configured(files, format="jsonl", file_glob="*.json"))
