"""The command ``cnncourse``: check | release | grade | train.

Nothing heavy is imported before a command runs, so ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from cnncourse import __version__

DESCRIPTION = """\
A course on convolutional networks, from the command line.

  cnncourse check notebook.ipynb               what do the checks say to my answers?
  cnncourse train --dataset fashion-mnist      train LeNet and watch it learn
  cnncourse release --out handout              write what students get, without solutions
  cnncourse grade submissions --seed SECRET --out grades.csv

`cnncourse COMMAND --help` explains a command.
"""
CHECK = """\
Run a notebook or a Python file and check every answer in it, as `check("name", answer)` does in a
notebook. The file runs with your rights: check your own files, and grade those of others with
`cnncourse grade`.

An answer is what the file hands to check(), or else a function with the name of an exercise.

Exit code: 0 all answers pass, 1 the file cannot be read or holds no answer, 2 an answer does not
pass yet.

  cnncourse check 03_cross_correlation.ipynb
  cnncourse check answers.py --seed 7          other inputs
"""
GRADE = """\
Grade submissions without trusting them.

SUBMISSIONS is a folder with one sub-folder or one notebook a student, or the zip that Moodle or
Canvas hands out. Each notebook runs in a sandbox of its own (bubblewrap: no network, read-only
system, limits on time, memory and processes). Its answers are called on inputs drawn from SECRET,
and a process that never runs a submission compares what comes back with the reference.

Written as results come:
  grades.csv            student, id, points for each exercise, total, max, status
  grades/feedback/      a page for each student
  grades/json/          the same as data

A run that was interrupted, also by a power cut, goes on with --resume; nothing is graded twice.
Give another SECRET in another year, and keep it: the same SECRET gives the same grades. A secret
on the command line can be read by other users of this computer and stays in your shell's history;
the environment variable CNNCOURSE_SEED, or --seed-file, does not show it.

Exit code: 0 all graded, 1 something is wrong with the call or this computer, 2 some submissions
could not be graded; their status in grades.csv says why.

  cnncourse grade submissions --seed-file secret.txt --out grades.csv --jobs 2
  cnncourse grade moodle.zip --seed-file secret.txt --out grades.csv --resume
"""
RELEASE = """\
Write the archive students get (notebooks without solutions) and, separate from it, the one for
instructors (with solutions and rubrics). Run it in a clone of the course.

The finished student archive is then opened and searched for solutions, hidden tests and rubrics:
in text, metadata, outputs, compiled files, checkpoints and archives inside it, and in the built
site if there is one. If anything is found, the archive is deleted and each place is named.

Exit code: 0 written, 1 something is wrong with the call, 2 a solution would have leaked.

  cnncourse release --out handout
  cnncourse release --out handout --chapters 3 4 --gradescope --seed-file secret.txt
"""
TRAIN = """\
Train a network of the course and print loss and accuracy of every epoch on the training and the
validation split. The test split stays untouched unless you ask for it with --test. Ctrl-C stops
early and keeps what was reached.

  cnncourse train
  cnncourse train --dataset mnist --model modern --epochs 5 --lr 0.05 --seed 1
