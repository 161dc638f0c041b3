"""The same loads on each kind of catalog and storage."""
