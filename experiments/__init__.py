"""Trainings that take too long for a notebook: one file of recipes a topic, and what runs them.

``make record`` does the runs that ``cnncourse/records/<topic>.json`` does not hold yet. To add an
experiment, write ``experiments/<topic>.py`` with an ``EXPERIMENT``; nothing else needs to know it.
"""
