"""Schema contracts: what happens to tables, columns and types that nobody agreed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlt.common.schema.typing import TSchemaContractDict, TSchemaEvolutionMode


def contract_settings(mode: str) -> TSchemaContractDict:
    """Give dlt's contract for one of our modes.

    Tables always evolve: which tables a source loads is said by its configuration, and a first
    load has to be able to make them.

    Args:
        mode: `evolve`, `freeze`, `discard_row` or `discard_value`.
    """
    entity: TSchemaEvolutionMode = mode  # type: ignore[assignment]
    return {"tables": "evolve", "columns": entity, "data_type": entity}
