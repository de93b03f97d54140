"""The model as MLflow serves it: this file is logged as code, the weights as safetensors beside it. [mlflow]

A request row asks for `num_subjects` synthetic subjects drawn with `seed`; the answer has one row per subject in the
encoded schema of sampled_sequences. The same seed gives the same subjects as the sample stage, and fewer of them are
a prefix of more. Values come from codes by the codebook in the same folder, with Spark: see synth_spark.decode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd


class SequenceSampler(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Draws encoded synthetic histories."""

    def load_context(self, context: Any) -> None:
        """Load the weights once."""
        from synth_spark.model.checkpoint import load_checkpoint
        from synth_spark.model.generate import Generator

        self.generator = Generator(load_checkpoint(Path(context.artifacts["model"])).model)
        self.chunk_subjects = int(context.model_config["chunk_subjects"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row per synthetic subject: subject_number, num_events, static_codes, event_codes."""
        requests = zip(model_input["num_subjects"], model_input["seed"], strict=True)
        answers = [self._sample(int(count), int(seed)) for count, seed in requests]
        return pd.concat(answers, ignore_index=True)

    def _sample(self, num_subjects: int, run_seed: int) -> pd.DataFrame:
        from synth_spark.sample.plan import SamplePlan
        from synth_spark.sample.worker import ARROW_SCHEMA, sample_rows
        from synth_spark.seeds import derive

        plan = SamplePlan(num_subjects, self.chunk_subjects, derive(run_seed, "sample"))
        empty = ARROW_SCHEMA.empty_table().to_pandas()
        batches = [batch for chunk in range(plan.num_chunks) for batch in sample_rows(self.generator, plan, chunk)]
        drawn = pd.concat([empty, *(batch.to_pandas() for batch in batches)], ignore_index=True).drop(columns="split")
        codes = {name: [part.astype(np.int64) for part in drawn[name]] for name in ("static_codes", "event_codes")}
        frame: pd.DataFrame = drawn.assign(**codes)
        frame["num_events"] = frame["num_events"].astype("int64")
        frame["subject_number"] = frame["subject_number"].astype("int64")
        return frame


mlflow.models.set_model(SequenceSampler())
