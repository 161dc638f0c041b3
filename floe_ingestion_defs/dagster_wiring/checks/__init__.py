"""Asset checks: each module of a check evaluates one question about an Iceberg table."""
