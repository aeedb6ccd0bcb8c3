"""The leaderboard of allocation rules: every rule on every recording, beside fixed N, losses included."""
