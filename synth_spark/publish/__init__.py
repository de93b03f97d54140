"""Publication: the gate, the row that flips the views, and reading what is published. [spark]"""
