"""Values <-> codes, in arrays: one module per family, both directions in one file. [plain]

`encoder(spec)`: an Arrow array of what is coded (units as BIGINT, or texts) -> codes of each sub-column.
`decoder(spec)`: codes and keyed draws -> an Arrow array of the source's type. For every code c and draw u:
encode(decode(c, u)) == c, except for rare codes, which decode to kept values.
"""
