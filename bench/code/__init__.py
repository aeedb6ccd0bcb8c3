"""Code: cheats and hostile programs against the verifier and its sandboxes, and what a verification takes."""
