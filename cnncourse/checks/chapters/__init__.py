"""The exercises: one module a chapter, each with its list ``EXERCISES``."""
