"""Composition: stages in order, their preconditions, their state. The only room that knows several stages. [plain]"""
