"""The exercises: one module a chapter, each with its list ``EXERCISES``."""

# The chapters in the order of the book: the place is the chapter's number, here and in front of the
# names of its files, as in book/03_cross_correlation.md.
ORDER = (
    "invariance",
    "locality",
    "cross_correlation",
    "padding_stride",
    "channels",
    "pooling",
    "shift",
    "lenet",
    "normalization",
    "backprop",
    "fast",
    "capstone",
)
