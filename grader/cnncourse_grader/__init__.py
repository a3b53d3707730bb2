"""Grade notebooks of people one does not trust.

Three kinds of process take part, and each knows as little as it can. What keeps the second from
the computer stands in :mod:`~cnncourse_grader.world`, :mod:`~cnncourse_grader.host` and
:mod:`~cnncourse_grader.seccomp`; limits and clocks in :mod:`~cnncourse_grader.sandbox`.

The grader (:mod:`~cnncourse_grader.grade`) draws inputs from the secret seed and writes marks. It
never runs a line of a submission. What somebody else wrote, a file or a result, is read and
compared with the reference in processes that it forks (:mod:`~cnncourse_grader.apart`): they may
die of it, and have no seed.

The sandbox (:mod:`~cnncourse_grader.inside`, started by :mod:`~cnncourse_grader.sandbox`) runs
one notebook and calls its answers on the inputs. It holds no seed, no expected value, no solution
of what it is asked for, no other submission, and has no network. What it returns is data, and is
doubted: it decides about values, and cannot show that nothing was called out of sight, so
:mod:`~cnncourse_grader.reading` names to the instructor what is worth a look.

Between them, :mod:`~cnncourse_grader.wire` is the only language: text and raw numbers, no pickle.
"""
