"""Values <-> codes: one module per family, both directions in one file. [plain]

To codes by Spark SQL text, as fitting counts by: `encode -> list of SMALLINT expressions`, one per sub-column. Back by
arrays: `decoder(spec) -> (codes, draw) -> Arrow array of the source's type`, where draw(i) are keyed random words. For
every code c and draw u: encode(decode(c, u)) == c, except for rare codes, which decode to kept values.
"""
