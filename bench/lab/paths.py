"""Where the lab's scripts read and write."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "adaptive_middleware" / "lab"
POLICY, PRM = SHIPPED / "policy", SHIPPED / "prm"
DATA = Path(__file__).resolve().parent / "data"
SCRATCH = Path(os.environ.get("LAB_SCRATCH", ROOT / ".lab"))
