"""The lab: an embedded policy and process reward model, and their problems."""
