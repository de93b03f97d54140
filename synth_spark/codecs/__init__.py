"""Values <-> codes, as Spark SQL text: one module per family, both directions in one file. [plain]

A family's module offers `encode -> list of SMALLINT expressions`, one per sub-column, of what the family encodes, and
`decode(spec, code_sqls, draw_sql) -> expression of the source's type`, where draw_sql(i) is a non-negative BIGINT
hash of run seed, subject, step and field; `CODECS` are those that decode so. For every code c and draw u:
encode(decode(c, u)) == c, except for rare codes, which decode to kept values.
"""

from __future__ import annotations

from types import ModuleType

from synth_spark.codecs import category, length, number

CODECS: dict[str, ModuleType] = {"category": category, "number": number, "length": length}
