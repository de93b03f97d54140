"""Names of every column and table that we write, in one place. [plain]"""

# sequences and sampled_sequences: one row per subject
SUBJECT_NUMBER = "subject_number"  # bigint, opaque: says nothing about the key
SPLIT = "split"  # string, one of SPLITS
NUM_EVENTS = "num_events"  # int
STATIC_CODES = "static_codes"  # array<smallint>, one code per static sub-column
EVENT_CODES = "event_codes"  # array<smallint>, row-major: num_events x event sub-columns

TRAINING, VALIDATION, HOLDOUT = "training", "validation", "holdout"
SPLITS = (TRAINING, VALIDATION, HOLDOUT)
SYNTHETIC = "synthetic"  # the split column of sampled_sequences

# canonical columns of a source table after reading, before encoding
SUBJECT_KEY = "__subject_key"  # the key in the source's own type
EVENT_INDEX = "__event_index"  # int, 0-based position of the event in its subject's history

# published tables
RUN_ID = "run_id"
PUBLICATION = "publication"
SUBJECTS_TABLE, EVENTS_TABLE = "subjects", "events"
RUNS_TABLE, DECISIONS_TABLE, STAGES_TABLE = "runs", "decisions", "stages"
