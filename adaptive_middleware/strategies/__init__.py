"""Strategies: generators that answer one request, the guards around them, and selection."""