"""


class Parser(argparse.ArgumentParser):
    """Reports a wrong call with exit code 1: 2 tells of submissions."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the reason, and leave."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit code.
    """
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"cnncourse {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ncnncourse {options.command}: stopped", file=sys.stderr)
        return 1


def parser() -> Parser:
    """Return the parser of all commands."""
    main_parser = Parser("cnncourse", description=DESCRIPTION, formatter_class=AsWritten)
    main_parser.add_argument("--version", action="version", version=f"cnncourse {__version__}")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, add, help_line, text in (
        ("check", _add_check, "check the answers in a notebook or Python file", CHECK),
        ("grade", _add_grade, "grade submissions in a sandbox", GRADE),
        ("release", _add_release, "write the archives for students and instructors", RELEASE),
        ("train", _add_train, "train a network of the course", TRAIN),
    ):
        command = commands.add_parser(
            name, help=help_line, description=text, formatter_class=AsWritten
        )
        add(command)
    return main_parser


AsWritten = argparse.RawDescriptionHelpFormatter


def _add_check(command: Parser) -> None:
    command.add_argument("file", type=Path, help="notebook (.ipynb) or Python file (.py)")
    command.add_argument("--seed", default="0", help="decides the inputs (default: 0)")
    command.set_defaults(run=_check)


def _add_grade(command: Parser) -> None:
    command.add_argument("submissions", type=Path, metavar="SUBMISSIONS", help="folder or zip")
    _add_seed(command)
    command.add_argument("--out", type=Path, required=True, help="table to write: grades.csv")
    _add_chapters(command, "default: those that half of the submissions check")
    command.add_argument(
        "--jobs",
        type=_positive,
        default=_processors(),
        help="notebooks at a time (default: %(default)s)",
    )
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    command.add_argument(
        "--timeout", type=_positive, default=60, help="seconds a notebook (default: %(default)s)"
    )
    command.add_argument(
        "--memory", type=_positive, default=2048, help="megabytes a notebook (default: %(default)s)"
    )
    command.add_argument(
        "--no-sandbox", action="store_true", help="run submissions with your own rights"
    )
    command.add_argument(
        "--dask",
        default="",
        metavar="ADDRESS",
        help="use this dask.distributed scheduler's workers",
    )
    command.set_defaults(run=_grade)


def _add_release(command: Parser) -> None:
    command.add_argument("--out", type=Path, required=True, help="folder for the archives")
    _add_chapters(command, "default: all that have exercises")
    command.add_argument(
        "--course", type=Path, default=Path(), help="the clone (default: this folder)"
    )
    command.add_argument(
        "--gradescope", action="store_true", help="write an autograder for Gradescope too"
    )
    _add_seed(command)
    command.set_defaults(run=_release)


def _add_train(command: Parser) -> None:
    from_ = "(default: %(default)s)"
    command.add_argument(
        "--dataset", choices=("fashion-mnist", "mnist"), default="fashion-mnist", help=from_
    )
    command.add_argument(
        "--model", choices=("lenet", "modern", "mlp", "softmax"), default="lenet", help=from_
    )
    command.add_argument("--epochs", type=_positive, default=5, help=from_)
    command.add_argument("--batch-size", type=_positive, default=128, help=from_)
    command.add_argument("--lr", type=float, default=0.1, help=f"step of gradient descent {from_}")
    command.add_argument("--seed", type=int, default=0, help=from_)
    command.add_argument("--device", help="default: the GPU where there is one, else the CPU")
    command.add_argument("--test", action="store_true", help="measure the test split at the end")
    command.set_defaults(run=_train)


def _add_seed(command: Parser) -> None:
    seed = command.add_mutually_exclusive_group()
    seed.add_argument("--seed", metavar="SECRET", help="decides the inputs of every exercise")
    seed.add_argument("--seed-file", type=Path, metavar="FILE", help="file that holds the secret")


def _add_chapters(command: Parser, default: str) -> None:
    command.add_argument(
        "--chapters",
        type=_positive,
        nargs="+",
        default=[],
        metavar="N",
        help=f"numbers ({default})",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _processors() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def _secret(options: argparse.Namespace) -> str:
    """Return the secret, wherever it stands; it is taken out of the environment."""
    from_environment = os.environ.pop("CNNCOURSE_SEED", "")
    if options.seed_file:
        return options.seed_file.read_text(encoding="utf-8").strip()
    return options.seed or from_environment


def _check(options: argparse.Namespace) -> int:
    from cnncourse.checks.own import check_file

    reports = check_file(options.file, options.seed)
    if not reports:
        raise ValueError(f"{options.file} holds no answer to an exercise")
    print("\n\n".join(feedback for _, feedback in reports.values()))
    passed = sum(passed for passed, _ in reports.values())
    print(f"\n{passed} of {len(reports)} pass.")
    return 0 if passed == len(reports) else 2


def _grade(options: argparse.Namespace) -> int:
    seed = _secret(options)
    if not seed:
        raise ValueError("a secret is needed: --seed, --seed-file or CNNCOURSE_SEED")
    from cnncourse_grader import grade as grading

    limits = grading.Limits(
        seconds=options.timeout, step=max(1, options.timeout // 4), memory=options.memory << 20
    )
    grades = grading.grade(
        grading.Options(
            submissions=options.submissions,
            out=options.out,
            seed=seed,
            chapters=options.chapters,
            jobs=options.jobs,
            resume=options.resume,
            protected=not options.no_sandbox,
            dask=options.dask,
            limits=limits,
        )
    )
    for one in grades:
        if one.status != "graded":
            print(f"{one.student.name}: {one.status}", file=sys.stderr)
    print(f"{len(grades)} submissions, {options.out}", file=sys.stderr)
    return 0 if all(one.graded for one in grades) else 2


def _release(options: argparse.Namespace) -> int:
    from cnncourse_grader.release import LeakError, release

    try:
        written = release(
            options.course, options.out, options.chapters, options.gradescope, _secret(options)
        )
    except LeakError as error:
        print(f"cnncourse release: {error}", file=sys.stderr)
        return 2
    print("\n".join(map(str, written)))
    return 0


def _train(options: argparse.Namespace) -> int:
    from functools import partial

    import torch

    from cnncourse import datasets, lenet, training

    models = {
        "lenet": lenet.LeNet,
        "modern": lenet.ModernLeNet,
        "mlp": lenet.mlp,
        "softmax": lenet.softmax_regression,
    }
    load = {"mnist": datasets.load_mnist, "fashion-mnist": datasets.load_fashion_mnist}
    data = load[options.dataset]()
    training.seed_everything(options.seed)
    model = models[options.model]()
    history = training.fit(
        model,
        data.train,
        data.validation,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=partial(torch.optim.SGD, lr=options.lr),
        device=options.device,
        seed=options.seed,
    )
    _print_epochs(history)
    if options.test:
        result = training.evaluate(model, data.test)
        print(f"test: loss {result.loss:.4f}, accuracy {result.accuracy:.4f}")
    return 0


def _print_epochs(history: object) -> None:
    print("epoch  train loss  train acc  val loss  val acc  seconds")
    for number, (train, validation, seconds) in enumerate(history.epochs, start=1):
        print(
            f"{number:5d}  {train.loss:10.4f}  {train.accuracy:9.4f}  {validation.loss:8.4f}"
            f"  {validation.accuracy:7.4f}  {seconds:7.1f}"
        )
    if history.interrupted:
        print("interrupted")


if __name__ == "__main__":
    sys.exit(main())
