"""The lab: how the embedded pair was trained and measured."""
