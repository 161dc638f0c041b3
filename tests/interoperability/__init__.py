"""Other engines read the tables that this project writes, with the same rows."""
