"""The data a new market starts with: CSV files, the pictures, and the scripts that made the bulk rows. See README.md."""
