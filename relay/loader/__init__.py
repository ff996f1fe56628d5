"""Files and environment to a `Snapshot`, and its renewal while relay runs."""
