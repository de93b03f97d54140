"""How a command ends: its exit code, and what the terminal says. [plain]"""

from __future__ import annotations

import traceback
from collections.abc import Callable

import typer
from typer.exceptions import TyperException

from synth_spark.errors import interruption, told_traceback
from synth_spark.pipeline.signals import ended_by_signals

_ENDS_BY_ITSELF = (SystemExit, typer.Exit, typer.Abort, TyperException)  # an answer, or no answer, of the user's


def guarded(work: Callable[[], object], debug: bool) -> None:
    """Errors that a user can act on as one message and their own exit code; the traceback is in the run's log.

    Of errors that nobody foresaw the terminal shows the kind and where it came from, what they say only with `debug`.
    """
    try:
        with ended_by_signals():
            work()
    except _ENDS_BY_ITSELF:
        raise
    except BaseException as error:
        from synth_spark.pipeline.shortages import known_problem

        outside = interruption(error)
        if outside is not None:
            typer.echo(outside[1], err=True)
            raise typer.Exit(outside[0]) from None
        problem = known_problem(error)
        if debug and problem is None:
            raise
        if debug:
            traceback.print_exc()
        elif problem is None:
            typer.echo(told_traceback(error), err=True)
        unforeseen = "unforeseen; what it says may quote data, so it is left out: --debug shows it"
        typer.echo(f"{type(problem).__name__}: {problem}" if problem else unforeseen, err=True)
        raise typer.Exit(problem.exit_code if problem else 1) from None
