"""The lab: an embedded policy and process reward model, and their problems."""

from __future__ import annotations

from pathlib import Path

POLICY = Path(__file__).with_name("policy")
PRM = Path(__file__).with_name("prm")
CALIBRATION = Path(__file__).with_name("calibration.json")
