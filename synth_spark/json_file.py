"""A JSON file of ours, which somebody may have damaged or replaced. [plain]"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path, *, finite: bool = False) -> Any:
    """What the file holds; `finite`: NaN and infinities, which JSON does not know, are none of it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse if finite else None)
    except FileNotFoundError:
        raise
    except OSError as error:  # a folder, or no permission
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
