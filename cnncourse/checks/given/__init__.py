"""What exercises give to an answer: functions, models, and how an answer is observed.

One module a chapter that needs it. These run beside the learner's code, in a sandbox too, so they
import nothing that solves an exercise.
"""
