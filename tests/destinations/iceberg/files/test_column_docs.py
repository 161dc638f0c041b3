from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


def test_a_columns_description_is_its_doc_in_iceberg(lake: Lake) -> None:
    """What a source says of a column can be read wherever the table can, also of a later one."""
    lake.load([{"id": 1}], table_name="parts", columns={"id": {"description": "The number."}})
    lake.load(
        [{"id": 2, "name": "bolt"}],
        table_name="parts",
        columns={"name": {"description": "What it is called."}},
    )
    docs = {field.name: field.doc for field in lake.table("parts").schema().fields}
    assert docs["id"] == "The number."
    assert docs["name"] == "What it is called."
