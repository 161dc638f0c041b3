"""Other engines read the tables that this project writes, row by row as they were loaded."""
