"""View: a local web page of the calls that are kept, as they happen; nothing is asked of other machines."""
