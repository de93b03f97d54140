"""The train function as a module: python -m torch.distributed.run ... -m synth_spark.train.torchrun JOB. [torch]

JOB is a TrainJob as JSON; the launcher `torchrun` writes it to <checkpoint>/ranks/job.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from synth_spark.train.rank import train_rank


def main(job_file: str) -> None:
    """Train the share of this process, whose rank torchrun has put into the environment."""
    train_rank(json.loads(Path(job_file).read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(*sys.argv[1:])
