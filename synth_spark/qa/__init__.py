"""Quality and privacy evidence: real and synthetic histories in, one QaResult out."""
