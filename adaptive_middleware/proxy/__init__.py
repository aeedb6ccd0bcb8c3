"""The proxy: any client of an OpenAI-compatible endpoint gets adaptive compute by a change of its base URL."""
