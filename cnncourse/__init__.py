"""Operators, training loop, data and checks of the course on convolutional networks.

One module per chapter. Each function uses the names, argument order, defaults and NCHW layout of
``torch.nn.functional``, so that what you learn here carries over.
"""

__version__ = "0.1.0"
