"""Structured logs: one JSON object per line in the run's log file, with run id and stage on each. [plain]

    with configure(paths.run_id, paths.log):
        log = stage_logger("encode")
        log.info("fields fitted", extra={"fields": 12})

Nothing is set up at import, and without `configure` the loggers are silent below warnings.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from synth_spark.errors import told_traceback
from synth_spark.files import ONLY_NEW_FILES

ROOT = "synth_spark"
LINE = "line"  # the stage of what concerns a run as a whole
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "stage"}


class JsonLines(logging.Formatter):
    """A record as one line: time (UTC), level, run_id, stage, message, whatever `extra` holds, and the traceback.

    What others' errors say is left out of it: it may quote data.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object; values that JSON does not know are written as text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "run_id": self.run_id,
            "stage": getattr(record, "stage", LINE),
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD and key not in line}
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = told_traceback(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class LogFile(logging.FileHandler):
    """Appends; where storage refuses that (mounted object stores do, when a file is opened or when it is written) it
    writes the lines of before once more.

    A log that cannot be written to its end is told by logging itself on stderr, and never ends the work.
    """

    def _open(self) -> TextIOWrapper:
        try:
            return super()._open()
        except OSError:
            if not Path(self.baseFilename).exists():  # no question of appending
                raise
            return self._again()

    def emit(self, record: logging.LogRecord) -> None:
        """One line; the first that storage refuses to append goes into a file that is written anew."""
        try:
            self._append(self.format(record))
        except Exception:
            self.handleError(record)

    def _append(self, line: str) -> None:
        self.stream = stream = self.stream or self._open()
        try:
            self._write(stream, line)
        except OSError as error:
            if error.errno not in ONLY_NEW_FILES:  # a full disk must not cost what is there
                raise
            self.stream = None
            with suppress(OSError):  # it would write what it could not write before
                stream.close()
            self.stream = self._again()
            self._write(self.stream, line)

    def _write(self, stream: TextIOWrapper, line: str) -> None:
        stream.write(line + self.terminator)
        stream.flush()

    def _again(self) -> TextIOWrapper:
        """The file from its start, with what it held."""
        file = Path(self.baseFilename)
        before = file.read_text(encoding="utf-8")
        stream = file.open("w", encoding="utf-8")
        stream.write(before)
        return stream

    def close(self) -> None:
        """Flush what is left and close."""
        with suppress(OSError):
            super().close()


class StageLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds its stage to each record and keeps the caller's own `extra`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the stage into `extra`."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


def stage_logger(stage: str) -> StageLogger:
    """The logger of a stage: encode, train, sample, decode, qa, publish or line."""
    return StageLogger(logging.getLogger(f"{ROOT}.{stage}"), {"stage": stage})


@contextmanager
def configure(run_id: str, log_file: Path, *, console: bool = True) -> Iterator[None]:
    """While inside, append records from INFO up to `log_file`; with `console` show warnings on stderr as plain text."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    lines = LogFile(log_file, encoding="utf-8")
    lines.setFormatter(JsonLines(run_id))
    handlers: list[logging.Handler] = [lines]
    if console:
        words = logging.StreamHandler(sys.stderr)
        words.setLevel(logging.WARNING)
        words.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        handlers.append(words)
    logger = logging.getLogger(ROOT)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library that configures the root logger must not print our lines a second time
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
