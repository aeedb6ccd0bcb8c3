"""Settings of every test: hypothesis has no clock (timing belongs into bench/), torch has one thread, and a canary watches."""

import os

from hypothesis import settings

pytest_plugins = ["tests.canary"]
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")
