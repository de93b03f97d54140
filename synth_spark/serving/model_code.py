"""The model as MLflow serves it: this file is logged as code, the weights as safetensors beside it. [mlflow]

A request row asks for `num_subjects` synthetic subjects drawn with `seed`; the answer has one row per subject: its
columns as in the source, and its events. The same seed gives the same subjects as the stages sample and decode, and
fewer of them are a prefix of more. It needs neither Spark nor Java.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from synth_spark.tracking import BEING_LOGGED


class SubjectSampler(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Draws synthetic subjects with their events."""

    def load_context(self, context: Any) -> None:
        """Load the weights, once."""
        from synth_spark.model.checkpoint import load_checkpoint
        from synth_spark.model.facts import read_facts
        from synth_spark.model.generate import Generator

        if os.environ.get(BEING_LOGGED):
            raise _refusal("a model is not tried while it is logged: the process of a line holds no weights")
        loaded = load_checkpoint(Path(context.artifacts["model"]))
        self.generator = Generator(loaded.model, loaded.trained_in)
        self.codebook = loaded.codebook
        self.weights_digest = str(read_facts(Path(context.artifacts["model"]))["weights_sha256"])
        self.chunk_subjects = int(context.model_config["chunk_subjects"])
        self.max_subjects = int(context.model_config["max_subjects"])
        self.drawing = threading.Lock()  # a server answers in threads, and torch uses all processors for each draw

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row per synthetic subject, request after request; see synth_spark.serving.answer for the columns."""
        asked = [
            (int(count), int(seed))
            for count, seed in zip(model_input["num_subjects"], model_input["seed"], strict=True)
        ]
        total = sum(count for count, _ in asked)
        if any(count < 1 for count, _ in asked) or total > self.max_subjects:
            raise _refusal(
                f"num_subjects: {[count for count, _ in asked]}; each must be at least 1 and together they must be "
                f"at most {self.max_subjects}; ask again with another seed, or make tables with the commands "
                "synth-spark sample and synth-spark decode"
            )
        return pd.concat([self._answer(count, seed) for count, seed in asked], ignore_index=True)

    def _answer(self, num_subjects: int, seed: int) -> pd.DataFrame:
        import pyarrow as pa

        from synth_spark.sample.plan import SamplePlan
        from synth_spark.sample.worker import ARROW_SCHEMA, sample_rows
        from synth_spark.seeds import derive, drawing_seed
        from synth_spark.serving.decoding import decode_answer

        seed = drawing_seed(seed, self.weights_digest)
        plan = SamplePlan(num_subjects, self.chunk_subjects, derive(seed, "sample"))
        with self.drawing:
            parts = [rows for chunk in range(plan.num_chunks) for rows in sample_rows(self.generator, plan, chunk)]
        drawn = pa.Table.from_batches(parts, ARROW_SCHEMA)
        return decode_answer(drawn, self.codebook, seed=seed)


def _refusal(reason: str) -> Exception:
    """An error that a server answers with status 400 and these words."""
    refusal: Exception = mlflow.exceptions.MlflowException.invalid_parameter_value(reason)
    return refusal


mlflow.models.set_model(SubjectSampler())
