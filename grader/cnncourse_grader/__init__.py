"""Grade notebooks of people one does not trust.

Three kinds of process take part, and each knows as little as it can.

The grader (:mod:`~cnncourse_grader.grade`) reads submissions as text, draws inputs from the
secret seed, compares what comes back with the reference, and writes marks. It never runs a line
of a submission.

The sandbox (:mod:`~cnncourse_grader.inside`, started by :mod:`~cnncourse_grader.sandbox`) runs
one notebook and calls its answers on the inputs. It holds no seed, no expected value, no solution
of what it is asked for, no other submission, and has no network. What it returns is data, and is
doubted: it decides about values, and cannot show that nothing was called out of sight, so
:mod:`~cnncourse_grader.reading` names to the instructor what is worth a look.

Between them, :mod:`~cnncourse_grader.wire` is the only language: text and raw numbers, no pickle.
"""
