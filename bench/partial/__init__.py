"""What reading answers step by step saves on the lab: prune, beam and whole answers at the same problems."""
