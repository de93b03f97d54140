"""A config whose source nobody reads. [plain]"""

from __future__ import annotations

from pathlib import Path

import yaml


def config_of(folder: Path) -> Path:
    """Named t, in the folder, with a workspace beside it."""
    document = {
        "name": "t",
        "source": {"events": [{"path": "/never/read", "format": "parquet", "key": "id", "order_by": "at"}]},
        "output": {"root": str(folder / "workspace")},
    }
    path = folder / "t.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path
