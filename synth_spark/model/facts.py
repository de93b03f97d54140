"""What a model folder says of itself, readable without torch. [plain]"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synth_spark.errors import ContractError
from synth_spark.json_file import read_json

FORMAT = 8
MODEL_FILE, WEIGHTS_FILE, CODEBOOK_FILE = "model.json", "weights.safetensors", "codebook.json"


def read_facts(folder: Path) -> dict[str, Any]:
    """model.json: format, config, codebook_fingerprint, weights_sha256, facts of the training.

    Raises:
        ContractError: missing, damaged or of another format.
    """
    try:
        document: dict[str, Any] = read_json(folder / MODEL_FILE)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
        for key in ("config", "codebook_fingerprint", "weights_sha256", "facts"):
            document[key]
    except FileNotFoundError:
        raise ContractError(
            f"checkpoint {folder}: {MODEL_FILE} is missing; name checkpoint/model in a run's folder, "
            "or run the train stage"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"checkpoint {folder}: damaged or foreign ({error}); run the train stage again") from None
    return document
