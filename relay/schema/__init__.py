"""The vocabulary of configuration files: what may be written, and nothing else.

These types are the single definition: `loader` validates files against them, and
`publish` makes the JSON Schemas from them. Keys are camelCase in files; unknown keys
are errors everywhere.
"""
