"""The command ``cnncourse``: check, train, and what other distributions add.

A distribution adds a command as an entry point of the group ``cnncourse.commands``, named like the
command, that leads to a :class:`Command`. Nothing heavy is imported before a command runs, so
``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple, NoReturn

from cnncourse import __version__

DESCRIPTION = """\
A course on convolutional networks, from the command line.

  cnncourse check notebook.ipynb               what do the checks say to my answers?
  cnncourse train --data fashion-mnist         train LeNet and watch it learn

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
TRAIN = """\
Train a network of the course. When an epoch ends, its loss and accuracy on the training and the
validation split are printed. The test split stays untouched unless you ask for it with --test.

With --out, a folder keeps the run: a checkpoint after each epoch, and at the end the weights
(weights.safetensors), the table (history.csv) and the curve (curve.png). Stop it when you like,
with Ctrl-C or by force: the same command with --resume goes on after the last epoch, and ends with
the weights of a run that was never stopped.

  cnncourse train                                     LeNet, five epochs of Fashion-MNIST
  cnncourse train --data mnist --model modern --epochs 5 --lr 0.05 --seed 1
  cnncourse train --epochs 10 --out runs/a            keep the run in a new folder
  cnncourse train --epochs 10 --out runs/a --resume   go on with it

Several processes share each batch, one for each GPU, or on processors. --batch-size counts the
pictures of all of them, so the result is that of one process, but for rounding:

  torchrun --nproc-per-node=2 -m cnncourse.train --epochs 10 --out runs/b
"""


GRADERS = ("grade", "release", "compare")
HOW_TO_INSTALL = (
    "this command comes with another package: pip install "
    '"cnncourse-grader @ git+https://github.com/cnncourse/cnncourse@main#subdirectory=grader"'
)


class Command(NamedTuple):
    """A command: its line in the list, its own page of help, and what adds its options.

    ``add`` gets the command's parser. It sets the default ``run``, which takes the parsed options
    and returns the exit code.
    """

    line: str
    text: str
    add: Callable[[argparse.ArgumentParser], None]


class Parser(argparse.ArgumentParser):
    """Reports a wrong call with exit code 1: 2 tells of answers and submissions."""

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
    words = sys.argv[1:] if arguments is None else list(arguments)
    known = commands()
    if words and words[0] in GRADERS and words[0] not in known:
        return _failed(words[0], HOW_TO_INSTALL)
    options = parser(known).parse_args(words)
    try:
        return options.run(options)
    except (ValueError, OSError, RuntimeError) as error:
        return _failed(options.command, str(error))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _failed(options.command, "stopped")


def _failed(command: str, reason: str) -> int:
    print(f"cnncourse {command}: {reason}", file=sys.stderr)
    return 1


def commands() -> dict[str, Command]:
    """Return all commands by name: the package's own, and those of installed distributions."""
    added = {one.name: one.load() for one in entry_points(group="cnncourse.commands")}
    return dict(sorted((OWN | added).items()))


def parser(known: dict[str, Command]) -> Parser:
    """Return the parser of these commands."""
    main_parser = Parser("cnncourse", description=DESCRIPTION, formatter_class=AsWritten)
    main_parser.add_argument("--version", action="version", version=f"cnncourse {__version__}")
    each = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (line, text, add) in known.items():
        add(each.add_parser(name, help=line, description=text, formatter_class=AsWritten))
    return main_parser


AsWritten = argparse.RawDescriptionHelpFormatter


def _add_check(command: Parser) -> None:
    command.add_argument("file", type=Path, help="notebook (.ipynb) or Python file (.py)")
    command.add_argument("--seed", default="0", help="decides the inputs (default: 0)")
    command.set_defaults(run=_check)


def _add_train(command: Parser) -> None:
    from_ = "(default: %(default)s)"
    command.add_argument(
        "--data", choices=("fashion-mnist", "mnist"), default="fashion-mnist", help=from_
    )
    command.add_argument(
        "--model", choices=("lenet", "modern", "mlp", "softmax"), default="lenet", help=from_
    )
    command.add_argument("--epochs", type=positive, default=5, help=from_)
    command.add_argument("--batch-size", type=positive, default=128, help=from_)
    command.add_argument("--lr", type=float, default=0.1, help=f"step of gradient descent {from_}")
    command.add_argument("--seed", type=int, default=0, help=from_)
    command.add_argument("--device", help="default: the GPU where there is one, else the CPU")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="keep the run there")
    command.add_argument("--resume", action="store_true", help="go on with the run in --out")
    command.add_argument("--test", action="store_true", help="measure the test split at the end")
    command.set_defaults(run=_train)


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _check(options: argparse.Namespace) -> int:
    from cnncourse.checks.own import check_file

    reports = check_file(options.file, options.seed)
    if not reports:
        raise ValueError(f"{options.file} holds no answer to an exercise")
    print("\n\n".join(feedback for _, feedback in reports.values()))
    passed = sum(passed for passed, _ in reports.values())
    print(f"\n{passed} of {len(reports)} pass.")
    return 0 if passed == len(reports) else 2


def _train(options: argparse.Namespace) -> int:
    from cnncourse import train

    return train.run(options)


OWN = {
    "check": Command("check the answers in a notebook or Python file", CHECK, _add_check),
    "train": Command("train a network of the course", TRAIN, _add_train),
}

if __name__ == "__main__":
    sys.exit(main())
