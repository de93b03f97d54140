"""Values <-> codes, in arrays: one module per family, all that it does in one file. [plain]

category and number have `encoder(spec)`, an Arrow array of what is coded (units as BIGINT, or texts) -> codes of each
sub-column, and `decoder(spec)`, codes and keyed draws -> an Arrow array of the source's type. A place is coded as the
number of its cell, and decoded to two arrays; calendar codes and decodes whole histories; length and variety are codes
that only the sampler reads. For every code c and draw u: encode(decode(c, u)) == c, except for rare codes, which decode
to kept values.
"""
