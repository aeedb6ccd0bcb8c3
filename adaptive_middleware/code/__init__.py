"""Code as text: its steps while it streams, the program in an answer, and what can be told before anything is run."""
