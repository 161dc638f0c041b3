"""What the tests of `deploy/` and of the pages about it share."""
