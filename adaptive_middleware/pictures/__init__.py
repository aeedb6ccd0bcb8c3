"""Pictures: charts with their tables, and one self-contained page for people."""
