"""`python -m floe_ingestion_defs.cli` is `floe`."""

from __future__ import annotations

import sys

from floe_ingestion_defs.cli.main import main

sys.exit(main())
