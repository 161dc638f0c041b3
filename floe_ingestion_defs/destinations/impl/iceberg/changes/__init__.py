"""What publishing a load changes in a table: files removed and files added."""
